//! The store behind a proxy that misbehaves as DynamoDB and its network do: conflicts, throttling, resets, and commits
//! whose answer is lost. Nothing may be lost or doubled.
//!
//! `AWS_FAULTS_URL` is a microburst in front of the emulator. A rule of a test names the test's own tables, so the
//! tests run side by side, and most rules fire only so often.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod support;

use aws::{Connection, DynamoStore};
use aws_sdk_dynamodb::types::AttributeValue;
use conformance::{OTHERS, THINGS, THINGS_EVENTS};
use kernel::{CorrelationId, MessageId};
use ports::{CommitError, Envelope, Held, Key, Record, Revision, Sources, Store, Table, Transaction};
use runtime::{Committed, Decision, Fault};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How often a rule fires that is meant to fire for the rest of the test.
const FOREVER: u32 = 1_000;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Counter {
    name: String,
    count: u64,
    #[serde(skip)]
    is_mark: bool,
}

impl Record for Counter {
    fn key(&self) -> Key {
        Key::new(if self.is_mark { OTHERS } else { THINGS }, "counters", self.name.as_str())
    }
}

fn counter(name: impl Into<String>, count: u64) -> Counter {
    Counter { name: name.into(), count, is_mark: false }
}

/// One deployment, reached through the proxy and past it.
struct Faulty {
    store: DynamoStore,
    /// Past the proxy, for what really is there.
    plain: DynamoStore,
    prefix: String,
    sources: Sources,
}

impl Faulty {
    async fn open() -> Self {
        let direct = support::deployment().await;
        let proxy = support::setting("AWS_FAULTS_URL");
        let sdk = aws_config::from_env().endpoint_url(proxy).load().await;
        let through = Connection { sdk, prefix: direct.prefix.clone() };
        let store = DynamoStore::new(&through, &[OTHERS]);
        // The proxy learns what DynamoDB is with the first request, which takes longer than a commit may.
        let key = counter("none", 0).key();
        for _ in 0..10 {
            if store.get(std::slice::from_ref(&key)).await.is_ok() {
                break;
            }
        }
        Self {
            store,
            plain: DynamoStore::new(&direct, &[]),
            prefix: direct.prefix,
            sources: support::sources(),
        }
    }

    /// Lets an operation on this test's tables misbehave: `fault` says how, as the rules of microburst have it.
    fn on(&self, operation: &str, times: u32, mut fault: Value) {
        fault["service"] = json!("dynamodb");
        fault["operation"] = json!(operation);
        fault["times"] = json!(times);
        fault["body"] = json!(format!("contains(to_string(@), '{}')", self.prefix));
        let url = format!("{}/_microburst/rules", support::setting("AWS_FAULTS_URL"));
        ureq::patch(url).send_json(json!([fault])).unwrap();
    }

    /// Creates a counter at 1, with a message.
    fn creation(&self, name: &str) -> Transaction {
        let mut transaction = Transaction::new(self.sources.fresh_id());
        transaction.create(&counter(name, 1)).unwrap();
        transaction.emit(THINGS_EVENTS, self.message()).unwrap();
        transaction
    }

    fn message(&self) -> Envelope {
        Envelope {
            message_id: MessageId::new(self.sources.fresh_id()),
            kind: conformance::PLACED.to_owned(),
            version: 1,
            group: "counter".to_owned(),
            correlation_id: CorrelationId::new(self.sources.fresh_id()),
            causation_id: None,
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
            occurred_at: self.sources.now(),
            body: serde_json::value::to_raw_value(&json!({ "amount": "12.50" })).unwrap(),
        }
    }

    async fn found(&self, name: &str) -> Option<Held<Counter>> {
        let items = self.plain.get(&[counter(name, 0).key()]).await.unwrap();
        items[0].as_ref().map(|item| Held::from_item(item).unwrap())
    }

    async fn count(&self, table: Table) -> usize {
        let client = aws_sdk_dynamodb::Client::new(&Connection::from_environment("").await.sdk);
        let table = format!("{}{}", self.prefix, table.0);
        let answer = client.scan().table_name(table).consistent_read(true).send().await.unwrap();
        usize::try_from(answer.count).unwrap()
    }

    /// Commits what must be written. An answer that is only late is unknown too, on a machine under load, so the same
    /// transaction is committed until it is known.
    async fn writes(&self, transaction: &Transaction) {
        assert_eq!(runtime::commit(&self.store, transaction).await.unwrap(), Committed::Yes);
    }

