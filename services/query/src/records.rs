//! The layout of the projections: an account's history in the order of time, its balance, and a customer's accounts.

use contracts::accounts::AccountState;
use kernel::{AccountId, OperationId, Timestamp, UserId};
use ports::{Cursor, Key, Order, Range, Record, Revision, Table};
use serde::{Deserialize, Serialize};

use crate::domain::{Balance, Transaction};

/// The history of every account.
pub const TRANSACTIONS: Table = Table("transactions");
/// What every account holds.
pub const BALANCES: Table = Table("balances");
/// The accounts of every customer.
pub const ACCOUNTS_PROJECTION: Table = Table("query_accounts_projection");
/// The tables of the query service; all can be rebuilt.
pub const TABLES: &[Table] = &[TRANSACTIONS, BALANCES, ACCOUNTS_PROJECTION];

/// A row of history, and when it could first be read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TransactionRecord {
    pub transaction: Transaction,
    pub projected_at: Timestamp,
}

/// Where a row lies: by time, then by the order of the journal, then by operation.
pub fn transaction_key(
    account_id: AccountId,
    occurred_at: Timestamp,
    account_version: u64,
    operation_id: OperationId,
) -> Key {
    let sort = format!("{}#{account_version:012}#{operation_id}", moment(occurred_at));
    Key::new(TRANSACTIONS, account_id.to_string(), sort)
}

/// An account's history in a span of time, both ends included, newest first.
pub fn transactions_of(
    account_id: AccountId,
    (from, to): (Timestamp, Timestamp),
    after: Option<Cursor>,
    limit: usize,
) -> Range {
    Range {
        table: TRANSACTIONS,
        partition: account_id.to_string(),
        first: moment(from),
        last: format!("{}{}", moment(to), char::MAX),
        order: Order::Descending,
        after,
        limit,
    }
}

/// Milliseconds with as many digits as the last instant has, so that texts sort as times do.
fn moment(instant: Timestamp) -> String {
    format!("{:015}", instant.as_millis())
}

impl Record for TransactionRecord {
    fn key(&self) -> Key {
        let Transaction { account_id, occurred_at, account_version, operation_id, .. } = self.transaction;
        transaction_key(account_id, occurred_at, account_version, operation_id)
    }
}

/// Where an account's balance lies.
pub fn balance_key(account_id: AccountId) -> Key {
    Key::new(BALANCES, account_id.to_string(), "balance")
}

impl Record for Balance {
    fn key(&self) -> Key {
        balance_key(self.account_id)
    }
}

/// An account as a reader knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KnownAccount(pub AccountState);

impl KnownAccount {
    /// The newest state is the one with the largest revision.
    pub fn revision(&self) -> Revision {
        Revision(self.0.revision)
    }
}

/// Where an account lies. Its owner is part of the key, so that nobody finds another's.
pub fn account_key(owner: UserId, account_id: AccountId) -> Key {
    Key::new(ACCOUNTS_PROJECTION, owner.to_string(), account_id.to_string())
}

/// A customer's accounts, oldest first.
pub fn accounts_of(owner: UserId, after: Option<Cursor>, limit: usize) -> Range {
    Range { after, ..Range::prefix(ACCOUNTS_PROJECTION, owner.to_string(), "", Order::Ascending, limit) }
}

impl Record for KnownAccount {
    fn key(&self) -> Key {
        account_key(self.0.owner, self.0.account_id)
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
