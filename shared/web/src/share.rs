//! A share of all traces: which of them are recorded, or logged.
//!
//! It is the trace that is chosen and not the request, so that what is done for it is seen whole or not at all; and two
//! shares of the same size choose the same traces, in every process.

use std::str::FromStr;

use runtime::Traceparent;

/// What a share is counted in.
const WHOLE: u32 = 1_000_000;

/// How many of all traces, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share(u32);

/// The text is no share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a share is `all`, `none`, or a number from 0 to 1 with six decimals at most, such as 0.01")]
pub struct InvalidShare;

impl Share {
    /// Every trace.
    pub const ALL: Self = Self(WHOLE);
    /// No trace.
    pub const NONE: Self = Self(0);

    /// Whether this trace is one of the share.
    pub fn takes(self, trace: Traceparent<'_>) -> bool {
        trace.lot() % u64::from(WHOLE) < u64::from(self.0)
    }
}

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let (whole, decimals) = match text {
            "all" => return Ok(Self::ALL),
            "none" => return Ok(Self::NONE),
            number => number.split_once('.').unwrap_or((number, "0")),
        };
        let is_number = |digits: &str| {
            (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(whole) || !is_number(decimals) {
            return Err(InvalidShare);
        }
        let millionths = format!("{whole}{decimals:0<6}").parse().map_err(|_| InvalidShare)?;
        if millionths <= WHOLE { Ok(Self(millionths)) } else { Err(InvalidShare) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_by_its_digits() {
        for (text, share) in [
            ("all", Some(WHOLE)),
            ("1", Some(WHOLE)),
            ("1.000000", Some(WHOLE)),
            ("none", Some(0)),
            ("0", Some(0)),
            ("0.01", Some(10_000)),
            ("0.000001", Some(1)),
            ("0.25", Some(250_000)),
            ("1.000001", None),
            ("2", None),
            ("9999999999.0", None),
            ("0.0000001", None),
            ("-0.1", None),
            ("1%", None),
            (".5", None),
            ("0.", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Share>().ok(), share.map(Share), "{text}");
        }
    }

    #[test]
    fn a_share_takes_about_as_many_as_it_says_and_the_same_ones_each_time() {
        let share: Share = "0.25".parse().unwrap();
        // As random as those of a UUID: multiples of an odd number, spread over the last seven bytes.
        let traces = (1..=10_000_u64).map(|number| {
            let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("00-0af7651916cd43dd{random:016x}-b7ad6b7169203331-00")
        });
        let takes = |share: Share, text: &str| share.takes(Traceparent::read(text).unwrap());
        let taken: Vec<String> = traces.filter(|trace| takes(share, trace)).collect();
        assert!((2_300..2_700).contains(&taken.len()), "{} of 10,000", taken.len());
        for trace in &taken {
            assert!(takes(share, trace) && takes(Share::ALL, trace) && !takes(Share::NONE, trace));
        }
    }
}
