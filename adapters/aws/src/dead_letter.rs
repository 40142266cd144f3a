//! A dead letter as a message of a dead-letter queue: the body as it was sent, and beside it what is told of its end.
//!
//! SQS itself puts messages there too, and tells nothing of them. Nor need a body be readable; both are shown all the
//! same, because a person must be able to see everything that did not arrive.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use kernel::{CorrelationId, MessageId, Timestamp};
use ports::{DeadLetter, Envelope};
use serde_json::value::to_raw_value;
use uuid::Uuid;

/// The kind of message that stands for one that cannot be read; its body is the text as a JSON string.
const UNREADABLE: &str = "UNREADABLE";

const CONSUMER: &str = "consumer";
const REASON: &str = "reason";
const ATTEMPTS: &str = "attempts";
const DIED_AT: &str = "died_at";

/// What is told of a dead letter beside its body, in the attributes of its message.
pub(crate) struct DeathNote {
    /// Whose queue it was in.
    pub consumer: String,
    /// Why it could not be handled.
    pub reason: String,
    /// How often it was delivered.
    pub attempts: u32,
    /// When it was given up.
    pub died_at: Timestamp,
}

impl DeathNote {
    pub fn into_attributes(self) -> Vec<(&'static str, String)> {
        vec![
            (CONSUMER, self.consumer),
            (REASON, self.reason),
            (ATTEMPTS, self.attempts.to_string()),
            (DIED_AT, self.died_at.to_string()),
        ]
    }

    /// What is told of a message in a consumer's dead-letter queue. One that SQS moved there has only its time of sending.
    fn of(consumer: &str, message: &Message) -> Self {
        let told = |name: &str| message.message_attributes()?.get(name)?.string_value();
        let attempts = told(ATTEMPTS).and_then(|attempts| attempts.parse().ok());
        let reason = told(REASON).unwrap_or(
            "SQS moved it here: the consumer crashed or timed out as often as the queue's maxReceiveCount allows",
        );
        let died_at = told(DIED_AT).and_then(|died_at| died_at.parse().ok());
        Self {
            consumer: consumer.to_owned(),
            reason: reason.to_owned(),
            attempts: attempts.unwrap_or(0),
            died_at: died_at.unwrap_or_else(|| sent_at(message)),
        }
    }
}

/// Reads a message of a consumer's dead-letter queue.
pub(crate) fn dead_letter(dead_letter_id: String, consumer: &str, message: &Message) -> DeadLetter {
    let DeathNote { consumer, reason, attempts, died_at } = DeathNote::of(consumer, message);
    let body = message.body().unwrap_or_default();
    let envelope = serde_json::from_str(body).unwrap_or_else(|_| unreadable(message, body));
    DeadLetter { dead_letter_id, consumer, reason, attempts, died_at, envelope }
}

/// Stands for a message that cannot be read: its identifiers are those that SQS gave it.
fn unreadable(message: &Message, body: &str) -> Envelope {
    let id = message.message_id().and_then(|id| id.parse().ok()).unwrap_or(Uuid::nil());
    let body = to_raw_value(body)
        .unwrap_or_else(|error| unreachable!("a text is a string, which has a JSON form: {error}"));
    Envelope {
        message_id: MessageId::new(id),
        kind: UNREADABLE.to_owned(),
        version: 0,
        group: String::new(),
        correlation_id: CorrelationId::new(id),
        causation_id: None,
        traceparent: String::new(),
        occurred_at: sent_at(message),
        body,
    }
}

/// When the message was sent first; SQS keeps that when it moves it.
fn sent_at(message: &Message) -> Timestamp {
    let sent = message
        .attributes()
        .and_then(|attributes| attributes.get(&MessageSystemAttributeName::SentTimestamp));
    Timestamp::from_millis(sent.and_then(|millis| millis.parse().ok()).unwrap_or(0))
}
