//! What is written together, or not at all, and the messages that leave with it.
//!
//! The builder refuses what DynamoDB's TransactWriteItems would refuse (100 items, 4 MB, 400 KB an item, two
//! writes to one key), so that what works in one world works in the other.

use std::hash::{DefaultHasher, Hash, Hasher};

use kernel::Timestamp;
use uuid::Uuid;

use crate::{Envelope, Held, Key, Record, Revision, Table};

/// The most items in one transaction, the outbox record counted (AWS: TransactWriteItems).
pub const TRANSACTION_ITEMS_MAX: usize = 100;
/// The most bytes in one transaction (AWS: TransactWriteItems), less a margin for the names of attributes.
pub const TRANSACTION_BYTES_MAX: usize = (4 * 1024 - 128) * 1024;
/// The most bytes of one item, key included (AWS: item size), less a margin for the names of attributes.
pub const ITEM_BYTES_MAX: usize = 384 * 1024;
/// The most bytes of a partition key (AWS: DynamoDB).
pub const PARTITION_BYTES_MAX: usize = 2_048;
/// The most bytes of a sort key (AWS: DynamoDB).
pub const SORT_BYTES_MAX: usize = 1_024;

/// What must hold of the stored item, or nothing of the transaction is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// There is no such item.
    Absent,
    /// It still has this revision.
    Exactly(Revision),
    /// There is none, or it is older than this revision.
    OlderThan(Revision),
}

/// What happens to the item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// It is written whole.
    Put {
        /// The revision it has then.
        revision: Revision,
        /// When the store may delete it.
        expires_at: Option<Timestamp>,
        /// A JSON object.
        body: String,
    },
    /// It is removed.
    Delete,
    /// Nothing; only the expectation counts.
    Check,
}

/// One item of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Which item.
    pub key: Key,
    /// What must hold of it.
    pub expect: Expect,
    /// What happens to it.
    pub action: Action,
}

impl Write {
    fn bytes(&self) -> usize {
        let body = match &self.action {
            Action::Put { body, .. } => body.len(),
            Action::Delete | Action::Check => 0,
        };
        self.key.partition.len() + self.key.sort.len() + body
    }
}

/// A transaction would be larger than every store can commit, or writes one item twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// More than [`TRANSACTION_ITEMS_MAX`] items.
    #[error("a transaction has at most {TRANSACTION_ITEMS_MAX} items")]
    Items,
    /// More than [`TRANSACTION_BYTES_MAX`] bytes.
    #[error("a transaction has at most {TRANSACTION_BYTES_MAX} bytes")]
    Bytes,
    /// An item, or all messages together, of more than [`ITEM_BYTES_MAX`] bytes.
    #[error("an item has at most {ITEM_BYTES_MAX} bytes")]
    ItemBytes,
    /// Two writes to one key.
    #[error("{0:?} is written twice in one transaction")]
    KeyTwice(Key),
    /// Messages for two outboxes: a service has one.
    #[error("a transaction has one outbox")]
    TwoOutboxes,
    /// A partition or sort key is empty.
    #[error("a key has a partition and a sort key")]
    EmptyKey,
    /// A partition key of more than [`PARTITION_BYTES_MAX`] bytes, or a sort key of more than [`SORT_BYTES_MAX`].
    #[error(
        "a partition key has at most {PARTITION_BYTES_MAX} bytes, and a sort key at most {SORT_BYTES_MAX}"
    )]
    KeyBytes,
    /// A message or a requirement in an independent transaction, none of whose writes would depend on it.
    #[error("an independent transaction has no messages and no requirements")]
    NotIndependent,
}

/// All or nothing, but for an [independent](Transaction::independent) one. Its messages leave as one outbox record,
/// because the stream records of one DynamoDB transaction may interleave with those of another.
#[derive(Clone, Debug)]
pub struct Transaction {
    id: Uuid,
    is_independent: bool,
    writes: Vec<Write>,
    /// The hashes of the keys that are written: to compare each new key with all others would take longer than the rest.
    hashes: Vec<u64>,
    outbox: Option<Table>,
    messages: Vec<Envelope>,
    bytes: usize,
    messages_bytes: usize,
}

impl Transaction {
    /// An empty transaction. The id makes it safe to commit the same one again after an unknown outcome.
    pub fn new(id: Uuid) -> Self {
        Self {
            id,
            is_independent: false,
            writes: Vec::new(),
            hashes: Vec::new(),
            outbox: None,
            messages: Vec::new(),
            bytes: 0,
            messages_bytes: 0,
        }
    }

