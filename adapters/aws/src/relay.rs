//! The relay: what a service's outbox records become in the queues of those who hear them.
//!
//! The stream of an outbox table hands over its new records in batches, and the stream of a table whose items carry
//! messages those that do. Every record holds all messages of one transaction; each message is sent to the queue of each of its receivers, many a request, and its group goes along so
//! that no busy account holds up the others (fair queues). Then the stream is told the first record that could not be
//! sent: it hands over that one and all behind it again, so a message may be sent twice but is never left out.
//!
//! A record that can never be sent, because it cannot be read, holds a kind without a route, or is refused by SQS, must
//! hold up nobody: it is parked, as a whole and as DynamoDB has it, in the queue of failures, and the stream goes on.
//! Put into the outbox under another key, it is relayed like new. The stream itself puts a note into the same
//! queue when it gives up on records that could not be sent for too long.
//!
//! Deliberately absent: an order between records, and any memory of what was sent.

use std::collections::BTreeMap;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use aws_sdk_sqs::Client;
use ports::Envelope;

use crate::Connection;
use crate::send::{Outgoing, SendError, json_for_sqs, send_all};

/// The attribute of an outbox record that holds its messages.
const MESSAGES: &str = "messages";
/// The attribute of a parked record's message that says why it was parked.
const REASON: &str = "reason";
/// The attribute of a parked record's message that says which table it is from: relays may share a queue of failures.
const TABLE: &str = "table";

/// The queues, by their URLs, that each kind of message of one service is sent to.
pub type Routes = BTreeMap<&'static str, Vec<String>>;

/// The relay of one service's outbox.
#[derive(Clone, Debug)]
pub struct Relay {
    sqs: Client,
    routes: Routes,
    failure_queue_url: String,
}

