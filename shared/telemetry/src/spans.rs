//! The spans of recorded traces, sent to whoever keeps traces: OTLP over HTTP, in protobuf.
//!
//! A span comes as an event with the target [`SPANS`], is queued, and leaves with others by a thread of its own, with
//! the SDK of OpenTelemetry. Nobody waits for that: what comes while the queue is full is dropped, and a receiver that
//! fails is told of in the log, once a minute at most. Bounds, by default: 2,048 spans in the queue, 512 at once, five
//! seconds until they leave, ten for one sending. The variables of OpenTelemetry's specification change them.
//!
//! Absent on purpose: sampling, for whether a trace is recorded is decided where it begins; measures and logs over OTLP,
//! for there is `/metrics`, and standard error.

use std::env;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SpanData, SpanEvents, SpanExporter as Exporter, SpanLinks, SpanProcessor,
};
use runtime::{SPANS, Traceparent};
use serde_json::Value;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;
use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::fields::Fields;

/// What the process calls itself, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` does.
const SERVICE_NAME: &str = "bank";

/// Where the receiver is, in the words of OpenTelemetry's specification.
const ENDPOINT_VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// How long one sending may take.
const SENDING_MAX: Duration = Duration::from_secs(10);
/// How long what waits at the end may take to leave.
const CLOSING_MAX: Duration = Duration::from_secs(3);
/// How often it is told that the receiver fails.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Fields that make the span; all others describe it.
const OWN_NAMES: [&str; 6] =
    ["message", "otel.name", "otel.kind", "traceparent", "parent_span_id", "duration_ns"];

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum SpansError {
    /// The address of the receiver, or another setting, cannot be used.
    #[error("spans cannot be sent: {0}")]
    Settings(#[from] ExporterBuildError),
}

/// Sends spans. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Spans {
    processor: Arc<BatchSpanProcessor>,
    scope: InstrumentationScope,
}

impl Spans {
    /// Starts to send spans to the receiver at `endpoint`, such as `http://localhost:4318`, or else at the one that the
    /// environment names by `OTEL_EXPORTER_OTLP_ENDPOINT`. None if neither does.
    ///
    /// # Errors
    /// The address, or another variable of OpenTelemetry's, cannot be used.
    pub fn start(endpoint: Option<&str>) -> Result<Option<Self>, SpansError> {
        let exporter = SpanExporter::builder().with_http().with_http_client(Client::new());
        let is_named = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let exporter = match endpoint {
            Some(url) => exporter.with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/'))),
            None if ENDPOINT_VARIABLES.iter().any(|name| is_named(name)) => exporter,
            None => return Ok(None),
        };
        let exporter = Telling { exporter: exporter.build()?, failures: Mutex::default() };
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(&resource());
        let scope =
            InstrumentationScope::builder(SERVICE_NAME).with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Some(Self { processor: Arc::new(processor), scope }))
    }

    /// Sends what waits, and no more after that. It takes a few seconds at most.
    pub fn close(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(CLOSING_MAX) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }

    /// What hears of the spans.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    {
        let spans = filter_fn(|metadata| metadata.target() == SPANS);
        self.clone().with_filter(spans.with_max_level_hint(LevelFilter::INFO))
    }

    /// The span that these fields tell of, which ended at this time.
    fn span(&self, fields: &Fields, end_time: SystemTime) -> Option<SpanData> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let own = Traceparent::read(text("traceparent")?)?;
        let parent = text("parent_span_id").and_then(|id| SpanId::from_hex(id).ok());
        let took = fields.get("duration_ns").and_then(Value::as_u64).map(Duration::from_nanos);
        let attributes = fields.iter().filter(|(name, _)| !OWN_NAMES.contains(name));
        Some(SpanData {
            span_context: SpanContext::new(
                TraceId::from_hex(own.trace_id).ok()?,
                SpanId::from_hex(own.span_id).ok()?,
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: parent.is_some(),
            span_kind: match text("otel.kind") {
                Some("server") => SpanKind::Server,
                Some("consumer") => SpanKind::Consumer,
                _ => SpanKind::Internal,
            },
            name: text("otel.name")?.to_owned().into(),
            start_time: end_time - took?,
            end_time,
            attributes: attributes.map(|(name, value)| KeyValue::new(name, told(value))).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if fields.get("error.type").is_some() { Status::error("") } else { Status::Unset },
            instrumentation_scope: self.scope.clone(),
        })
    }
}

impl<S: Subscriber> Layer<S> for Spans {
    #[expect(clippy::disallowed_methods, reason = "as with the log, no decision of the bank is taken by it")]
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(span) = self.span(&fields, SystemTime::now()) {
            self.processor.on_end(span);
        }
    }
}

