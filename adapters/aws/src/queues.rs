//! What an operator sees of the queues and does with the dead letters: `depths`, `dead_letters`, `redrive`.
//!
//! SQS has no way to look into a queue but to receive from it. So a listing receives what is in the dead-letter queues,
//! which hides it from others for as long as [`HOLD_SECONDS`], and gives it back at once. A dead letter's id is its
//! consumer's name and the id that SQS gave it; listings go in the order of the topology, and by that id within a queue,
//! because SQS keeps no order of its own. Of a longer queue only [`LETTERS_MAX`] letters are seen at a time.
//!
//! A letter is redriven by sending it to its consumer's queue, then deleting it: SQS's own redrive moves whole queues.
//! The counts are SQS's own and approximate; those that wait to be delivered again include those being handled now.
//! Deliberately absent: the age of the oldest message, which CloudWatch has and SQS does not tell.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use futures::future::try_join_all;
use ports::{DeadLetter, QueueAdmin, QueueDepth, Unavailable};

use crate::Connection;
use crate::dead_letter::dead_letter;
use crate::hide::hide_all;
use crate::send::{Outgoing, send_all};

/// The most letters of one queue that are looked at, so that a listing ends and holds nothing for long.
const LETTERS_MAX: usize = 1_000;
/// How long letters stay hidden from others if whoever looks at them is interrupted.
const HOLD_SECONDS: i32 = 60;
/// How long SQS looks for letters: at least a second, so that it asks all of its servers.
const LOOK_SECONDS: i32 = 1;
/// The most messages of one request (SQS, ReceiveMessage).
const MESSAGES_MAX: i32 = 10;
/// What the name of a dead-letter queue ends with.
const DEAD: &str = "-dead";

/// The queues of one deployment.
#[derive(Clone, Debug)]
pub struct SqsQueues {
    sqs: Client,
    connection: Connection,
    consumers: &'static [&'static str],
}

/// The letters of one dead-letter queue that are held, by their ids.
struct Held {
    queue_url: String,
    messages: BTreeMap<String, Message>,
}

impl SqsQueues {
    /// The queues of the consumers, who are named in the order of the topology.
    pub fn new(connection: &Connection, consumers: &'static [&'static str]) -> Self {
        Self { sqs: Client::new(&connection.sdk), connection: connection.clone(), consumers }
    }

    async fn url(&self, consumer: &str, ending: &str) -> Result<String, Unavailable> {
        let name = self.connection.name_of(&format!("{consumer}{ending}"));
        let output = self.sqs.get_queue_url().queue_name(&name).send().await.map_err(unavailable)?;
        output.queue_url.ok_or_else(|| Unavailable(format!("the queue {name} has no URL")))
    }

    async fn depth(&self, consumer: &str) -> Result<QueueDepth, Unavailable> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Waiting, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as Hidden,
        };
        let queue = self.counts(consumer, "").await?;
        let dead = self.counts(consumer, DEAD).await?;
        Ok(QueueDepth {
            consumer: consumer.to_owned(),
            waiting: count(&queue, &Waiting) + count(&queue, &Delayed),
            retrying: count(&queue, &Hidden),
            dead: count(&dead, &Waiting) + count(&dead, &Hidden),
            oldest_at: None,
        })
    }

    async fn counts(
        &self,
        consumer: &str,
        ending: &str,
    ) -> Result<HashMap<QueueAttributeName, String>, Unavailable> {
        let url = self.url(consumer, ending).await?;
        let request = self.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        Ok(request.send().await.map_err(unavailable)?.attributes.unwrap_or_default())
    }

    /// Receives the letters of a consumer until there are no more, or `wanted` is among them.
    async fn hold(&self, consumer: &str, wanted: Option<&str>) -> Result<Held, Unavailable> {
        let mut held = Held { queue_url: self.url(consumer, DEAD).await?, messages: BTreeMap::new() };
        while held.messages.len() < LETTERS_MAX && wanted.is_none_or(|id| !held.messages.contains_key(id)) {
            let request = self
                .sqs
                .receive_message()
                .queue_url(&held.queue_url)
                .max_number_of_messages(MESSAGES_MAX)
                .visibility_timeout(HOLD_SECONDS)
                .wait_time_seconds(LOOK_SECONDS)
                .message_system_attribute_names(MessageSystemAttributeName::All)
                .message_attribute_names("All");
            let received = match request.send().await {
                Ok(output) => output.messages.unwrap_or_default(),
                Err(error) => {
                    self.release(held).await;
                    return Err(unavailable(error));
                }
            };
            if received.is_empty() {
                break;
            }
            let named =
                received.into_iter().map(|message| (message.message_id.clone().unwrap_or_default(), message));
            held.messages.extend(named);
        }
        Ok(held)
    }

    /// Shows the letters to others again. Where that fails they show themselves when the hold is over.
    async fn release(&self, held: Held) {
        let receipts =
            held.messages.into_values().map(|message| (message.receipt_handle.unwrap_or_default(), 0));
        if let Err(error) = hide_all(&self.sqs, &held.queue_url, &receipts.collect::<Vec<_>>()).await {
            tracing::warn!(%error, "dead letters stay hidden for a while");
        }
    }

    /// The letters of a consumer, by their ids.
    async fn letters(&self, consumer: &str) -> Result<Vec<DeadLetter>, Unavailable> {
        let held = self.hold(consumer, None).await?;
        if held.messages.len() >= LETTERS_MAX {
            tracing::warn!(consumer, "only the first {LETTERS_MAX} dead letters are looked at");
        }
        let letters = held
            .messages
            .iter()
            .map(|(id, message)| dead_letter(format!("{consumer}/{id}"), consumer, message));
        let letters = letters.collect();
        self.release(held).await;
        Ok(letters)
    }

    /// Reads the id of a dead letter: its consumer, and the id that SQS gave it.
    fn parse<'a>(&self, dead_letter_id: &'a str) -> Option<(&'static str, &'a str)> {
        let (consumer, message_id) = dead_letter_id.split_once('/')?;
        let known = self.consumers.iter().find(|known| **known == consumer)?;
        Some((known, message_id))
    }

    /// Sends a letter to its consumer's queue, then deletes it from the dead letters.
    async fn resend(
        &self,
        consumer: &str,
        letter: Message,
        dead_letter_queue_url: &str,
    ) -> Result<(), Unavailable> {
        let group =
            letter.attributes().and_then(|told| told.get(&MessageSystemAttributeName::MessageGroupId));
        let outgoing = Outgoing {
            queue_url: self.url(consumer, "").await?,
            group: group.cloned(),
            body: letter.body.unwrap_or_default(),
            attributes: Vec::new(),
        };
        let answers = send_all(&self.sqs, &[outgoing]).await;
        answers.into_iter().collect::<Result<(), _>>().map_err(|error| Unavailable(error.to_string()))?;
        let delete = self.sqs.delete_message().queue_url(dead_letter_queue_url);
        let deleted = delete.set_receipt_handle(letter.receipt_handle).send().await;
        deleted.map_err(|error| {
            let error = DisplayErrorContext(error);
            Unavailable(format!("the dead letter was sent again, but could not be deleted: {error}"))
        })?;
        Ok(())
    }
}

