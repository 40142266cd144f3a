//! Sending messages to SQS: any number, to any queues, in as few requests as SQS takes.
//!
//! A request holds at most ten messages and a mebibyte. A few requests are under way at once. What SQS could not take
//! for reasons of its own is sent again a few times; every message gets an answer of its own, in the order given.
//!
//! Deliberately absent: an order between messages, and any memory of what was sent. Where an answer is lost, a message
//! is sent twice, which its consumer tolerates.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use futures::StreamExt;
use futures::stream;

/// The most messages of one request (SQS, SendMessageBatch).
const ENTRIES_MAX: usize = 10;
/// The most bytes of one request, and of one message: 1 MiB (SQS, SendMessageBatch).
const BYTES_MAX: usize = 1_048_576;
/// How often a request is made for messages that SQS did not take, beside the repetitions of the SDK.
const TRIES_MAX: u32 = 3;
/// The pause before the second try; before each further one it is four times as long.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// How many requests are under way at once.
const REQUESTS_MAX: usize = 8;
/// The longest name of a group, in bytes (SQS, MessageGroupId).
const GROUP_BYTES_MAX: usize = 128;
/// The longest text of a message's attribute, in characters.
const ATTRIBUTE_CHARACTERS_MAX: usize = 1_000;

/// A message that is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub queue_url: String,
    /// The text, which must hold what SQS takes: see [`json_for_sqs`].
    pub body: String,
    /// Those of one group share a fair part of the queue (SQS: MessageGroupId of a standard queue).
    pub group: Option<String>,
    /// What is told of the message beside its body; the texts may be any.
    pub attributes: Vec<(&'static str, String)>,
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    /// SQS will never take this message.
    #[error("SQS refuses the message: {0}")]
    Refused(String),
    /// It may be sent later.
    #[error("SQS did not take the message: {0}")]
    Later(String),
}

