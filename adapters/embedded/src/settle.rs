//! The settler: a thread that moves what is durable in the journal into the database, in the order of the database's keys,
//! beside the commits and not in their way.
//!
//! What was changed again in the meantime is written once, and the record of an outbox that all its consumers have passed
//! by then is not written at all. The items go in portions. With the last transaction the database also learns up to which
//! group it has everything, so that the files of the journal are free again and a start knows where to continue.
//!
//! It begins when so much has been committed that it is worth it, and every two seconds in any case. Nobody else writes to
//! the database. Where that fails for want of room it is tried again, and the journal goes on until it is full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ports::{Sources, Subscription, Table};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, MAIN_DB, params};
use tokio::sync::watch;

use crate::changes::Changes;
use crate::failure::{ends_the_store, roll_back};
use crate::items::Entry;
use crate::log::Log;
use crate::overlay::{Overlay, Unsettled};
use crate::schema::{Schema, read_back, stored};
use crate::{Health, upkeep};

/// The bytes of groups that are worth being moved at once: the more they are, the more rows share a page that is written.
/// With 96 MiB the slowest batches took five times as long (ADR 23).
pub(crate) const WORTH_BYTES: usize = 64 * 1024 * 1024;
/// The items of a transaction: about a megabyte of pages, which is synced in a few milliseconds. The disk takes one thing
/// after the other, so that the journal's next sync waits for as long (ADR 18).
const ITEMS_AT_ONCE: usize = 1_000;
/// How long anything waits to be moved.
const INTERVAL: Duration = Duration::from_secs(2);
/// The same, while there is more to forget than one batch.
const INTERVAL_BEHIND: Duration = Duration::from_millis(50);
/// When it is tried again where the disk was full or somebody else had the database locked.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// The size of a page of the database, and so nearly that of a frame of the write-ahead log.
const PAGE_BYTES: u64 = 4_096;
/// From this length on (64 MiB), the write-ahead log is made to start over.
const RESTART_PAGES: u64 = 16_384;
/// How long that waits for readers, who are done in microseconds.
const READERS_WAIT: Duration = Duration::from_millis(20);

/// Everything the settler's thread has to itself, or shares.
pub(crate) struct Settler {
    pub(crate) connection: Connection,
    pub(crate) schema: Arc<Schema>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) log: Arc<Log>,
    pub(crate) sources: Sources,
    pub(crate) health: watch::Sender<Health>,
    /// The last group that the database has.
    pub(crate) settled: watch::Sender<u64>,
    pub(crate) woken: Receiver<()>,
}

impl Drop for Settler {
    /// Nobody may go on trusting a settler that has panicked.
    fn drop(&mut self) {
        crate::fail_if_serving(&self.health, "the settler has panicked");
    }
}

impl Settler {
    /// Runs until nobody can wake it any more, and settles what there is then.
    pub(crate) fn run(self) {
        let mut unsettled = None;
        let mut at = Instant::now();
        loop {
            let woken = self.woken.recv_timeout(at.saturating_duration_since(Instant::now()));
            let is_over = woken == Err(RecvTimeoutError::Disconnected);
            if is_over && *self.health.borrow() != Health::Serving {
                return;
            }
            if woken.is_ok() && unsettled.is_some() && Instant::now() < at {
                // What could not be moved a moment ago cannot be moved now.
                continue;
            }
            let result = self.settle(&mut unsettled);
            at = Instant::now() + *result.as_ref().unwrap_or(&RETRY_AFTER);
            if let Err(error) = result {
                if ends_the_store(&error) {
                    tracing::error!(%error, "the store has failed and acknowledges nothing more");
                    self.health.send_replace(Health::Failed(error.to_string()));
                    return;
                }
                tracing::warn!(%error, is_over, "what is in the journal was not moved into the database");
            }
            if is_over {
                self.finish();
                return;
            }
        }
    }

    fn finish(&self) {
        if let Err(error) = checkpoint(&self.connection, CheckpointMode::TRUNCATE) {
            tracing::warn!(%error, "the last checkpoint did not finish; the next start makes up for it");
        }
        self.health.send_replace(Health::Closed);
    }

