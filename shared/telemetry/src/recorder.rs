//! The recorder behind the `metrics` facade, and what Prometheus reads of it.
//!
//! The facade has one recorder a process, so this has one too: asked again, [`metrics()`] hands out the same. It
//! opens no port: the application serves [`Metrics::render`] where it sees fit.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::measures::{Kind, MEASURES, Series};
use crate::readings::{Labels, Readings, Recorder, Spread};

/// How often [`Metrics::upkeep`] is to be called: histograms hold every value since the last call or rendering.
pub const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);

/// Why measures cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Another recorder is installed in the process.
    #[error("measures cannot be recorded: another recorder is installed")]
    Installed,
    /// A histogram has no bounds.
    #[error("measures cannot be recorded: {0}")]
    Bounds(#[from] BuildError),
}

/// The measures recorded so far. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
    readings: Readings,
}

/// The measures of this process: the first call starts the recording.
///
/// # Errors
/// Another recorder than this one is installed in the process.
pub fn metrics() -> Result<Metrics, MetricsError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(metrics) = installed.as_ref() {
        return Ok(metrics.clone());
    }
    let (prometheus, readings) = (builder()?.build_recorder(), Readings::default());
    let metrics = Metrics { handle: prometheus.handle(), readings: readings.clone() };
    metrics::set_global_recorder(Recorder { prometheus, readings }).map_err(|_| MetricsError::Installed)?;
    describe();
    *installed = Some(metrics.clone());
    Ok(metrics)
}

impl Metrics {
    /// Everything recorded so far, in the Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// What a counter that can be read has counted so far, by its labels.
    pub fn counters(&self, name: &str) -> Vec<(Labels, u64)> {
        self.readings.counters(name)
    }

    /// What a histogram that can be read has counted so far, by its labels.
    pub fn spreads(&self, name: &str) -> Vec<(Labels, Spread)> {
        self.readings.spreads(name)
    }

    /// Moves what histograms have gathered into their buckets, which bounds what they hold. To be called every
    /// [`UPKEEP_PERIOD`], whether or not anybody reads the measures.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for measure in MEASURES {
        if let Kind::Histogram(buckets) = measure.kind {
            let name = Matcher::Full(measure.name.to_owned());
            builder = builder.set_buckets_for_metric(name, buckets.bounds())?;
        }
    }
    Ok(builder)
}

fn describe() {
    for measure in MEASURES {
        match measure.kind {
            Kind::Counter(series) => {
                metrics::describe_counter!(measure.name, measure.unit, measure.meaning);
                if series == Series::One {
                    metrics::counter!(measure.name).increment(0);
                }
            }
            Kind::Gauge => metrics::describe_gauge!(measure.name, measure.unit, measure.meaning),
            Kind::Histogram(_) => metrics::describe_histogram!(measure.name, measure.unit, measure.meaning),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// One test, because the recorder is of the process.
    #[test]
    fn what_is_recorded_is_rendered_with_its_meaning_and_buckets() {
        let measures = metrics().unwrap();
        metrics::counter!("http_requests_total", "route" => "/deposit", "method" => "POST", "status" => "200")
            .increment(2);
        metrics::gauge!("queue_depth", "consumer" => "ledger_commands").set(7.0);
        metrics::histogram!("store_fsync_seconds").record(0.000_3);
        metrics::histogram!("store_commit_batch_size").record(24.0);
        measures.upkeep();

        let again = metrics().unwrap().render();
        let text = measures.render();
        // The measures come in any order.
        let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(sorted(&text), sorted(&again), "there is one recorder a process");
        let mut spreads = measures.spreads("store_commit_batch_size").into_iter();
        assert_eq!(spreads.next().map(|(labels, spread)| (labels.len(), spread.count())), Some((0, 1)));
        assert!(measures.counters("http_requests_total").is_empty(), "it is not one that is read");
        for line in [
            "# HELP http_requests_total Requests answered, by route, method and status.",
            "# TYPE http_requests_total counter",
            r#"http_requests_total{route="/deposit",method="POST",status="200"} 2"#,
            r#"queue_depth{consumer="ledger_commands"} 7"#,
            "store_busy_total 0",
            "store_conflicts_total 0",
            "commit_retries_total 0",
            "# TYPE store_fsync_seconds histogram",
            r#"store_fsync_seconds_bucket{le="0.00025"} 0"#,
            r#"store_fsync_seconds_bucket{le="0.0005"} 1"#,
            r#"store_fsync_seconds_bucket{le="10"} 1"#,
            r#"store_commit_batch_size_bucket{le="16"} 0"#,
            r#"store_commit_batch_size_bucket{le="32"} 1"#,
            r#"store_commit_batch_size_bucket{le="4096"} 1"#,
        ] {
            assert!(text.lines().any(|held| held == line), "{line} is not in:\n{text}");
        }
    }
}
