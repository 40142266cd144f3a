//! What the accounts service says.

use kernel::{AccountId, Currency, OperationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// Whether an account takes part in movements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccountStatus {
    /// It does.
    Open,
    /// The ledger has been asked to close it, and has not answered.
    Closing,
    /// It never does again.
    Closed,
}

/// The body of CREATE_ACCOUNT_EVENT and CLOSE_ACCOUNT_EVENT: the account as it is then, whole, so that a reader
/// may miss or reorder what came before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccountState {
    /// The account.
    pub account_id: AccountId,
    /// Whose it is.
    pub owner: UserId,
    /// What its owner calls it.
    pub name: String,
    /// The only currency it holds.
    pub currency: Currency,
    /// Where it is in its life.
    pub status: AccountStatus,
    /// Grows with every change of the account: the newest state is the one with the largest.
    pub revision: u64,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}

/// CLOSE_ACCOUNT_CMD: close the head of this account if its balance is zero.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CloseAccountCmd {
    /// Names this request to close; the next one has another.
    pub operation_id: OperationId,
    /// The account.
    pub account_id: AccountId,
    /// Whose it is.
    pub owner: UserId,
    /// The currency it holds.
    pub currency: Currency,
}
