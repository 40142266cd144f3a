//! One item that carries its messages: a record and what is said of it, in one conditional PutItem.
//!
//! DynamoDB writes one item whole or not at all by itself, and at a quarter of the price of a transaction of the item and
//! an outbox record. So where a transaction writes one record, in a table whose stream a relay reads, its messages lie in
//! the record's own item until the record is written again; the stream has them by then.
//!
//! **The same transaction committed again** finds its own id in the item and writes the same item once more. But where
//! the first answer was lost, the record may have been written anew in the meantime, and then nothing in the item tells
//! any more that the transaction was committed: the condition fails as it would for a real conflict. Who took it for
//! one would decide again, and a customer would have deposited twice. So the ids of transactions whose outcome was unknown
//! are remembered, and theirs stays unknown.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ports::{Action, Envelope, ITEM_BYTES_MAX, Transaction, Write};
use uuid::Uuid;

use super::DynamoStore;
use super::attributes::{self, Attributes, Misfit};
use super::commits::condition;
use super::failure::Failure;

/// How many transactions of unknown outcome are remembered. Each is tried again within a second, or given up.
const UNKNOWN_MAX: usize = 1_024;

/// The transactions that carried messages and whose outcome was unknown.
#[derive(Clone, Default)]
pub struct Unknown(Arc<Mutex<BTreeSet<Uuid>>>);

impl Unknown {
    fn ids(&self) -> MutexGuard<'_, BTreeSet<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids are of version 7, so the smallest is the oldest.
    fn remember(&self, transaction_id: Uuid) {
        let mut ids = self.ids();
        ids.insert(transaction_id);
        if ids.len() > UNKNOWN_MAX {
            ids.pop_first();
        }
    }
}

impl DynamoStore {
    /// The item that carries all messages of a transaction, if it is one that can, and the write that it is made of.
    pub(super) fn carrier<'a>(
        &self,
        transaction: &'a Transaction,
    ) -> Result<Option<(&'a Write, Attributes)>, Misfit> {
        let (Some((_, messages)), [write]) = (transaction.outbox(), transaction.writes()) else {
            return Ok(None);
        };
        let Action::Put { revision, expires_at, body } = &write.action else { return Ok(None) };
        let bytes = body.len() + messages.iter().map(Envelope::bytes).sum::<usize>();
        if !self.streamed.contains(&write.key.table) || bytes > ITEM_BYTES_MAX {
            return Ok(None);
        }
        let mut item = attributes::item_attributes(&write.key, *revision, *expires_at, body)?;
        attributes::carry(&mut item, transaction.id(), messages)?;
        Ok(Some((write, item)))
    }

    /// Writes an item that carries its messages.
    pub(super) async fn write_carrier(
        &self,
        transaction_id: Uuid,
        write: &Write,
        item: Attributes,
    ) -> Result<(), Failure> {
        let (expected, values) = condition(write.expect);
        let expected = format!("({expected}) OR sent_by = :transaction_id");
        let mut values = values.unwrap_or_default();
        values.insert(":transaction_id".to_owned(), attributes::transaction_attribute(transaction_id));
        let written = self.put(transaction_id, write.key.table, item, &expected, Some(values)).await;
        match written {
            Err(Failure::Unknown(_)) => self.unknown.remember(transaction_id),
            Err(Failure::Unexpected(_)) if self.unknown.ids().contains(&transaction_id) => {
                let reason =
                    "an answer was lost, and the item has been written by another since, or always was";
                return Err(Failure::Unknown(reason.to_owned()));
            }
            _ => {}
        }
        written
    }
}
