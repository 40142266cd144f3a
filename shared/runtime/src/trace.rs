//! What ties the work for one request together, and the envelopes that carry it on.
//!
//! A trace is a tree of spans: the request is one, and each delivery of a message is one below the span that sent it.
//! The id of a delivery's span is made from what is delivered, so that what its consumer sends and what is told
//! of it afterwards agree without a word between them.

use std::hash::{DefaultHasher, Hash, Hasher};

use contracts::{Message, VERSION};
use kernel::{CorrelationId, MessageId, Timestamp, UserId, hexadecimal};
use ports::{Delivery, Envelope, Sources};

use crate::Traceparent;

/// The request that some work is done for, and the message that caused it.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The request.
    pub correlation_id: CorrelationId,
    /// The message that caused this work; none where it was the request itself.
    pub causation_id: Option<MessageId>,
    /// The trace and parent span (W3C Trace Context).
    pub traceparent: String,
}

impl Trace {
    /// A trace that begins here, and is not recorded.
    pub fn begin(sources: &Sources) -> Self {
        let (trace, span) = (sources.fresh_id(), sources.fresh_id());
        // The last eight bytes of a UUID of version 7 are its random ones.
        let (trace_id, span_id) = (hexadecimal(trace.as_bytes()), hexadecimal(&span.as_bytes()[8..]));
        Self {
            correlation_id: CorrelationId::new(trace),
            causation_id: None,
            traceparent: ["00", &trace_id, &span_id, "00"].join("-"),
        }
    }

    /// The trace of what a consumer does because of a delivery. Where the trace is recorded, it has a span of its own; else
    /// nobody would look at one.
    pub fn caused_by(consumer: &str, delivery: &Delivery) -> Self {
        let Delivery { envelope, attempt } = delivery;
        let traceparent = match Traceparent::read(&envelope.traceparent) {
            Some(parent) if parent.is_sampled() => {
                let span = delivery_span(consumer, envelope.message_id, *attempt);
                parent.with_span(&span).to_string()
            }
            _ => envelope.traceparent.clone(),
        };
        Self {
            correlation_id: envelope.correlation_id.clone(),
            causation_id: Some(envelope.message_id),
            traceparent,
        }
    }
}

/// The id of a delivery's span: another for each consumer and each attempt, and never zero.
fn delivery_span(consumer: &str, message_id: MessageId, attempt: u32) -> String {
    let mut hasher = DefaultHasher::new();
    (consumer, message_id, attempt).hash(&mut hasher);
    format!("{:016x}", hasher.finish().max(1))
}

/// Who asks, and for which request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who is signed in.
    pub user_id: UserId,
    /// The request.
    pub trace: Trace,
    /// The key that makes a repetition of this request known as one.
    pub idempotency_key: Option<String>,
}

/// Puts a message in its envelope. `group` is the account whose load it is.
pub fn envelope(
    message: &Message,
    group: impl Into<String>,
    trace: &Trace,
    now: Timestamp,
    sources: &Sources,
) -> Envelope {
    Envelope {
        message_id: MessageId::new(sources.fresh_id()),
        kind: message.kind().name().to_owned(),
        version: VERSION,
        group: group.into(),
        correlation_id: trace.correlation_id.clone(),
        causation_id: trace.causation_id,
        traceparent: trace.traceparent.clone(),
        occurred_at: now,
        body: message.body(),
    }
}
