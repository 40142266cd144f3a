//! How the bank does now, for a page that shows it: rates and times of requests, commits and consumers.
//!
//! The measures are sampled once a second, whether or not anybody looks, and the last minute is kept, so that one answer
//! is enough to draw a line. Rates are means of the last ten seconds, percentiles are of the last minute. Memory: 61
//! samples of a few histograms, under a megabyte. Absent on purpose: anything older, which is Prometheus' part.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use embedded::EmbeddedStore;
use kernel::Timestamp;
use ports::{QueueAdmin, QueueDepth, Sources};
use serde::Serialize;
use telemetry::{Labels, Metrics, Spread};
use tokio::time::{Instant, MissedTickBehavior, interval};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::Operator;

use super::{QueueView, ReadProblems};

const SAMPLE_PERIOD: Duration = Duration::from_secs(1);
/// How many seconds are shown; each is the difference of two samples.
const SECONDS_SHOWN: usize = 60;
/// The seconds whose mean a rate is.
const SECONDS_OF_RATE: usize = 10;

/// The route of the flow.
pub fn routes(flow: Flow) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(show_flow)).with_state(flow)
}

/// The samples of the last minute. Clones share them.
#[derive(Clone, Default)]
pub struct Flow(Arc<Mutex<VecDeque<Arc<Sample>>>>);

/// What had been counted at one moment since the start of the process, and how the queues stood.
struct Sample {
    at: Timestamp,
    taken: Instant,
    requests: Requests,
    /// Each group that was committed, by the time it took.
    commits: Spread,
    /// The transactions in these groups.
    transactions: u64,
    /// By consumer.
    handled: BTreeMap<String, Handled>,
    depths: Vec<QueueDepth>,
}

#[derive(Clone, Default)]
struct Requests {
    all: Spread,
    /// How many, by the class of their status.
    by_class: BTreeMap<String, u64>,
}

#[derive(Clone, Default)]
struct Handled {
    messages: u64,
    /// The time of each batch.
    batches: Spread,
}

impl Sample {
    fn take(metrics: &Metrics, depths: Vec<QueueDepth>, at: Timestamp) -> Self {
        let mut requests = Requests::default();
        for (labels, spread) in metrics.spreads("http_request_seconds") {
            requests.all.add(&spread);
            *requests.by_class.entry(class_of(&labels)).or_default() += spread.count();
        }
        let mut handled: BTreeMap<String, Handled> = BTreeMap::new();
        for (labels, spread) in metrics.spreads("consumer_seconds") {
            handled.entry(label(&labels, "consumer")).or_default().batches.add(&spread);
        }
        for (labels, count) in metrics.counters("consumer_outcomes_total") {
            if label(&labels, "outcome") == "done" {
                handled.entry(label(&labels, "consumer")).or_default().messages += count;
            }
        }
        let one = |name| metrics.spreads(name).pop().map(|(_, spread)| spread).unwrap_or_default();
        let transactions = one("store_commit_batch_size").sum().as_secs();
        let commits = one("store_commit_seconds");
        Self { at, taken: Instant::now(), requests, commits, transactions, handled, depths }
    }

    fn messages(&self) -> u64 {
        self.handled.values().map(|handled| handled.messages).sum()
    }
}

fn label(labels: &Labels, name: &str) -> String {
    labels.get(name).cloned().unwrap_or_default()
}

/// `2xx` for a status of 204.
fn class_of(labels: &Labels) -> String {
    let status = label(labels, "status");
    format!("{}xx", status.get(..1).unwrap_or_default())
}

impl Flow {
    fn samples(&self) -> MutexGuard<'_, VecDeque<Arc<Sample>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, sample: Sample) {
        let mut samples = self.samples();
        samples.push_back(Arc::new(sample));
        if samples.len() > SECONDS_SHOWN + 1 {
            samples.pop_front();
        }
    }

    /// Samples for as long as anybody else can ask for what was sampled.
    pub async fn sample(self, store: EmbeddedStore, metrics: Metrics, sources: Sources) {
        let mut ticks = interval(SAMPLE_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while Arc::strong_count(&self.0) > 1 {
            ticks.tick().await;
            match store.depths().await {
                Ok(depths) => self.keep(Sample::take(&metrics, depths, sources.now())),
                Err(error) => tracing::warn!(%error, "the queues cannot be measured"),
            }
        }
    }
}

/// How the bank does now.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Flow)]
struct FlowView {
    /// When the measures were last read; absent within the first second.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    http: RequestsView,
    store: CommitsView,
    /// In the order of the flow.
    consumers: Vec<ConsumerView>,
    /// The last minute, a second each, oldest first.
    seconds: Vec<SecondView>,
}

