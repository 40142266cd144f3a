//! Reads: the layers in memory first, then the database, through a few connections that never wait for a writer.
//!
//! A read-only store has one connection, in one transaction that it never ends, and layers that nobody adds to: all it reads
//! is of the same moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use kernel::Timestamp;
use ports::{Cursor, DeadLetter, Item, Key, Order, Page, Place, Range, Revision, Table, Unavailable};
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::Semaphore;

use crate::changes::{DeadRow, Retry, Row as StoredRow};
use crate::consumer::Deliverable;
use crate::locked;
use crate::log::LogRecord;
use crate::open::{self, OpenError};
use crate::overlay::Overlay;
use crate::schema::{ItemStatements, OutboxStatements, Schema, read_back, stored};

/// So many items are read where the caller stands. A key costs a few microseconds, since what is asked for is nearly
/// always in memory, and handing the work to another thread costs more than that.
const INLINE_ITEMS_MAX: usize = 16;
/// The same for the items of one range, which lie together.
const INLINE_RANGE_MAX: usize = 128;
/// The most items of one page, whatever is asked for.
const PAGE_ITEMS_MAX: usize = 10_000;
/// The most long reads at a time, each on a thread of its own.
const LONG_READS_MAX: usize = 4;
/// The connections that are kept open between reads.
const IDLE_MAX: usize = 8;
/// The most records of the log, and about the most bytes, that are read for a consumer at once.
const LOG_RECORDS_MAX: usize = 256;
const LOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("a stored message is unreadable: {0}")]
    Message(#[from] serde_json::Error),
    #[error("it has no table {0:?}")]
    NoTable(Table),
    #[error("it is closed")]
    Closed,
    #[error("a read was broken off")]
    BrokenOff,
}

impl From<ReadError> for Unavailable {
    fn from(error: ReadError) -> Self {
        Self(error.to_string())
    }
}

type Result<T> = std::result::Result<T, ReadError>;

enum Source {
    /// Connections to the newest state; opened as they are needed, by as many as read at the same time.
    Newest { idle: Mutex<Option<Vec<Connection>>>, data_dir: PathBuf },
    /// The one snapshot of a read-only store.
    Snapshot(Mutex<Connection>),
}

/// Reads the store.
pub(crate) struct Reader {
    source: Source,
    schema: Arc<Schema>,
    overlay: Arc<Overlay>,
    long_reads: Semaphore,
}

impl Reader {
    /// Reads the newest state.
    pub(crate) fn newest(data_dir: PathBuf, schema: Arc<Schema>, overlay: Arc<Overlay>) -> Self {
        let source = Source::Newest { idle: Mutex::new(Some(Vec::new())), data_dir };
        Self { source, schema, overlay, long_reads: Semaphore::new(LONG_READS_MAX) }
    }

    /// Reads one snapshot for good: the connection has a read transaction open, and the layers are those of that moment.
    pub(crate) fn snapshot(connection: Connection, schema: Arc<Schema>, overlay: Overlay) -> Self {
        let source = Source::Snapshot(Mutex::new(connection));
        Self { source, schema, overlay: Arc::new(overlay), long_reads: Semaphore::new(LONG_READS_MAX) }
    }

    /// What is not in the database yet.
    pub(crate) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Ends all reads.
    pub(crate) fn close(&self) {
        if let Source::Newest { idle, .. } = &self.source {
            drop(locked(idle).take());
        }
    }

