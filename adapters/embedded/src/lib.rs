//! The embedded world: [`Store`] and [`ports::Queues`] in one process, on a journal and one SQLite file.
//!
//! ```text
//!   commit ──┐                        ┌─▶ journal (one sync a group)
//!   commit ──┼─▶ queue ─▶ committer ──┼─▶ overlay (in memory) ─▶ settler ─▶ database (SQLite)
//!   settle ──┘   (bounded)  (one      └─▶ log (in memory) ─▶ consumers, each woken for what is new to it
//!                            thread)
//!   get, query, scan ─▶ overlay, then database; they never wait for a sync
//! ```
//!
//! - **Group commit.** One thread takes all transactions that wait, checks each one's expectations in order against
//!   the state including those before it, makes them durable with one sync of the journal, and then answers all. What
//!   would lie behind the end of its table or partition is known not to be there, and not looked for.
//! - **Journal first.** What the journal has and the database has not is in memory, the overlay. The settler
//!   moves it into the database in sorted portions, beside the commits. A start takes the rest over into the overlay.
//! - **The log is in the same transactions.** What a transaction emits is a record written with it. Consumers follow it by
//!   cursors that are durable, and are handed what is new from memory.
//! - **Bounds.** 4,096 pieces of work and 64 MiB wait at most, then commits are refused as busy; 1,024 make a group;
//!   an outbox keeps 16 MiB of its newest records in memory; the journal has at most 256 MiB, and so the overlay.
//! - **Safe to kill.** What was answered is durable; what was not settled is delivered again.
//!
//! Deliberately absent: a second process that writes (the directory is locked), replication ([`back_up`] copies one
//! moment), and any memory of transaction ids (see `committer`).
#![warn(missing_docs)]

mod backup;
mod changes;
mod committer;
mod consumer;
mod depths;
mod ends;
mod failure;
#[cfg(test)]
mod fixture;
mod group;
mod items;
mod journal;
mod log;
mod open;
mod overlay;
mod queues;
mod reader;
mod recover;
mod schema;
mod settle;
mod upkeep;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::Timestamp;
use ports::{
    CommitError, Cursor, Item, Key, Page, Place, Range, Sources, Store, Subscription, Table, Transaction,
    Unavailable,
};
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::{oneshot, watch};

pub use backup::{BackupError, back_up};
pub use open::OpenError;

use committer::{Parts, Work, Writer};
use group::{PrepareError, Prepared};
use journal::Journal;
use log::{Log, Start};
use open::Lock;
use overlay::Overlay;
use reader::{ReadError, Reader};
use schema::{Schema, read_back};

/// The most transactions and other pieces of work that wait for the committer; further ones are refused as busy.
pub const WORKS_WAITING_MAX: usize = committer::QUEUE_WORKS_MAX;

/// When to try again what the store can never take, or what came after its end.
const NEVER_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How a store is opened.
pub enum Access {
    /// As the only process, for reading and writing. Refused while another one has it.
    Exclusive,
    /// Beside a running process or without one, for reading the one moment at which it was opened.
    ReadOnly,
}

/// What a store is opened with.
pub struct Options {
    /// The directory that holds everything. It is made where there is none.
    pub data_dir: PathBuf,
    /// The item tables of all services.
    pub tables: Vec<Table>,
    /// All consumers; the outboxes are those that they name.
    pub subscriptions: Vec<Subscription>,
    /// The time, and the ids of dead letters.
    pub sources: Sources,
    /// Alone, or beside another process.
    pub access: Access,
}

/// Whether a store does its work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// It reads and writes.
    Serving,
    /// It reads, as it was opened for.
    ReadOnly,
    /// It was closed.
    Closed,
    /// It could not be made sure that something is durable. It acknowledges nothing more; the process should end.
    Failed(String),
}

/// The store and the queues of one process. Clones share them; the last one to go closes them.
#[derive(Clone)]
pub struct EmbeddedStore {
    inner: Arc<Inner>,
}

struct Inner {
    data_dir: PathBuf,
    schema: Arc<Schema>,
    subscriptions: Vec<Subscription>,
    sources: Sources,
    health: watch::Sender<Health>,
    log: Arc<Log>,
    reader: Arc<Reader>,
    /// None where the store was opened for reading. Its threads end before the lock behind it is given up.
    writer: Option<Writer>,
    lock: Mutex<Option<Lock>>,
}

