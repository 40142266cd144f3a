//! How a span is named between processes: the `traceparent` of W3C Trace Context, version 00.
//!
//! Whether a trace is recorded is decided once, where it begins, and told by its flags: nobody behind decides again.
//! A span of one that is recorded is told once it has ended, as an event of `tracing` with the target [`SPANS`]. So who
//! tells knows nothing of who listens, and where nobody does it costs a look at one flag. (The spans of
//! `tracing` would not do: the messages of a batch are handled together, and each has a span of its own trace.)

use std::fmt;

/// The target of an event that tells of a span. Its fields: `otel.name`, `otel.kind` (`server` or `consumer`), the span's
/// own `traceparent`, `parent_span_id` unless it is the first, `duration_ns` until now, `error.type` if it failed; all
/// others describe it, by the names of OpenTelemetry's semantic conventions where these have one.
pub const SPANS: &str = "spans";

/// The digits of a trace id that W3C Trace Context wants random: the last seven bytes.
const RANDOM_DIGITS: usize = 14;

/// A span and its trace. The texts are of lower-case hexadecimal digits, and neither id is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traceparent<'a> {
    /// The trace: 32 digits.
    pub trace_id: &'a str,
    /// The span: 16 digits.
    pub span_id: &'a str,
    /// Two digits; the lowest bit tells whether the trace is recorded.
    flags: &'a str,
}

impl<'a> Traceparent<'a> {
    /// Reads it (W3C Trace Context, section 3.2). Versions to come may have more behind.
    pub fn read(text: &'a str) -> Option<Self> {
        let (version, trace_id) = (text.get(..2)?, text.get(3..35)?);
        let (span_id, flags, more) = (text.get(36..52)?, text.get(53..55)?, text.get(55..)?);
        let is_divided = [2, 35, 52].iter().all(|place| text.as_bytes()[*place] == b'-');
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
        let is_whole = is_divided && [version, trace_id, span_id, flags].into_iter().all(is_hex);
        if !is_whole || is_zero(trace_id) || is_zero(span_id) || version == "ff" {
            return None;
        }
        let is_at_its_end = more.is_empty() || (version != "00" && more.starts_with('-'));
        is_at_its_end.then_some(Self { trace_id, span_id, flags })
    }

    /// Another span of the same trace.
    pub fn with_span(self, span_id: &'a str) -> Self {
        Self { span_id, ..self }
    }

    /// The same span, recorded.
    pub fn sampled(self) -> Self {
        Self { flags: "01", ..self }
    }

    /// Whether whoever began the trace has it recorded.
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(self.flags, 16).is_ok_and(|flags| flags & 1 == 1)
    }

    /// A number that is the same wherever the trace comes by, and as good as random among traces.
    pub fn lot(&self) -> u64 {
        let digits = &self.trace_id[self.trace_id.len() - RANDOM_DIGITS..];
        u64::from_str_radix(digits, 16).unwrap_or_default()
    }
}

impl fmt::Display for Traceparent<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id, flags } = self;
        write!(formatter, "00-{trace_id}-{span_id}-{flags}")
    }
}
