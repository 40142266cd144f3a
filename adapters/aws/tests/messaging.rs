//! Messages on SQS: from an outbox record through the relay to a consumer, again after a failure, and by way of the
//! dead letters and an operator.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use aws::{Connection, ConsumerQueue, DynamoStore, ReceivedBatch, Relay, Routes, SqsQueues};
use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use kernel::{CorrelationId, MessageId};
use ports::{DeadLetter, Envelope, QueueAdmin, QueueDepth, Sources, Store, Transaction, Verdict};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

const ALPHA: &str = "alpha";
const BETA: &str = "beta";
const CONSUMERS: &[&str] = &[ALPHA, BETA];
/// The maxReceiveCount of each queue.
const RECEIVES_MAX: u32 = 5;

/// Two consumers with their queues, in a deployment of their own.
struct Messaging {
    connection: Connection,
    sqs: Client,
    queues: SqsQueues,
    sources: Sources,
}

impl Messaging {
    async fn open() -> Self {
        let connection = support::deployment().await;
        let sqs = Client::new(&connection.sdk);
        let queues = SqsQueues::new(&connection, CONSUMERS);
        let messaging = Self { connection, sqs, queues, sources: support::sources() };
        for consumer in CONSUMERS {
            messaging.create_queue(consumer).await;
        }
        messaging
    }

    async fn create_queue(&self, consumer: &str) {
        let dead = self.create(&format!("{consumer}-dead"), HashMap::new()).await;
        let attributes = self.sqs.get_queue_attributes().queue_url(dead);
        let output = attributes.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
        let target = &output.attributes.unwrap()[&QueueAttributeName::QueueArn];
        let redrive = json!({ "deadLetterTargetArn": target, "maxReceiveCount": RECEIVES_MAX });
        let attributes = [(QueueAttributeName::RedrivePolicy, redrive.to_string())];
        self.create(consumer, attributes.into()).await;
    }

    async fn create(&self, name: &str, attributes: HashMap<QueueAttributeName, String>) -> String {
        let create = self.sqs.create_queue().queue_name(self.connection.name_of(name));
        create.set_attributes(Some(attributes)).send().await.unwrap().queue_url.unwrap()
    }

    async fn url(&self, name: &str) -> String {
        let get = self.sqs.get_queue_url().queue_name(self.connection.name_of(name));
        get.send().await.unwrap().queue_url.unwrap()
    }

    async fn queue(&self, consumer: &'static str) -> ConsumerQueue {
        let dead = self.url(&format!("{consumer}-dead")).await;
        ConsumerQueue::new(&self.connection, consumer, self.url(consumer).await, dead)
    }

    async fn send(&self, consumer: &str, body: &str) {
        let send = self.sqs.send_message().queue_url(self.url(consumer).await);
        send.message_body(body).message_group_id("account-1").send().await.unwrap();
    }

    /// The next batch, as the poller hands it to the function; waits for a few seconds until there is one.
    async fn receive(&self, consumer: &str) -> SqsEvent {
        let receive = self.sqs.receive_message().queue_url(self.url(consumer).await).wait_time_seconds(10);
        let receive = receive.max_number_of_messages(10);
        let output =
            receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
        let record = |message: &aws_sdk_sqs::types::Message| {
            let attributes = message.attributes().unwrap().iter();
            let attributes: HashMap<_, _> = attributes.map(|(name, value)| (name.as_str(), value)).collect();
            json!({
                "messageId": message.message_id(),
                "receiptHandle": message.receipt_handle(),
                "body": message.body(),
                "attributes": attributes,
            })
        };
        let records: Vec<_> = output.messages().iter().map(record).collect();
        serde_json::from_value(json!({ "Records": records })).unwrap()
    }