    /// That the counter was created once, and its message left once.
    async fn is_created_once(&self, name: &str) {
        let found = self.found(name).await.unwrap();
        assert_eq!((found.record.count, found.revision), (1, Revision::FIRST));
        assert_eq!(self.count(THINGS_EVENTS).await, 1);
    }

    async fn is_empty(&self) {
        assert_eq!((self.count(THINGS).await, self.count(THINGS_EVENTS).await), (0, 0));
    }
}

fn error(code: &str) -> Value {
    json!({ "error": { "code": code } })
}

fn cancelled(codes: &[&str]) -> Value {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({ "Code": code, "Message": "told" })).collect();
    let fields = json!({ "CancellationReasons": reasons });
    json!({ "error": { "code": "TransactionCanceledException", "status": 400, "fields": fields } })
}

/// The transaction arrives and is answered, and the answer is cut off on its way.
fn cut() -> Value {
    json!({ "response": { "abort_bytes": 1 } })
}

#[tokio::test]
async fn what_others_are_in_the_way_of_is_written_when_they_are_gone() {
    let ways = [
        cancelled(&["None", "TransactionConflict"]),
        cancelled(&["ThrottlingError", "None"]),
        error("ProvisionedThroughputExceededException"),
        error("ThrottlingException"),
    ];
    for way in ways {
        let world = Faulty::open().await;
        world.on("TransactWriteItems", 3, way);
        world.writes(&world.creation("a")).await;
        world.is_created_once("a").await;
    }
}

