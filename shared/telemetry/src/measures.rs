//! Every measure of the bank: its name, kind, unit and meaning, in one table.
//!
//! A name used anywhere in the code must be here: `tests/names.rs` reads the sources and fails where one is not.
//! Labels are few and their values are bounded (routes, consumers, services, tables), never an id of anything.

pub use metrics::Unit;

/// What a measure does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from zero at the start of the process.
    Counter(Series),
    /// The value of now.
    Gauge,
    /// Spread of values, counted in buckets.
    Histogram(Buckets),
}

/// How many values a counter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// One, which is shown from the start: an alert on its rate does not miss the first time.
    One,
    /// One for each of its labels, shown once it has grown.
    Labelled,
}

/// The upper bounds of a histogram's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buckets {
    /// From 100 microseconds, a tenth of a commit, to the 10 seconds that the longest request may wait.
    Seconds,
    /// Powers of two, up to the largest batch there is.
    Items,
}

impl Buckets {
    /// The bounds, ascending.
    pub const fn bounds(self) -> &'static [f64] {
        match self {
            Self::Seconds => &[
                0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
                2.5, 5.0, 10.0,
            ],
            Self::Items => {
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0]
            }
        }
    }
}

/// One measure.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// As it is written in `/metrics`.
    pub name: &'static str,
    /// What it does over time.
    pub kind: Kind,
    /// What it counts in.
    pub unit: Unit,
    /// What it tells, for the person who reads `/metrics`.
    pub meaning: &'static str,
}

const fn counter(name: &'static str, meaning: &'static str) -> Measure {
    Measure { name, kind: Kind::Counter(Series::One), unit: Unit::Count, meaning }
}

const fn counters(name: &'static str, meaning: &'static str) -> Measure {
    Measure { name, kind: Kind::Counter(Series::Labelled), unit: Unit::Count, meaning }
}

const fn gauge(name: &'static str, unit: Unit, meaning: &'static str) -> Measure {
    Measure { name, kind: Kind::Gauge, unit, meaning }
}

const fn seconds(name: &'static str, meaning: &'static str) -> Measure {
    Measure { name, kind: Kind::Histogram(Buckets::Seconds), unit: Unit::Seconds, meaning }
}

const fn items(name: &'static str, meaning: &'static str) -> Measure {
    Measure { name, kind: Kind::Histogram(Buckets::Items), unit: Unit::Count, meaning }
}

/// Every measure of the bank.
pub const MEASURES: &[Measure] = &[
    // Requests.
    counters("http_requests_total", "Requests answered, by route, method and status."),
    seconds("http_request_seconds", "Time from a request's head to its answer, by route, method and status."),
    // Consumers and their queues.
    items("consumer_batch_size", "Messages a consumer was handed at once, by consumer."),
    seconds("consumer_seconds", "Time a consumer took for one batch, by consumer."),
    counters("consumer_outcomes_total", "Messages handled, by consumer and outcome: done, retry or reject."),
    gauge("queue_depth", Unit::Count, "Messages that wait for a consumer, by consumer."),
    gauge("queue_age_seconds", Unit::Seconds, "Age of the oldest message that waits, by consumer."),
    gauge("dead_letters", Unit::Count, "Messages in the dead-letter queue, by consumer."),
    // The store.
    items("store_commit_batch_size", "Transactions made durable together."),
    seconds(
        "store_commit_seconds",
        "Time of one group commit, from the first transaction taken to the answers.",
    ),
    seconds("store_fsync_seconds", "Time the disk took to make one group durable."),
    counter("store_conflicts_total", "Transactions refused because an item was not as expected."),
    counter("store_busy_total", "Transactions turned away because the commit queue was full."),
    gauge("store_queue_depth", Unit::Count, "Transactions that wait for the committer."),
    gauge(
        "store_outbox_lag_messages",
        Unit::Count,
        "Messages in the log that a consumer has not passed yet, by consumer.",
    ),
    seconds("store_settle_seconds", "Time it took to move a part of the journal into the database."),
    gauge(
        "store_unsettled_bytes",
        Unit::Bytes,
        "What was moved into the database last, as it was in the journal.",
    ),
    gauge("store_wal_bytes", Unit::Bytes, "Size of the database's write-ahead log."),
    // Services.
    counter("commit_retries_total", "Decisions taken again after a conflict."),
    counters("cache_hits_total", "Reads answered from a cache, by cache."),
    counters("cache_misses_total", "Reads that went past a cache to the store, by cache."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_once_and_end_as_prometheus_has_it() {
        for (index, measure) in MEASURES.iter().enumerate() {
            let name = measure.name;
            assert!(MEASURES[..index].iter().all(|other| other.name != name), "{name} twice");
            assert!(
                name.chars().all(|character| character.is_ascii_lowercase() || character == '_'),
                "{name}"
            );
            assert_eq!(matches!(measure.kind, Kind::Counter(_)), name.ends_with("_total"), "{name}");
            assert_eq!(measure.unit == Unit::Seconds, name.ends_with("_seconds"), "{name}");
            assert_eq!(measure.unit == Unit::Bytes, name.ends_with("_bytes"), "{name}");
            assert!(measure.meaning.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn bounds_ascend() {
        for buckets in [Buckets::Seconds, Buckets::Items] {
            assert!(buckets.bounds().is_sorted_by(|left, right| left < right), "{buckets:?}");
        }
    }
}
