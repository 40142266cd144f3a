//! One group: what becomes of everything that was waiting.
//!
//! Each expectation is held against what the transactions before it in the group have changed, then against what is
//! durable. A transaction of which one fails is left out, before it has changed anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::Timestamp;
use ports::{Action, Envelope, Expect, Key, Limit, Table, Transaction, Write};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::changes::{Changes, DeadRow, Record, Retry, Row as StoredRow};
use crate::consumer::{Origin, UnderWay};
use crate::ends::{Ends, Last};
use crate::log::LogRecord;
use crate::overlay::Layers;
use crate::schema::{Schema, read_back};

/// A transaction made ready by its caller, so that the committer has nothing left to encode.
pub(crate) struct Prepared {
    id: Uuid,
    writes: Vec<Write>,
    outgoing: Option<Outgoing>,
    bytes: usize,
}

/// The messages of a transaction: as they are stored, and as they are handed on.
struct Outgoing {
    outbox: Table,
    json: String,
    messages: Vec<Arc<Envelope>>,
}

/// Why a transaction can never be committed here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error("the store has no table {0:?}")]
    NoTable(Table),
    #[error("a message has no JSON form: {0}")]
    Encoding(#[from] serde_json::Error),
    #[error(transparent)]
    Limit(#[from] Limit),
}

impl Prepared {
    /// Copies and encodes a transaction, and checks that the store has its tables.
    pub(crate) fn new(transaction: &Transaction, schema: &Schema) -> Result<Self, PrepareError> {
        let writes = transaction.writes().to_vec();
        if let Some(write) = writes.iter().find(|write| !schema.items.contains_key(&write.key.table)) {
            return Err(PrepareError::NoTable(write.key.table));
        }
        let outgoing = match transaction.outbox() {
            None => None,
            Some((outbox, _)) if !schema.outboxes.contains_key(&outbox) => {
                return Err(PrepareError::NoTable(outbox));
            }
            Some((outbox, messages)) => {
                let json = serde_json::to_string(messages)?;
                Some(Outgoing { outbox, json, messages: messages.iter().cloned().map(Arc::new).collect() })
            }
        };
        let body = |write: &Write| if let Action::Put { body, .. } = &write.action { body.len() } else { 0 };
        let items: usize = writes.iter().map(|w| w.key.partition.len() + w.key.sort.len() + body(w)).sum();
        let bytes = items + outgoing.as_ref().map_or(0, |outgoing| outgoing.json.len());
        Ok(Self { id: transaction.id(), writes, outgoing, bytes })
    }

    /// About how much memory it holds while it waits.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A delivery that ends in the tables of the queues, and not by the cursor alone.
#[derive(Clone)]
pub(crate) struct Ending {
    pub(crate) delivery: UnderWay,
    pub(crate) row: Row,
}

/// The row that an [`Ending`] leaves.
#[derive(Clone)]
pub(crate) enum Row {
    /// None: a retry is done.
    None,
    /// A retry, due at this time.
    Again { at: Timestamp, reason: String },
    /// A dead letter.
    Dead { dead_letter_id: Uuid, reason: String, died_at: Timestamp },
}

/// Records of the log, each with its outbox.
pub(crate) type Records = Vec<(Table, Arc<LogRecord>)>;

/// Collects what a group changes. Nothing is written here.
pub(crate) struct Group<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) layers: &'a Layers,
    /// Inside a transaction that began after the layers were looked at.
    pub(crate) database: &'a Connection,
    pub(crate) ends: &'a mut Ends,
    pub(crate) now: Timestamp,
    pub(crate) numbers: Numbers,
    pub(crate) changes: Changes,
    /// The records that the group adds to the log.
    pub(crate) records: Records,
}

/// The numbers that are given out next.
#[derive(Clone)]
pub(crate) struct Numbers {
    /// The sequence of the next record of each outbox.
    pub(crate) sequences: BTreeMap<Table, u64>,
    pub(crate) retry_id: i64,
}

