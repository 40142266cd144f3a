//! The measures as numbers, for a page of the bank's own: what Prometheus would be asked for, without one.
//!
//! Beside what Prometheus reads, the measures named in [`READ`] are kept a second time, in a form that costs one atomic
//! addition to record. A histogram's values are counted in buckets an eighth apart, so a percentile is told up to an
//! eighth too high; that is finer than the buckets of `/metrics`.
//!
//! Bounds: the series are those of the labels, which are bounded; a histogram takes 1.6 KiB. Absent on purpose: any
//! memory of time (who reads now and again subtracts), and gauges, which are asked for where they come from.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit,
};
use metrics_exporter_prometheus::PrometheusRecorder;

/// The measures that can be read.
const READ: [&str; 5] = [
    "http_request_seconds",
    "consumer_seconds",
    "consumer_outcomes_total",
    "store_commit_seconds",
    "store_commit_batch_size",
];

/// Each power of two has this many buckets, as a power of two.
const STEPS_BITS: u32 = 3;
/// The largest power of two that is told apart, in millionths: beyond 2^26, 67 seconds, all is one bucket.
const POWER_MAX: u32 = 26;
/// The buckets below the first power of two that is divided, which are one millionth wide, and those of each power.
const BUCKETS: usize = ((POWER_MAX - STEPS_BITS + 1) << STEPS_BITS) as usize + (1 << STEPS_BITS);

/// The labels of one series.
pub type Labels = BTreeMap<String, String>;

/// What a histogram has counted, from the start of the process or between two moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    counts: Vec<u64>,
    /// The sum of all values, in millionths.
    sum: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], sum: 0 }
    }
}

impl Spread {
    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of the values: of a measure of seconds the time; of one of items, so many seconds.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum)
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, other)| *count += other);
        self.sum += other.sum;
    }

    /// What was counted since an earlier moment of the same histogram.
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts);
        let counts = counts.map(|(count, earlier)| count.saturating_sub(*earlier)).collect();
        Self { counts, sum: self.sum.saturating_sub(earlier.sum) }
    }

    /// The time that so many of a hundred values did not exceed, up to an eighth too long; none without values.
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let wanted = (self.count() * percent).div_ceil(100);
        let mut counted = 0;
        let bucket = self.counts.iter().position(|count| {
            counted += count;
            *count > 0 && counted >= wanted
        });
        bucket.map(|bucket| Duration::from_micros(last_of(bucket)))
    }
}

/// Whose bucket a value is, in millionths: the position of its highest bit, and the three bits behind it.
fn bucket_of(millionths: u64) -> usize {
    let power = millionths.checked_ilog2().unwrap_or(0);
    if power < STEPS_BITS {
        return millionths as usize;
    }
    let step = (millionths >> (power - STEPS_BITS)) as usize - (1 << STEPS_BITS);
    let bucket = (((power - STEPS_BITS + 1) << STEPS_BITS) as usize) + step;
    bucket.min(BUCKETS - 1)
}

/// The largest value of a bucket, in millionths.
fn last_of(bucket: usize) -> u64 {
    let (power, step) = (bucket >> STEPS_BITS, (bucket & ((1 << STEPS_BITS) - 1)) as u64);
    if power == 0 { step } else { (((1 << STEPS_BITS) + step + 1) << (power - 1)) - 1 }
}