/// The requests that were answered.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = FlowOfRequests)]
struct RequestsView {
    per_second: f64,
    by_status: Vec<ClassView>,
    /// The median time, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_us: Option<u64>,
    /// The time that one in a hundred exceeds, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_us: Option<u64>,
}

/// The requests with one class of status.
#[derive(Serialize, ToSchema)]
#[schema(as = FlowOfStatus)]
struct ClassView {
    #[schema(example = "2xx")]
    class: String,
    per_second: f64,
}

/// The groups of transactions that were made durable together.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = FlowOfCommits)]
struct CommitsView {
    commits_per_second: f64,
    transactions_per_commit: f64,
    /// The median time, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_us: Option<u64>,
    /// The time that one in a hundred exceeds, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_us: Option<u64>,
}

/// What one consumer does, and how its queue stands.
#[derive(Serialize, ToSchema)]
#[schema(as = FlowOfConsumer)]
struct ConsumerView {
    #[schema(example = "ledger_commands")]
    consumer: String,
    /// Messages not yet delivered for the first time.
    waiting: u64,
    /// Messages that wait to be delivered again.
    retrying: u64,
    /// Dead letters.
    dead: u64,
    /// For how many milliseconds the oldest message has waited; zero where none waits.
    age_ms: u64,
    /// Messages, the mean of the last ten seconds.
    handled_per_second: f64,
    /// The median time, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_us: Option<u64>,
    /// The time that one in a hundred exceeds, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_us: Option<u64>,
}

/// One second of the last minute.
#[derive(Serialize, ToSchema)]
#[schema(as = FlowOfSecond)]
struct SecondView {
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Requests that were answered.
    requests: u64,
    /// Messages that were handled.
    handled: u64,
    /// Messages that waited at its end, for the first time or again.
    waiting: u64,
}

/// A time that so many of a hundred do not exceed, in microseconds; none where there was nothing.
fn percentile_us(spread: &Spread, percent: u64) -> Option<u64> {
    spread.percentile(percent).map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// The last minute: the samples at both its ends, and the one that rates are counted from.
struct Minute {
    oldest: Arc<Sample>,
    recent: Arc<Sample>,
    newest: Arc<Sample>,
}

impl Minute {
    fn of(samples: &VecDeque<Arc<Sample>>) -> Option<Self> {
        let recent = samples.len().saturating_sub(SECONDS_OF_RATE + 1);
        Some(Self {
            oldest: Arc::clone(samples.front()?),
            recent: Arc::clone(samples.get(recent)?),
            newest: Arc::clone(samples.back()?),
        })
    }

    /// The rate of what was counted, in the last ten seconds.
    fn per_second(&self, count: impl Fn(&Sample) -> u64) -> f64 {
        let counted = count(&self.newest).saturating_sub(count(&self.recent));
        let millis = self.newest.taken.duration_since(self.recent.taken).as_millis();
        ratio(counted * 1_000, u64::try_from(millis).unwrap_or(u64::MAX))
    }

    fn http(&self) -> RequestsView {
        let all = |sample: &Sample| sample.requests.all.count();
        let of_class = |class: &str| {
            let class = class.to_owned();
            move |sample: &Sample| sample.requests.by_class.get(&class).copied().unwrap_or(0)
        };
        let classes = self.newest.requests.by_class.keys();
        let by_status = classes
            .map(|class| ClassView { class: class.clone(), per_second: self.per_second(of_class(class)) });
        let times = self.newest.requests.all.since(&self.oldest.requests.all);
        RequestsView {
            per_second: self.per_second(all),
            by_status: by_status.collect(),
            p50_us: percentile_us(&times, 50),
            p99_us: percentile_us(&times, 99),
        }
    }

    fn store(&self) -> CommitsView {
        let commits = self.newest.commits.since(&self.oldest.commits);
        CommitsView {
            commits_per_second: self.per_second(|sample| sample.commits.count()),
            transactions_per_commit: ratio(
                self.newest.transactions.saturating_sub(self.oldest.transactions),
                commits.count(),
            ),
            p50_us: percentile_us(&commits, 50),
            p99_us: percentile_us(&commits, 99),
        }
    }

    fn consumers(&self) -> Vec<ConsumerView> {
        let consumer = |depth: &QueueDepth| {
            let name = depth.consumer.as_str();
            let messages = |sample: &Sample| sample.handled.get(name).map_or(0, |handled| handled.messages);
            let batches = |sample: &Sample| {
                sample.handled.get(name).map(|handled| handled.batches.clone()).unwrap_or_default()
            };
            let times = batches(&self.newest).since(&batches(&self.oldest));
            let QueueView { consumer, waiting, retrying, dead, age_ms, .. } =
                QueueView::new(depth.clone(), self.newest.at);
            ConsumerView {
                consumer,
                waiting,
                retrying,
                dead,
                age_ms,
                handled_per_second: self.per_second(messages),
                p50_us: percentile_us(&times, 50),
                p99_us: percentile_us(&times, 99),
            }
        };
        self.newest.depths.iter().map(consumer).collect()
    }
}

fn seconds(samples: &VecDeque<Arc<Sample>>) -> Vec<SecondView> {
    let second = |(before, sample): (&Arc<Sample>, &Arc<Sample>)| SecondView {
        at: sample.at,
        requests: sample.requests.all.count().saturating_sub(before.requests.all.count()),
        handled: sample.messages().saturating_sub(before.messages()),
        waiting: sample.depths.iter().map(|depth| depth.waiting + depth.retrying).sum(),
    };
    samples.iter().zip(samples.iter().skip(1)).map(second).collect()
}

/// A ratio with one decimal; zero of nothing.
#[expect(clippy::float_arithmetic, reason = "it is a rate, and no money")]
fn ratio(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { (count as f64 / of as f64 * 10.0).round() / 10.0 }
}

/// How the bank does now: rates of the last ten seconds, times of the last minute, and that minute second by second.
#[utoipa::path(get, path = "/ops/flow", tag = "operations",
    responses((status = 200, body = FlowView), ReadProblems))]
