//! What the properties are made of: a record, messages, and calls that keep to the ports' contract.

use std::fmt::Display;
use std::time::Duration;

use kernel::{CorrelationId, MessageId, Timestamp};
use ports::{
    CommitError, Envelope, Held, Item, Key, QueueAdmin, QueueDepth, Queues, Received, Record, Revision,
    Settled, Sources, Store, Table, Transaction, Verdict,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};

use crate::{OTHERS, THINGS};

/// How long anything may take that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long a queue must stay silent to be taken for empty.
pub const SILENCE: Duration = Duration::from_millis(150);

/// How often one transaction is tried before the store is taken for broken.
const TRIES_MAX: u32 = 1_000;

/// A record with a number and a text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Thing {
    /// Whether it lives in [`OTHERS`].
    pub is_other: bool,
    pub partition: String,
    pub sort: String,
    pub number: i64,
    pub text: String,
    pub expires_at: Option<Timestamp>,
}

impl Thing {
    /// A record of the table [`THINGS`].
    pub fn new(partition: impl Into<String>, sort: impl Into<String>, number: i64) -> Self {
        Self {
            is_other: false,
            partition: partition.into(),
            sort: sort.into(),
            number,
            text: String::new(),
            expires_at: None,
        }
    }

    /// A record of the table [`OTHERS`].
    pub fn other(partition: impl Into<String>, sort: impl Into<String>, number: i64) -> Self {
        Self { is_other: true, ..Self::new(partition, sort, number) }
    }

    /// The same record with another number.
    pub fn with_number(&self, number: i64) -> Self {
        Self { number, ..self.clone() }
    }
}

impl Record for Thing {
    fn key(&self) -> Key {
        let table = if self.is_other { OTHERS } else { THINGS };
        Key::new(table, self.partition.as_str(), self.sort.as_str())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

/// What must have worked for the property to go on.
#[track_caller]
pub fn must<T, E: Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// An empty transaction.
pub fn transaction(sources: &Sources) -> Transaction {
    Transaction::new(sources.fresh_id())
}

/// A message of this kind, sent now.
pub fn message(sources: &Sources, kind: &str) -> Envelope {
    message_with(sources, kind, r#"{"amount": "12.50"}"#.to_owned())
}

/// A message of this kind with this body, a JSON object.
pub fn message_with(sources: &Sources, kind: &str, body: String) -> Envelope {
    Envelope {
        message_id: MessageId::new(sources.fresh_id()),
        kind: kind.to_owned(),
        version: 1,
        group: "account".to_owned(),
        correlation_id: CorrelationId::new(sources.fresh_id()),
        causation_id: None,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        occurred_at: sources.now(),
        body: must(RawValue::from_string(body)),
    }
}

/// Commits as the port asks: the same transaction again after Busy and Unknown. The error is the key in conflict.
pub async fn commit<S: Store>(store: &S, transaction: &Transaction) -> Result<(), Key> {
    for _ in 0..TRIES_MAX {
        match store.commit(transaction).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Conflict { key }) => return Err(key),
            Err(CommitError::Busy { retry_after }) => sleep(retry_after.min(Duration::from_millis(50))).await,
            Err(CommitError::Unknown(_)) => {}
            Err(error @ CommitError::Refused(_)) => panic!("{error}"),
        }
    }
    panic!("the transaction was tried {TRIES_MAX} times and never committed");
}

/// Commits what nothing is in the way of.
#[track_caller]
pub fn commits<S: Store>(store: &S, transaction: &Transaction) -> impl Future<Output = ()> + Send {
    let caller = std::panic::Location::caller();
    async move {
        if let Err(key) = commit(store, transaction).await {
            panic!("{caller}: {key:?} is in conflict without cause");
        }
    }
}

/// Creates records, a hundred in a transaction.
pub async fn create_all<S: Store>(store: &S, sources: &Sources, things: &[Thing]) {
    for part in things.chunks(ports::TRANSACTION_ITEMS_MAX) {
        let mut transaction = transaction(sources);
        for thing in part {
            must(transaction.create(thing));
        }
        commits(store, &transaction).await;
    }
}

/// Sends messages, one transaction for all.
pub async fn send_all<S: Store>(store: &S, sources: &Sources, outbox: Table, messages: &[Envelope]) {
    let mut transaction = transaction(sources);
    for message in messages {
        must(transaction.emit(outbox, message.clone()));
    }
    commits(store, &transaction).await;
}

/// One item as stored.
pub async fn item<S: Store>(store: &S, key: &Key) -> Option<Item> {
    let mut items = must(store.get(std::slice::from_ref(key)).await);
    assert_eq!(items.len(), 1, "one key, one answer");
    items.remove(0)
}

/// One record as stored.
pub async fn held<S: Store>(store: &S, key: &Key) -> Option<Held<Thing>> {
    item(store, key).await.map(|item| must(Held::from_item(&item)))
}

/// The number and the revision of one record as stored.
pub async fn number<S: Store>(store: &S, key: &Key) -> Option<(i64, Revision)> {
    held(store, key).await.map(|held| (held.record.number, held.revision))
}

/// The next deliveries of a consumer, who must have some.
pub async fn receive<Q: Queues>(queues: &Q, consumer: &'static str, limit: usize) -> Vec<Received> {
    let Ok(received) = timeout(PATIENCE, queues.receive(consumer, limit)).await else {
        panic!("{consumer} was delivered nothing for {PATIENCE:?}");
    };
    let received = must(received);
    assert!(!received.is_empty(), "{consumer} was woken for nothing");
    assert!(received.len() <= limit, "{consumer} was delivered {} of {limit}", received.len());
    received
}

/// The next deliveries of a consumer, or none if its queue stays silent.
pub async fn receive_if_any<Q: Queues>(queues: &Q, consumer: &'static str, limit: usize) -> Vec<Received> {
    timeout(SILENCE, queues.receive(consumer, limit)).await.map(must).unwrap_or_default()
}

/// Ends one delivery.
pub async fn settle<Q: Queues>(queues: &Q, consumer: &'static str, received: &Received, verdict: Verdict) {
    must(queues.settle(consumer, vec![Settled { receipt: received.receipt, verdict }]).await);
}

/// Receives and settles until this many messages were delivered; answers them.
pub async fn take<Q: Queues>(queues: &Q, consumer: &'static str, count: usize) -> Vec<Received> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let received = receive(queues, consumer, count).await;
        let done = received.iter().map(|one| Settled { receipt: one.receipt, verdict: Verdict::Done });
        must(queues.settle(consumer, done.collect()).await);
        taken.extend(received);
    }
    taken
}

