//! A number with ten decimals, exact in what it adds up: the smallest price per second has ten, and the workspace has no
//! arithmetic of floats.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

const DECIMALS: usize = 10;
const ONE: u128 = 10_u128.pow(10);

/// Never negative. What is counted here is far from the largest.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Decimal(u128);

impl Decimal {
    pub(super) fn times(self, other: Self) -> Self {
        Self(self.0 * other.0 / ONE)
    }

    pub(super) fn divided_by(self, whole: usize) -> Self {
        Self(self.0 / whole as u128)
    }
}

impl From<usize> for Decimal {
    fn from(whole: usize) -> Self {
        Self(whole as u128 * ONE)
    }
}

impl FromStr for Decimal {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = !whole.is_empty() && (1..=DECIMALS).contains(&decimals.len());
        let digits = format!("{whole}{decimals:0<DECIMALS$}");
        if is_number && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            digits.parse().map(Self).map_err(|_| ())
        } else {
            Err(())
        }
    }
}

impl Add for Decimal {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Decimal {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::default(), Add::add)
    }
}

/// With two decimals, rounded.
impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0 * 100 + ONE / 2) / ONE;
        write!(formatter, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_written() {
        for (text, written) in [("3", "3.00"), ("0.625", "0.63"), ("2.0", "2.00"), ("0.0000133334", "0.00")] {
            assert_eq!(text.parse::<Decimal>().unwrap().to_string(), written);
        }
        for text in ["", "x", "-1", "1.", "1.2.3", "0.00000133334"] {
            assert_eq!(text.parse::<Decimal>(), Err(()), "{text}");
        }
    }

    #[test]
    fn products_and_parts_are_exact() {
        let price: Decimal = "0.0000133334".parse().unwrap();
        assert_eq!(price.times(Decimal::from(1_000_000)).to_string(), "13.33");
        assert_eq!(Decimal::from(132).divided_by(10).to_string(), "13.20");
    }
}
