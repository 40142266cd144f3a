//! Every text that this crate reads, against a reading of its own: amounts by whole numbers of 128 bits, times by the
//! calendar, identifiers, addresses and codes by the characters that they may have.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use kernel::{
    AMOUNT_MINOR_MAX, AccountId, CorrelationId, Currency, Email, InvalidAmount, Money, OperationId, Timestamp,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use uuid::Uuid;

/// Currencies with none, two, three and four decimals.
const CURRENCIES: [(&str, usize); 5] = [("JPY", 0), ("EUR", 2), ("CHF", 2), ("BHD", 3), ("CLF", 4)];

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

/// Texts that are amounts, and texts that nearly are.
fn near_amounts() -> impl Strategy<Value = String> {
    prop_oneof![
        r"[0-9]{1,17}",
        r"[0-9]{1,20}\.[0-9]{1,5}",
        r"-?[0-9]{0,3}\.?[0-9]{0,3}",
        r"[-+0-9.,eE ]{0,8}",
        r"\PC{0,12}",
        any::<i64>().prop_map(|minor| minor.to_string()),
        select(&["1e400", "NaN", "inf", "0x10", "1_000", "٣", "１", "\u{2212}1", "1.", ".1", "00.10"][..])
            .prop_map(str::to_owned),
    ]
}

/// The amount by another way: a regular decimal, its digits put together and read as one whole number.
fn read_amount(text: &str, decimals: usize) -> Result<i64, InvalidAmount> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let parts: Vec<&str> = unsigned.split('.').collect();
    let is_decimal = parts.len() <= 2
        && parts.iter().all(|part| !part.is_empty() && part.chars().all(|digit| digit.is_ascii_digit()));
    if !is_decimal {
        return Err(InvalidAmount::NotDecimal);
    }
    let fraction = parts.get(1).copied().unwrap_or_default();
    if fraction.len() > decimals {
        return Err(InvalidAmount::TooManyDecimals { allowed: u8::try_from(decimals).unwrap() });
    }
    let digits = format!("{}{fraction:0<decimals$}", parts[0]);
    let minor: i128 = digits.parse().map_err(|_| InvalidAmount::TooLarge)?;
    match minor {
        // What no i64 holds is too large before it is anything else.
        _ if minor > i128::from(i64::MAX) => Err(InvalidAmount::TooLarge),
        0 => Err(InvalidAmount::NotPositive),
        _ if text.starts_with('-') => Err(InvalidAmount::NotPositive),
        _ if minor > i128::from(AMOUNT_MINOR_MAX) => Err(InvalidAmount::TooLarge),
        _ => Ok(i64::try_from(minor).unwrap()),
    }
}