    /// Moves what is in the layers; what could not be moved the last time goes first. Answers when to come again.
    fn settle(&self, unsettled: &mut Option<Unsettled>) -> rusqlite::Result<Duration> {
        let is_left = unsettled.is_some();
        let next = unsettled.take().unwrap_or_else(|| self.overlay.begin_to_settle());
        metrics::gauge!("store_unsettled_bytes").set(next.bytes as f64);
        let began = Instant::now();
        let now = self.sources.now();
        let written = write(&self.connection, &self.schema, &self.subscriptions, &next, |passed| {
            upkeep::tidy(&self.connection, &self.schema, passed, now)
        });
        let has_more = match written {
            Ok(has_more) => has_more,
            Err(error) => {
                *unsettled = Some(next);
                return Err(error);
            }
        };
        self.overlay.settled();
        if !next.changes.is_empty() {
            metrics::histogram!("store_settle_seconds").record(began.elapsed().as_secs_f64());
        }
        for (consumer, waiting) in self.log.waiting() {
            metrics::gauge!("store_outbox_lag_messages", "consumer" => consumer).set(waiting as f64);
        }
        self.checkpoint();
        // Last, so that one who waits for it finds all of the above done.
        self.settled.send_replace(next.last);
        Ok(match (is_left, has_more) {
            (true, _) => Duration::ZERO,
            (false, true) => INTERVAL_BEHIND,
            (false, false) => INTERVAL,
        })
    }

    /// Moves pages from SQLite's write-ahead log into the file. It starts over with the next transaction if all of it was
    /// moved and nobody reads from it; where it has grown long, readers are waited for.
    fn checkpoint(&self) {
        let checkpointed = checkpoint(&self.connection, CheckpointMode::PASSIVE).and_then(|pages| {
            metrics::gauge!("store_wal_bytes").set((pages * PAGE_BYTES) as f64);
            if pages < RESTART_PAGES {
                return Ok(pages);
            }
            self.connection.busy_timeout(READERS_WAIT)?;
            let restarted = checkpoint(&self.connection, CheckpointMode::RESTART);
            self.connection.busy_timeout(crate::open::LOCK_WAIT)?;
            restarted
        });
        if let Err(error) = checkpointed {
            // What could not be moved stays in the log, safe, and is moved by the next one.
            tracing::debug!(%error, "the checkpoint did not finish");
        }
    }
}