impl QueueAdmin for SqsQueues {
    async fn depths(&self) -> Result<Vec<QueueDepth>, Unavailable> {
        try_join_all(self.consumers.iter().map(|consumer| self.depth(consumer))).await
    }

    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, Unavailable> {
        let last = after.and_then(|after| self.parse(after));
        let first = last.and_then(|(last, _)| self.consumers.iter().position(|consumer| *consumer == last));
        let letters = self.consumers.iter().skip(first.unwrap_or(0)).map(|consumer| self.letters(consumer));
        let letters = try_join_all(letters).await?;
        let is_new = |letter: &DeadLetter| {
            last.is_none_or(|(last, _)| {
                letter.consumer != last || Some(letter.dead_letter_id.as_str()) > after
            })
        };
        Ok(letters.into_iter().flatten().filter(is_new).take(limit).collect())
    }

    async fn dead_letter(&self, dead_letter_id: &str) -> Result<Option<DeadLetter>, Unavailable> {
        let Some((consumer, message_id)) = self.parse(dead_letter_id) else { return Ok(None) };
        let held = self.hold(consumer, Some(message_id)).await?;
        let found = held.messages.get(message_id);
        let letter = found.map(|message| dead_letter(dead_letter_id.to_owned(), consumer, message));
        self.release(held).await;
        Ok(letter)
    }

    async fn redrive(&self, dead_letter_id: &str) -> Result<bool, Unavailable> {
        let Some((consumer, message_id)) = self.parse(dead_letter_id) else { return Ok(false) };
        let mut held = self.hold(consumer, Some(message_id)).await?;
        let Some(letter) = held.messages.remove(message_id) else {
            self.release(held).await;
            return Ok(false);
        };
        let resent = self.resend(consumer, letter, &held.queue_url).await;
        self.release(held).await;
        resent.map(|()| true)
    }
}

/// One of the counts that SQS keeps of a queue; they are approximate.
fn count(counts: &HashMap<QueueAttributeName, String>, name: &QueueAttributeName) -> u64 {
    counts.get(name).and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn unavailable<E: std::error::Error>(error: E) -> Unavailable {
    Unavailable(DisplayErrorContext(error).to_string())
}
