//! What operators see of the queues: counts and oldest times, in the database and in front of it.

use std::collections::BTreeSet;

use kernel::Timestamp;
use ports::{Envelope, Table};
use rusqlite::{Connection, OptionalExtension, params};

use crate::reader::{ReadError, Reader};
use crate::schema::{read_back, stored};

type Result<T> = std::result::Result<T, ReadError>;

impl Reader {
    /// How many retries a consumer has, and when the message of the oldest was sent.
    pub(crate) fn retrying(
        &self,
        connection: &Connection,
        consumer: &str,
    ) -> Result<(u64, Option<Timestamp>)> {
        let changed = self.overlay().read().retries();
        let sql = "SELECT count(*), min(envelope ->> 'occurred_at') FROM queue_retries \
                   WHERE consumer = ?1 AND retry_id NOT IN (SELECT value FROM json_each(?2))";
        let ids = serde_json::to_string(&changed.keys().collect::<Vec<_>>())?;
        let (stored, oldest): (i64, Option<String>) = connection
            .prepare_cached(sql)?
            .query_row(params![consumer, ids], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut count = read_back(stored);
        let mut oldest_at = oldest.and_then(|text| text.parse().ok());
        for retry in changed.into_values().flatten().filter(|retry| retry.consumer == consumer) {
            let envelope: Envelope = serde_json::from_str(&retry.envelope)?;
            count += 1;
            oldest_at = [oldest_at, Some(envelope.occurred_at)].into_iter().flatten().min();
        }
        Ok((count, oldest_at))
    }

    /// How many dead letters a consumer has.
    pub(crate) fn dead(&self, connection: &Connection, consumer: &str) -> Result<u64> {
        let changed = self.overlay().read().dead_letters();
        let sql = "SELECT count(*) FROM queue_dead_letters \
                   WHERE consumer = ?1 AND dead_letter_id NOT IN (SELECT value FROM json_each(?2))";
        let ids = serde_json::to_string(&changed.keys().collect::<Vec<_>>())?;
        let stored = connection.prepare_cached(sql)?.query_row(params![consumer, ids], |row| row.get(0))?;
        let live = changed.into_values().flatten().filter(|letter| letter.consumer == consumer).count();
        Ok(read_back(stored) + live as u64)
    }

    /// How many messages of these kinds an outbox has behind a position: a record, and how many of its messages were
    /// taken.
    pub(crate) fn waiting(
        &self,
        connection: &Connection,
        outbox: Table,
        cursor: u64,
        kinds: &[&str],
    ) -> Result<u64> {
        let mut count = 0;
        let mut known = BTreeSet::new();
        for (sequence, record) in self.overlay().read().records(outbox, cursor + 1, u64::MAX) {
            let messages: Vec<Envelope> = serde_json::from_str(&record.messages)?;
            count += messages.iter().filter(|message| kinds.contains(&message.kind.as_str())).count() as u64;
            known.insert(sequence);
        }
        let until = known.first().map_or(i64::MAX, |first| stored(*first));
        let sql = &self.outbox(outbox)?.waiting;
        let kinds = serde_json::to_string(kinds)?;
        let stored = connection
            .prepare_cached(sql)?
            .query_row(params![stored(cursor) + 1, 0, kinds, until], |row| row.get(0))?;
        Ok(count + read_back(stored))
    }

    /// When the oldest message of these kinds behind a position was sent.
    pub(crate) fn oldest(
        &self,
        connection: &Connection,
        outbox: Table,
        (next, taken): (u64, usize),
        kinds: &[&str],
    ) -> Result<Option<Timestamp>> {
        let in_memory = self.oldest_in_memory(outbox, (next, taken), kinds)?;
        let sql = &self.outbox(outbox)?.oldest;
        let kinds = serde_json::to_string(kinds)?;
        let found: Option<String> = connection
            .prepare_cached(sql)?
            .query_row(params![stored(next), stored(taken as u64), kinds], |row| row.get(0))
            .optional()?;
        // A time that is stored within a message. Those of one form order like their texts.
        let in_database = found.and_then(|text| text.parse().ok());
        Ok([in_memory, in_database].into_iter().flatten().min())
    }

    fn oldest_in_memory(
        &self,
        outbox: Table,
        (next, taken): (u64, usize),
        kinds: &[&str],
    ) -> Result<Option<Timestamp>> {
        for (sequence, record) in self.overlay().read().records(outbox, next, u64::MAX) {
            let messages: Vec<Envelope> = serde_json::from_str(&record.messages)?;
            let passed = if sequence == next { taken } else { 0 };
            let mut waiting = messages.iter().skip(passed);
            if let Some(oldest) = waiting.find(|message| kinds.contains(&message.kind.as_str())) {
                return Ok(Some(oldest.occurred_at));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[path = "depths_tests.rs"]
mod tests;