/// Writes changes to the database: the items in portions, then the queues, and with them up to which group it has
/// everything. Where that ends halfway, the same changes written again leave what they would have left at once. `tidy` is
/// done with the queues, and hears up to which record all consumers of an outbox have passed; its answer is given back.
pub(crate) fn write<T>(
    connection: &Connection,
    schema: &Schema,
    subscriptions: &[Subscription],
    unsettled: &Unsettled,
    tidy: impl FnOnce(&BTreeMap<Table, u64>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    write_items(connection, schema, unsettled)?;
    in_transaction(connection, || {
        write_queues(connection, &unsettled.changes)?;
        let passed = passed_by_all(connection, subscriptions)?;
        write_records(connection, schema, &unsettled.changes, &passed)?;
        let tidied = tidy(&passed)?;
        let mut settle = connection.prepare_cached("UPDATE journal SET settled = ?1 WHERE settled < ?1")?;
        settle.execute([stored(unsettled.last)])?;
        Ok(tidied)
    })
}

fn in_transaction<T>(
    connection: &Connection,
    write: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let written = write().and_then(|value| connection.execute_batch("COMMIT").map(|()| value));
    written.map_err(|error| roll_back(connection, error))
}

/// From the first portion on the database says that it has some of these groups, so that nobody takes it for whole without
/// the journal.
fn write_items(connection: &Connection, schema: &Schema, unsettled: &Unsettled) -> rusqlite::Result<()> {
    // In the order of their keys, so that those that share a page of the database are written together.
    for portion in unsettled.changes.items.in_order().chunks(ITEMS_AT_ONCE) {
        in_transaction(connection, || {
            let mut moving = connection.prepare_cached("UPDATE moving SET up_to = ?1 WHERE up_to < ?1")?;
            moving.execute([stored(unsettled.last)])?;
            portion.iter().try_for_each(|item| write_item(connection, schema, *item))
        })?;
    }
    Ok(())
}

fn write_item(
    connection: &Connection,
    schema: &Schema,
    (table, partition, sort, row): Entry<'_>,
) -> rusqlite::Result<()> {
    let statements = schema.items.get(&table).ok_or(rusqlite::Error::InvalidQuery)?;
    match row {
        Some(row) => connection.prepare_cached(&statements.put)?.execute(params![
            partition,
            sort,
            stored(row.revision),
            row.expires_at_ms,
            row.body
        ])?,
        None => connection.prepare_cached(&statements.delete)?.execute(params![partition, sort])?,
    };
    Ok(())
}

fn write_queues(connection: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    for ((consumer, outbox), sequence) in &changes.cursors {
        let sql = "INSERT INTO queue_cursors (consumer, outbox, sequence) VALUES (?1, ?2, ?3) \
                   ON CONFLICT DO UPDATE SET sequence = excluded.sequence";
        connection.prepare_cached(sql)?.execute(params![consumer, outbox.0, stored(*sequence)])?;
    }
    for (retry_id, retry) in &changes.retries {
        match retry {
            Some(retry) => {
                let sql = "INSERT OR REPLACE INTO queue_retries (retry_id, consumer, due_at, attempt, reason, envelope) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let crate::changes::Retry { consumer, due_at_ms, attempt, reason, envelope } = retry;
                connection
                    .prepare_cached(sql)?
                    .execute(params![retry_id, consumer, due_at_ms, attempt, reason, envelope])?
            }
            None => connection
                .prepare_cached("DELETE FROM queue_retries WHERE retry_id = ?1")?
                .execute([retry_id])?,
        };
    }
    for (dead_letter_id, letter) in &changes.dead_letters {
        match letter {
            Some(letter) => {
                let sql = "INSERT OR REPLACE INTO queue_dead_letters \
                           (dead_letter_id, consumer, reason, attempts, died_at, envelope) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let crate::changes::DeadRow { consumer, reason, attempts, died_at_ms, envelope } = letter;
                connection.prepare_cached(sql)?.execute(params![
                    dead_letter_id,
                    consumer,
                    reason,
                    attempts,
                    died_at_ms,
                    envelope
                ])?
            }
            None => connection
                .prepare_cached("DELETE FROM queue_dead_letters WHERE dead_letter_id = ?1")?
                .execute([dead_letter_id])?,
        };
    }
    Ok(())
}

fn write_records(
    connection: &Connection,
    schema: &Schema,
    changes: &Changes,
    passed: &BTreeMap<Table, u64>,
) -> rusqlite::Result<()> {
    for ((outbox, sequence), record) in &changes.records {
        if passed.get(outbox).is_some_and(|passed| sequence <= passed) {
            continue;
        }
        let statements = schema.outboxes.get(outbox).ok_or(rusqlite::Error::InvalidQuery)?;
        connection.prepare_cached(&statements.append)?.execute(params![
            stored(*sequence),
            record.transaction_id,
            record.committed_at_ms,
            record.messages
        ])?;
    }
    Ok(())
}

/// The last record of each outbox that all its consumers have passed, by the cursors in the database: one that is only in
/// memory may be lost, and the record would be needed again.
fn passed_by_all(
    connection: &Connection,
    subscriptions: &[Subscription],
) -> rusqlite::Result<BTreeMap<Table, u64>> {
    let cursors = crate::reader::cursors(connection)?;
    let mut passed = BTreeMap::new();
    for subscription in subscriptions {
        for outbox in &subscription.outboxes {
            let name = (subscription.consumer.to_owned(), outbox.0.to_owned());
            let cursor = cursors.get(&name).copied().unwrap_or(0);
            passed.entry(*outbox).and_modify(|least: &mut u64| *least = cursor.min(*least)).or_insert(cursor);
        }
    }
    Ok(passed)
}

/// The last group that the database has.
pub(crate) fn settled(connection: &Connection) -> rusqlite::Result<u64> {
    number(connection, "journal", "settled")
}

/// The last group of which the database may have a part.
pub(crate) fn moving(connection: &Connection) -> rusqlite::Result<u64> {
    number(connection, "moving", "up_to")
}

/// The one number in a table; zero where an older version has made the store and no later one has written to it.
fn number(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
    match connection.query_row(sql, [table], |row| row.get(0))? {
        0_i64 => Ok(0),
        _ => connection
            .query_row(&format!("SELECT {column} FROM {table}"), [], |row| row.get(0))
            .map(read_back),
    }
}

/// How many pages of SQLite's log are not in its file yet, or are and are still in the way.
pub(crate) fn checkpoint(connection: &Connection, mode: CheckpointMode) -> rusqlite::Result<u64> {
    let (pages, _) = connection.wal_checkpoint_v2(Some(MAIN_DB), mode)?;
    Ok(u64::try_from(pages).unwrap_or(0))
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