async fn show_flow(State(flow): State<Flow>, _: Operator) -> Json<FlowView> {
    Json(FlowView::of(&flow.samples().clone()))
}

impl FlowView {
    fn of(samples: &VecDeque<Arc<Sample>>) -> Self {
        let Some(minute) = Minute::of(samples) else { return Self::default() };
        Self {
            at: Some(minute.newest.at),
            http: minute.http(),
            store: minute.store(),
            consumers: minute.consumers(),
            seconds: seconds(samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bank that handles five messages and leaves one more waiting in each second.
    fn sample(second: u64, began: Instant) -> Sample {
        let handled = Handled { messages: second * 5, batches: Spread::default() };
        let depth = QueueDepth {
            consumer: "ledger_commands".to_owned(),
            waiting: second,
            retrying: 0,
            dead: 0,
            oldest_at: None,
        };
        Sample {
            at: Timestamp::EPOCH + Duration::from_secs(second),
            taken: began + Duration::from_secs(second),
            requests: Requests::default(),
            commits: Spread::default(),
            transactions: 0,
            handled: BTreeMap::from([("ledger_commands".to_owned(), handled)]),
            depths: vec![depth],
        }
    }

    #[test]
    fn the_last_minute_is_shown_and_no_more_is_kept() {
        let (flow, began) = (Flow::default(), Instant::now());
        assert!(FlowView::of(&flow.samples()).at.is_none(), "nothing was sampled yet");
        for second in 1..=70 {
            flow.keep(sample(second, began));
            let shown = FlowView::of(&flow.samples());
            let expected = usize::try_from(second - 1).unwrap().min(SECONDS_SHOWN);
            assert_eq!(shown.seconds.len(), expected, "{second}");
            assert!(shown.seconds.iter().all(|shown| shown.handled == 5 && shown.requests == 0));
            let [consumer] = shown.consumers.as_slice() else { panic!("there is one consumer") };
            let rate = if second == 1 { 0.0 } else { 5.0 };
            assert_eq!((consumer.handled_per_second, consumer.waiting), (rate, second));
            assert_eq!((consumer.p99_us, shown.http.p50_us), (None, None));
        }
        assert_eq!(flow.samples().len(), SECONDS_SHOWN + 1);
        let shown = FlowView::of(&flow.samples());
        assert_eq!(shown.seconds.first().map(|second| second.waiting), Some(11));
        assert_eq!(shown.at, Some(Timestamp::EPOCH + Duration::from_secs(70)));
    }

    #[test]
    fn a_ratio_has_one_decimal() {
        for (count, of, ratio_of) in [(0, 0, 0.0), (7, 0, 0.0), (1, 3, 0.3), (2, 3, 0.7), (25, 10, 2.5)] {
            assert_eq!(ratio(count, of), ratio_of, "{count} of {of}");
        }
    }
}