#[tokio::test]
async fn what_others_stay_in_the_way_of_is_busy_and_not_written() {
    let ways = [cancelled(&["TransactionConflict", "None"]), error("RequestLimitExceeded")];
    for way in ways {
        let world = Faulty::open().await;
        world.on("TransactWriteItems", FOREVER, way);
        let committed = world.store.commit(&world.creation("a")).await;
        assert!(matches!(committed, Err(CommitError::Busy { .. })), "{committed:?}");
        world.is_empty().await;
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_not_tried_again() {
    for way in [cancelled(&["None", "ValidationError"]), error("ValidationException"), error("AccessDenied")]
    {
        let world = Faulty::open().await;
        world.on("TransactWriteItems", 1, way);
        let committed = world.store.commit(&world.creation("a")).await;
        assert!(matches!(committed, Err(CommitError::Refused(_))), "{committed:?}");
        world.is_empty().await;
    }
}

#[tokio::test]
async fn a_lost_request_is_unknown_and_the_same_one_is_written() {
    let ways =
        [json!({ "reset": true }), json!({ "error": { "code": "InternalServerError", "status": 500 } })];
    for way in ways {
        let world = Faulty::open().await;
        world.on("TransactWriteItems", 1, way);
        let creation = world.creation("a");
        let committed = world.store.commit(&creation).await;
        assert!(matches!(committed, Err(CommitError::Unknown(_))), "{committed:?}");
        world.is_empty().await;
        world.writes(&creation).await;
        world.is_created_once("a").await;
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_same_one_is_not_written_twice() {
    let world = Faulty::open().await;
    world.on("TransactWriteItems", 1, cut());
    let creation = world.creation("a");
    let committed = world.store.commit(&creation).await;
    assert!(matches!(committed, Err(CommitError::Unknown(_))), "{committed:?}");
    world.is_created_once("a").await;
    world.writes(&creation).await;
    world.is_created_once("a").await;
}

#[tokio::test]
async fn an_answer_that_never_comes_is_unknown() {
    let world = Faulty::open().await;
    world.on("TransactWriteItems", 1, json!({ "timeout_ms": 60_000 }));
    let committed = world.store.commit(&world.creation("a")).await;
    assert!(matches!(committed, Err(CommitError::Unknown(_))), "{committed:?}");
}

/// When DynamoDB has forgotten the token, every condition fails: that of the outbox record says who was first.
#[tokio::test]
async fn the_outbox_recognises_a_transaction_whose_token_was_forgotten() {
    let world = Faulty::open().await;
    let creation = world.creation("a");
    world.writes(&creation).await;
    world.on("TransactWriteItems", 1, cancelled(&["ConditionalCheckFailed", "ConditionalCheckFailed"]));
    world.writes(&creation).await;

    world.on("TransactWriteItems", 1, cancelled(&["None", "ConditionalCheckFailed"]));
    let conflict = world.store.commit(&world.creation("a")).await;
    let key = counter("a", 0).key();
    assert!(matches!(&conflict, Err(CommitError::Conflict { key: found }) if *found == key), "{conflict:?}");
}

#[tokio::test]
async fn an_independent_transaction_tells_the_weightiest_failure() {
    let independent = |world: &Faulty| {
        let mut transaction = Transaction::independent(world.sources.fresh_id());
        for index in 0..40 {
            transaction.supersede(&counter(format!("{index}"), 7), Revision(7)).unwrap();
        }
        transaction
    };
    let world = Faulty::open().await;
    world.on("PutItem", 5, error("ProvisionedThroughputExceededException"));
    world.on("PutItem", 5, error("TransactionConflictException"));
    world.writes(&independent(&world)).await;
    assert_eq!(world.count(THINGS).await, 40);
    let conflict = world.store.commit(&independent(&world)).await;
    let key = counter("0", 7).key();
    assert!(matches!(&conflict, Err(CommitError::Conflict { key: found }) if *found == key), "{conflict:?}");

    let world = Faulty::open().await;
    world.on("PutItem", 1, cut());
    let committed = world.store.commit(&independent(&world)).await;
    assert!(matches!(committed, Err(CommitError::Unknown(_))), "{committed:?}");
    assert_eq!(world.count(THINGS).await, 40);
}

#[tokio::test]
async fn a_read_is_tried_again() {
    let world = Faulty::open().await;
    let mut both = Transaction::new(world.sources.fresh_id());
    both.create(&counter("a", 1)).unwrap();
    both.create(&counter("b", 2)).unwrap();
    world.writes(&both).await;
    for (operation, keys) in [("GetItem", &["a"][..]), ("BatchGetItem", &["a", "b"])] {
        world.on(operation, 1, error("ProvisionedThroughputExceededException"));
        world.on(operation, 1, json!({ "reset": true }));
        world.on(operation, 1, json!({ "error": { "code": "InternalServerError", "status": 500 } }));
        let keys: Vec<Key> = keys.iter().map(|name| counter(*name, 0).key()).collect();
        let items = world.store.get(&keys).await.unwrap();
        assert_eq!(items.iter().flatten().count(), keys.len(), "{operation}");
    }
}

/// A mark lies in a table whose items carry their messages.
fn mark(name: &str, count: u64) -> Counter {
    Counter { is_mark: true, ..counter(name, count) }
}

/// Creates a mark at 1 that carries a message.
fn carrier(world: &Faulty, name: &str) -> Transaction {
    let mut transaction = Transaction::new(world.sources.fresh_id());
    transaction.create(&mark(name, 1)).unwrap();
    transaction.emit(THINGS_EVENTS, world.message()).unwrap();
    transaction
}

/// What a relay would find in the mark's item: the transaction that sent it.
async fn sent_by(world: &Faulty, name: &str) -> Option<String> {
    let client = aws_sdk_dynamodb::Client::new(&Connection::from_environment("").await.sdk);
    let key = |text: &str| AttributeValue::S(text.to_owned());
    let request = client.get_item().table_name(format!("{}{}", world.prefix, OTHERS.0));
    let request = request.key("pk", key("counters")).key("sk", key(name)).consistent_read(true);
    let item = request.send().await.unwrap().item.unwrap();
    assert_eq!(item.contains_key("messages"), item.contains_key("sent_by"));
    item.get("sent_by").map(|id| id.as_s().unwrap().clone())
}

#[tokio::test]
async fn an_item_carries_its_messages_until_it_is_written_again() {
    let world = Faulty::open().await;
    let creation = carrier(&world, "a");
    world.writes(&creation).await;
    assert_eq!(sent_by(&world, "a").await, Some(creation.id().to_string()));
    assert_eq!(world.count(THINGS_EVENTS).await, 0);
    let conflict = world.store.commit(&carrier(&world, "a")).await;
    assert!(matches!(conflict, Err(CommitError::Conflict { .. })), "{conflict:?}");

    let mut ending = Transaction::independent(world.sources.fresh_id());
    ending.replace(Revision::FIRST, &mark("a", 2)).unwrap();
    world.writes(&ending).await;
    assert_eq!(sent_by(&world, "a").await, None);

    let mut again = Transaction::new(world.sources.fresh_id());
    again.replace(Revision(2), &mark("a", 3)).unwrap();
    again.emit(THINGS_EVENTS, world.message()).unwrap();
    world.writes(&again).await;
    assert_eq!(sent_by(&world, "a").await, Some(again.id().to_string()));
}

#[tokio::test]
async fn a_carrier_whose_answer_was_lost_is_written_once() {
    for lost in [cut(), json!({ "reset": true })] {
        let world = Faulty::open().await;
        world.on("PutItem", 2, lost);
        let creation = carrier(&world, "a");
        let committed = world.store.commit(&creation).await;
        assert!(matches!(committed, Err(CommitError::Unknown(_))), "{committed:?}");
        world.writes(&creation).await;
        assert_eq!(sent_by(&world, "a").await, Some(creation.id().to_string()));
        let items = world.plain.get(&[mark("a", 0).key()]).await.unwrap();
        assert_eq!(items[0].as_ref().unwrap().revision, Revision::FIRST);
    }
}

/// A consumer may have written the record anew before the same transaction is committed again. Taken for a conflict it
/// would be decided again, and done twice.
#[tokio::test]
async fn a_carrier_whose_answer_was_lost_and_whose_item_went_on_stays_unknown() {
    let world = Faulty::open().await;
    world.on("PutItem", 1, cut());
    let creation = carrier(&world, "a");
    let committed = world.store.commit(&creation).await;
    assert!(matches!(committed, Err(CommitError::Unknown(_))), "{committed:?}");
    let mut ending = Transaction::independent(world.sources.fresh_id());
    ending.replace(Revision::FIRST, &mark("a", 2)).unwrap();
    world.plain.commit(&ending).await.unwrap();

    let committed = world.store.commit(&creation).await;
    assert!(matches!(committed, Err(CommitError::Unknown(_))), "{committed:?}");
    let real = world.store.commit(&carrier(&world, "a")).await;
    assert!(matches!(real, Err(CommitError::Conflict { .. })), "{real:?}");
}

/// Increments the counter and leaves a mark, both in one transaction.
async fn increment(world: &Faulty, mark: &str) -> Result<(), Fault> {
    let key = counter("a", 0).key();
    runtime::decide_and_commit(&world.store, || async {
        let mut transaction = Transaction::new(world.sources.fresh_id());
        match runtime::get::<_, Counter>(&world.store, key.clone()).await? {
            None => transaction.create(&counter("a", 1))?,
            Some(Held { record, revision }) => {
                transaction.replace(revision, &counter("a", record.count + 1))?;
            }
        }
        transaction.create(&Counter { is_mark: true, ..counter(mark, 1) })?;
        transaction.emit(THINGS_EVENTS, world.message())?;
        Ok::<_, Fault>(Decision::Commit(transaction, ()))
    })
    .await
}

#[tokio::test]
async fn under_every_fault_nothing_is_lost_or_doubled() {
    let world = Faulty::open().await;
    let often = |mut fault: Value, probability: f64| {
        fault["probability"] = json!(probability);
        fault
    };
    world.on("TransactWriteItems", FOREVER, often(cut(), 0.15));
    world.on("TransactWriteItems", FOREVER, often(json!({ "reset": true }), 0.1));
    world.on("TransactWriteItems", FOREVER, often(cancelled(&["None", "TransactionConflict", "None"]), 0.1));
    world.on("TransactWriteItems", FOREVER, often(error("ThrottlingException"), 0.1));

    let writer = |writer: u32| {
        let world = &world;
        async move {
            let mut done = 0;
            for index in 0..15 {
                // A fault says that it was not done, or at worst that nobody knows: then its mark tells.
                match increment(world, &format!("{writer}-{index}")).await {
                    Ok(()) => done += 1,
                    Err(fault) => assert!(!matches!(fault, Fault::Internal(_)), "{fault}"),
                }
            }
            done
        }
    };
    let done: usize = futures::future::join_all((0..4).map(writer)).await.into_iter().sum();
    let marks = world.count(OTHERS).await;
    assert!(done >= 50 && marks >= done, "{done} of 60 were done, {marks} have left a mark");
    let found = world.found("a").await.unwrap();
    assert_eq!(usize::try_from(found.record.count).unwrap(), marks);
    assert_eq!(usize::try_from(found.revision.0).unwrap(), marks);
    assert_eq!(world.count(THINGS_EVENTS).await, marks);
}

#[tokio::test]
async fn committing_until_it_is_known_outlasts_lost_answers() {
    let world = Faulty::open().await;
    world.on("TransactWriteItems", 3, cut());
    world.writes(&world.creation("a")).await;
    world.is_created_once("a").await;
}