/// Sends all messages and answers for each, in order.
pub(crate) async fn send_all(sqs: &Client, messages: &[Outgoing]) -> Vec<Result<(), SendError>> {
    let requests = stream::iter(requests_for(messages));
    let answers = requests.map(|indexes| send_request(sqs, messages, indexes)).buffer_unordered(REQUESTS_MAX);
    let mut answers: Vec<_> = answers.collect::<Vec<_>>().await.into_iter().flatten().collect();
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Divides messages into requests: for each, the indexes of its messages, all for one queue.
fn requests_for(messages: &[Outgoing]) -> Vec<Vec<usize>> {
    let mut full = Vec::new();
    let mut open: BTreeMap<&str, (Vec<usize>, usize)> = BTreeMap::new();
    for (index, message) in messages.iter().enumerate() {
        let bytes = message.bytes();
        let (indexes, sum) = open.entry(&message.queue_url).or_default();
        if indexes.len() == ENTRIES_MAX || (*sum + bytes > BYTES_MAX && !indexes.is_empty()) {
            full.push(std::mem::take(indexes));
            *sum = 0;
        }
        indexes.push(index);
        *sum += bytes;
    }
    full.extend(open.into_values().map(|(indexes, _)| indexes));
    full
}

/// Sends messages for one queue, again where SQS did not take them, and answers for each by its index.
async fn send_request(
    sqs: &Client,
    messages: &[Outgoing],
    mut indexes: Vec<usize>,
) -> Vec<(usize, Result<(), SendError>)> {
    let mut answers = Vec::with_capacity(indexes.len());
    let mut pause = PAUSE_FIRST;
    for attempt in 1..=TRIES_MAX {
        let mut again = Vec::new();
        match try_request(sqs, messages, &indexes).await {
            // The SDK has repeated a request that failed as a whole.
            Err(error) => answers.extend(indexes.into_iter().map(|index| (index, Err(error.clone())))),
            Ok(tried) => {
                for (index, answer) in tried {
                    match answer {
                        Err(SendError::Later(_)) if attempt < TRIES_MAX => again.push(index),
                        answer => answers.push((index, answer)),
                    }
                }
            }
        }
        if again.is_empty() {
            break;
        }
        indexes = again;
        tokio::time::sleep(pause).await;
        pause *= 4;
    }
    answers
}

/// Makes one request and answers for each of its messages, or fails for all of them.
async fn try_request(
    sqs: &Client,
    messages: &[Outgoing],
    indexes: &[usize],
) -> Result<BTreeMap<usize, Result<(), SendError>>, SendError> {
    let mut request = sqs.send_message_batch();
    for index in indexes {
        let message = &messages[*index];
        let entry = message.entry(*index).map_err(|error| SendError::Refused(error.to_string()))?;
        request = request.queue_url(&message.queue_url).entries(entry);
    }
    let output =
        request.send().await.map_err(|error| SendError::Later(DisplayErrorContext(error).to_string()))?;
    // Who is not among the successful was not sent, whether SQS says why or not.
    let unanswered = || Err(SendError::Later("no answer".to_owned()));
    let mut answers: BTreeMap<_, _> = indexes.iter().map(|index| (*index, unanswered())).collect();
    for sent in output.successful() {
        answer_for(&mut answers, sent.id(), Ok(()));
    }
    for failed in output.failed() {
        let reason = format!("{}: {}", failed.code(), failed.message().unwrap_or_default());
        let error = if failed.sender_fault() { SendError::Refused(reason) } else { SendError::Later(reason) };
        answer_for(&mut answers, failed.id(), Err(error));
    }
    Ok(answers)
}

fn answer_for(answers: &mut BTreeMap<usize, Result<(), SendError>>, id: &str, answer: Result<(), SendError>) {
    if let Some(held) = id.parse().ok().and_then(|index: usize| answers.get_mut(&index)) {
        *held = answer;
    }
}

impl Outgoing {
    /// What counts towards the limit of a request: the body, and the names, types and values of the attributes.
    fn bytes(&self) -> usize {
        let attributes =
            self.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
        self.body.len() + attributes.sum::<usize>()
    }

    fn entry(&self, index: usize) -> Result<SendMessageBatchRequestEntry, aws_sdk_sqs::error::BuildError> {
        let mut attributes = HashMap::new();
        for (name, value) in &self.attributes {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(attribute_for_sqs(value))
                .build()?;
            attributes.insert((*name).to_owned(), value);
        }
        SendMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .message_body(&self.body)
            .set_message_group_id(self.group.as_deref().and_then(group_for_sqs))
            .set_message_attributes((!attributes.is_empty()).then_some(attributes))
            .build()
    }
}

/// Writes the two characters that JSON may hold and SQS refuses (U+FFFE, U+FFFF) in JSON's own escapes. In a JSON text
/// they stand within strings only, and what else SQS refuses, JSON has escaped already.
pub(crate) fn json_for_sqs(json: &str) -> String {
    json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

/// The group as SQS takes it (MessageGroupId). A message with another is better sent without a group than not at all.
fn group_for_sqs(group: &str) -> Option<String> {
    let is_taken =
        (1..=GROUP_BYTES_MAX).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_graphic());
    is_taken.then(|| group.to_owned())
}

/// The text as an attribute takes it: not empty, not long, and of the characters that SQS allows.
fn attribute_for_sqs(text: &str) -> String {
    let allowed = |character: char| match character {
        '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => character,
        _ => char::REPLACEMENT_CHARACTER,
    };
    let text: String = text.chars().take(ATTRIBUTE_CHARACTERS_MAX).map(allowed).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(queue_url: &str, bytes: usize) -> Outgoing {
        let body = "x".repeat(bytes);
        Outgoing { queue_url: queue_url.to_owned(), body, group: None, attributes: Vec::new() }
    }

    #[test]
    fn requests_are_as_full_as_the_limit_of_messages_allows() {
        let messages: Vec<_> = (0..25).flat_map(|_| [outgoing("a", 10), outgoing("b", 10)]).collect();
        let requests = requests_for(&messages);
        let mut sizes: Vec<_> =
            requests.iter().map(|indexes| (messages[indexes[0]].queue_url.as_str(), indexes.len())).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [("a", 5), ("a", 10), ("a", 10), ("b", 5), ("b", 10), ("b", 10)]);
        for indexes in &requests {
            assert!(indexes.iter().all(|index| messages[*index].queue_url == messages[indexes[0]].queue_url));
        }
        let mut all: Vec<_> = requests.into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn requests_are_as_large_as_the_limit_of_bytes_allows() {
        let messages: Vec<_> = [BYTES_MAX - 1, 1, 1, BYTES_MAX, BYTES_MAX / 2, BYTES_MAX / 2]
            .map(|bytes| outgoing("a", bytes))
            .into();
        assert_eq!(requests_for(&messages), [vec![0, 1], vec![2], vec![3], vec![4, 5]]);
        assert_eq!(requests_for(&[]), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn what_sqs_refuses_in_a_text_is_written_otherwise() {
        let json = serde_json::to_string("a\u{0}\u{7f}\u{fffd}\u{fffe}\u{ffff}\u{10000}é").unwrap();
        let sent = json_for_sqs(&json);
        assert_eq!(sent, "\"a\\u0000\u{7f}\u{fffd}\\ufffe\\uffff\u{10000}é\"");
        assert_eq!(
            serde_json::from_str::<String>(&sent).unwrap(),
            serde_json::from_str::<String>(&json).unwrap()
        );

        assert_eq!(group_for_sqs("account-1").as_deref(), Some("account-1"));
        for group in ["", "two words", "é", &"x".repeat(129)] {
            assert_eq!(group_for_sqs(group), None, "{group}");
        }

        assert_eq!(attribute_for_sqs("a\u{0}b\u{ffff}\u{10ffff}"), "a\u{fffd}b\u{fffd}\u{10ffff}");
        assert_eq!(attribute_for_sqs(""), "-");
        assert_eq!(attribute_for_sqs(&"é".repeat(2_000)).chars().count(), ATTRIBUTE_CHARACTERS_MAX);
    }
}