    pub(crate) fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        match &self.source {
            Source::Snapshot(connection) => f(&locked(connection)),
            Source::Newest { idle, data_dir } => {
                let connection = locked(idle).as_mut().ok_or(ReadError::Closed)?.pop();
                let connection = connection.map_or_else(|| open::reading(data_dir), Ok)?;
                let result = f(&connection);
                // One that is left inside a transaction would go on reading the past.
                if connection.is_autocommit()
                    && let Some(idle) = locked(idle).as_mut()
                    && idle.len() < IDLE_MAX
                {
                    idle.push(connection);
                }
                result
            }
        }
    }

    /// Reads on a thread where waiting is allowed.
    pub(crate) async fn read_long<T: Send + 'static>(
        self: &Arc<Self>,
        f: impl FnOnce(&Self, &Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _permit = self.long_reads.acquire().await.map_err(|_| ReadError::Closed)?;
        let reader = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || reader.read(|connection| f(&reader, connection)));
        read.await.unwrap_or(Err(ReadError::BrokenOff))
    }

    pub(crate) async fn get(self: &Arc<Self>, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let mut items = vec![None; keys.len()];
        let mut elsewhere = Vec::new();
        {
            let layers = self.overlay.read();
            for (index, key) in keys.iter().enumerate() {
                match layers.item(key) {
                    Some(row) => items[index] = row.clone().map(|row| row.into_item(key.clone())),
                    None => elsewhere.push(index),
                }
            }
        }
        let stored = if elsewhere.is_empty() {
            Vec::new()
        } else if elsewhere.len() <= INLINE_ITEMS_MAX {
            let keys = elsewhere.iter().map(|index| &keys[*index]);
            self.read(|connection| self.get_all(connection, keys))?
        } else {
            let keys: Vec<Key> = elsewhere.iter().map(|index| keys[*index].clone()).collect();
            self.read_long(move |reader, connection| reader.get_all(connection, keys.iter())).await?
        };
        for (index, item) in elsewhere.into_iter().zip(stored) {
            items[index] = item;
        }
        Ok(items)
    }

    fn get_all<'a>(
        &self,
        connection: &Connection,
        keys: impl ExactSizeIterator<Item = &'a Key>,
    ) -> Result<Vec<Option<Item>>> {
        let is_one = keys.len() < 2;
        let read = || keys.map(|key| self.get_one(connection, key)).collect();
        if is_one || !connection.is_autocommit() { read() } else { together(connection, read) }
    }

    fn get_one(&self, connection: &Connection, key: &Key) -> Result<Option<Item>> {
        let mut statement = connection.prepare_cached(&self.items(key.table)?.read)?;
        Ok(statement.query_row([&key.partition, &key.sort], |row| item(key.table, row)).optional()?)
    }

    pub(crate) async fn query(self: &Arc<Self>, range: &Range) -> Result<Page<Cursor>> {
        if range.limit <= INLINE_RANGE_MAX {
            return self.read(|connection| self.page_of_range(connection, range));
        }
        let range = range.clone();
        self.read_long(move |reader, connection| reader.page_of_range(connection, &range)).await
    }

    fn page_of_range(&self, connection: &Connection, range: &Range) -> Result<Page<Cursor>> {
        let Range { table, partition, first, last, order, after, limit } = range;
        let statements = self.items(*table)?;
        let after = after.as_deref().unwrap_or("");
        let (sql, first, last) = match order {
            Order::Ascending => (&statements.ascending, first.as_str().max(after), last.as_str()),
            Order::Descending if after.is_empty() => (&statements.descending, first.as_str(), last.as_str()),
            Order::Descending => (&statements.descending, first.as_str(), last.as_str().min(after)),
        };
        let limit = page_limit(*limit);
        let mut changed = self.overlay.read().range((*table, partition), (first, last), *order, limit + 2);
        changed.remove(&Key::new(*table, partition, after));
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement
            .query_map(params![partition, first, last, after, more_than(limit + changed.len())], |row| {
                item(*table, row)
            })?;
        page(rows, changed, *order, limit, |item| item.key.sort.clone())
    }

    pub(crate) async fn scan(
        self: &Arc<Self>,
        table: Table,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Page<Place>> {
        // No key is empty, so the first page begins behind an empty one.
        let after = after.cloned().unwrap_or_default();
        self.read_long(move |reader, connection| {
            let limit = page_limit(limit);
            let changed = reader.overlay.behind(table, &after, limit + 1);
            let mut statement = connection.prepare_cached(&reader.items(table)?.scan)?;
            let (partition, sort) = &after;
            let rows = statement
                .query_map(params![partition, sort, more_than(limit + changed.len())], |row| {
                    item(table, row)
                })?;
            let place = |item: &Item| (item.key.partition.clone(), item.key.sort.clone());
            page(rows, changed, Order::Ascending, limit, place)
        })
        .await
    }

    /// Records of the log between two sequences: as many as one read should have, from the first on.
    pub(crate) async fn records(
        self: &Arc<Self>,
        outbox: Table,
        from: u64,
        to: u64,
    ) -> Result<Vec<LogRecord>> {
        self.read_long(move |reader, connection| {
            let mut texts = BTreeMap::new();
            let mut bytes = 0;
            for (sequence, record) in reader.overlay.read().records(outbox, from, to).take(LOG_RECORDS_MAX) {
                if bytes >= LOG_BYTES_MAX {
                    break;
                }
                bytes += record.messages.len();
                texts.insert(sequence, record.messages.clone());
            }
            let mut statement = connection.prepare_cached(&reader.outbox(outbox)?.records)?;
            let limit = stored(LOG_RECORDS_MAX as u64);
            let mut rows = statement.query(params![stored(from), stored(to), limit])?;
            let mut bytes = 0;
            while bytes < LOG_BYTES_MAX
                && let Some(row) = rows.next()?
            {
                let messages: String = row.get(1)?;
                bytes += messages.len();
                texts.insert(read_back(row.get(0)?), messages);
            }
            let mut records: Vec<LogRecord> = Vec::new();
            let mut bytes = 0;
            for (sequence, messages) in texts {
                // The log has no gaps: behind one, there is what another read would bring.
                let follows = records.last().is_none_or(|record| sequence == record.sequence + 1);
                if !follows || bytes >= LOG_BYTES_MAX || records.len() == LOG_RECORDS_MAX {
                    break;
                }
                bytes += messages.len();
                records.push(LogRecord { sequence, messages: serde_json::from_str(&messages)? });
            }
            Ok(records)
        })
        .await
    }

    /// The retries of a consumer that are due first: those due by now, and when the next one is. Read in place, since
    /// nothing may be awaited between reading and handing out.
    pub(crate) fn retries(
        &self,
        connection: &Connection,
        consumer: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Deliverable>, Option<Timestamp>)> {
        let changed = self.overlay.read().retries();
        let mut retries: BTreeMap<(i64, i64), Retry> = BTreeMap::new();
        let sql = "SELECT retry_id, due_at, attempt, reason, envelope FROM queue_retries \
                   WHERE consumer = ?1 ORDER BY due_at LIMIT ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![consumer, more_than(limit + changed.len())])?;
        while let Some(row) = rows.next()? {
            let retry_id = row.get(0)?;
            if !changed.contains_key(&retry_id) {
                let retry = Retry {
                    consumer: consumer.to_owned(),
                    due_at_ms: row.get(1)?,
                    attempt: row.get(2)?,
                    reason: row.get(3)?,
                    envelope: row.get(4)?,
                };
                retries.insert((retry.due_at_ms, retry_id), retry);
            }
        }
        for (retry_id, retry) in &changed {
            if let Some(retry) = retry.as_ref().filter(|retry| retry.consumer == consumer) {
                retries.insert((retry.due_at_ms, *retry_id), retry.clone());
            }
        }
        let mut due = Vec::new();
        for ((due_at, retry_id), Retry { attempt, envelope, .. }) in retries {
            let due_at = Timestamp::from_millis(due_at);
            if due_at > now || due.len() == limit {
                return Ok((due, Some(due_at)));
            }
            let envelope = serde_json::from_str(&envelope)?;
            due.push(Deliverable { retry_id, attempt: attempt + 1, envelope });
        }
        Ok((due, None))
    }

    pub(crate) async fn dead_letters(
        self: &Arc<Self>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let after = after.unwrap_or("").to_owned();
        self.read_long(move |reader, connection| {
            let changed = reader.overlay.read().dead_letters();
            let limit = page_limit(limit);
            let sql = "SELECT consumer, reason, attempts, died_at, envelope, dead_letter_id FROM queue_dead_letters \
                       WHERE dead_letter_id > ?1 ORDER BY dead_letter_id LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![after, more_than(limit + changed.len())])?;
            let mut letters = BTreeMap::new();
            while let Some(row) = rows.next()? {
                letters.insert(row.get(5)?, Some(dead_row(row)?));
            }
            letters.extend(changed.into_iter().filter(|(id, _)| *id > after));
            let live = letters.into_iter().filter_map(|(id, letter)| Some((id, letter?)));
            live.take(limit).map(|(id, letter)| dead_letter(id, letter)).collect()
        })
        .await
    }

    pub(crate) fn dead_letter(&self, dead_letter_id: &str) -> Result<Option<DeadLetter>> {
        let changed = self.overlay.read().dead_letter(dead_letter_id).cloned();
        let letter = match changed {
            Some(letter) => letter,
            None => self.read(|connection| {
                let sql = "SELECT consumer, reason, attempts, died_at, envelope FROM queue_dead_letters \
                           WHERE dead_letter_id = ?1";
                let mut statement = connection.prepare_cached(sql)?;
                Ok(statement.query_row([dead_letter_id], dead_row).optional()?)
            })?,
        };
        letter.map(|letter| dead_letter(dead_letter_id.to_owned(), letter)).transpose()
    }

    fn items(&self, table: Table) -> Result<&ItemStatements> {
        self.schema.items.get(&table).ok_or(ReadError::NoTable(table))
    }

    pub(crate) fn outbox(&self, outbox: Table) -> Result<&OutboxStatements> {
        self.schema.outboxes.get(&outbox).ok_or(ReadError::NoTable(outbox))
    }
}