    /// An empty transaction whose writes stand for themselves, each under its own expectation: the way of projections.
    /// Where the commit ends in an error, any of them may have been written, and the same one committed again may find
    /// its own writes and answer Conflict. So every write must be one that can be looked for and left out.
    ///
    /// DynamoDB charges twice for a write that is part of something atomic (AWS: TransactWriteItems, capacity).
    pub fn independent(id: Uuid) -> Self {
        Self { is_independent: true, ..Self::new(id) }
    }

    /// Writes a record that must not exist yet.
    pub fn create<R: Record>(&mut self, record: &R) -> Result<(), Limit> {
        self.put(record, Expect::Absent, Revision::FIRST)
    }

    /// Writes a record over the one that was read, which must not have changed since.
    pub fn replace<R: Record>(&mut self, held: Revision, next: &R) -> Result<(), Limit> {
        self.put(next, Expect::Exactly(held), held.next())
    }

    /// Writes what is newer than what is stored, if anything is: the way of projections.
    pub fn supersede<R: Record>(&mut self, newer: &R, revision: Revision) -> Result<(), Limit> {
        self.put(newer, Expect::OlderThan(revision), revision)
    }

    /// Asks that a record that was read has not changed.
    pub fn require<R: Record>(&mut self, held: &Held<R>) -> Result<(), Limit> {
        if self.is_independent {
            return Err(Limit::NotIndependent);
        }
        let expect = Expect::Exactly(held.revision);
        self.write(Write { key: held.record.key(), expect, action: Action::Check })
    }

    /// Removes a record that was read and has not changed since.
    pub fn delete(&mut self, key: Key, revision: Revision) -> Result<(), Limit> {
        self.write(Write { key, expect: Expect::Exactly(revision), action: Action::Delete })
    }

    /// Lets a message leave with this transaction through the service's outbox. There is no other way to publish.
    pub fn emit(&mut self, outbox: Table, message: Envelope) -> Result<(), Limit> {
        if self.is_independent {
            return Err(Limit::NotIndependent);
        }
        if self.outbox.is_some_and(|other| other != outbox) {
            return Err(Limit::TwoOutboxes);
        }
        if self.outbox.is_none() && self.writes.len() == TRANSACTION_ITEMS_MAX {
            return Err(Limit::Items);
        }
        let bytes = message.bytes();
        if self.messages_bytes + bytes > ITEM_BYTES_MAX {
            return Err(Limit::ItemBytes);
        }
        self.grow(bytes)?;
        self.messages_bytes += bytes;
        self.outbox = Some(outbox);
        self.messages.push(message);
        Ok(())
    }

    /// The id of the transaction.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Whether each write stands for itself, and some may be written without the others.
    pub fn is_independent(&self) -> bool {
        self.is_independent
    }

    /// The items of the transaction.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The outbox and the messages that leave through it, as one record; `None` where there are none.
    pub fn outbox(&self) -> Option<(Table, &[Envelope])> {
        self.outbox.map(|table| (table, self.messages.as_slice()))
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.messages.is_empty()
    }

    fn put<R: Record>(&mut self, record: &R, expect: Expect, revision: Revision) -> Result<(), Limit> {
        let body = serde_json::to_string(record).unwrap_or_else(|error| {
            unreachable!("a record is a struct of strings, numbers and enums, so it has a JSON form: {error}")
        });
        let action = Action::Put { revision, expires_at: record.expires_at(), body };
        self.write(Write { key: record.key(), expect, action })
    }

    fn write(&mut self, write: Write) -> Result<(), Limit> {
        let outbox_records = usize::from(self.outbox.is_some());
        if self.writes.len() + outbox_records == TRANSACTION_ITEMS_MAX {
            return Err(Limit::Items);
        }
        if write.key.partition.is_empty() || write.key.sort.is_empty() {
            return Err(Limit::EmptyKey);
        }
        if write.key.partition.len() > PARTITION_BYTES_MAX || write.key.sort.len() > SORT_BYTES_MAX {
            return Err(Limit::KeyBytes);
        }
        let mut hasher = DefaultHasher::new();
        write.key.hash(&mut hasher);
        let hash = hasher.finish();
        let mut others = self.hashes.iter().zip(&self.writes);
        if others.any(|(other_hash, other)| *other_hash == hash && other.key == write.key) {
            return Err(Limit::KeyTwice(write.key));
        }
        if write.bytes() > ITEM_BYTES_MAX {
            return Err(Limit::ItemBytes);
        }
        self.grow(write.bytes())?;
        self.hashes.push(hash);
        self.writes.push(write);
        Ok(())
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Limit> {
        if self.bytes + bytes > TRANSACTION_BYTES_MAX {
            return Err(Limit::Bytes);
        }
        self.bytes += bytes;
        Ok(())
    }
}
