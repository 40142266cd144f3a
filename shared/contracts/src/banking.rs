//! What the banking service asks of the ledger.

use kernel::{AccountId, Money, OperationId, UserId};
use serde::{Deserialize, Serialize};

/// The body of DEPOSIT_CMD and WITHDRAW_CMD.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MoveCmd {
    /// The operation, and the key of its verdict.
    pub operation_id: OperationId,
    /// The account whose balance changes.
    pub account_id: AccountId,
    /// Whose account it is.
    pub owner: UserId,
    /// How much; more than zero.
    pub amount: Money,
    /// The customer's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// One side of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Party {
    /// The account.
    pub account_id: AccountId,
    /// Whose account it is.
    pub owner: UserId,
}

/// TRANSFER_CMD: move money between two accounts of one currency in one posting.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TransferCmd {
    /// The operation, and the key of its verdict.
    pub operation_id: OperationId,
    /// Who pays.
    pub from: Party,
    /// Who is paid; another account.
    pub to: Party,
    /// How much; more than zero.
    pub amount: Money,
    /// The payer's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
