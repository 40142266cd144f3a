//! The driver of a consumer: one batch of its queue, as the queue's poller hands it to the function.
//!
//! Three steps, so that the consumer and its policy stay the caller's: [`ReceivedBatch::read`] reads each message in its
//! own result; the caller lets her consumer judge [`ReceivedBatch::deliveries`]; [`ConsumerQueue::settle`] makes the
//! verdicts true and answers which messages stay in the queue. What is done leaves the queue. What comes again stays
//! there, hidden until its time. What is dead is sent to the dead-letter queue, where its reason stands in attributes
//! of the message; until that has succeeded, it stays in the queue. A message that cannot be read is dead at once, alone.
//!
//! The queue's own redrive policy is a net below: it catches what no verdict was reached for, because the function
//! crashed or timed out. Its maxReceiveCount must not be less than the attempts of the consumer's policy.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_sqs::Client;
use kernel::Timestamp;
use ports::{Delivery, Envelope, Verdict};

use crate::Connection;
use crate::dead_letter::DeathNote;
use crate::hide::hide_all;
use crate::send::{Outgoing, send_all};

/// The longest a message can be hidden, in seconds: 12 hours (SQS, VisibilityTimeout).
const HIDDEN_SECONDS_MAX: u128 = 43_200;

/// The messages of one invocation.
#[derive(Debug, Default)]
pub struct ReceivedBatch {
    deliveries: Vec<Delivery>,
    /// The messages that the deliveries were read from, in the same order.
    messages: Vec<SqsMessage>,
    /// The messages that could not be read, and why.
    unreadable: Vec<(SqsMessage, String)>,
}

impl ReceivedBatch {
    /// Reads the messages, each on its own.
    pub fn read(event: SqsEvent) -> Self {
        let mut batch = Self::default();
        for message in event.records {
            match serde_json::from_str::<Envelope>(message.body.as_deref().unwrap_or_default()) {
                Ok(envelope) => {
                    let attempt = attempt(&message);
                    batch.deliveries.push(Delivery { envelope: Arc::new(envelope), attempt });
                    batch.messages.push(message);
                }
                Err(error) => batch.unreadable.push((message, format!("it cannot be read: {error}"))),
            }
        }
        batch
    }

    /// What the consumer is to handle.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }
}

/// The queue of one consumer, with its dead-letter queue.
#[derive(Clone, Debug)]
pub struct ConsumerQueue {
    sqs: Client,
    consumer: &'static str,
    queue_url: String,
    dead_letter_queue_url: String,
}

impl ConsumerQueue {
    /// The queue of `consumer`, by its URL and that of its dead-letter queue.
    pub fn new(
        connection: &Connection,
        consumer: &'static str,
        queue_url: impl Into<String>,
        dead_letter_queue_url: impl Into<String>,
    ) -> Self {
        Self {
            sqs: Client::new(&connection.sdk),
            consumer,
            queue_url: queue_url.into(),
            dead_letter_queue_url: dead_letter_queue_url.into(),
        }
    }

    /// Ends a batch by one verdict a delivery, in order, and answers which messages the queue must keep.
    pub async fn settle(
        &self,
        batch: ReceivedBatch,
        verdicts: Vec<Verdict>,
        now: Timestamp,
    ) -> SqsBatchResponse {
        // Only what is proven to have ended leaves the queue.
        let mut kept: BTreeSet<String> = batch.messages.iter().map(identifier).collect();
        let mut dead = Vec::new();
        let mut hidden = Vec::new();
        for (message, verdict) in batch.messages.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Done => drop(kept.remove(&identifier(&message))),
                Verdict::Again { at, reason: _ } => hidden.push((message, at)),
                Verdict::Dead { reason } => dead.push((message, reason)),
            }
        }
        for (message, reason) in batch.unreadable {
            let message_id = identifier(&message);
            tracing::error!(consumer = self.consumer, message_id, reason, "message is a dead letter now");
            kept.insert(message_id);
            dead.push((message, reason));
        }
        self.hide(hidden, now).await;
        for message_id in self.bury(dead, now).await {
            kept.remove(&message_id);
        }
        let mut response = SqsBatchResponse::default();
        response.set_failures(kept);
        response
    }

    /// Hides messages until their time. Where that fails, a message comes again when the queue's own timeout is over.
    async fn hide(&self, messages: Vec<(SqsMessage, Timestamp)>, now: Timestamp) {
        let hidings: Vec<_> = messages
            .into_iter()
            .map(|(message, at)| (message.receipt_handle.unwrap_or_default(), seconds_until(at, now)))
            .collect();
        if let Err(error) = hide_all(&self.sqs, &self.queue_url, &hidings).await {
            tracing::warn!(consumer = self.consumer, %error, "messages could not be hidden");
        }
    }

    /// Sends messages to the dead-letter queue as they are, and answers which of them have arrived.
    async fn bury(&self, messages: Vec<(SqsMessage, String)>, died_at: Timestamp) -> Vec<String> {
        let mut identifiers = Vec::with_capacity(messages.len());
        let mut outgoing = Vec::with_capacity(messages.len());
        for (message, reason) in messages {
            identifiers.push(identifier(&message));
            let note = DeathNote {
                consumer: self.consumer.to_owned(),
                reason,
                attempts: attempt(&message),
                died_at,
            };
            outgoing.push(Outgoing {
                queue_url: self.dead_letter_queue_url.clone(),
                group: message.attributes.get("MessageGroupId").cloned(),
                body: message.body.unwrap_or_default(),
                attributes: note.into_attributes(),
            });
        }
        let answers = send_all(&self.sqs, &outgoing).await;
        let arrived = identifiers.into_iter().zip(answers).filter(|(message_id, answer)| {
            if let Err(error) = answer {
                tracing::error!(consumer = self.consumer, message_id, %error, "a dead letter stays in its queue");
            }
            answer.is_ok()
        });
        arrived.map(|(message_id, _)| message_id).collect()
    }
}

