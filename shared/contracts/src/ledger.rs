//! What the ledger decided. Every event carries the state it led to, so that its order does not matter.

use kernel::{AccountId, Currency, Money, OperationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::banking::Party;

/// Why the ledger refused a command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureReason {
    /// The balance would fall below zero.
    InsufficientFunds,
    /// The account is closed.
    AccountClosed,
    /// The account holds another currency.
    CurrencyMismatch,
    /// The balance would be larger than the bank can count.
    BalanceTooLarge,
    /// An account that is to be closed still holds money.
    BalanceNotZero,
}

impl FailureReason {
    /// The reason's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::InsufficientFunds => "INSUFFICIENT_FUNDS",
            Self::AccountClosed => "ACCOUNT_CLOSED",
            Self::CurrencyMismatch => "CURRENCY_MISMATCH",
            Self::BalanceTooLarge => "BALANCE_TOO_LARGE",
            Self::BalanceNotZero => "BALANCE_NOT_ZERO",
        }
    }
}

/// The body of DEPOSIT_EVENT and WITHDRAW_EVENT.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MovedEvent {
    /// The operation.
    pub operation_id: OperationId,
    /// The account whose balance changed.
    pub account_id: AccountId,
    /// Whose account it is.
    pub owner: UserId,
    /// By how much it changed.
    pub amount: Money,
    /// What it holds now.
    pub balance_after: Money,
    /// How many entries the account has now.
    pub account_version: u64,
    /// The customer's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was posted.
    pub occurred_at: Timestamp,
}

/// The body of DEPOSIT_FAILED_EVENT and WITHDRAW_FAILED_EVENT. The balance did not change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MoveFailedEvent {
    /// The operation.
    pub operation_id: OperationId,
    /// The account.
    pub account_id: AccountId,
    /// Whose account it is.
    pub owner: UserId,
    /// How much was asked for.
    pub amount: Money,
    /// Why it was refused.
    pub reason: FailureReason,
    /// What the account holds, unchanged; none where it never had an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_after: Option<Money>,
    /// How many entries the account has, unchanged.
    pub account_version: u64,
    /// The customer's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was refused.
    pub occurred_at: Timestamp,
}

/// One side of a posted transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leg {
    /// The account.
    pub account_id: AccountId,
    /// Whose account it is.
    pub owner: UserId,
    /// What it holds now.
    pub balance_after: Money,
    /// How many entries the account has now.
    pub account_version: u64,
}

/// TRANSFER_EVENT: one posting moved money between two accounts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TransferredEvent {
    /// The operation.
    pub operation_id: OperationId,
    /// Who paid.
    pub from: Leg,
    /// Who was paid.
    pub to: Leg,
    /// How much.
    pub amount: Money,
    /// The payer's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was posted.
    pub occurred_at: Timestamp,
}

/// TRANSFER_FAILED_EVENT: neither balance changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TransferFailedEvent {
    /// The operation.
    pub operation_id: OperationId,
    /// Who would have paid.
    pub from: Party,
    /// Who would have been paid.
    pub to: Party,
    /// How much was asked for.
    pub amount: Money,
    /// Why it was refused.
    pub reason: FailureReason,
    /// What the payer's account holds, unchanged; none where it never had an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_after: Option<Money>,
    /// How many entries the payer's account has, unchanged.
    pub account_version: u64,
    /// The payer's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was refused.
    pub occurred_at: Timestamp,
}

/// ACCOUNT_CLOSED_EVENT: no command moves this account's balance any more; it is zero.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccountClosedEvent {
    /// The request to close.
    pub operation_id: OperationId,
    /// The account.
    pub account_id: AccountId,
    /// Whose it is.
    pub owner: UserId,
    /// The currency it held.
    pub currency: Currency,
    /// How many entries the account has, for ever.
    pub account_version: u64,
    /// When it was closed.
    pub occurred_at: Timestamp,
}

/// CLOSE_REJECTED_EVENT: the account stays as it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CloseRejectedEvent {
    /// The request to close.
    pub operation_id: OperationId,
    /// The account.
    pub account_id: AccountId,
    /// Whose it is.
    pub owner: UserId,
    /// Why it was not closed.
    pub reason: FailureReason,
    /// When it was refused.
    pub occurred_at: Timestamp,
}
