//! Instants, in whole milliseconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::{from_text, put_digits, text_of};

/// What an instant looks like when it is written.
const FORM: [u8; 24] = *b"0000-00-00T00:00:00.000Z";

/// An instant in milliseconds since 1970-01-01T00:00:00Z; written as RFC 3339 in UTC with three decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an instant of RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a time of RFC 3339 such as 2026-11-22T10:00:00Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The start of the epoch.
    pub const EPOCH: Self = Self(0);

    /// The last instant, in whole seconds, that the calendar behind this type can write in every time zone.
    const MILLIS_MAX: i64 = 253_402_207_200_000;

    /// The instant `millis` milliseconds after the epoch, held between the epoch and the year 9999.
    pub const fn from_millis(millis: i64) -> Self {
        match millis {
            ..0 => Self::EPOCH,
            0..=Self::MILLIS_MAX => Self(millis),
            _ => Self(Self::MILLIS_MAX),
        }
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_seconds(self) -> i64 {
        self.0 / 1_000
    }

    /// The time from `earlier` to this instant; zero where `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Timestamp {
    /// The instant as it is written. The calendar is jiff's.
    fn written(self) -> [u8; FORM.len()] {
        let Ok(instant) = jiff::Timestamp::from_millisecond(self.0) else {
            unreachable!("a timestamp is held within the years that RFC 3339 writes");
        };
        let time = Offset::UTC.to_datetime(instant);
        let mut text = FORM;
        let mut put = |from: usize, until: usize, part: i16| {
            put_digits(&mut text[from..until], u64::from(part.unsigned_abs()));
        };
        put(0, 4, time.year());
        put(5, 7, time.month().into());
        put(8, 10, time.day().into());
        put(11, 13, time.hour().into());
        put(14, 16, time.minute().into());
        put(17, 19, time.second().into());
        put(20, 23, time.millisecond());
        text
    }
}

/// Reads an instant of the form in which they are written.
fn read_form(text: &[u8]) -> Option<jiff::Timestamp> {
    let text: &[u8; FORM.len()] = text.try_into().ok()?;
    let is_as_formed = |(byte, form): (&u8, u8)| match form {
        b'0' => byte.is_ascii_digit(),
        sign => *byte == sign,
    };
    if !text.iter().zip(FORM).all(is_as_formed) {
        return None;
    }
    let number = |from: usize, until: usize| {
        text[from..until].iter().fold(0_i16, |number, digit| number * 10 + i16::from(digit - b'0'))
    };
    let pair = |from: usize| number(from, from + 2) as i8;
    let nanos = i32::from(number(20, 23)) * 1_000_000;
    let time = DateTime::new(number(0, 4), pair(5), pair(8), pair(11), pair(14), pair(17), nanos).ok()?;
    Offset::UTC.to_timestamp(time).ok()
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(text_of(&self.written()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Most texts are the bank's own, and of one form. People may use the others of RFC 3339.
        let instant = match read_form(text.as_bytes()) {
            Some(instant) => instant,
            None => text.parse().map_err(|_| InvalidTimestamp)?,
        };
        let millis = instant.as_millisecond();
        if (0..=Self::MILLIS_MAX).contains(&millis) { Ok(Self(millis)) } else { Err(InvalidTimestamp) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text_of(&self.written()))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_it_is_read() {
        for text in ["1970-01-01T00:00:00.000Z", "2026-11-22T10:00:00.125Z", "9999-12-30T22:00:00.000Z"] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!((time.to_string().as_str(), format!("{time:?}").as_str()), (text, text));
        }
    }

    #[test]
    fn the_banks_own_form_is_read_as_the_calendar_reads_it_and_no_other() {
        for text in ["1970-01-01T00:00:00.000Z", "2026-11-22T13:47:59.125Z", "9999-12-30T22:00:00.000Z"] {
            assert_eq!(read_form(text.as_bytes()), Some(text.parse().unwrap()), "{text}");
        }
        for text in ["2026-11-22T13:47:59Z", "2026-11-22 13:47:59.125Z", "2026-11-22T13:47:5 .125Z"] {
            assert_eq!(read_form(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_counted_from_the_epoch() {
        let time = Timestamp::from_millis(1_800_000_000_999);
        assert_eq!((time.as_millis(), time.as_seconds()), (1_800_000_000_999, 1_800_000_000));
        assert_eq!(time.since(Timestamp::from_millis(1_800_000_000_000)), Duration::from_millis(999));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "yesterday", "2026-11-22", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }

    #[test]
    fn arithmetic_stays_within_bounds() {
        assert_eq!(Timestamp::EPOCH - Duration::from_secs(1), Timestamp::EPOCH);
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(end.to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(Timestamp::EPOCH.since(end), Duration::ZERO);
    }
}
