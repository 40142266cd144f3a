//! The `metrics` facade on AWS: what was counted during an invocation is written as one line in CloudWatch's embedded
//! metric format, and nothing is written where nothing was counted.
//!
//! Only what AWS does not measure by itself is kept, so a request or a batch without trouble costs no line. Invocations,
//! errors and durations of every function (and so of every consumer and relay) are Lambda's own metrics, the age of a
//! stream's records too; depths, ages and deliveries of queues are SQS's; requests, their errors and latency are API
//! Gateway's; consumed capacity and throttling are DynamoDB's. A metric of our own costs $0.30 a month for each value of
//! its dimension, so there is one dimension, the function.
//!
//! Deliberately absent: gauges and histograms, whose use would be for what is listed above, and a thread: the function
//! calls [`Measures::flush`] at the end of an invocation, before the runtime freezes the process.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kernel::Timestamp;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::json;

/// A count that is kept.
struct Kept {
    /// The counter in the code.
    counter: &'static str,
    /// The label it must have, and what the label's value begins with.
    label: Option<(&'static str, &'static str)>,
    /// The metric in CloudWatch.
    metric: &'static str,
}

const KEPT: [Kept; 6] = [
    Kept { counter: "commit_retries_total", label: None, metric: "commit_retries" },
    Kept { counter: "store_conflicts_total", label: None, metric: "store_conflicts" },
    Kept { counter: "store_busy_total", label: None, metric: "store_busy" },
    Kept {
        counter: "consumer_outcomes_total",
        label: Some(("outcome", "retry")),
        metric: "messages_retried",
    },
    Kept {
        counter: "consumer_outcomes_total",
        label: Some(("outcome", "reject")),
        metric: "messages_rejected",
    },
    Kept { counter: "http_requests_total", label: Some(("status", "5")), metric: "requests_failed" },
];

/// The dimension of every metric.
const FUNCTION: &str = "function";

/// Nothing can be counted: another recorder is installed in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("measures cannot be counted: another recorder is installed")]
pub struct MeasuresError;

/// The counts of this process since the last flush. Clones share them.
#[derive(Clone, Debug)]
pub struct Measures {
    namespace: Arc<str>,
    function: &'static str,
    counts: Arc<[Arc<AtomicU64>; KEPT.len()]>,
}

impl Measures {
    /// Counts from here on, for a function of the deployment that `namespace` names.
    ///
    /// # Errors
    /// Another recorder is installed in the process.
    pub fn install(namespace: &str, function: &'static str) -> Result<Self, MeasuresError> {
        let measures = Self::new(namespace, function);
        let recorder = KeptCounts(Arc::clone(&measures.counts));
        metrics::set_global_recorder(recorder).map_err(|_| MeasuresError)?;
        Ok(measures)
    }

    fn new(namespace: &str, function: &'static str) -> Self {
        Self {
            namespace: namespace.into(),
            function,
            counts: Arc::new(std::array::from_fn(|_| Arc::default())),
        }
    }

    /// Writes what was counted since the last time to standard output, where Lambda reads it.
    pub fn flush(&self, now: Timestamp) {
        if let Some(line) = self.line(now)
            && let Err(error) = writeln!(std::io::stdout().lock(), "{line}")
        {
            tracing::warn!(%error, "measures could not be written");
        }
    }

    /// What was counted since the last time: a document of the embedded metric format (CloudWatch, EMF specification).
    fn line(&self, now: Timestamp) -> Option<String> {
        let mut names = Vec::new();
        let mut document = json!({ FUNCTION: self.function });
        for (kept, count) in KEPT.iter().zip(self.counts.iter()) {
            let count = count.swap(0, Ordering::Relaxed);
            if count > 0 {
                names.push(json!({ "Name": kept.metric }));
                document[kept.metric] = json!(count);
            }
        }
        if names.is_empty() {
            return None;
        }
        let metrics =
            json!([{ "Namespace": &*self.namespace, "Dimensions": [[FUNCTION]], "Metrics": names }]);
        document["_aws"] = json!({ "Timestamp": now.as_millis(), "CloudWatchMetrics": metrics });
        Some(document.to_string())
    }
}

/// The recorder behind the facade: hands out the counts that are kept, and lets the rest go.
#[derive(Debug)]
struct KeptCounts(Arc<[Arc<AtomicU64>; KEPT.len()]>);

impl Recorder for KeptCounts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let has = |(name, beginning): (&str, &str)| {
            key.labels().any(|label| label.key() == name && label.value().starts_with(beginning))
        };
        let is_kept = |kept: &Kept| kept.counter == key.name() && kept.label.is_none_or(has);
        match KEPT.iter().position(is_kept) {
            Some(index) => Counter::from_arc(Arc::clone(&self.0[index])),
            None => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_was_kept_since_the_last_and_nothing_else() {
        let measures = Measures::new("bank-dev", "ledger_service_commands");
        let recorder = KeptCounts(Arc::clone(&measures.counts));
        let now = Timestamp::from_millis(1_795_341_600_000);
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("consumer_outcomes_total", "consumer" => "ledger_commands", "outcome" => "done")
                .increment(10);
            metrics::counter!("http_requests_total", "route" => "/x", "method" => "GET", "status" => "200")
                .increment(1);
            metrics::counter!("cache_hits_total", "cache" => "accounts").increment(1);
            metrics::histogram!("consumer_seconds", "consumer" => "ledger_commands").record(0.1);
            assert_eq!(measures.line(now), None, "a batch without trouble writes nothing");

            metrics::counter!("store_conflicts_total").increment(2);
            metrics::counter!("commit_retries_total").increment(2);
            for outcome in ["done", "retry", "reject", "retry"] {
                metrics::counter!("consumer_outcomes_total", "consumer" => "ledger_commands", "outcome" => outcome)
                    .increment(1);
            }
            metrics::counter!("http_requests_total", "route" => "/x", "method" => "GET", "status" => "503")
                .increment(1);
        });
        let line = measures.line(now).unwrap();
        let names =
            ["commit_retries", "store_conflicts", "messages_retried", "messages_rejected", "requests_failed"];
        let expected = json!({
            "_aws": {
                "Timestamp": 1_795_341_600_000_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "bank-dev",
                    "Dimensions": [["function"]],
                    "Metrics": names.map(|name| json!({"Name": name})),
                }],
            },
            "function": "ledger_service_commands",
            "commit_retries": 2,
            "store_conflicts": 2,
            "messages_retried": 2,
            "messages_rejected": 1,
            "requests_failed": 1,
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), expected);
        assert_eq!(measures.line(now), None, "what was written is not written again");
    }

    #[test]
    fn a_line_is_short_because_its_bytes_are_paid_for() {
        let measures = Measures::new("bank-prod", "notifications_service_events");
        measures.counts[1].fetch_add(1, Ordering::Relaxed);
        let line = measures.line(Timestamp::from_millis(1_795_341_600_000)).unwrap();
        assert!(line.len() < 240, "{} bytes: {line}", line.len());
        assert!(!line.contains('\n'));
    }
}