    /// Receives a batch, ends it as told, and deletes what the function need not keep, as the poller does.
    async fn handle(&self, consumer: &'static str, verdict: impl Fn(&Envelope) -> Verdict) -> Vec<Envelope> {
        let event = self.receive(consumer).await;
        let messages = event.records.clone();
        let batch = ReceivedBatch::read(event);
        let envelopes: Vec<_> =
            batch.deliveries().iter().map(|delivery| Envelope::clone(&delivery.envelope)).collect();
        let verdicts = envelopes.iter().map(verdict).collect();
        let response = self.queue(consumer).await.settle(batch, verdicts, self.sources.now()).await;
        for message in messages {
            let id = message.message_id.unwrap();
            if response.batch_item_failures.iter().all(|failure| failure.item_identifier != id) {
                let delete = self.sqs.delete_message().queue_url(self.url(consumer).await);
                delete.set_receipt_handle(message.receipt_handle).send().await.unwrap();
            }
        }
        envelopes
    }

    fn envelope(&self, kind: &str) -> Envelope {
        let id = self.sources.fresh_id();
        Envelope {
            message_id: MessageId::new(id),
            kind: kind.to_owned(),
            version: 1,
            group: "account-1".to_owned(),
            correlation_id: CorrelationId::new(id),
            causation_id: None,
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
            occurred_at: self.sources.now(),
            body: to_raw_value(&json!({ "amount_minor": i64::MAX, "text": "\u{0}é" })).unwrap(),
        }
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        self.queues.dead_letters(None, 1_000).await.unwrap()
    }

