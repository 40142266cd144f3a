//! What groups have changed: the rows that are other than the database has them.
//!
//! A group collects its changes here, the journal holds them as a frame, the [overlay](crate::overlay) keeps them in front
//! of the database, and the settler writes them there: one shape for all four.

use std::collections::BTreeMap;

use kernel::Timestamp;
use ports::{Item, Key, Revision, Table};
use serde::{Deserialize, Serialize};

use crate::items::Items;
use crate::schema::Schema;

/// What a group, or several of them, have changed. None stands for what is not there any more.
#[derive(Default, PartialEq, Debug)]
pub(crate) struct Changes {
    pub(crate) items: Items,
    /// The records of the outboxes, by their sequence.
    pub(crate) records: BTreeMap<(Table, u64), Record>,
    /// How far a consumer is with an outbox.
    pub(crate) cursors: BTreeMap<(String, Table), u64>,
    pub(crate) retries: BTreeMap<i64, Option<Retry>>,
    pub(crate) dead_letters: BTreeMap<String, Option<DeadRow>>,
}

/// An item without its key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) revision: u64,
    pub(crate) expires_at_ms: Option<i64>,
    pub(crate) body: String,
}

/// The messages of one transaction, as an outbox holds them.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) transaction_id: String,
    pub(crate) committed_at_ms: i64,
    /// A JSON array of envelopes.
    pub(crate) messages: String,
}

/// A message that is delivered again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Retry {
    pub(crate) consumer: String,
    pub(crate) due_at_ms: i64,
    pub(crate) attempt: u32,
    pub(crate) reason: String,
    pub(crate) envelope: String,
}

/// A message that was given up.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct DeadRow {
    pub(crate) consumer: String,
    pub(crate) reason: String,
    pub(crate) attempts: u32,
    pub(crate) died_at_ms: i64,
    pub(crate) envelope: String,
}

impl Row {
    pub(crate) fn into_item(self, key: Key) -> Item {
        let Self { revision, expires_at_ms, body } = self;
        let expires_at = expires_at_ms.map(Timestamp::from_millis);
        Item { key, revision: Revision(revision), expires_at, body }
    }
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { items, records, cursors, retries, dead_letters } = self;
        items.is_empty()
            && records.is_empty()
            && cursors.is_empty()
            && retries.is_empty()
            && dead_letters.is_empty()
    }

    /// Adds what was changed after this.
    pub(crate) fn extend(&mut self, later: Self) {
        self.items.merge(later.items);
        self.records.extend(later.records);
        self.cursors.extend(later.cursors);
        self.retries.extend(later.retries);
        self.dead_letters.extend(later.dead_letters);
    }

    /// Appends the changes to a frame of the journal.
    pub(crate) fn encode(&self, frame: &mut Vec<u8>) -> Result<(), postcard::Error> {
        let items: Vec<_> =
            self.items.iter().map(|(table, partition, sort, row)| (table.0, partition, sort, row)).collect();
        let records: Vec<_> =
            self.records.iter().map(|((outbox, sequence), record)| (outbox.0, *sequence, record)).collect();
        let cursors: Vec<_> = self
            .cursors
            .iter()
            .map(|((consumer, outbox), sequence)| (consumer, outbox.0, *sequence))
            .collect();
        let changes = (items, records, cursors, &self.retries, &self.dead_letters);
        *frame = postcard::to_extend(&changes, std::mem::take(frame))?;
        Ok(())
    }

    /// Reads a frame of the journal.
    pub(crate) fn decode(frame: &[u8], schema: &Schema) -> Result<Self, DecodeError> {
        let (items, records, cursors, retries, dead_letters): Frame = postcard::from_bytes(frame)?;
        let table = |name: &str| schema.table(name).ok_or_else(|| DecodeError::NoTable(name.to_owned()));
        let mut changes = Self { retries, dead_letters, ..Self::default() };
        for (name, partition, sort, row) in items {
            changes.items.insert(Key { table: table(&name)?, partition, sort }, row);
        }
        for (name, sequence, record) in records {
            changes.records.insert((table(&name)?, sequence), record);
        }
        for (consumer, name, sequence) in cursors {
            changes.cursors.insert((consumer, table(&name)?), sequence);
        }
        Ok(changes)
    }
}

/// What a frame is read as; it is written from the changes without a copy of their texts.
type Frame = (
    Vec<(String, String, String, Option<Row>)>,
    Vec<(String, u64, Record)>,
    Vec<(String, String, u64)>,
    BTreeMap<i64, Option<Retry>>,
    BTreeMap<String, Option<DeadRow>>,
);

/// Why a frame cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("a group in the journal is unreadable: {0}")]
    Unreadable(#[from] postcard::Error),
    #[error("the journal names a table {0:?}, which this version does not have")]
    NoTable(String),
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