fn told(value: &Value) -> opentelemetry::Value {
    match value {
        Value::String(text) => text.clone().into(),
        Value::Bool(truth) => (*truth).into(),
        number => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.to_string().into(),
        },
    }
}

/// What the process says of itself. The environment has the last word.
fn resource() -> Resource {
    let of_the_environment = Resource::builder().build();
    let name = of_the_environment.get(&"service.name".into());
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    if is_named { of_the_environment } else { Resource::builder().with_service_name(SERVICE_NAME).build() }
}

/// Sends spans, and tells of failures in the log now and then, for the SDK would tell of every one.
#[derive(Debug)]
struct Telling {
    exporter: SpanExporter,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    told_at: Option<Instant>,
    /// Spans lost since then.
    lost: usize,
}

impl Telling {
    fn note(&self, lost: usize, error: &dyn fmt::Display) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.lost += lost;
        if failures.told_at.is_none_or(|told_at| told_at.elapsed() >= TOLD_EVERY) {
            tracing::warn!(%error, lost = failures.lost, "spans could not be sent");
            *failures = Failures { told_at: Some(Instant::now()), lost: 0 };
        }
    }
}

impl Exporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        if let Err(error) = self.exporter.export(batch).await {
            self.note(count, &error);
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The HTTP client that the process has anyway. It blocks, and only the thread that sends.
#[derive(Debug)]
struct Client(Agent);

impl Client {
    fn new() -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(SENDING_MAX))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self(config.into())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let (head, mut body) = self.0.run(Request::from_parts(head, &body[..]))?.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn spans() -> Spans {
        Spans::start(Some("http://127.0.0.1:9/")).unwrap().unwrap()
    }

    /// The fields of what is recorded.
    fn told_by(tell: impl FnOnce()) -> Fields {
        #[derive(Clone, Default)]
        struct Heard(Arc<Mutex<Fields>>);

        impl<S: Subscriber> Layer<S> for Heard {
            fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
                event.record(&mut *self.0.lock().unwrap());
            }
        }

        let heard = Heard::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(heard.clone()), tell);
        heard.0.lock().unwrap().clone()
    }

    #[test]
    fn a_span_is_what_the_fields_say_and_holds_no_secret() {
        let fields = told_by(|| {
            tracing::info!(
                target: SPANS,
                traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                parent_span_id = "00f067aa0ba902b7",
                otel.name = "process ledger_commands",
                otel.kind = "consumer",
                duration_ns = 1_500_u64,
                error.type = "retry",
                bank.attempt = 2_u32,
                email = "ada@example.org",
            );
        });
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let span = spans().span(&fields, now).unwrap();
        assert_eq!(span.name, "process ledger_commands");
        assert_eq!(span.span_kind, SpanKind::Consumer);
        assert_eq!(span.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.span_context.span_id().to_string(), "b7ad6b7169203331");
        assert_eq!(span.parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!((span.start_time, span.end_time), (now - Duration::from_nanos(1_500), now));
        assert_eq!(span.status, Status::error(""));
        let attributes: Vec<_> = span
            .attributes
            .iter()
            .map(|attribute| (attribute.key.as_str(), attribute.value.to_string()))
            .collect();
        assert_eq!(
            attributes,
            [
                ("error.type", "retry".to_owned()),
                ("bank.attempt", "2".to_owned()),
                ("email", "[redacted]".to_owned()),
            ]
        );
    }

    #[test]
    fn what_names_no_span_is_none() {
        let fields = told_by(|| tracing::info!(target: SPANS, duration_ns = 1_u64, otel.name = "nothing"));
        assert!(spans().span(&fields, SystemTime::UNIX_EPOCH).is_none());
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        assert!(Spans::start(Some("not a url")).is_err());
    }

    #[test]
    fn a_receiver_that_fails_is_told_of_once_with_all_that_was_lost() {
        let exporter = SpanExporter::builder().with_http().with_http_client(Client::new()).build().unwrap();
        let telling = Telling { exporter, failures: Mutex::default() };
        let fields = told_by(|| telling.note(3, &"it is away"));
        assert_eq!(fields.get("lost"), Some(&Value::from(3)));
        let fields = told_by(|| telling.note(4, &"it is away"));
        assert_eq!(fields, Fields::default());
        telling.failures.lock().unwrap().told_at = None;
        let fields = told_by(|| telling.note(5, &"it is away"));
        assert_eq!(fields.get("lost"), Some(&Value::from(9)));
    }
}