/// Days from the epoch to a day of the proleptic Gregorian calendar, counted year by year.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: i64 = (1970..year).map(|year| 365 + i64::from(is_leap(year))).sum();
    let lengths = [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: i64 = lengths.iter().take(usize::try_from(month).unwrap() - 1).sum();
    years + months + day - 1
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_048) })]

    #[test]
    fn an_amount_is_what_its_digits_say(text in near_amounts(), (code, decimals) in select(&CURRENCIES[..])) {
        let read = Money::parse_amount(&text, currency(code));
        prop_assert_eq!(read.map(|money| money.minor), read_amount(&text, decimals));
        if let Ok(money) = read {
            prop_assert_eq!(money.currency.code(), code);
            // However it was written, it is written in one way, which is read as the same.
            let written = money.decimal().to_string();
            prop_assert_eq!(read_amount(&written, decimals), Ok(money.minor));
            prop_assert_eq!(written.split_once('.').map_or(0, |(_, fraction)| fraction.len()), decimals);
        }
    }

    #[test]
    fn money_reads_back_from_json_and_is_no_number_there(
        minor in (i64::MIN + 1)..=i64::MAX,
        (code, _) in select(&CURRENCIES[..]),
    ) {
        let money = Money::from_minor(minor, currency(code));
        let json = serde_json::to_value(money).unwrap();
        prop_assert!(json["amount"].is_string() && json["currency"] == code, "{}", json);
        prop_assert_eq!(serde_json::from_str::<Money>(&json.to_string()).unwrap(), money);
        let number = format!(r#"{{"amount": {}, "currency": "{code}"}}"#, money.decimal());
        prop_assert!(serde_json::from_str::<Money>(&number).is_err(), "{}", number);
    }

    #[test]
    fn a_time_is_what_the_calendar_says(
        (year, month, day) in (1970_i64..=9998, 1_i64..=12, 1_i64..=28),
        (hour, minute, second, millis) in (0_i64..24, 0_i64..60, 0_i64..60, 0_i64..1_000),
        offset_minutes in -1_439_i64..1_440,
    ) {
        let days = days_to(year, month, day);
        let local = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + millis;
        let sign = if offset_minutes < 0 { '-' } else { '+' };
        let (offset_hours, rest) = (offset_minutes.abs() / 60, offset_minutes.abs() % 60);
        let text = format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}{sign}{offset_hours:02}:{rest:02}"
        );
        let instant = local - offset_minutes * 60_000;
        let read = text.parse::<Timestamp>().map(Timestamp::as_millis);
        prop_assert_eq!(read.ok(), (instant >= 0).then_some(instant), "{}", text);
    }

    #[test]
    fn every_time_reads_back(millis in any::<i64>()) {
        let time = Timestamp::from_millis(millis);
        let text = time.to_string();
        prop_assert_eq!(text.parse::<Timestamp>().unwrap(), time);
        prop_assert_eq!(serde_json::from_value::<Timestamp>(json!(text)).unwrap(), time);
        prop_assert_eq!(text.len(), "1970-01-01T00:00:00.000Z".len());
    }

    #[test]
    fn no_text_panics_and_what_is_a_time_has_one_spelling(text in r"\PC{0,40}|[-+0-9:.TZ ]{0,32}") {
        if let Ok(time) = text.parse::<Timestamp>() {
            prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
    }

    #[test]
    fn an_identifier_is_its_one_spelling(number in any::<u128>(), text in r"\PC{0,40}|[-0-9a-fA-F{}:]{0,40}") {
        let id = AccountId::new(Uuid::from_u128(number));
        let digits = format!("{number:032x}");
        let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        prop_assert_eq!(id.to_string(), parts.join("-"));
        prop_assert_eq!(id.to_string().parse::<AccountId>().unwrap(), id);
        prop_assert_eq!(serde_json::from_value::<AccountId>(serde_json::to_value(id).unwrap()).unwrap(), id);
        for other in [id.to_string().to_uppercase(), digits, format!("{{{id}}}"), format!("urn:uuid:{id}"), text] {
            if let Ok(read) = other.parse::<OperationId>() {
                prop_assert_eq!(read.to_string(), other);
            }
        }
        // A year beyond 9999 is held within the time that can be written.
        prop_assert!(id.made_at().is_none_or(|at| at.to_string().parse::<Timestamp>() == Ok(at)));
    }

    #[test]
    fn a_correlation_id_is_any_short_plain_text(text in r"[A-Za-z0-9._-]{0,70}|\PC{0,66}|[\x00-\x7f]{1,5}") {
        let is_plain = (1..=64).contains(&text.len())
            && text.chars().all(|letter| "._-".contains(letter) || (letter.is_alphanumeric() && letter.is_ascii()));
        let read = text.parse::<CorrelationId>();
        prop_assert_eq!(read.is_ok(), is_plain);
        prop_assert_eq!(serde_json::from_value::<CorrelationId>(json!(text)).is_ok(), is_plain);
        prop_assert!(read.is_err() || read.is_ok_and(|id| id.as_str() == text));
    }

    #[test]
    fn an_address_has_one_spelling_and_no_room_for_another_header(
        text in r"\PC{0,30}|[ -~\r\n\t]{0,20}@[ -~\r\n\t]{0,20}|[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,66}@[A-Za-z0-9.-]{1,70}",
    ) {
        if let Ok(email) = text.parse::<Email>() {
            let address = email.as_str();
            prop_assert!(address.eq_ignore_ascii_case(text.trim()));
            prop_assert!(address.chars().all(|letter| letter.is_ascii_graphic() && !letter.is_ascii_uppercase()));
            prop_assert_eq!(address.matches('@').count(), 1);
            prop_assert!(address.len() <= 254 && email.local_part().len() <= 64);
            prop_assert!(!address.contains(['<', '>', ',', ';', ':', '"', '\\', '(', ')']), "{}", address);
            prop_assert_eq!(address.parse::<Email>().unwrap(), email);
        }
    }

    #[test]
    fn every_ordinary_address_is_taken(
        local in r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z0-9_+-]{1,20}){0,2}",
        domain in r"([a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?\.){1,3}[a-z]{2,10}",
    ) {
        let address = format!("{local}@{domain}");
        let email: Email = format!(" {} ", address.to_uppercase()).parse().unwrap();
        prop_assert_eq!(email.as_str(), address);
    }

    #[test]
    fn a_currency_is_three_capitals(text in r"[A-Z]{3}|[A-Za-z]{0,4}|\PC{0,6}") {
        if let Ok(currency) = text.parse::<Currency>() {
            prop_assert_eq!(currency.code(), &text);
            prop_assert!(text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()));
            prop_assert!(currency.exponent() <= 4);
            prop_assert_eq!(serde_json::to_value(currency).unwrap(), Value::from(text));
        }
    }
}
