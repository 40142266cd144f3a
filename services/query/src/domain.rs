//! What an event changes in the eyes of a reader: rows of an account's history, its balance, its name.

use contracts::Message;
use contracts::accounts::AccountState;
use contracts::ledger::{FailureReason, MoveFailedEvent, MovedEvent};
use kernel::{AccountId, Money, OperationId, Timestamp};
use serde::{Deserialize, Serialize};

/// Why a reader gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such account")]
    AccountNotFound,
    #[error("the balance has not had that many entries within the time a reader waits")]
    NotProjectedYet,
}

/// The operation behind a row of history.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TransactionKind {
    Deposit,
    Withdraw,
    Transfer,
}

/// Whether a row adds to the balance or takes from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    Credit,
    Debit,
}

/// How the operation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TransactionStatus {
    Completed,
    Failed,
}

/// A row of an account's history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Transaction {
    pub operation_id: OperationId,
    pub account_id: AccountId,
    pub kind: TransactionKind,
    pub direction: Direction,
    pub status: TransactionStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<FailureReason>,
    pub amount: Money,
    /// What the account held then; a failed operation left it as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_after: Option<Money>,
    pub account_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty_account_id: Option<AccountId>,
    pub occurred_at: Timestamp,
}

/// What an account holds after its newest entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Balance {
    pub account_id: AccountId,
    pub balance: Money,
    /// How many entries the account has.
    pub version: u64,
    pub updated_at: Timestamp,
}

/// Everything that one event changes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    pub transactions: Vec<Transaction>,
    pub balances: Vec<Balance>,
    pub account: Option<AccountState>,
}

/// An item beside its rows that an event writes, and that it shares with other events of the account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shared {
    Balance(AccountId),
    Account(AccountId),
}

impl Changes {
    /// The items that are written once, however many events change them together.
    pub fn shared(&self) -> Vec<Shared> {
        let account = self.account.iter().map(|account| Shared::Account(account.account_id));
        self.balances.iter().map(|balance| Shared::Balance(balance.account_id)).chain(account).collect()
    }
}

/// Reads an event. One that no reader would notice changes nothing.
pub fn changes(event: &Message) -> Changes {
    match event {
        Message::CreateAccount(account) | Message::CloseAccount(account) => {
            Changes { account: Some(account.clone()), ..Changes::default() }
        }
        Message::Deposited(moved) => moved_changes(moved, TransactionKind::Deposit, Direction::Credit),
        Message::Withdrawn(moved) => moved_changes(moved, TransactionKind::Withdraw, Direction::Debit),
        Message::DepositFailed(failed) => failed_changes(failed, TransactionKind::Deposit, Direction::Credit),
        Message::WithdrawFailed(failed) => {
            failed_changes(failed, TransactionKind::Withdraw, Direction::Debit)
        }
        Message::Transferred(transferred) => {
            let sides = [
                (&transferred.from, Direction::Debit, transferred.to.account_id),
                (&transferred.to, Direction::Credit, transferred.from.account_id),
            ];
            let mut changes = Changes::default();
            for (leg, direction, counterparty) in sides {
                changes.transactions.push(Transaction {
                    operation_id: transferred.operation_id,
                    account_id: leg.account_id,
                    kind: TransactionKind::Transfer,
                    direction,
                    status: TransactionStatus::Completed,
                    reason: None,
                    amount: transferred.amount,
                    balance_after: Some(leg.balance_after),
                    account_version: leg.account_version,
                    description: transferred.description.clone(),
                    counterparty_account_id: Some(counterparty),
                    occurred_at: transferred.occurred_at,
                });
                changes.balances.push(Balance {
                    account_id: leg.account_id,
                    balance: leg.balance_after,
                    version: leg.account_version,
                    updated_at: transferred.occurred_at,
                });
            }
            changes
        }
        // The payee of a failed transfer never hears of it: only the payer's history has a row.
        Message::TransferFailed(failed) => {
            let transaction = Transaction {
                operation_id: failed.operation_id,
                account_id: failed.from.account_id,
                kind: TransactionKind::Transfer,
                direction: Direction::Debit,
                status: TransactionStatus::Failed,
                reason: Some(failed.reason),
                amount: failed.amount,
                balance_after: failed.balance_after,
                account_version: failed.account_version,
                description: failed.description.clone(),
                counterparty_account_id: Some(failed.to.account_id),
                occurred_at: failed.occurred_at,
            };
            Changes { transactions: vec![transaction], ..Changes::default() }
        }
        // Closing moves no money, and the account's own event tells that it is closed.
        Message::AccountClosed(_) | Message::CloseRejected(_) => Changes::default(),
        Message::DepositCmd(_)
        | Message::WithdrawCmd(_)
        | Message::TransferCmd(_)
        | Message::CloseAccountCmd(_) => Changes::default(),
    }
}

fn moved_changes(moved: &MovedEvent, kind: TransactionKind, direction: Direction) -> Changes {
    let transaction = Transaction {
        operation_id: moved.operation_id,
        account_id: moved.account_id,
        kind,
        direction,
        status: TransactionStatus::Completed,
        reason: None,
        amount: moved.amount,
        balance_after: Some(moved.balance_after),
        account_version: moved.account_version,
        description: moved.description.clone(),
        counterparty_account_id: None,
        occurred_at: moved.occurred_at,
    };
    let balance = Balance {
        account_id: moved.account_id,
        balance: moved.balance_after,
        version: moved.account_version,
        updated_at: moved.occurred_at,
    };
    Changes { transactions: vec![transaction], balances: vec![balance], account: None }
}

fn failed_changes(failed: &MoveFailedEvent, kind: TransactionKind, direction: Direction) -> Changes {
    let transaction = Transaction {
        operation_id: failed.operation_id,
        account_id: failed.account_id,
        kind,
        direction,
        status: TransactionStatus::Failed,
        reason: Some(failed.reason),
        amount: failed.amount,
        balance_after: failed.balance_after,
        account_version: failed.account_version,
        description: failed.description.clone(),
        counterparty_account_id: None,
        occurred_at: failed.occurred_at,
    };
    Changes { transactions: vec![transaction], ..Changes::default() }
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
