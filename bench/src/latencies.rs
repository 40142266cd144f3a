//! How long things took: a histogram of microseconds with two significant digits, up to a minute. What took longer counts
//! as a minute.

use std::time::Duration;

use hdrhistogram::Histogram;

const MICROS_MAX: u64 = 60_000_000;
const DIGITS: u8 = 2;

/// The parts of a million that stand for the picture of a distribution, and what they are called.
pub const PERCENTILES: [(u32, &str); 9] = [
    (500_000, "50 %"),
    (750_000, "75 %"),
    (900_000, "90 %"),
    (950_000, "95 %"),
    (990_000, "99 %"),
    (995_000, "99.5 %"),
    (999_000, "99.9 %"),
    (999_500, "99.95 %"),
    (999_900, "99.99 %"),
];

/// Durations of one kind.
#[derive(Clone)]
pub struct Latencies {
    /// None only if its bounds made no sense: they are constants, and a test sees that they do.
    histogram: Option<Histogram<u64>>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { histogram: Histogram::new_with_bounds(1, MICROS_MAX, DIGITS).ok() }
    }
}

impl Latencies {
    /// Adds a duration.
    pub fn record(&mut self, duration: Duration) {
        self.record_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Adds a duration.
    pub fn record_micros(&mut self, micros: u64) {
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(micros);
        }
    }

    /// Adds those of another one. All have the same bounds, so they add up.
    pub fn add(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.histogram, &other.histogram) {
            histogram.add(other).unwrap_or_default();
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// What so many of a million do not exceed, in microseconds; none of none is zero.
    #[expect(clippy::float_arithmetic, reason = "the histogram asks for its percentiles so")]
    pub fn quantile_micros(&self, millionths: u32) -> u64 {
        self.histogram.as_ref().map_or(0, |all| all.value_at_percentile(f64::from(millionths) / 10_000.0))
    }

    /// The longest, in microseconds.
    pub fn max_micros(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_hundredth() {
        let mut latencies = Latencies::default();
        for micros in 1..=100_000 {
            latencies.record_micros(micros);
        }
        assert_eq!(latencies.count(), 100_000);
        for (millionths, _) in PERCENTILES {
            let (exact, shown) = (u64::from(millionths) / 10, latencies.quantile_micros(millionths));
            assert!(shown.abs_diff(exact) * 100 <= exact, "{millionths}: {shown}");
        }
        assert!(latencies.max_micros().abs_diff(100_000) <= 1_000);
    }

    #[test]
    fn those_of_several_add_up() {
        let mut all = Latencies::default();
        for millis in [1, 2, 3] {
            let mut some = Latencies::default();
            some.record(Duration::from_millis(millis));
            all.add(&some);
        }
        assert_eq!(all.count(), 3);
        assert!((1_900..=2_100).contains(&all.quantile_micros(500_000)));
    }

    #[test]
    fn there_may_be_none_and_they_may_be_endless() {
        let mut latencies = Latencies::default();
        assert_eq!(
            (latencies.count(), latencies.quantile_micros(990_000), latencies.max_micros()),
            (0, 0, 0)
        );
        latencies.record(Duration::from_secs(3_600));
        assert!(latencies.max_micros() >= MICROS_MAX);
    }
}
