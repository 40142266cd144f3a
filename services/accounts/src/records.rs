//! The layout of the accounts' table: a customer's accounts in the order they were opened.

use kernel::{AccountId, UserId};
use ports::{Cursor, Held, Item, Key, Order, Range, Record, Revision, Table, Unavailable};

use crate::domain::Account;

/// Accounts, and the first answers to requests with a key, both under their owner.
pub const ACCOUNTS: Table = Table("accounts");
/// The outbox.
pub const ACCOUNTS_EVENTS: Table = Table("accounts_events");
/// The tables of the accounts service.
pub const TABLES: &[Table] = &[ACCOUNTS];

const ACCOUNT: &str = "account#";

/// Where an account lies. Its owner is part of the key, so that nobody finds another's.
pub fn account_key(owner: UserId, account_id: AccountId) -> Key {
    Key::new(ACCOUNTS, owner.to_string(), format!("{ACCOUNT}{account_id}"))
}

/// A customer's accounts, oldest first: their identifiers are in the order of time.
pub fn accounts_of(owner: UserId, after: Option<Cursor>, limit: usize) -> Range {
    Range { after, ..Range::prefix(ACCOUNTS, owner.to_string(), ACCOUNT, Order::Ascending, limit) }
}

/// Reads an item of the table, if it is an account.
pub fn read(item: &Item) -> Result<Option<Account>, Unavailable> {
    if !item.key.sort.starts_with(ACCOUNT) {
        return Ok(None);
    }
    Ok(Some(Held::from_item(item)?.record))
}

/// The account as it is held once it is written: the store counts its changes as the account itself does.
pub fn held(account: Account) -> Held<Account> {
    Held { revision: Revision(account.revision), record: account }
}

impl Record for Account {
    fn key(&self) -> Key {
        account_key(self.owner, self.account_id)
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