    /// Waits until a consumer has this many messages waiting, retrying and dead.
    async fn depth_becomes(&self, consumer: &str, expected: (u64, u64, u64)) {
        let mut found = (0, 0, 0);
        for _ in 0..200 {
            let depths = self.queues.depths().await.unwrap();
            let QueueDepth { waiting, retrying, dead, .. } =
                depths.into_iter().find(|depth| depth.consumer == consumer).unwrap();
            found = (waiting, retrying, dead);
            if found == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{consumer} has (waiting, retrying, dead) = {found:?}, not {expected:?}");
    }
}

fn text(envelope: &Envelope) -> Value {
    serde_json::to_value(envelope).unwrap()
}

fn dead(reason: &str) -> Verdict {
    Verdict::Dead { reason: reason.to_owned() }
}

#[tokio::test]
async fn what_comes_again_is_hidden_until_its_time() {
    let messaging = Messaging::open().await;
    messaging.send(ALPHA, &text(&messaging.envelope("PLACED_EVENT")).to_string()).await;
    let pause = Duration::from_secs(3);
    let again =
        |_: &Envelope| Verdict::Again { at: messaging.sources.now() + pause, reason: "busy".to_owned() };
    let began = messaging.sources.now();
    messaging.handle(ALPHA, again).await;
    messaging.depth_becomes(ALPHA, (0, 1, 0)).await;

    let batch = ReceivedBatch::read(messaging.receive(ALPHA).await);
    assert_eq!(batch.deliveries()[0].attempt, 2);
    assert!(messaging.sources.now().since(began) >= pause, "it came before its time");
}

#[tokio::test]
async fn a_dead_letter_is_listed_shown_and_sent_again() {
    let messaging = Messaging::open().await;
    let (good, bad) = (messaging.envelope("PLACED_EVENT"), messaging.envelope("TAKEN_EVENT"));
    for envelope in [&good, &bad] {
        messaging.send(ALPHA, &text(envelope).to_string()).await;
    }
    let is_bad = |envelope: &Envelope| envelope.kind == "TAKEN_EVENT";
    let verdict =
        |envelope: &Envelope| if is_bad(envelope) { dead("no\u{0} such account") } else { Verdict::Done };
    let mut handled = 0;
    while handled < 2 {
        handled += messaging.handle(ALPHA, verdict).await.len();
    }
    messaging.depth_becomes(ALPHA, (0, 0, 1)).await;

    let letters = messaging.letters().await;
    let [letter] = letters.as_slice() else { panic!("one dead letter, not {letters:?}") };
    assert_eq!(letter.consumer, ALPHA);
    assert_eq!(letter.reason, "no\u{fffd} such account");
    assert_eq!(letter.attempts, 1);
    assert!(messaging.sources.now().since(letter.died_at) < Duration::from_secs(60));
    assert_eq!(text(&letter.envelope), text(&bad));
    let shown = messaging.queues.dead_letter(&letter.dead_letter_id).await.unwrap().unwrap();
    assert_eq!(text(&shown.envelope), text(&bad));
    assert_eq!(shown.reason, letter.reason);

    assert!(messaging.queues.redrive(&letter.dead_letter_id).await.unwrap());
    assert!(!messaging.queues.redrive(&letter.dead_letter_id).await.unwrap(), "it is there no more");
    assert!(messaging.queues.dead_letter(&letter.dead_letter_id).await.unwrap().is_none());
    messaging.depth_becomes(ALPHA, (1, 0, 0)).await;
    let event = messaging.receive(ALPHA).await;
    assert_eq!(event.records[0].attributes["MessageGroupId"], "account-1");
    let batch = ReceivedBatch::read(event);
    assert_eq!(batch.deliveries()[0].attempt, 1, "it starts anew");
    assert_eq!(text(&batch.deliveries()[0].envelope), text(&bad));
}

#[tokio::test]
async fn a_stranger_is_no_dead_letter() {
    let messaging = Messaging::open().await;
    for stranger in ["", "alpha", "alpha/", "alpha/0", "nobody/0", "/"] {
        assert!(messaging.queues.dead_letter(stranger).await.unwrap().is_none(), "{stranger:?}");
        assert!(!messaging.queues.redrive(stranger).await.unwrap(), "{stranger:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_listed_and_sent_again_as_it_was() {
    let messaging = Messaging::open().await;
    messaging.send(BETA, "not \"json\"").await;
    messaging.handle(BETA, |_| unreachable!("nobody can read it")).await;
    messaging.depth_becomes(BETA, (0, 0, 1)).await;

    let letter = messaging.letters().await.remove(0);
    assert!(letter.reason.starts_with("it cannot be read"), "{}", letter.reason);
    assert_eq!(letter.envelope.kind, "UNREADABLE");
    assert_eq!(serde_json::from_str::<String>(letter.envelope.body.get()).unwrap(), "not \"json\"");
    assert!(messaging.queues.redrive(&letter.dead_letter_id).await.unwrap());
    assert_eq!(messaging.receive(BETA).await.records[0].body.as_deref(), Some("not \"json\""));
}

#[tokio::test]
async fn what_sqs_gave_up_by_itself_is_listed_too() {
    let messaging = Messaging::open().await;
    let envelope = messaging.envelope("PLACED_EVENT");
    messaging.send(ALPHA, &text(&envelope).to_string()).await;
    // A function that crashes settles nothing: the message comes again at once here, until SQS has had enough.
    for _ in 0..RECEIVES_MAX {
        let event = messaging.receive(ALPHA).await;
        let show = messaging.sqs.change_message_visibility().queue_url(messaging.url(ALPHA).await);
        let show = show.set_receipt_handle(event.records[0].receipt_handle.clone()).visibility_timeout(0);
        show.send().await.unwrap();
    }
    let receive = messaging.sqs.receive_message().queue_url(messaging.url(ALPHA).await);
    assert!(receive.send().await.unwrap().messages().is_empty());

    let letter = messaging.letters().await.remove(0);
    assert!(letter.reason.starts_with("SQS moved it here"), "{}", letter.reason);
    assert_eq!(text(&letter.envelope), text(&envelope));
    assert!(messaging.queues.redrive(&letter.dead_letter_id).await.unwrap());
    messaging.depth_becomes(ALPHA, (1, 0, 0)).await;
}

#[tokio::test]
async fn dead_letters_are_read_in_pages_of_all_queues() {
    let messaging = Messaging::open().await;
    let sent = [(ALPHA, 14), (BETA, 13)];
    for (consumer, count) in sent {
        for _ in 0..count {
            messaging.send(consumer, "poison").await;
        }
        while messaging
            .queues
            .depths()
            .await
            .unwrap()
            .iter()
            .any(|depth| depth.consumer == consumer && depth.dead < count)
        {
            messaging.handle(consumer, |_| Verdict::Done).await;
        }
    }
    let mut ids: Vec<String> = Vec::new();
    loop {
        let page = messaging.queues.dead_letters(ids.last().map(String::as_str), 10).await.unwrap();
        ids.extend(page.iter().map(|letter| letter.dead_letter_id.clone()));
        if page.len() < 10 {
            break;
        }
    }
    let of = |consumer: &str| ids.iter().filter(|id| id.starts_with(&format!("{consumer}/"))).count();
    assert_eq!((of(ALPHA), of(BETA)), (14, 13));
    let mut once = ids.clone();
    once.sort();
    once.dedup();
    assert_eq!(once, ids, "each once, in order");
}

#[tokio::test]
async fn an_outbox_record_reaches_its_receivers() {
    let messaging = Messaging::open().await;
    let store = DynamoStore::new(&messaging.connection, &[]);
    let (mut placed, taken) = (messaging.envelope("PLACED_EVENT"), messaging.envelope("TAKEN_EVENT"));
    // A text that a customer may write and SQS refuses.
    placed.body = to_raw_value(&json!({ "text": "\u{fffe}\u{ffff}" })).unwrap();
    let mut transaction = Transaction::new(messaging.sources.fresh_id());
    for envelope in [&placed, &taken] {
        transaction.emit(conformance::THINGS_EVENTS, envelope.clone()).unwrap();
    }
    store.commit(&transaction).await.unwrap();

    let (alpha, beta) = (messaging.url(ALPHA).await, messaging.url(BETA).await);
    let routes = Routes::from([
        ("PLACED_EVENT", vec![alpha.clone(), beta.clone()]),
        ("TAKEN_EVENT", vec![alpha.clone()]),
    ]);
    let relay = Relay::new(&messaging.connection, routes, messaging.url("beta-dead").await);
    let event = stream_of(&messaging.connection, conformance::THINGS_EVENTS.0).await;
    assert!(relay.relay(event.clone()).await.batch_item_failures.is_empty());

    let mut received = Vec::new();
    while received.len() < 2 {
        received.extend(messaging.handle(ALPHA, |_| Verdict::Done).await);
    }
    received.sort_by_key(|envelope| envelope.message_id);
    assert_eq!(received.iter().map(text).collect::<Vec<_>>(), [text(&placed), text(&taken)]);
    let received = messaging.handle(BETA, |_| Verdict::Done).await;
    assert_eq!(received.iter().map(text).collect::<Vec<_>>(), [text(&placed)]);

    let routes = Routes::from([
        ("PLACED_EVENT", vec![alpha.clone()]),
        ("TAKEN_EVENT", vec![format!("{alpha}-that-is-not-there")]),
    ]);
    let relay = Relay::new(&messaging.connection, routes, messaging.url("beta-dead").await);
    let response = relay.relay(event).await;
    assert_eq!(response.batch_item_failures[0].item_identifier.as_deref(), Some("1"), "the stream keeps it");
}

/// The records of an outbox as their stream hands them over.
async fn stream_of(connection: &Connection, outbox: &str) -> Event {
    let dynamo = aws_sdk_dynamodb::Client::new(&connection.sdk);
    let scanned = dynamo.scan().table_name(connection.name_of(outbox)).send().await.unwrap();
    let record = |(index, item): (usize, &HashMap<String, AttributeValue>)| {
        let image: HashMap<_, _> = item.iter().map(|(name, value)| (name, attribute(value))).collect();
        json!({
            "awsRegion": "us-east-1",
            "eventID": "1",
            "eventName": "INSERT",
            "dynamodb": {
                "ApproximateCreationDateTime": 0,
                "Keys": {},
                "NewImage": image,
                "SequenceNumber": (index + 1).to_string(),
                "SizeBytes": 1,
            },
        })
    };
    let records: Vec<_> = scanned.items().iter().enumerate().map(record).collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

/// An attribute in the JSON that DynamoDB and its streams write.
fn attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(is_true) => json!({ "BOOL": is_true }),
        AttributeValue::Null(is_null) => json!({ "NULL": is_null }),
        AttributeValue::L(list) => json!({ "L": list.iter().map(attribute).collect::<Vec<_>>() }),
        AttributeValue::M(map) => {
            let map: HashMap<_, _> = map.iter().map(|(name, value)| (name, attribute(value))).collect();
            json!({ "M": map })
        }
        other => panic!("no outbox record has {other:?}"),
    }
}