impl EmbeddedStore {
    /// Opens the store, and makes it where there is none.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        match options.access {
            Access::Exclusive => Self::open_exclusive(options),
            Access::ReadOnly => Self::open_read_only(options),
        }
    }

    fn open_exclusive(options: Options) -> Result<Self, OpenError> {
        let Options { data_dir, tables, subscriptions, sources, .. } = options;
        let lock = Lock::take(&data_dir)?;
        let schema = Arc::new(Schema::new(&tables, &subscriptions));
        let writing = open::writing(&data_dir)?;
        let of = |error| OpenError::of(&data_dir, &error);
        schema.create(&writing).map_err(of)?;
        let settled = settle::settled(&writing).map_err(of)?;
        let last_partitions = reader::last_partitions(&writing, &schema).map_err(of)?;
        let overlay = Arc::new(Overlay::new(settled, last_partitions));
        let found = recover::replay(&data_dir, &writing, &schema, &overlay)
            .map_err(|error| OpenError::of_journal(&data_dir, &error))?;
        if found.last > settled {
            tracing::info!(groups = found.last - settled, "groups were taken over from the journal");
        }
        let reader = Arc::new(Reader::newest(data_dir.clone(), Arc::clone(&schema), Arc::clone(&overlay)));
        let log =
            Arc::new(load_log(&writing, &reader, &schema, &subscriptions).map_err(|error| match error {
                ReadError::Sqlite(error) => of(error),
                other => OpenError::Other { file: data_dir.clone(), reason: other.to_string() },
            })?);

        let health = watch::Sender::new(Health::Serving);
        let not_writable = |error| OpenError::not_writable(&data_dir, &error);
        let parts = Parts {
            journal: Journal::begin(&data_dir, &found).map_err(not_writable)?,
            settled,
            reading: open::reading(&data_dir)?,
            retry_id: reader::retry_id_next(&writing, &overlay).map_err(of)?,
            writing,
            schema: Arc::clone(&schema),
            subscriptions: subscriptions.clone(),
            overlay,
            log: Arc::clone(&log),
            sources: sources.clone(),
            health: health.clone(),
        };
        let writer = Writer::start(parts).map_err(not_writable)?;
        let (writer, lock) = (Some(writer), Mutex::new(Some(lock)));
        let inner = Inner { data_dir, schema, subscriptions, sources, health, log, reader, writer, lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn open_read_only(options: Options) -> Result<Self, OpenError> {
        let Options { data_dir, tables, subscriptions, sources, .. } = options;
        let schema = Arc::new(Schema::new(&tables, &subscriptions));
        Self::open_moment(data_dir, schema, subscriptions, sources)
    }

    fn open_moment(
        data_dir: PathBuf,
        schema: Arc<Schema>,
        subscriptions: Vec<Subscription>,
        sources: Sources,
    ) -> Result<Self, OpenError> {
        let (connection, overlay) = recover::moment(&data_dir, &schema)?;
        let reader = Arc::new(Reader::snapshot(connection, Arc::clone(&schema), overlay));
        let log = reader.read(|connection| load_log(connection, &reader, &schema, &subscriptions));
        let log = Arc::new(log.map_err(|error| match error {
            ReadError::Sqlite(error) => OpenError::of(&data_dir, &error),
            other => OpenError::Other { file: data_dir.clone(), reason: other.to_string() },
        })?);
        let health = watch::Sender::new(Health::ReadOnly);
        let (writer, lock) = (None, Mutex::new(None));
        let inner = Inner { data_dir, schema, subscriptions, sources, health, log, reader, writer, lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The moment of now, to be read at leisure: a store of its own as another process would open it.
    ///
    /// # Errors
    /// The store cannot be opened once more.
    pub fn snapshot(&self) -> Result<Self, OpenError> {
        let Inner { data_dir, schema, subscriptions, sources, .. } = &*self.inner;
        Self::open_moment(data_dir.clone(), Arc::clone(schema), subscriptions.clone(), sources.clone())
    }

    /// Waits until all that was answered by now is in the database file, for one who reads it beside this process.
    pub async fn flush(&self) {
        let last = self.inner.reader.overlay().read().last();
        if let Some(writer) = &self.inner.writer {
            writer.settled(last).await;
        }
    }

    /// Answers all work that is waiting, saves the cursors, moves everything into the database file, and gives up the
    /// lock. What comes later is refused.
    pub async fn close(&self) {
        let inner = Arc::clone(&self.inner);
        let closing = tokio::task::spawn_blocking(move || {
            inner.reader.close();
            if let Some(writer) = &inner.writer {
                writer.stop();
            }
            if let Some(lock) = locked(&inner.lock).take() {
                lock.release();
            }
        });
        if closing.await.is_err() {
            tracing::error!("the store was not closed in order; the next start recovers it");
        }
    }

    /// Whether the store does its work.
    pub fn health(&self) -> Health {
        self.inner.health.borrow().clone()
    }

    /// Waits until the store fails for good, and says why. It never returns from a store that is closed in order.
    pub async fn failed(&self) -> String {
        let mut health = self.inner.health.subscribe();
        loop {
            if let Health::Failed(error) = &*health.borrow_and_update() {
                return error.clone();
            }
            if health.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Tells other processes that find the directory in use what is served here, such as an address.
    pub fn announce(&self, text: &str) -> io::Result<()> {
        locked(&self.inner.lock).as_mut().map_or(Ok(()), |lock| lock.announce(text))
    }
}

impl Store for EmbeddedStore {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Unavailable> {
        Ok(self.inner.reader.get(keys).await?)
    }

    async fn query(&self, range: &Range) -> Result<Page<Cursor>, Unavailable> {
        Ok(self.inner.reader.query(range).await?)
    }

    async fn scan(
        &self,
        table: Table,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Page<Place>, Unavailable> {
        Ok(self.inner.reader.scan(table, after, limit).await?)
    }

    async fn commit(&self, transaction: &Transaction) -> Result<(), CommitError> {
        let refused = || CommitError::Busy { retry_after: NEVER_RETRY_AFTER };
        let writer = self.writer().map_err(|_| refused())?;
        if transaction.is_empty() {
            return Ok(());
        }
        let prepared = Prepared::new(transaction, &self.inner.schema).map_err(|error: PrepareError| {
            tracing::error!(%error, "a transaction can never be committed");
            refused()
        })?;
        let (answer, answered) = oneshot::channel();
        writer.submit(Work::Commit { prepared, answer })?;
        answered.await.unwrap_or_else(|_| Err(CommitError::Unknown("the store has stopped".to_owned())))
    }
}

/// Finds where every consumer stands.
fn load_log(
    connection: &Connection,
    reader: &Reader,
    schema: &Schema,
    subscriptions: &[Subscription],
) -> Result<Log, ReadError> {
    let mut cursors = reader::cursors(connection)?;
    for ((consumer, outbox), cursor) in &reader.overlay().read().upper.cursors {
        cursors.insert((consumer.clone(), outbox.0.to_owned()), *cursor);
    }
    for (consumer, outbox) in cursors.keys() {
        let is_subscribed =
            |s: &Subscription| s.consumer == consumer && s.outboxes.iter().any(|o| o.0 == outbox);
        if !subscriptions.iter().any(is_subscribed) {
            tracing::warn!(consumer, outbox, "a saved cursor belongs to no subscription and is ignored");
        }
    }
    let mut last = BTreeMap::new();
    for (outbox, statements) in &schema.outboxes {
        let stored: Option<i64> =
            connection.query_row(&statements.last, [], |row| row.get(0)).optional()?.flatten();
        let passed = cursors.iter().filter(|((_, name), _)| name == outbox.0).map(|(_, cursor)| *cursor);
        let in_memory =
            reader.overlay().read().records(*outbox, 0, u64::MAX).map(|(sequence, _)| sequence).last();
        let newest = passed.chain(stored.map(read_back)).chain(in_memory).max();
        last.insert(*outbox, newest.unwrap_or(0));
    }
    let start = |subscription: &Subscription| {
        let mut start = Start {
            subscription: subscription.clone(),
            cursors: BTreeMap::new(),
            waiting: 0,
            next_due: None,
        };
        for outbox in &subscription.outboxes {
            let name = (subscription.consumer.to_owned(), outbox.0.to_owned());
            let cursor = cursors.get(&name).copied().unwrap_or(0);
            start.cursors.insert(*outbox, cursor);
            start.waiting += reader.waiting(connection, *outbox, cursor, &subscription.kinds)?;
        }
        // None is taken, so the first one that there is comes next.
        let (_, next_due) = reader.retries(connection, subscription.consumer, Timestamp::EPOCH, 0)?;
        start.next_due = next_due;
        Ok(start)
    };
    let starts: Result<_, ReadError> = subscriptions.iter().map(start).collect();
    Ok(Log::new(&last, starts?))
}

/// Tells that the store does its work no longer, unless it has ended already.
pub(crate) fn fail_if_serving(health: &watch::Sender<Health>, reason: &str) {
    health.send_if_modified(|health| {
        let was_serving = *health == Health::Serving;
        if was_serving {
            *health = Health::Failed(reason.to_owned());
        }
        was_serving
    });
}

/// Nothing is left half done where a thread panics with one of these locks, so the lock is as good as before.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
