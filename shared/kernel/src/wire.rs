//! How values are written as texts and read from them: every record and every message has a dozen, so that neither asks the
//! general machinery of formatting, which is made for any width and any number, nor copies a text to read it.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Fills the whole of `place` with the last decimal digits of a number.
pub(crate) fn put_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Digits and signs as a text.
pub(crate) fn text_of(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_else(|error| unreachable!("digits and signs are ASCII: {error}"))
}

/// Reads a value from a text, wherever the text lies.
pub(crate) fn from_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(FromText(PhantomData))
}

struct FromText<T>(PhantomData<T>);

impl<T> Visitor<'_> for FromText<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_no_text_is_refused_with_what_was_expected() {
        let refused = serde_json::from_str::<crate::Timestamp>("7").unwrap_err().to_string();
        assert_eq!(refused, "invalid type: integer `7`, expected a string at line 1 column 1");
    }
}