impl Group<'_> {
    /// Makes all changes of a transaction, or none and names the item that was not as expected.
    pub(crate) fn apply(&mut self, prepared: &mut Prepared) -> rusqlite::Result<Result<(), Key>> {
        for write in &prepared.writes {
            if !self.holds(write)? {
                return Ok(Err(write.key.clone()));
            }
        }
        for Write { key, action, .. } in std::mem::take(&mut prepared.writes) {
            match action {
                Action::Put { revision, expires_at, body } => {
                    let expires_at_ms = expires_at.map(Timestamp::as_millis);
                    let row = StoredRow { revision: revision.0, expires_at_ms, body };
                    self.ends.hear(&key, Some(&row));
                    self.changes.items.insert(key, Some(row));
                }
                Action::Delete => {
                    self.ends.hear(&key, None);
                    self.changes.items.insert(key, None);
                }
                Action::Check => {}
            }
        }
        match prepared.outgoing.take() {
            Some(outgoing) => self.append(prepared.id, outgoing).map(Ok),
            None => Ok(Ok(())),
        }
    }

    fn append(&mut self, id: Uuid, outgoing: Outgoing) -> rusqlite::Result<()> {
        let Outgoing { outbox, json, messages } = outgoing;
        let next = self.numbers.sequences.get_mut(&outbox).ok_or_else(|| no_table(outbox))?;
        let sequence = *next;
        *next += 1;
        let (transaction_id, committed_at_ms) = (id.to_string(), self.now.as_millis());
        let record = Record { transaction_id, committed_at_ms, messages: json };
        self.changes.records.insert((outbox, sequence), record);
        self.records.push((outbox, Arc::new(LogRecord { sequence, messages })));
        Ok(())
    }

    /// Whether the item is as expected.
    fn holds(&mut self, write: &Write) -> rusqlite::Result<bool> {
        let revision = self.revision(&write.key)?;
        Ok(match write.expect {
            Expect::Absent => revision.is_none(),
            Expect::Exactly(expected) => revision == Some(expected.0),
            Expect::OlderThan(newer) => revision.is_none_or(|revision| revision < newer.0),
        })
    }

    fn revision(&mut self, key: &Key) -> rusqlite::Result<Option<u64>> {
        if self.layers.is_behind_all(key) {
            return Ok(self.changes.items.get(key).and_then(|row| row.as_ref().map(|row| row.revision)));
        }
        let Self { schema, layers, database, ends, changes, .. } = self;
        let statements = schema.items.get(&key.table).ok_or_else(|| no_table(key.table))?;
        let look = || {
            let mut statement = database.prepare_cached(&statements.last)?;
            let stored = statement.query_row([&key.partition], |row| {
                Ok(Last { sort: row.get(0)?, revision: row.get::<_, Option<i64>>(1)?.map(read_back) })
            });
            // The newest is asked first, and so has the word where several know the same item.
            let known = [&*changes, &layers.upper, &layers.lower].map(|changes| Last::among(changes, key));
            let known = known.into_iter().chain([stored.optional()?]).flatten();
            let last = known.reduce(|newer, older| if older.sort > newer.sort { older } else { newer });
            Ok::<_, rusqlite::Error>(last.unwrap_or_default())
        };
        if let Some(revision) = ends.revision(key, look)? {
            return Ok(revision);
        }
        if let Some(row) = changes.items.get(key).or_else(|| layers.item(key)) {
            return Ok(row.as_ref().map(|row| row.revision));
        }
        let mut statement = database.prepare_cached(&statements.revision)?;
        let revision = statement.query_row(params![key.partition, key.sort], |row| row.get(0)).optional()?;
        Ok(revision.map(read_back))
    }

    /// Notes how a delivery ended.
    pub(crate) fn end(&mut self, consumer: &str, ending: &Ending) -> rusqlite::Result<()> {
        let UnderWay { origin, envelope, attempt } = &ending.delivery;
        match &ending.row {
            Row::Again { at, reason } => {
                let retry_id = match *origin {
                    Origin::Retry { retry_id } => retry_id,
                    Origin::Log { .. } => self.next_retry_id(),
                };
                let retry = Retry {
                    consumer: consumer.to_owned(),
                    due_at_ms: at.as_millis(),
                    attempt: *attempt,
                    reason: reason.clone(),
                    envelope: encoded(envelope)?,
                };
                self.changes.retries.insert(retry_id, Some(retry));
                return Ok(());
            }
            Row::Dead { dead_letter_id, reason, died_at } => {
                let letter = DeadRow {
                    consumer: consumer.to_owned(),
                    reason: reason.clone(),
                    attempts: *attempt,
                    died_at_ms: died_at.as_millis(),
                    envelope: encoded(envelope)?,
                };
                self.changes.dead_letters.insert(dead_letter_id.to_string(), Some(letter));
            }
            Row::None => {}
        }
        if let Origin::Retry { retry_id } = *origin {
            self.changes.retries.insert(retry_id, None);
        }
        Ok(())
    }

    /// Moves a dead letter to the retries of its consumer, due at once, as if it had never been delivered.
    /// Answers whose it is; nobody's if there is none.
    pub(crate) fn redrive(&mut self, dead_letter_id: &str) -> rusqlite::Result<Option<String>> {
        let changed = self.changes.dead_letters.get(dead_letter_id);
        let letter = match changed.or_else(|| self.layers.dead_letter(dead_letter_id)) {
            Some(letter) => letter.as_ref().map(|letter| (letter.consumer.clone(), letter.envelope.clone())),
            None => {
                let sql = "SELECT consumer, envelope FROM queue_dead_letters WHERE dead_letter_id = ?1";
                let mut statement = self.database.prepare_cached(sql)?;
                statement.query_row([dead_letter_id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?
            }
        };
        let Some((consumer, envelope)) = letter else { return Ok(None) };
        let retry = Retry {
            consumer: consumer.clone(),
            due_at_ms: self.now.as_millis(),
            attempt: 0,
            reason: "redriven".to_owned(),
            envelope,
        };
        let retry_id = self.next_retry_id();
        self.changes.retries.insert(retry_id, Some(retry));
        self.changes.dead_letters.insert(dead_letter_id.to_owned(), None);
        Ok(Some(consumer))
    }

    fn next_retry_id(&mut self) -> i64 {
        let retry_id = self.numbers.retry_id;
        self.numbers.retry_id += 1;
        retry_id
    }
}

fn no_table(table: Table) -> rusqlite::Error {
    rusqlite::Error::InvalidParameterName(table.0.to_owned())
}

fn encoded(envelope: &Envelope) -> rusqlite::Result<String> {
    serde_json::to_string(envelope).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