/// Why the messages of a record can never be sent.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("the record has no messages")]
    Empty,
    #[error("the record cannot be read: {0}")]
    Attributes(#[from] serde_dynamo::Error),
    #[error("a message of the record cannot be read: {0}")]
    Message(#[from] serde_json::Error),
    #[error("there is no route for {0}")]
    Route(String),
}

impl Relay {
    /// A relay for what `routes` names; a record that can never be sent goes to the queue of failures.
    pub fn new(connection: &Connection, routes: Routes, failure_queue_url: impl Into<String>) -> Self {
        Self { sqs: Client::new(&connection.sdk), routes, failure_queue_url: failure_queue_url.into() }
    }

    /// Sends the messages of all records but those that were removed, and answers the sequence number of the first one that must be handed
    /// over again.
    pub async fn relay(&self, event: Event) -> DynamoDbEventResponse {
        let records: Vec<_> =
            event.records.into_iter().filter(|record| record.event_name != "REMOVE").collect();
        let failures = self.send(&records).await;
        let failures = self.park(&records, failures).await;
        for (index, reason) in &failures {
            let sequence_number = sequence_number(&records[*index]);
            tracing::error!(sequence_number, reason, "an outbox record could not be sent");
        }
        let mut response = DynamoDbEventResponse::default();
        if let Some(first) = failures.keys().next() {
            let mut failure = DynamoDbBatchItemFailure::default();
            // An empty number, which no stream has sent yet, would mean the whole batch.
            failure.item_identifier = Some(sequence_number(&records[*first]).to_owned());
            response.batch_item_failures.push(failure);
        }
        response
    }

    /// Sends the messages of all records, and answers by their index why records failed.
    async fn send(&self, records: &[EventRecord]) -> BTreeMap<usize, SendError> {
        let mut failures = BTreeMap::new();
        let mut outgoing = Vec::new();
        let mut senders = Vec::new();
        for (index, record) in records.iter().enumerate() {
            match self.messages_of(record) {
                Ok(messages) => {
                    senders.resize(senders.len() + messages.len(), index);
                    outgoing.extend(messages);
                }
                Err(error) => {
                    failures.insert(index, SendError::Refused(error.to_string()));
                }
            }
        }
        for (index, answer) in senders.into_iter().zip(send_all(&self.sqs, &outgoing).await) {
            match answer {
                Ok(()) => {}
                Err(error @ SendError::Refused(_)) => {
                    failures.entry(index).or_insert(error);
                }
                // A record some of whose messages may be sent later is tried again before it is given up.
                Err(error @ SendError::Later(_)) => {
                    failures.insert(index, error);
                }
            }
        }
        failures
    }

    /// Puts the records that can never be sent into the queue of failures, and answers which ones the stream must keep.
    async fn park(
        &self,
        records: &[EventRecord],
        failures: BTreeMap<usize, SendError>,
    ) -> BTreeMap<usize, String> {
        let mut kept = BTreeMap::new();
        let mut parked = Vec::new();
        let mut outgoing = Vec::new();
        for (index, failure) in failures {
            match failure {
                SendError::Later(reason) => {
                    kept.insert(index, reason);
                }
                SendError::Refused(reason) => {
                    outgoing.push(self.parked(&records[index], &reason));
                    parked.push((index, reason));
                }
            }
        }
        for ((index, reason), answer) in parked.into_iter().zip(send_all(&self.sqs, &outgoing).await) {
            let sequence_number = sequence_number(&records[index]);
            match answer {
                Ok(()) => {
                    tracing::error!(sequence_number, reason, "an outbox record cannot be sent: it is parked");
                }
                Err(error) => {
                    kept.insert(index, format!("{reason}; it cannot be parked: {error}"));
                }
            }
        }
        kept
    }

    /// What is to be sent because of a record: each message once for each of its receivers.
    fn messages_of(&self, record: &EventRecord) -> Result<Vec<Outgoing>, RecordError> {
        let image = record.change.new_image.inner();
        let messages = image.get(MESSAGES).cloned().ok_or(RecordError::Empty)?;
        let messages: Vec<serde_json::Value> = serde_dynamo::from_attribute_value(messages)?;
        let mut outgoing = Vec::new();
        for message in messages {
            let envelope: Envelope = serde_json::from_value(message)?;
            let body = json_for_sqs(&serde_json::to_string(&envelope)?);
            let receivers = self.routes.get(envelope.kind.as_str());
            for queue_url in receivers.ok_or_else(|| RecordError::Route(envelope.kind.clone()))? {
                outgoing.push(Outgoing {
                    queue_url: queue_url.clone(),
                    body: body.clone(),
                    group: Some(envelope.group.clone()),
                    attributes: Vec::new(),
                });
            }
        }
        Ok(outgoing)
    }

    /// The record as DynamoDB has it, in the form that it takes to be put into the table again.
    fn parked(&self, record: &EventRecord, reason: &str) -> Outgoing {
        let image = serde_json::to_string(&record.change.new_image).unwrap_or_else(|error| error.to_string());
        Outgoing {
            queue_url: self.failure_queue_url.clone(),
            body: json_for_sqs(&image),
            group: None,
            attributes: vec![(REASON, reason.to_owned()), (TABLE, table_of(record).to_owned())],
        }
    }
}

/// The table's name, as the stream's ARN has it: `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL`.
fn table_of(record: &EventRecord) -> &str {
    record.event_source_arn.as_deref().and_then(|arn| arn.split('/').nth(1)).unwrap_or_default()
}

fn sequence_number(record: &EventRecord) -> &str {
    record.change.sequence_number.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fake_sqs::{FakeSqs, Takes};

    const LEDGER: &str = "https://sqs.test/ledger_commands";
    const QUERY: &str = "https://sqs.test/query_events";
    const FAILURES: &str = "https://sqs.test/failures";

    fn relay(sqs: &FakeSqs) -> Relay {
        let routes = [
            ("DEPOSIT_CMD", vec![LEDGER.to_owned()]),
            ("DEPOSIT_EVENT", vec![LEDGER.to_owned(), QUERY.to_owned()]),
        ];
        Relay { sqs: sqs.client(), routes: routes.into(), failure_queue_url: FAILURES.to_owned() }
    }

    fn message(kind: &str, group: &str) -> Value {
        json!({ "M": {
            "message_id": { "S": "01890a5d-ac96-774b-bcce-b302099a8057" },
            "kind": { "S": kind },
            "version": { "N": "1" },
            "group": { "S": group },
            "correlation_id": { "S": "order-42" },
            "traceparent": { "S": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
            "occurred_at": { "S": "2026-11-22T10:00:00.000Z" },
            "body": { "M": {
                "amount_minor": { "N": "9223372036854775807" },
                "description": { "S": "odd \u{ffff} text" },
                "is_first": { "BOOL": true },
                "counterparty": { "NULL": true },
                "tags": { "L": [{ "S": "a" }] },
            } },
        } })
    }

    fn record(number: usize, messages: &[Value]) -> Value {
        json!({
            "awsRegion": "us-east-1",
            "eventID": number.to_string(),
            "eventName": "INSERT",
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:1:table/bank-dev-ledger_events/stream/2026",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_795_341_600,
                "Keys": {},
                "NewImage": {
                    "pk": { "S": format!("transaction-{number}") },
                    "sk": { "S": "messages" },
                    "messages": { "L": messages },
                },
                "SequenceNumber": number.to_string(),
                "SizeBytes": 100,
            },
        })
    }

    fn event(records: &[Value]) -> Event {
        serde_json::from_value(json!({ "Records": records })).unwrap()
    }

    fn first_failed(response: &DynamoDbEventResponse) -> Option<&str> {
        assert!(response.batch_item_failures.len() <= 1);
        response.batch_item_failures.first()?.item_identifier.as_deref()
    }

    #[tokio::test]
    async fn the_messages_of_all_records_share_full_requests() {
        let sqs = FakeSqs::new(|_, _| Takes::Yes);
        let records: Vec<_> =
            (0..25).map(|number| record(number, &[message("DEPOSIT_EVENT", "a")])).collect();
        let response = relay(&sqs).relay(event(&records)).await;
        assert_eq!(first_failed(&response), None);
        for queue_url in [LEDGER, QUERY] {
            let mut sizes: Vec<_> = sqs.batches(queue_url).iter().map(Vec::len).collect();
            sizes.sort_unstable();
            assert_eq!(sizes, [5, 10, 10], "{queue_url}");
        }
    }

    #[tokio::test]
    async fn a_message_is_sent_as_an_envelope_with_its_group() {
        let sqs = FakeSqs::new(|_, _| Takes::Yes);
        relay(&sqs).relay(event(&[record(1, &[message("DEPOSIT_CMD", "account-1")])])).await;
        let batches = sqs.batches(LEDGER);
        assert_eq!(batches[0][0]["MessageGroupId"], "account-1");
        let body = batches[0][0]["MessageBody"].as_str().unwrap();
        assert!(!body.contains('\u{ffff}'), "SQS refuses this character");
        let envelope: Envelope = serde_json::from_str(body).unwrap();
        assert_eq!(envelope.kind, "DEPOSIT_CMD");
        assert_eq!(envelope.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(
            serde_json::from_str::<Value>(envelope.body.get()).unwrap(),
            json!({
                "amount_minor": i64::MAX,
                "description": "odd \u{ffff} text",
                "is_first": true,
                "counterparty": null,
                "tags": ["a"],
            })
        );
    }

    #[tokio::test]
    async fn the_first_record_that_is_not_sent_is_told() {
        let sqs = FakeSqs::new(|queue_url, entry| {
            let group = entry["MessageGroupId"].as_str();
            if queue_url == QUERY && group == Some("stuck") { Takes::NotNow } else { Takes::Yes }
        });
        let groups = ["a", "stuck", "b", "stuck", "c"];
        let record = |(number, group): (usize, &&str)| record(number, &[message("DEPOSIT_EVENT", group)]);
        let records: Vec<_> = groups.iter().enumerate().map(record).collect();
        let response = relay(&sqs).relay(event(&records)).await;
        assert_eq!(first_failed(&response), Some("1"));
        assert_eq!(sqs.bodies(LEDGER).len(), 5, "what can be sent is sent");
        assert_eq!(sqs.bodies(QUERY).len(), 5 + 2 + 2, "what SQS did not take was sent three times");
    }

    #[tokio::test]
    async fn a_record_that_can_never_be_sent_is_parked_and_holds_up_nobody() {
        let sqs = FakeSqs::new(
            |_, entry| {
                if entry["MessageGroupId"] == "refused" { Takes::Never } else { Takes::Yes }
            },
        );
        let no_messages = json!({ "M": { "kind": { "S": "DEPOSIT_CMD" } } });
        let records = [
            record(0, &[message("DEPOSIT_CMD", "a")]),
            record(1, &[no_messages]),
            record(2, &[message("DEPOSIT_CMD", "b"), message("UNKNOWN_CMD", "b")]),
            record(3, &[message("DEPOSIT_CMD", "refused")]),
            record(4, &[message("DEPOSIT_CMD", "c")]),
        ];
        let response = relay(&sqs).relay(event(&records)).await;
        assert_eq!(first_failed(&response), None);
        let parked: Vec<Value> =
            sqs.bodies(FAILURES).iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        let images: Vec<_> =
            records[1..4].iter().map(|record| record["dynamodb"]["NewImage"].clone()).collect();
        assert_eq!(parked, images, "as DynamoDB has them");
        let told = &sqs.batches(FAILURES)[0][1]["MessageAttributes"];
        assert_eq!(told["reason"]["StringValue"], "there is no route for UNKNOWN_CMD");
        assert_eq!(told["table"]["StringValue"], "bank-dev-ledger_events");
        assert_eq!(sqs.bodies(LEDGER).len(), 3, "the rest of the batch is sent");
    }

    #[tokio::test]
    async fn a_record_that_cannot_even_be_parked_is_kept() {
        let sqs = FakeSqs::new(|queue_url, _| if queue_url == FAILURES { Takes::NotNow } else { Takes::Yes });
        let records = [record(7, &[message("DEPOSIT_CMD", "a")]), record(8, &[message("UNKNOWN_CMD", "a")])];
        let response = relay(&sqs).relay(event(&records)).await;
        assert_eq!(first_failed(&response), Some("8"));
    }

    #[tokio::test]
    async fn a_record_that_may_be_sent_later_is_not_parked() {
        let sqs = FakeSqs::new(|_, entry| match entry["MessageGroupId"].as_str() {
            Some("stuck") => Takes::NotNow,
            _ => Takes::Never,
        });
        let messages = ["refused", "stuck", "refused"].map(|group| message("DEPOSIT_CMD", group));
        let response = relay(&sqs).relay(event(&[record(1, &messages)])).await;
        assert_eq!(first_failed(&response), Some("1"));
        assert!(sqs.bodies(FAILURES).is_empty());
    }

    #[tokio::test]
    async fn what_was_written_is_relayed_and_what_was_removed_is_not() {
        let sqs = FakeSqs::new(|_, _| Takes::Yes);
        let named = |number, name: &str| {
            let mut record = record(number, &[message("DEPOSIT_CMD", name)]);
            record["eventName"] = json!(name);
            record
        };
        let records = [named(1, "INSERT"), named(2, "MODIFY"), named(3, "REMOVE")];
        let response = relay(&sqs).relay(event(&records)).await;
        assert_eq!(first_failed(&response), None);
        let groups: Vec<_> =
            sqs.batches(LEDGER)[0].iter().map(|entry| entry["MessageGroupId"].clone()).collect();
        assert_eq!(groups, ["INSERT", "MODIFY"]);
    }
}
