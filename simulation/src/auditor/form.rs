//! How amounts, times and members are written, by the auditor's own reading of the documents.

use serde_json::Value;

/// How many decimals a currency has (ISO 4217), of those that a run uses.
fn decimals(currency: &str) -> Option<u32> {
    match currency {
        "JPY" => Some(0),
        "EUR" | "USD" | "CHF" | "SEK" => Some(2),
        "BHD" => Some(3),
        _ => None,
    }
}

/// The text of a member; empty where there is none.
pub fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// The number of a member; zero where there is none.
pub fn number(value: &Value, member: &str) -> u64 {
    value[member].as_u64().unwrap_or_default()
}

/// What the digits of a decimal count in units of the currency's last decimal; nothing where it has too many decimals
/// or is no plain decimal.
pub fn minor(digits: &str, currency: &str) -> Option<i128> {
    let decimals = decimals(currency)? as usize;
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (unsigned, ""),
    };
    let is_plain = |part: &str| part.chars().all(|character| character.is_ascii_digit());
    if whole.is_empty() || !is_plain(whole) || !is_plain(fraction) || fraction.len() > decimals {
        return None;
    }
    let padded = format!("{whole}{fraction}{}", "0".repeat(decimals - fraction.len()));
    let size: i128 = padded.parse().ok()?;
    Some(if unsigned.len() < digits.len() { -size } else { size })
}

/// An amount as a customer may send it: a text, or a number by its digits.
pub fn sent_minor(amount: &Value, currency: &str) -> Option<i128> {
    let digits = match amount {
        Value::String(digits) => digits.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    minor(&digits, currency).filter(|size| (1..=1_000_000_000_000_000).contains(size))
}

/// The size and the currency of money as messages and items have it: `{"amount": "12.50", "currency": "EUR"}`.
pub fn money(value: &Value) -> Option<(i128, String)> {
    let currency = text(value, "currency");
    Some((minor(text(value, "amount"), currency)?, currency.to_owned()))
}

/// Milliseconds since 1970 of a time in UTC with three decimals: `2026-01-01T00:00:00.000Z`.
pub fn millis(time: &str) -> Option<i64> {
    let part = |from: usize, to: usize| time.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second, milli) = (part(11, 13)?, part(14, 16)?, part(17, 19)?, part(20, 23)?);
    // Days of the civil calendar, with the year beginning in March so that a leap day is its last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + milli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_from_their_digits() {
        for (digits, currency, size) in [
            ("12.50", "EUR", Some(1_250)),
            ("12.5", "EUR", Some(1_250)),
            ("-0.01", "EUR", Some(-1)),
            ("7", "JPY", Some(7)),
            ("7.0", "JPY", None),
            ("1.005", "BHD", Some(1_005)),
            ("1.", "EUR", None),
            (".5", "EUR", None),
            ("1e3", "EUR", None),
        ] {
            assert_eq!(minor(digits, currency), size, "{digits} {currency}");
        }
    }

    #[test]
    fn times_are_read_by_the_calendar() {
        for (time, read) in [
            ("1970-01-01T00:00:00.000Z", Some(0)),
            ("2026-01-01T00:00:00.000Z", Some(1_767_225_600_000)),
            ("2024-02-29T23:59:59.999Z", Some(1_709_251_199_999)),
            ("yesterday", None),
        ] {
            assert_eq!(millis(time), read, "{time}");
        }
    }
}