/// Fails if the consumer is delivered anything.
pub async fn silent<Q: Queues>(queues: &Q, consumer: &'static str) {
    let received = receive_if_any(queues, consumer, 10).await;
    assert!(received.is_empty(), "{consumer} was delivered what it should not: {received:?}");
}

/// How one consumer's queue stands.
pub async fn depth<Q: QueueAdmin>(queues: &Q, consumer: &str) -> QueueDepth {
    let depths = must(queues.depths().await);
    let Some(depth) = depths.into_iter().find(|depth| depth.consumer == consumer) else {
        panic!("{consumer} has no depth");
    };
    depth
}

/// Waits until a consumer has this many messages waiting, retrying and dead; settling need not show at once.
pub async fn depth_becomes<Q: QueueAdmin>(queues: &Q, consumer: &str, expected: (u64, u64, u64)) {
    let mut found = (0, 0, 0);
    for _ in 0..200 {
        let depth = depth(queues, consumer).await;
        found = (depth.waiting, depth.retrying, depth.dead);
        if found == expected {
            return;
        }
        sleep(Duration::from_millis(25)).await;
    }
    panic!("{consumer} has (waiting, retrying, dead) = {found:?}, not {expected:?}");
}

/// The ids of messages, in order.
pub fn ids<'a>(messages: impl IntoIterator<Item = &'a Envelope>) -> Vec<MessageId> {
    let mut ids: Vec<_> = messages.into_iter().map(|message| message.message_id).collect();
    ids.sort();
    ids
}

/// The ids of deliveries, in order.
pub fn received_ids(received: &[Received]) -> Vec<MessageId> {
    ids(received.iter().map(|one| one.delivery.envelope.as_ref()))
}
