//! One group: everything that was waiting, written in one SQLite transaction.
//!
//! Expectations are read inside that transaction, so each one sees what those before it in the group have written.
//! A transaction of which an expectation fails is left out, before anything of it was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::Timestamp;
use ports::{Action, Envelope, Expect, Key, Limit, Table, Transaction, Write};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::consumer::{CursorMove, Origin, UnderWay};
use crate::log::LogRecord;
use crate::schema::{ItemStatements, Schema, stored};

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

/// Writes into one SQLite transaction, which its owner begins and commits.
pub(crate) struct Group<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) schema: &'a Schema,
    pub(crate) now: Timestamp,
    /// The sequence of the next record of each outbox.
    pub(crate) next: BTreeMap<Table, u64>,
    /// The records that the group adds to the log.
    pub(crate) records: Records,
}

impl Group<'_> {
    /// Writes all of a transaction, or nothing and names the item that was not as expected.
    ///
    /// All items but the last are looked at before anything is written; the last one's write holds its own
    /// expectation, and comes first, so that it saves a look.
    pub(crate) fn apply(&mut self, prepared: &mut Prepared) -> rusqlite::Result<Result<(), Key>> {
        let Prepared { id, writes, outgoing, .. } = prepared;
        if let Some((last, others)) = writes.split_last() {
            for write in others {
                if !self.holds(write)? {
                    return Ok(Err(write.key.clone()));
                }
            }
            if !self.write(last)? {
                return Ok(Err(last.key.clone()));
            }
            for write in others {
                if write.action != Action::Check && !self.write(write)? {
                    // The item was as expected a moment ago and nobody else writes: the file has been tampered with.
                    return Err(rusqlite::Error::StatementChangedRows(0));
                }
            }
        }
        if let Some(outgoing) = outgoing.take() {
            self.append(*id, outgoing)?;
        }
        Ok(Ok(()))
    }

    fn append(&mut self, id: Uuid, outgoing: Outgoing) -> rusqlite::Result<()> {
        let Outgoing { outbox, json, messages } = outgoing;
        let (Some(statements), Some(next)) = (self.schema.outboxes.get(&outbox), self.next.get_mut(&outbox))
        else {
            return Err(no_table(outbox));
        };
        let sequence = *next;
        let id = id.to_string();
        let mut append = self.connection.prepare_cached(&statements.append)?;
        append.execute(params![stored(sequence), id, self.now.as_millis(), json])?;
        *next += 1;
        self.records.push((outbox, Arc::new(LogRecord { sequence, messages })));
        Ok(())
    }

    /// Whether the stored item is as expected.
    fn holds(&self, write: &Write) -> rusqlite::Result<bool> {
        let key = &write.key;
        let mut statement = self.connection.prepare_cached(&self.items(key.table)?.revision)?;
        let revision: Option<i64> =
            statement.query_row(params![key.partition, key.sort], |row| row.get(0)).optional()?;
        Ok(match write.expect {
            Expect::Absent => revision.is_none(),
            Expect::Exactly(expected) => revision == Some(stored(expected.0)),
            Expect::OlderThan(newer) => revision.is_none_or(|revision| revision < stored(newer.0)),
        })
    }

    /// Writes one item if it is as expected; false, and nothing written, if it is not.
    fn write(&self, write: &Write) -> rusqlite::Result<bool> {
        let Write { key, expect, action } = write;
        let statements = self.items(key.table)?;
        let (partition, sort) = (&key.partition, &key.sort);
        let prepare = |sql: &String| self.connection.prepare_cached(sql);
        let changed = match (action, expect) {
            (Action::Check, _) => return self.holds(write),
            (Action::Put { revision, expires_at, body }, expect) => {
                let revision = stored(revision.0);
                let expires_at = expires_at.map(Timestamp::as_millis);
                match expect {
                    Expect::Absent => prepare(&statements.insert)?
                        .execute(params![partition, sort, revision, expires_at, body])?,
                    Expect::Exactly(held) => prepare(&statements.update)?.execute(params![
                        partition,
                        sort,
                        revision,
                        expires_at,
                        body,
                        stored(held.0)
                    ])?,
                    Expect::OlderThan(newer) => prepare(&statements.supersede)?.execute(params![
                        partition,
                        sort,
                        revision,
                        expires_at,
                        body,
                        stored(newer.0)
                    ])?,
                }
            }
            (Action::Delete, Expect::Exactly(held)) => {
                prepare(&statements.delete_exactly)?.execute(params![partition, sort, stored(held.0)])?
            }
            (Action::Delete, Expect::Absent | Expect::OlderThan(_)) => {
                let holds = self.holds(write)?;
                if holds {
                    prepare(&statements.delete)?.execute(params![partition, sort])?;
                }
                usize::from(holds)
            }
        };
        Ok(changed == 1)
    }

    /// Writes how a delivery ended.
    pub(crate) fn end(&self, consumer: &str, ending: &Ending) -> rusqlite::Result<()> {
        let UnderWay { origin, envelope, attempt } = &ending.delivery;
        match (&ending.row, *origin) {
            (Row::Again { at, reason }, Origin::Retry { retry_id }) => {
                let sql =
                    "UPDATE queue_retries SET due_at = ?2, attempt = ?3, reason = ?4 WHERE retry_id = ?1";
                self.execute(sql, params![retry_id, at.as_millis(), attempt, reason])
            }
            (Row::Again { at, reason }, Origin::Log { .. }) => {
                let sql = "INSERT INTO queue_retries (consumer, due_at, attempt, reason, envelope) \
                           VALUES (?1, ?2, ?3, ?4, ?5)";
                self.execute(sql, params![consumer, at.as_millis(), attempt, reason, encoded(envelope)?])
            }
            (Row::Dead { dead_letter_id, reason, died_at }, origin) => {
                let sql = "INSERT INTO queue_dead_letters (dead_letter_id, consumer, reason, attempts, died_at, envelope) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let died_at = died_at.as_millis();
                let id = dead_letter_id.to_string();
                self.execute(sql, params![id, consumer, reason, attempt, died_at, encoded(envelope)?])?;
                self.forget(origin)
            }
            (Row::None, origin) => self.forget(origin),
        }
    }

    fn forget(&self, origin: Origin) -> rusqlite::Result<()> {
        match origin {
            Origin::Log { .. } => Ok(()),
            Origin::Retry { retry_id } => {
                self.execute("DELETE FROM queue_retries WHERE retry_id = ?1", params![retry_id])
            }
        }
    }

    /// Moves a dead letter to the retries of its consumer, due at once, as if it had never been delivered.
    /// Answers whose it is; nobody's if there is none.
    pub(crate) fn redrive(&self, dead_letter_id: &str) -> rusqlite::Result<Option<String>> {
        let insert = "INSERT INTO queue_retries (consumer, due_at, attempt, reason, envelope) \
                      SELECT consumer, ?2, 0, 'redriven', envelope FROM queue_dead_letters WHERE dead_letter_id = ?1";
        self.execute(insert, params![dead_letter_id, self.now.as_millis()])?;
        let delete = "DELETE FROM queue_dead_letters WHERE dead_letter_id = ?1 RETURNING consumer";
        self.connection.prepare_cached(delete)?.query_row([dead_letter_id], |row| row.get(0)).optional()
    }

    /// Saves how far the consumers are.
    pub(crate) fn save(&self, moves: &[CursorMove]) -> rusqlite::Result<()> {
        for CursorMove { consumer, outbox, to, .. } in moves {
            let sql = "INSERT INTO queue_cursors (consumer, outbox, sequence) VALUES (?1, ?2, ?3) \
                       ON CONFLICT DO UPDATE SET sequence = excluded.sequence";
            self.execute(sql, params![consumer, outbox.0, stored(*to)])?;
        }
        Ok(())
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute(params)?;
        Ok(())
    }

    fn items(&self, table: Table) -> rusqlite::Result<&ItemStatements> {
        self.schema.items.get(&table).ok_or_else(|| no_table(table))
    }
}

fn no_table(table: Table) -> rusqlite::Error {
    rusqlite::Error::InvalidParameterName(table.0.to_owned())
}

fn encoded(envelope: &Envelope) -> rusqlite::Result<String> {
    serde_json::to_string(envelope).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
