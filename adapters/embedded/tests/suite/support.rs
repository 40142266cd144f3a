//! A directory that goes with its test, a clock and ids that are real, and a service with one table.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use embedded::{Access, EmbeddedStore, OpenError, Options};
use kernel::{CorrelationId, MessageId, Timestamp};
use ports::{
    Clock, Envelope, Ids, Key, Queues, Received, Record, Settled, Sources, Subscription, Table, Transaction,
    Verdict,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub const ITEMS: Table = Table("items");
pub const OUTBOX: Table = Table("items_events");

/// A directory that is removed at the end.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("embedded-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The files of the store as a crash at this moment would leave them, under another name.
    pub fn crashed(&self, name: &str) -> PathBuf {
        self.crashed_at(&self.data(), name)
    }

    /// The same of a store elsewhere.
    pub fn crashed_at(&self, data_dir: &Path, name: &str) -> PathBuf {
        let copy = self.0.join(name);
        let settled = || sqlite(data_dir, "SELECT settled + up_to FROM journal, moving");
        loop {
            let before = settled();
            std::fs::create_dir(&copy).unwrap();
            for entry in std::fs::read_dir(data_dir).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                if name != "LOCK" && !name.ends_with("-shm") {
                    std::fs::copy(entry.path(), copy.join(name)).unwrap();
                }
            }
            // Otherwise something was moved meanwhile, and some of it is in no copy.
            if settled() == before {
                return copy;
            }
            std::fs::remove_dir_all(&copy).unwrap();
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A clock that is real, moved forward where a test cannot wait.
#[derive(Clone, Default)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub fn advance(&self, duration: Duration) {
        self.0.fetch_add(duration.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    #[expect(clippy::disallowed_methods, reason = "the tests' source of time")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(since_epoch.as_millis() as i64)
            + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

pub struct TestIds;

impl Ids for TestIds {
    #[expect(clippy::disallowed_methods, reason = "the tests' source of ids")]
    fn fresh(&self) -> Uuid {
        Uuid::now_v7()
    }
}

pub fn sources() -> Sources {
    Sources::new(TestClock::default(), TestIds)
}

pub fn subscription(consumer: &'static str, kinds: &[&'static str]) -> Subscription {
    Subscription { consumer, outboxes: vec![OUTBOX], kinds: kinds.to_vec() }
}

/// One consumer of everything, and one of a kind that is rare.
pub fn subscriptions() -> Vec<Subscription> {
    vec![subscription("all", &["COMMON", "RARE"]), subscription("rare", &["RARE"])]
}

pub fn options(data_dir: &Path, access: Access) -> Options {
    let data_dir = data_dir.to_owned();
    Options { data_dir, tables: vec![ITEMS], subscriptions: subscriptions(), sources: sources(), access }
}

pub fn open(data_dir: &Path) -> EmbeddedStore {
    EmbeddedStore::open(options(data_dir, Access::Exclusive)).unwrap()
}

pub fn open_error(options: Options) -> OpenError {
    EmbeddedStore::open(options).err().expect("it must not open")
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Thing {
    pub name: String,
    pub text: String,
    pub expires_at: Option<Timestamp>,
}

impl Record for Thing {
    fn key(&self) -> Key {
        key(&self.name)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

pub fn key(name: &str) -> Key {
    Key::new(ITEMS, name, "thing")
}

pub fn thing(name: impl Into<String>) -> Thing {
    Thing { name: name.into(), text: "text".to_owned(), expires_at: None }
}

pub fn transaction() -> Transaction {
    Transaction::new(sources().fresh_id())
}

pub fn create(thing: &Thing) -> Transaction {
    let mut transaction = transaction();
    transaction.create(thing).unwrap();
    transaction
}

pub fn message(kind: &str) -> Envelope {
    let sources = sources();
    Envelope {
        message_id: MessageId::new(sources.fresh_id()),
        kind: kind.to_owned(),
        version: 1,
        group: "group".to_owned(),
        correlation_id: CorrelationId::new(sources.fresh_id()),
        causation_id: None,
        traceparent: String::new(),
        occurred_at: sources.now(),
        body: serde_json::value::RawValue::from_string(r#"{"amount": "12.50"}"#.to_owned()).unwrap(),
    }
}

pub fn emit(kinds: &[&str]) -> Transaction {
    let mut transaction = transaction();
    for kind in kinds {
        transaction.emit(OUTBOX, message(kind)).unwrap();
    }
    transaction
}

/// Receives, and fails the test where nothing comes.
pub async fn receive(store: &EmbeddedStore, consumer: &'static str, limit: usize) -> Vec<Received> {
    tokio::time::timeout(Duration::from_secs(10), store.receive(consumer, limit))
        .await
        .expect("a message")
        .unwrap()
}

/// Fails the test where something comes.
pub async fn receive_nothing(store: &EmbeddedStore, consumer: &'static str) {
    let received = tokio::time::timeout(Duration::from_millis(100), store.receive(consumer, 100)).await;
    assert!(received.is_err(), "{received:?}");
}

pub async fn settle(store: &EmbeddedStore, consumer: &'static str, received: &[Received], verdict: &Verdict) {
    let settled = received.iter().map(|r| Settled { receipt: r.receipt, verdict: verdict.clone() }).collect();
    store.settle(consumer, settled).await.unwrap();
}

/// Waits until something is so, which it must become soon.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

/// What a look into the file finds.
pub fn sqlite(data_dir: &Path, sql: &str) -> i64 {
    let connection = rusqlite::Connection::open(data_dir.join("bank.sqlite3")).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}
