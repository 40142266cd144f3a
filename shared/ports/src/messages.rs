//! The messaging ports: what a message looks like under way, who takes it, and what becomes of it.
//!
//! Delivery is at least once and unordered in every world, so a consumer's effect must be idempotent.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kernel::{CorrelationId, MessageId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Table, Unavailable};

/// A message under way: what any carrier needs to know, and a body that only sender and receiver understand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// The same for every delivery of this message.
    pub message_id: MessageId,
    /// The name of the command or event, such as `DEPOSIT_CMD`.
    pub kind: String,
    /// The version of the body's shape, from 1.
    pub version: u32,
    /// Messages of one group share a fate: the account. It spreads load fairly; it does not order.
    pub group: String,
    /// The request that all this is done for.
    pub correlation_id: CorrelationId,
    /// The message that caused this one; none for a request from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<MessageId>,
    /// The trace and parent span (W3C Trace Context).
    pub traceparent: String,
    /// When it was sent.
    pub occurred_at: Timestamp,
    /// The command or event itself, a JSON object.
    pub body: Box<RawValue>,
}

impl Envelope {
    /// About how many bytes the envelope takes under way: its texts, and a fixed part for names and times.
    pub fn bytes(&self) -> usize {
        const NAMES_AND_TIMES: usize = 320;
        let texts =
            self.kind.len() + self.group.len() + self.correlation_id.as_str().len() + self.traceparent.len();
        NAMES_AND_TIMES + texts + self.body.get().len()
    }
}

/// One delivery of a message to one consumer.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// The how-manieth delivery this is, from 1.
    pub attempt: u32,
}

/// What a consumer made of a delivery.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its effect is durable, or was already.
    Done,
    /// Not now: the machine failed or was busy.
    Retry {
        /// The least time to wait, beside the backoff.
        after: Duration,
        /// Why, for the operator.
        reason: String,
    },
    /// Never: this message cannot be understood. It goes to the dead letters alone.
    Reject {
        /// Why, for the operator.
        reason: String,
    },
}

/// A receiver of messages: a queue on AWS, a cursor on the embedded log.
pub trait Consumer: Send + Sync + 'static {
    /// Its name in the topology; never renamed.
    const NAME: &'static str;

    /// Takes a batch and answers one outcome a delivery, in order.
    fn handle(&self, batch: &[Delivery]) -> impl Future<Output = Vec<Outcome>> + Send;
}

/// What one consumer is to be sent: derived from the topology by whoever puts a world together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The consumer's name.
    pub consumer: &'static str,
    /// The outboxes its messages come from.
    pub outboxes: Vec<Table>,
    /// The kinds of message it is sent.
    pub kinds: Vec<&'static str>,
}

/// Names one delivery until it is settled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Receipt(pub u64);

/// A delivery, and the receipt to settle it by.
#[derive(Clone, Debug)]
pub struct Received {
    /// Settles this delivery.
    pub receipt: Receipt,
    /// The delivery.
    pub delivery: Delivery,
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not delivered again.
    Done,
    /// It is delivered again, not before this time; others do not wait for it.
    Again {
        /// The earliest time.
        at: Timestamp,
        /// Why, for the operator.
        reason: String,
    },
    /// It is put with the consumer's dead letters.
    Dead {
        /// Why, for the operator.
        reason: String,
    },
}

/// The end of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which delivery.
    pub receipt: Receipt,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// A message that could not be handled, kept for a person to read and to send again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Names the dead letter among those of all consumers.
    pub dead_letter_id: String,
    /// Whose queue it was in.
    pub consumer: String,
    /// Why it could not be handled.
    pub reason: String,
    /// How often it was delivered.
    pub attempts: u32,
    /// When it was given up.
    pub died_at: Timestamp,
    /// The message.
    pub envelope: Envelope,
}

/// How a consumer's queue stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueDepth {
    /// Whose queue.
    pub consumer: String,
    /// Messages not yet delivered for the first time.
    pub waiting: u64,
    /// Messages that wait to be delivered again.
    pub retrying: u64,
    /// Dead letters.
    pub dead: u64,
    /// When the oldest message that still waits was sent.
    pub oldest_at: Option<Timestamp>,
}

/// The queues of a world in which this process carries the messages itself. On AWS, SQS has this part.
///
/// One task at a time receives for a consumer, and settles what it received before it receives again.
pub trait Queues: Clone + Send + Sync + 'static {
    /// At most `limit` deliveries for a consumer, those due again first. Waits until there is one. The future may be
    /// dropped at any time: a receiver who gives up loses nothing, and what she would have had comes again.
    fn receive(
        &self,
        consumer: &'static str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Received>, Unavailable>> + Send;

    /// Ends deliveries. What was not settled when the process ends is delivered again.
    fn settle(
        &self,
        consumer: &'static str,
        settled: Vec<Settled>,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// What an operator sees of the queues, and does with the dead letters, in every world.
pub trait QueueAdmin: Clone + Send + Sync + 'static {
    /// How every queue stands, in the order of the topology.
    fn depths(&self) -> impl Future<Output = Result<Vec<QueueDepth>, Unavailable>> + Send;

    /// One page of dead letters, oldest first, behind the id `after`.
    fn dead_letters(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, Unavailable>> + Send;

    /// One dead letter.
    fn dead_letter(
        &self,
        dead_letter_id: &str,
    ) -> impl Future<Output = Result<Option<DeadLetter>, Unavailable>> + Send;

    /// Sends a dead letter to its consumer again, as if for the first time; durable on return. False if there is none.
    fn redrive(&self, dead_letter_id: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;
}
