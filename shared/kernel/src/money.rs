//! Exact money: whole minor units of one currency. There is no float here, and no rounding.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Currency;
use crate::wire::{put_digits, text_of};

/// The largest amount of one posting, in minor units: ten trillion euros. It leaves the sum of nine thousand
/// postings of this size within an `i64`; a balance that would pass the `i64` is refused by the ledger.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000_000;

/// A signed number of minor units of one currency: 12.50 EUR is 1250, 12 JPY is 12.
///
/// On the wire it is `{"amount": "12.50", "currency": "EUR"}`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// The amount in units of the currency's last decimal.
    pub minor: i64,
    /// The currency, which also says where the decimal point stands.
    pub currency: Currency,
}

/// Why a text is not an amount that can be posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// Anything but digits and at most one point between them.
    #[error("must be written in plain digits, such as 12.50")]
    NotDecimal,
    /// More decimals than the currency has.
    #[error("has more decimals than the {allowed} of its currency")]
    TooManyDecimals {
        /// How many the currency has.
        allowed: u8,
    },
    /// Zero or less.
    #[error("must be more than zero")]
    NotPositive,
    /// More than [`AMOUNT_MINOR_MAX`].
    #[error("is more than the bank can post at once")]
    TooLarge,
}

impl Money {
    /// `minor` units of `currency`.
    pub fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in `currency`.
    pub fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Reads an amount that somebody wants to post: positive, exact, at most [`AMOUNT_MINOR_MAX`].
    pub fn parse_amount(text: &str, currency: Currency) -> Result<Self, InvalidAmount> {
        let money = Self::parse(text, currency)?;
        match money.minor {
            ..=0 => Err(InvalidAmount::NotPositive),
            minor if minor > AMOUNT_MINOR_MAX => Err(InvalidAmount::TooLarge),
            _ => Ok(money),
        }
    }

    /// Reads any exact decimal, negative ones and zero included, from its digits.
    fn parse(text: &str, currency: Currency) -> Result<Self, InvalidAmount> {
        let exponent = usize::from(currency.exponent());
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || (digits.contains('.') && !is_number(fraction)) {
            return Err(InvalidAmount::NotDecimal);
        }
        if fraction.len() > exponent {
            return Err(InvalidAmount::TooManyDecimals { allowed: currency.exponent() });
        }
        let padding = std::iter::repeat_n(b'0', exponent - fraction.len());
        let minor = whole
            .bytes()
            .chain(fraction.bytes())
            .chain(padding)
            .try_fold(0_i64, |sum, digit| sum.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
        let minor = minor.ok_or(InvalidAmount::TooLarge)?;
        Ok(Self { minor: if is_negative { -minor } else { minor }, currency })
    }

    /// The amount alone, as it is written on the wire: `12.50`.
    pub fn decimal(self) -> Decimal {
        Decimal(self)
    }
}

/// Writes the digits of an amount, with as many decimals as its currency has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decimal(Money);

impl Decimal {
    /// The longest amount, in bytes: a sign, the digits of the largest number, a point, and zeros before it.
    const LENGTH_MAX: usize = 32;

    /// Hands its digits to `write`.
    fn written<T>(self, write: impl FnOnce(&str) -> T) -> T {
        let Money { minor, currency } = self.0;
        let (exponent, number) = (usize::from(currency.exponent()), minor.unsigned_abs());
        let digits = (number.checked_ilog10().unwrap_or(0) as usize + 1).max(exponent + 1);
        let (sign, point) = (usize::from(minor < 0), usize::from(exponent > 0));
        let mut bytes = [b'-'; Self::LENGTH_MAX];
        let text = &mut bytes[..sign + digits + point];
        put_digits(&mut text[sign..sign + digits], number);
        if exponent > 0 {
            let behind = sign + digits - exponent;
            text.copy_within(behind..sign + digits, behind + 1);
            text[behind] = b'.';
        }
        write(text_of(text))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written(|text| f.write_str(text))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written(|text| serializer.serialize_str(text))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Money {
    type Err = InvalidAmount;

    /// Reads what [`fmt::Display`] writes: `12.50 EUR`.
    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let (amount, currency) = text.split_once(' ').ok_or(InvalidAmount::NotDecimal)?;
        Self::parse(amount, currency.parse().map_err(|_| InvalidAmount::NotDecimal)?)
    }
}

#[derive(Serialize)]
struct WireOut {
    amount: Decimal,
    currency: Currency,
}

#[derive(Deserialize)]
struct WireIn<'a> {
    #[serde(borrow)]
    amount: std::borrow::Cow<'a, str>,
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireOut { amount: self.decimal(), currency: self.currency }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = WireIn::deserialize(deserializer)?;
        Self::parse(&wire.amount, wire.currency).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_from_their_digits() {
        for (text, code, minor) in [
            ("12.50", "EUR", 1_250),
            ("12.5", "EUR", 1_250),
            ("12", "EUR", 1_200),
            ("0.01", "EUR", 1),
            ("007", "JPY", 7),
            ("1.005", "BHD", 1_005),
            ("10000000000000.00", "EUR", AMOUNT_MINOR_MAX),
        ] {
            assert_eq!(
                Money::parse_amount(text, currency(code)),
                Ok(Money::from_minor(minor, currency(code)))
            );
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        use InvalidAmount::{NotDecimal, NotPositive, TooLarge, TooManyDecimals};
        for (text, code, reason) in [
            ("1.005", "EUR", TooManyDecimals { allowed: 2 }),
            ("1.0", "JPY", TooManyDecimals { allowed: 0 }),
            ("-1", "EUR", NotPositive),
            ("0", "EUR", NotPositive),
            ("-0.00", "EUR", NotPositive),
            ("1e400", "EUR", NotDecimal),
            ("NaN", "EUR", NotDecimal),
            ("Infinity", "EUR", NotDecimal),
            (" 5", "EUR", NotDecimal),
            ("5 ", "EUR", NotDecimal),
            ("+5", "EUR", NotDecimal),
            ("1,00", "EUR", NotDecimal),
            (".5", "EUR", NotDecimal),
            ("5.", "EUR", NotDecimal),
            ("", "EUR", NotDecimal),
            ("-", "EUR", NotDecimal),
            ("٣", "EUR", NotDecimal),
            ("10000000000000.01", "EUR", TooLarge),
            ("9223372036854775808", "JPY", TooLarge),
            ("99999999999999999999999999", "EUR", TooLarge),
        ] {
            assert_eq!(Money::parse_amount(text, currency(code)), Err(reason), "{text} {code}");
        }
    }

    #[test]
    fn an_amount_has_the_decimals_of_its_currency_and_a_sign_if_it_is_negative() {
        for (minor, code, text) in [
            (0, "EUR", "0.00 EUR"),
            (-1, "EUR", "-0.01 EUR"),
            (1_250, "EUR", "12.50 EUR"),
            (-1_250, "BHD", "-1.250 BHD"),
            (0, "JPY", "0 JPY"),
            (12, "JPY", "12 JPY"),
            (i64::MIN, "EUR", "-92233720368547758.08 EUR"),
        ] {
            let money = Money::from_minor(minor, currency(code));
            assert_eq!((money.to_string().as_str(), format!("{money:?}").as_str()), (text, text));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(minor in any::<i64>().prop_filter("-i64::MIN is no i64", |m| *m != i64::MIN), code in prop::sample::select(vec!["EUR", "JPY", "BHD", "CLF"])) {
            let money = Money::from_minor(minor, currency(code));
            prop_assert_eq!(money.to_string().parse::<Money>(), Ok(money));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Money::parse_amount(&text, currency("EUR"));
        }
    }
}
