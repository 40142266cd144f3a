//! One line a log event, to standard error.
//!
//! A layer of its own rather than the library's JSON format, because that one nests the spans: here a line is
//! flat, so that `correlation_id` is found at the same place whoever logged it. The layer also keeps what both
//! formats share, the hiding of secrets first of all. Spans carry fields only; their beginnings and ends are
//! not logged.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::SystemTime;

use kernel::Timestamp;
use runtime::SPANS;
use serde_json::Value;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::fields::Fields;

/// Names a line gives itself. A field of the same name gives way to them.
const OWN_NAMES: [&str; 4] = ["timestamp", "level", "target", "message"];

/// How many bytes a line most likely has room in.
const LINE_BYTES: usize = 512;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// Text for a person, in colour if standard error is a terminal.
    Pretty,
}

impl Format {
    /// Text if standard error is a terminal, JSON if it is a file, a pipe or a collector.
    pub fn automatic() -> Self {
        if io::stderr().is_terminal() { Self::Pretty } else { Self::Json }
    }
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter is not one that `tracing-subscriber` reads, such as `info` or `info,ledger=debug`.
    #[error("the log filter is not valid: {0}")]
    Filter(#[from] ParseError),
    /// A process has one log.
    #[error("the log was set up before: {0}")]
    Twice(#[from] TryInitError),
}

/// Sets up the log of the process: what passes `filter`, such as `info` or `info,ledger=debug`, in this format.
///
/// # Errors
/// The filter is not valid, or the log was set up before.
pub fn init(format: Format, filter: &str) -> Result<(), InitError> {
    Ok(subscriber(format, filter)?.try_init()?)
}

/// Sets up the log of the process, and has the spans that are told sent on.
///
/// # Errors
/// The filter is not valid, or the log was set up before.
#[cfg(feature = "otlp")]
pub fn init_with_spans(format: Format, filter: &str, spans: &crate::Spans) -> Result<(), InitError> {
    Ok(subscriber(format, filter)?.with(spans.layer()).try_init()?)
}

fn subscriber(
    format: Format,
    filter: &str,
) -> Result<impl Subscriber + for<'lookup> LookupSpan<'lookup>, InitError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let colour = format == Format::Pretty && io::stderr().is_terminal();
    Ok(tracing_subscriber::registry().with(layer(format, colour, filter, io::stderr)))
}

/// Spans of level info and above pass whatever the filter says: a warning that lost its correlation id because
/// somebody asked for warnings alone would be worth little. What is told to traces is no line.
fn layer<S, W>(format: Format, colour: bool, filter: EnvFilter, writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    let spans = filter_fn(|metadata| metadata.is_span() && *metadata.level() <= Level::INFO)
        .with_max_level_hint(LevelFilter::INFO);
    let lines = filter_fn(|metadata| metadata.target() != SPANS).with_max_level_hint(LevelFilter::TRACE);
    Lines { format, colour, writer }.with_filter(filter.or(spans).and(lines))
}

struct Lines<W> {
    format: Format,
    colour: bool,
    writer: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.merge(outer.clone());
            }
        }
        // A span's field named `message` is not the event's.
        let mut own = Fields::default();
        event.record(&mut own);
        let message = own.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        fields.merge(own);
        let metadata = event.metadata();
        let line =
            Line { level: *metadata.level(), target: metadata.target(), message: &message, fields: &fields };
        let text = match self.format {
            Format::Json => line.json(),
            Format::Pretty => line.pretty(self.colour).into_bytes(),
        };
        // A log that cannot be written has nobody to tell: the work goes on without it.
        let _unwritable = self.writer.make_writer().write_all(&text);
    }
}

struct Line<'event> {
    level: Level,
    target: &'event str,
    message: &'event str,
    fields: &'event Fields,
}

impl Line<'_> {
    fn json(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(LINE_BYTES);
        line.extend_from_slice(br#"{"timestamp":""#);
        line.extend_from_slice(timestamp().as_bytes());
        line.extend_from_slice(br#"","level":""#);
        line.extend_from_slice(self.level.as_str().as_bytes());
        line.extend_from_slice(br#"","target":"#);
        push_text(&mut line, self.target);
        line.extend_from_slice(br#","message":"#);
        push_text(&mut line, self.message);
        for (name, value) in self.others() {
            line.push(b',');
            push_text(&mut line, name);
            line.push(b':');
            // Writing to memory cannot fail.
            let _infallible = serde_json::to_writer(&mut line, value);
        }
        line.extend_from_slice(b"}\n");
        line
    }

    fn pretty(&self, colour: bool) -> String {
        let (dim, level, plain) =
            if colour { ("\x1b[2m", colour_of(self.level), "\x1b[0m") } else { ("", "", "") };
        let mut line =
            format!("{dim}{}{plain} {level}{:>5}{plain} {}", timestamp(), self.level, self.message);
        for (name, value) in self.others() {
            let _infallible = write!(line, " {dim}{name}={plain}{}", Word(value));
        }
        let _infallible = writeln!(line, " {dim}{}{plain}", self.target);
        line
    }

    fn others(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.fields.iter().filter(|(name, _)| !OWN_NAMES.contains(name))
    }
}

/// A value in a line for people: a plain word as it is, anything else as JSON would quote it.
struct Word<'value>(&'value Value);

impl std::fmt::Display for Word<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_plain = |character: char| character.is_alphanumeric() || "-_.:/[]".contains(character);
        match self.0.as_str() {
            Some(text) if !text.is_empty() && text.chars().all(is_plain) => formatter.write_str(text),
            _ => write!(formatter, "{}", self.0),
        }
    }
}