/// Lets several reads see one moment.
fn together<T>(connection: &Connection, read: impl FnOnce() -> Result<T>) -> Result<T> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let result = read();
    connection.prepare_cached("COMMIT")?.execute([])?;
    result
}

fn page_limit(limit: usize) -> usize {
    limit.clamp(1, PAGE_ITEMS_MAX)
}

/// One row more than wanted tells whether there is another page.
fn more_than(limit: usize) -> i64 {
    stored(limit as u64).saturating_add(1)
}

/// The first of the rows and of what has changed since, in their order.
fn page<N>(
    rows: impl Iterator<Item = rusqlite::Result<Item>>,
    changed: BTreeMap<Key, Option<StoredRow>>,
    order: Order,
    limit: usize,
    place: impl FnOnce(&Item) -> N,
) -> Result<Page<N>> {
    let mut items = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    if !changed.is_empty() {
        let mut merged: BTreeMap<Key, Option<Item>> =
            items.into_iter().map(|item| (item.key.clone(), Some(item))).collect();
        merged.extend(changed.into_iter().map(|(key, row)| {
            let item = row.map(|row| row.into_item(key.clone()));
            (key, item)
        }));
        let live = merged.into_values().flatten();
        items = match order {
            Order::Ascending => live.take(limit + 1).collect(),
            Order::Descending => live.rev().take(limit + 1).collect(),
        };
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(place);
    Ok(Page { items, next })
}

fn item(table: Table, row: &Row<'_>) -> rusqlite::Result<Item> {
    let expires_at: Option<i64> = row.get(3)?;
    Ok(Item {
        key: Key { table, partition: row.get(0)?, sort: row.get(1)? },
        revision: Revision(read_back(row.get(2)?)),
        expires_at: expires_at.map(Timestamp::from_millis),
        body: row.get(4)?,
    })
}

fn dead_row(row: &Row<'_>) -> rusqlite::Result<DeadRow> {
    Ok(DeadRow {
        consumer: row.get(0)?,
        reason: row.get(1)?,
        attempts: row.get(2)?,
        died_at_ms: row.get(3)?,
        envelope: row.get(4)?,
    })
}

fn dead_letter(dead_letter_id: String, letter: DeadRow) -> Result<DeadLetter> {
    let DeadRow { consumer, reason, attempts, died_at_ms, envelope } = letter;
    let died_at = Timestamp::from_millis(died_at_ms);
    let envelope = serde_json::from_str(&envelope)?;
    Ok(DeadLetter { dead_letter_id, consumer, reason, attempts, died_at, envelope })
}

/// The number of the next retry: none that is there has it, in the database or in front of it.
pub(crate) fn retry_id_next(connection: &Connection, overlay: &Overlay) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(max(retry_id), 0) FROM queue_retries";
    let stored: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    let newest = overlay.read().retries().into_keys().next_back();
    Ok(newest.map_or(stored, |newest| newest.max(stored)) + 1)
}

/// The last partition of each table of items; empty where there is none, as no partition is.
pub(crate) fn last_partitions(
    connection: &Connection,
    schema: &Schema,
) -> rusqlite::Result<BTreeMap<Table, String>> {
    let last = |(table, statements): (&Table, &ItemStatements)| {
        let last: Option<String> = connection.query_row(&statements.last_partition, [], |row| row.get(0))?;
        Ok((*table, last.unwrap_or_default()))
    };
    schema.items.iter().map(last).collect()
}

/// The cursors that are saved: by consumer and outbox.
pub(crate) fn cursors(connection: &Connection) -> rusqlite::Result<BTreeMap<(String, String), u64>> {
    let mut statement = connection.prepare("SELECT consumer, outbox, sequence FROM queue_cursors")?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), read_back(row.get(2)?))))?;
    rows.collect()
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
