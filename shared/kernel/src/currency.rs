//! ISO 4217 currencies that money can be kept in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::from_text;

/// A currency of ISO 4217 that has a minor unit. Gold, test codes and the like, which have none, are not one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    iso: iso_currency::Currency,
    exponent: u8,
}

/// The text is not the code of a currency that money can be kept in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a currency code of ISO 4217 such as EUR")]
pub struct UnknownCurrency;

impl Currency {
    /// The three letters of the currency, in capitals.
    pub fn code(self) -> &'static str {
        self.iso.code()
    }

    /// How many decimals an amount of this currency has: 2 for EUR, 0 for JPY, 3 for BHD (ISO 4217).
    pub fn exponent(self) -> u8 {
        self.exponent
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let iso = iso_currency::Currency::from_code(code).ok_or(UnknownCurrency)?;
        let exponent = iso.exponent().and_then(|digits| u8::try_from(digits).ok()).ok_or(UnknownCurrency)?;
        Ok(Self { iso, exponent })
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_those_of_iso_4217() {
        for (code, exponent) in [("EUR", 2), ("USD", 2), ("JPY", 0), ("BHD", 3), ("CLF", 4)] {
            assert_eq!(code.parse::<Currency>().unwrap().exponent(), exponent, "{code}");
        }
    }

    #[test]
    fn what_is_no_currency_is_refused() {
        for code in ["", "eur", "EURO", "XXX", "XAU", "€", "E R"] {
            assert_eq!(code.parse::<Currency>(), Err(UnknownCurrency), "{code}");
        }
    }

    #[test]
    fn currencies_are_known_and_ordered_by_their_codes() {
        let codes = ["CHF", "EUR", "USD"];
        let mut currencies = ["USD", "CHF", "EUR"].map(|code| code.parse::<Currency>().unwrap());
        currencies.sort();
        assert_eq!(currencies.map(Currency::code), codes);
        assert_eq!(currencies.map(|currency| currency.to_string()), codes);
        assert_eq!(format!("{currencies:?}"), "[CHF, EUR, USD]");
        assert!(currencies[0] < currencies[1]);
    }
}