fn push_text(line: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail.
    let _infallible = serde_json::to_writer(line, text);
}

/// The time of the line, RFC 3339 in UTC with microseconds. It is the log's own clock.
#[expect(clippy::disallowed_methods, reason = "no decision of the bank is taken by it")]
fn timestamp() -> String {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    let mut text = Timestamp::from_millis(millis).to_string();
    // It ends with milliseconds and the sign of UTC, between which the rest of the microseconds belongs.
    text.truncate(text.len() - 1);
    let _infallible = write!(text, "{:03}Z", since_epoch.subsec_micros() % 1_000);
    text
}

const fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written while `work` runs.
    fn written(format: Format, filter: &str, work: impl FnOnce()) -> String {
        let output = Written::default();
        let copy = output.clone();
        let lines = layer(format, false, EnvFilter::new(filter), move || copy.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
        let bytes = output.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn json(filter: &str, work: impl FnOnce()) -> Vec<Value> {
        written(Format::Json, filter, work).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn the_fields_of_spans_and_event_stand_flat_and_once() {
        let lines = json("info", || {
            let request =
                tracing::info_span!("request", correlation_id = "c-1", service = "banking", attempt = 1);
            let _request = request.enter();
            let _consumer = tracing::info_span!("consumer", service = "ledger").entered();
            tracing::info!(attempt = 2, posted = true, "posted {} commands", 3);
        });
        assert_eq!(lines.len(), 1);
        let line = lines[0].as_object().unwrap();
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(timestamp.len() == "2026-11-22T10:00:00.123456Z".len() && timestamp.ends_with('Z'));
        assert!(timestamp.parse::<Timestamp>().is_ok(), "{timestamp}");
        let others: Vec<_> = line.iter().filter(|(name, _)| *name != "timestamp").collect();
        let expected = serde_json::json!({
            "attempt": 2, "correlation_id": "c-1", "level": "INFO", "message": "posted 3 commands",
            "posted": true, "service": "ledger", "target": "telemetry::lines::tests",
        });
        assert_eq!(others, expected.as_object().unwrap().iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_field_recorded_late_is_there() {
        let lines = json("info", || {
            let span = tracing::info_span!("request", status = tracing::field::Empty);
            span.record("status", 201);
            span.in_scope(|| tracing::info!("answered"));
        });
        assert_eq!(lines[0]["status"], 201);
    }

    #[test]
    fn text_that_would_break_a_line_stays_within_it() {
        let text =
            written(Format::Json, "info", || tracing::info!(reason = "a\n\"b\"\u{1b}[2J", "first\nsecond"));
        assert_eq!(text.lines().count(), 1);
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["reason"], "a\n\"b\"\u{1b}[2J");
        assert_eq!(line["message"], "first\nsecond");
    }

    #[test]
    fn a_warning_keeps_its_correlation_id_where_only_warnings_are_asked_for() {
        let lines = json("warn", || {
            let _request = tracing::info_span!("request", correlation_id = "c-1").entered();
            tracing::info!("not asked for");
            tracing::warn!("asked for");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["correlation_id"], "c-1");
        assert_eq!(lines[0]["message"], "asked for");
    }

    #[test]
    fn what_is_told_to_traces_is_no_line() {
        let lines = json("trace", || tracing::info!(target: SPANS, duration_ns = 1_u64));
        assert_eq!(lines, [Value::Null; 0]);
    }

    #[test]
    fn secrets_are_hidden_in_both_formats() {
        for format in [Format::Json, Format::Pretty] {
            let text = written(format, "info", || {
                let _span = tracing::info_span!("sign_in", email = "ada@example.org").entered();
                tracing::info!(password = "hunter2", token = ?Some("eyJ"), "signed in");
            });
            assert!(text.contains("redacted"), "{text}");
            for secret in ["ada@", "hunter2", "eyJ"] {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
    }

    #[test]
    fn an_error_is_written_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("the store is busy")]
        struct Busy(#[source] io::Error);

        let lines = json("info", || {
            let error = Busy(io::Error::other("the disk is full"));
            tracing::error!(error = &error as &dyn std::error::Error, "not committed");
        });
        assert_eq!(lines[0]["error"], "the store is busy: the disk is full");
    }

    #[test]
    fn a_field_does_not_displace_what_a_line_says_of_itself() {
        let text = written(Format::Json, "info", || {
            let _span = tracing::info_span!("span", message = "of the span", level = 9).entered();
            tracing::warn!(target: "ledger", timestamp = 0, "of the event");
        });
        for name in OWN_NAMES {
            assert_eq!(text.matches(&format!("\"{name}\":")).count(), 1, "{name} in {text}");
        }
        assert!(text.contains(r#""level":"WARN","target":"ledger","message":"of the event""#), "{text}");
    }

    #[test]
    fn a_person_reads_message_and_fields() {
        let text = written(Format::Pretty, "info", || {
            let _span = tracing::info_span!("request", correlation_id = "c-1").entered();
            tracing::info!(reason = "two words", depth = 7, "retried");
        });
        let after_time = text.split_once(' ').unwrap().1;
        assert_eq!(
            after_time,
            " INFO retried correlation_id=c-1 reason=\"two words\" depth=7 telemetry::lines::tests\n"
        );
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let error = init(Format::Json, "ledger=loud").unwrap_err();
        assert!(matches!(error, InitError::Filter(_)), "{error}");
    }
}
