//! What ties the work for one request together, and the envelopes that carry it on.

use contracts::{Message, VERSION};
use kernel::{CorrelationId, MessageId, Timestamp, UserId};
use ports::{Envelope, Sources};

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
    /// A trace that begins here, sampled.
    pub fn begin(sources: &Sources) -> Self {
        let (trace, span) = (sources.fresh_id(), sources.fresh_id());
        // The last eight bytes of a UUID of version 7 are its random ones.
        let span = &span.simple().to_string()[16..];
        Self {
            correlation_id: CorrelationId::new(trace),
            causation_id: None,
            traceparent: format!("00-{}-{span}-01", trace.simple()),
        }
    }

    /// The trace of what is done because of a message.
    pub fn caused_by(envelope: &Envelope) -> Self {
        Self {
            correlation_id: envelope.correlation_id.clone(),
            causation_id: Some(envelope.message_id),
            traceparent: envelope.traceparent.clone(),
        }
    }
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
