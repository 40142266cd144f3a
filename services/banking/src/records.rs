//! The layout of banking's tables: a customer's operations in the order they were asked for, and the accounts.

use contracts::accounts::AccountState;
use kernel::{AccountId, OperationId, UserId};
use ports::{Cursor, Key, Order, Range, Record, Revision, Table};
use serde::{Deserialize, Serialize};

use crate::domain::Operation;

/// Operations, and the first answers to requests with a key, both under their owner.
pub const OPERATIONS: Table = Table("operations");
/// The outbox.
pub const OPERATIONS_EVENTS: Table = Table("operations_events");
/// What banking knows of the accounts.
pub const ACCOUNTS_PROJECTION: Table = Table("banking_accounts_projection");
/// Banking's tables.
pub const TABLES: &[Table] = &[OPERATIONS, ACCOUNTS_PROJECTION];

const OPERATION: &str = "operation#";

/// Where an operation lies. Its owner is part of the key, so that nobody finds another's.
pub fn operation_key(owner: UserId, operation_id: OperationId) -> Key {
    Key::new(OPERATIONS, owner.to_string(), format!("{OPERATION}{operation_id}"))
}

/// A customer's operations, newest first: their identifiers are in the order of time.
pub fn operations_of(owner: UserId, after: Option<Cursor>, limit: usize) -> Range {
    Range { after, ..Range::prefix(OPERATIONS, owner.to_string(), OPERATION, Order::Descending, limit) }
}

impl Record for Operation {
    fn key(&self) -> Key {
        operation_key(self.owner, self.operation_id)
    }
}

/// An account as banking knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KnownAccount(pub AccountState);

/// Where an account lies.
pub fn account_key(account_id: AccountId) -> Key {
    Key::new(ACCOUNTS_PROJECTION, account_id.to_string(), "account")
}

impl KnownAccount {
    /// The newest state is the one with the largest revision.
    pub fn revision(&self) -> Revision {
        Revision(self.0.revision)
    }
}

impl Record for KnownAccount {
    fn key(&self) -> Key {
        account_key(self.0.account_id)
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