/// What the queue's poller calls the message.
fn identifier(message: &SqsMessage) -> String {
    message.message_id.clone().unwrap_or_default()
}

/// The how-manieth delivery this is, from 1.
fn attempt(message: &SqsMessage) -> u32 {
    let count = message.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// Whole seconds until a time, rounded up: SQS has no smaller unit.
fn seconds_until(at: Timestamp, now: Timestamp) -> i32 {
    let seconds = at.since(now).as_millis().div_ceil(1_000).min(HIDDEN_SECONDS_MAX);
    i32::try_from(seconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::fake_sqs::{FakeSqs, Takes};

    const QUEUE: &str = "https://sqs.test/ledger_commands";
    const DEAD: &str = "https://sqs.test/ledger_commands-dead";
    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn queue(sqs: &FakeSqs) -> ConsumerQueue {
        ConsumerQueue {
            sqs: sqs.client(),
            consumer: "ledger_commands",
            queue_url: QUEUE.to_owned(),
            dead_letter_queue_url: DEAD.to_owned(),
        }
    }

    fn body(kind: &str) -> String {
        let envelope = json!({
            "message_id": "01890a5d-ac96-774b-bcce-b302099a8057",
            "kind": kind,
            "version": 1,
            "group": "account-1",
            "correlation_id": "order-42",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "occurred_at": "2026-11-22T10:00:00.000Z",
            "body": {},
        });
        envelope.to_string()
    }

    fn batch(bodies: &[&str]) -> ReceivedBatch {
        let record = |(index, body): (usize, &&str)| {
            json!({
                "messageId": format!("m{index}"),
                "receiptHandle": format!("r{index}"),
                "body": body,
                "attributes": { "ApproximateReceiveCount": "3", "MessageGroupId": "account-1" },
            })
        };
        let records: Vec<Value> = bodies.iter().enumerate().map(record).collect();
        ReceivedBatch::read(serde_json::from_value(json!({ "Records": records })).unwrap())
    }

    fn kept(response: &SqsBatchResponse) -> Vec<&str> {
        response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect()
    }

    fn attribute<'a>(entry: &'a Value, name: &str) -> &'a Value {
        &entry["MessageAttributes"][name]["StringValue"]
    }

    #[tokio::test]
    async fn a_message_that_cannot_be_read_dies_alone() {
        let sqs = FakeSqs::new(|_, _| Takes::Yes);
        let good = body("DEPOSIT_CMD");
        let batch = batch(&[&good, "{not json", &good, "{}"]);
        assert_eq!(batch.deliveries().len(), 2);
        assert!(batch.deliveries().iter().all(|delivery| delivery.attempt == 3));

        let response = queue(&sqs).settle(batch, vec![Verdict::Done, Verdict::Done], NOW).await;
        assert!(kept(&response).is_empty());
        assert_eq!(sqs.bodies(DEAD), ["{not json", "{}"], "as they are");
        let told = &sqs.batches(DEAD)[0][0];
        assert_eq!(attribute(told, "consumer"), "ledger_commands");
        assert_eq!(attribute(told, "attempts"), "3");
        assert_eq!(attribute(told, "died_at"), "2026-11-22T10:00:00.000Z");
        assert!(attribute(told, "reason").as_str().unwrap().starts_with("it cannot be read"));
        assert_eq!(told["MessageGroupId"], "account-1");
    }

    #[tokio::test]
    async fn each_verdict_is_made_true() {
        let sqs = FakeSqs::new(|_, _| Takes::Yes);
        let good = body("DEPOSIT_CMD");
        let again = |after| Verdict::Again { at: NOW + after, reason: "busy".to_owned() };
        let verdicts = vec![
            Verdict::Done,
            again(Duration::from_millis(4_001)),
            Verdict::Dead { reason: "no such account".to_owned() },
            again(Duration::ZERO),
            again(Duration::from_secs(1_000_000)),
        ];
        let response = queue(&sqs).settle(batch(&[good.as_str(); 5]), verdicts, NOW).await;
        assert_eq!(kept(&response), ["m1", "m3", "m4"], "what comes again stays");
        let hidden: Vec<_> = sqs.batches(QUEUE)[0]
            .iter()
            .map(|entry| (entry["ReceiptHandle"].clone(), entry["VisibilityTimeout"].clone()))
            .collect();
        assert_eq!(
            hidden,
            [(json!("r1"), json!(5)), (json!("r3"), json!(0)), (json!("r4"), json!(43_200))],
            "whole seconds, rounded up and bounded"
        );
        assert_eq!(sqs.bodies(DEAD), [good]);
        assert_eq!(attribute(&sqs.batches(DEAD)[0][0], "reason"), "no such account");
    }

    #[tokio::test]
    async fn what_does_not_reach_the_dead_letters_stays() {
        let sqs = FakeSqs::new(|queue_url, entry| {
            let is_stuck = queue_url == DEAD && entry["MessageBody"] == "stuck";
            if is_stuck { Takes::NotNow } else { Takes::Yes }
        });
        let response = queue(&sqs).settle(batch(&["poison", "stuck"]), Vec::new(), NOW).await;
        assert_eq!(kept(&response), ["m1"]);
    }

    #[tokio::test]
    async fn a_message_without_a_verdict_stays() {
        let sqs = FakeSqs::new(|_, _| Takes::Yes);
        let good = body("DEPOSIT_CMD");
        let response = queue(&sqs).settle(batch(&[&good, &good]), vec![Verdict::Done], NOW).await;
        assert_eq!(kept(&response), ["m1"]);
    }
}
