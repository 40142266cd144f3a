//! The layout of the ledger's table: heads under their account, verdicts under their operation.
//!
//! Verdicts are not kept under their account, because a new one must be found by its operation to be refused a
//! second time, and because operations are numbered by time: new verdicts lie side by side in an ordered store.

use kernel::{AccountId, OperationId, Timestamp};
use ports::{Held, Item, Key, Record, Table};
use runtime::Fault;
use serde::{Deserialize, Serialize};

use crate::domain::{Head, Verdict};

/// Heads and verdicts.
pub const LEDGER: Table = Table("ledger");
/// The outbox.
pub const LEDGER_EVENTS: Table = Table("ledger_events");
/// The ledger's tables.
pub const TABLES: &[Table] = &[LEDGER];

const HEAD: &str = "head";
const VERDICT: &str = "verdict";

/// Where an account's head lies.
pub fn head_key(account_id: AccountId) -> Key {
    Key::new(LEDGER, format!("account#{account_id}"), HEAD)
}

/// Where an operation's verdict lies.
pub fn verdict_key(operation_id: OperationId) -> Key {
    Key::new(LEDGER, format!("operation#{operation_id}"), VERDICT)
}

impl Record for Head {
    fn key(&self) -> Key {
        head_key(self.account_id)
    }
}

/// A verdict, and when the command came to the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VerdictRecord {
    pub operation_id: OperationId,
    pub delivered_at: Timestamp,
    pub verdict: Verdict,
}

impl Record for VerdictRecord {
    fn key(&self) -> Key {
        verdict_key(self.operation_id)
    }
}

/// An item of the ledger's table.
pub enum LedgerItem {
    Head(Head),
    Verdict(VerdictRecord),
}

impl LedgerItem {
    /// Reads an item of the table as what it is.
    pub fn read(item: &Item) -> Result<Self, Fault> {
        match item.key.sort.as_str() {
            HEAD => Ok(Self::Head(Held::from_item(item)?.record)),
            VERDICT => Ok(Self::Verdict(Held::from_item(item)?.record)),
            other => Err(Fault::Unavailable(format!("the ledger holds an unknown kind of item, {other:?}"))),
        }
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