/// A histogram as it is recorded.
struct Recorded {
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Default for Recorded {
    fn default() -> Self {
        Self { counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }
}

impl Recorded {
    fn record(&self, value: f64) {
        // A duration reads a number of seconds without any arithmetic of ours; what is no time is no value either.
        let Ok(value) = Duration::try_from_secs_f64(value) else { return };
        let millionths = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket_of(millionths)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(millionths, Ordering::Relaxed);
    }

    fn read(&self) -> Spread {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Spread { counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// The series of one kind, by the name of the measure and the labels.
type SeriesOf<T> = Mutex<BTreeMap<(String, Labels), Arc<T>>>;

/// What can be read. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Readings(Arc<Kept>);

#[derive(Default)]
struct Kept {
    counters: SeriesOf<AtomicU64>,
    histograms: SeriesOf<Recorded>,
}

impl std::fmt::Debug for Readings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readings(…)")
    }
}

impl Readings {
    pub(crate) fn counters(&self, name: &str) -> Vec<(Labels, u64)> {
        let read = |counter: &Arc<AtomicU64>| counter.load(Ordering::Relaxed);
        series(&self.0.counters, name, read)
    }

    pub(crate) fn spreads(&self, name: &str) -> Vec<(Labels, Spread)> {
        series(&self.0.histograms, name, |histogram| histogram.read())
    }
}

fn series<T, R>(of: &SeriesOf<T>, name: &str, read: impl Fn(&Arc<T>) -> R) -> Vec<(Labels, R)> {
    let named = held(of);
    let named = named.iter().filter(|((of, _), _)| of == name);
    named.map(|((_, labels), recorded)| (labels.clone(), read(recorded))).collect()
}

fn find<T: Default>(of: &SeriesOf<T>, key: &Key) -> Arc<T> {
    let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
    Arc::clone(held(of).entry((key.name().to_owned(), labels)).or_default())
}

fn held<T>(of: &SeriesOf<T>) -> MutexGuard<'_, BTreeMap<(String, Labels), Arc<T>>> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records for Prometheus, and what can be read for the readings too.
pub(crate) struct Recorder {
    pub(crate) prometheus: PrometheusRecorder,
    pub(crate) readings: Readings,
}

struct TwiceCounted(Counter, Arc<AtomicU64>);

impl CounterFn for TwiceCounted {
    fn increment(&self, value: u64) {
        self.0.increment(value);
        self.1.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.absolute(value);
        self.1.fetch_max(value, Ordering::Relaxed);
    }
}

struct TwiceRecorded(Histogram, Arc<Recorded>);

impl HistogramFn for TwiceRecorded {
    fn record(&self, value: f64) {
        self.0.record(value);
        self.1.record(value);
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.prometheus.describe_counter(name, unit, description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.prometheus.describe_gauge(name, unit, description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.prometheus.describe_histogram(name, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let counter = self.prometheus.register_counter(key, metadata);
        if !READ.contains(&key.name()) {
            return counter;
        }
        Counter::from_arc(Arc::new(TwiceCounted(counter, find(&self.readings.0.counters, key))))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.prometheus.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let histogram = self.prometheus.register_histogram(key, metadata);
        if !READ.contains(&key.name()) {
            return histogram;
        }
        Histogram::from_arc(Arc::new(TwiceRecorded(histogram, find(&self.readings.0.histograms, key))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_at_most_an_eighth_below_its_end() {
        for value in (0..4_096).chain([9_999, 123_456, 1_000_000, 60_000_000]) {
            let bucket = bucket_of(value);
            let (last, before) = (last_of(bucket), bucket.checked_sub(1).map(last_of));
            assert!(
                value <= last && before.is_none_or(|before| before < value),
                "{value}: {before:?}, {last}"
            );
            assert!((last - value) * 8 <= value.max(1), "{value} is told as {last}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_and_sums_are_of_the_time_between() {
        let recorded = Recorded::default();
        recorded.record(5.0);
        let before = recorded.read();
        for millis in 1..=100 {
            recorded.record(Duration::from_millis(millis).as_secs_f64());
        }
        recorded.record(-1.0);
        recorded.record(f64::NAN);
        let between = recorded.read().since(&before);
        assert_eq!((between.count(), between.sum()), (100, Duration::from_millis(5_050)));
        for (percent, millis) in [(50, 50), (99, 99), (100, 100)] {
            let told = between.percentile(percent).unwrap();
            let (least, most) = (Duration::from_millis(millis), Duration::from_millis(millis) * 9 / 8);
            assert!((least..=most).contains(&told), "{percent}: {told:?}");
        }
        assert_eq!(Spread::default().percentile(99), None);
        let mut both = between;
        both.add(&before);
        assert_eq!(both, recorded.read());
    }
}
