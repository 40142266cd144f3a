//! The rules of operations: what a customer may ask for, and how it ends.
//!
//! Banking refuses at once what it already knows to be wrong. What only the ledger can know, such as whether there
//! is enough money, ends the operation later.

use contracts::Message;
use contracts::accounts::{AccountState, AccountStatus};
use contracts::banking::{MoveCmd, Party, TransferCmd};
use contracts::ledger::FailureReason;
use kernel::{AccountId, Currency, InvalidAmount, Money, OperationId, Timestamp, UserId, is_plain_line};
use serde::{Deserialize, Serialize};

/// The longest description, in characters: that of a SEPA remittance (EPC, SCT rulebook, AT-T009).
pub const DESCRIPTION_CHARACTERS_MAX: usize = 140;

/// Which way money is to move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Movement {
    Deposit { account_id: AccountId },
    Withdraw { account_id: AccountId },
    Transfer { from_account_id: AccountId, to_account_id: AccountId },
}

impl Movement {
    /// The caller's account that is moved from or to.
    pub fn own_account(&self) -> AccountId {
        match self {
            Self::Deposit { account_id } | Self::Withdraw { account_id } => *account_id,
            Self::Transfer { from_account_id, .. } => *from_account_id,
        }
    }

    /// The account of a transfer's payee, which may be another person's.
    pub fn payee(&self) -> Option<AccountId> {
        match self {
            Self::Deposit { .. } | Self::Withdraw { .. } => None,
            Self::Transfer { to_account_id, .. } => Some(*to_account_id),
        }
    }
}

/// What a customer asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Request {
    pub movement: Movement,
    /// The digits of the amount.
    pub amount: String,
    /// The currency she means; without it, that of her account.
    pub currency: Option<Currency>,
    pub description: Option<String>,
}

/// Where an operation is in its life.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// The ledger has not judged it.
    Pending,
    /// The ledger posted it.
    Completed { balance_after: Money, account_version: u64, ended_at: Timestamp },
    /// The ledger refused it.
    Failed { reason: FailureReason, ended_at: Timestamp },
}

/// A movement that a customer asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Operation {
    pub operation_id: OperationId,
    pub owner: UserId,
    pub movement: Movement,
    pub amount: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub status: Status,
    pub created_at: Timestamp,
    /// When banking heard of the ledger's verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concluded_at: Option<Timestamp>,
}

impl Operation {
    /// Whether it is COMPLETED or FAILED, and so will never be anything else.
    pub fn has_ended(&self) -> bool {
        self.status != Status::Pending
    }
}

/// Why an operation is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such account")]
    AccountNotFound,
    #[error("the account is not open")]
    AccountNotOpen,
    #[error("the account to pay to is not open")]
    PayeeNotOpen,
    #[error("the account is kept in {0}")]
    CurrencyMismatch(Currency),
    #[error("the account to pay to is kept in {0}")]
    PayeeCurrencyMismatch(Currency),
    #[error("a transfer needs two different accounts")]
    SameAccount,
    #[error("the amount {0}")]
    InvalidAmount(InvalidAmount),
    #[error(
        "the description is not one line of at most {DESCRIPTION_CHARACTERS_MAX} characters that read as they are written"
    )]
    InvalidDescription,
}

/// The accounts an operation names, as far as they are known here.
pub struct Accounts<'a> {
    pub own: Option<&'a AccountState>,
    pub payee: Option<&'a AccountState>,
}

/// Who asks, under which new identifier, and when.
#[derive(Clone, Copy)]
pub struct Asked {
    pub owner: UserId,
    pub operation_id: OperationId,
    pub now: Timestamp,
}

/// Begins an operation, and says what to ask of the ledger.
pub fn begin(
    request: &Request,
    accounts: &Accounts<'_>,
    asked: Asked,
) -> Result<(Operation, Message), Rejection> {
    if request.description.as_deref().is_some_and(|text| !is_description(text)) {
        return Err(Rejection::InvalidDescription);
    }
    if request.movement.payee() == Some(request.movement.own_account()) {
        return Err(Rejection::SameAccount);
    }
    // Another person's account is as unknown to the caller as one that does not exist.
    let own =
        accounts.own.filter(|account| account.owner == asked.owner).ok_or(Rejection::AccountNotFound)?;
    if own.status != AccountStatus::Open {
        return Err(Rejection::AccountNotOpen);
    }
    if request.currency.is_some_and(|currency| currency != own.currency) {
        return Err(Rejection::CurrencyMismatch(own.currency));
    }
    let amount = Money::parse_amount(&request.amount, own.currency).map_err(Rejection::InvalidAmount)?;
    let operation = Operation {
        operation_id: asked.operation_id,
        owner: asked.owner,
        movement: request.movement,
        amount,
        description: request.description.clone(),
        status: Status::Pending,
        created_at: asked.now,
        concluded_at: None,
    };
    let command = command(&operation, own, accounts.payee)?;
    Ok((operation, command))
}

fn payee(own: &AccountState, payee: Option<&AccountState>) -> Result<Party, Rejection> {
    let payee = payee.ok_or(Rejection::AccountNotFound)?;
    if payee.status != AccountStatus::Open {
        return Err(Rejection::PayeeNotOpen);
    }
    if payee.currency != own.currency {
        return Err(Rejection::PayeeCurrencyMismatch(payee.currency));
    }
    Ok(Party { account_id: payee.account_id, owner: payee.owner })
}

fn command(
    operation: &Operation,
    own: &AccountState,
    other: Option<&AccountState>,
) -> Result<Message, Rejection> {
    let Operation { operation_id, owner, movement, amount, description, .. } = operation.clone();
    Ok(match movement {
        Movement::Deposit { account_id } => {
            Message::DepositCmd(MoveCmd { operation_id, account_id, owner, amount, description })
        }
        Movement::Withdraw { account_id } => {
            Message::WithdrawCmd(MoveCmd { operation_id, account_id, owner, amount, description })
        }
        Movement::Transfer { from_account_id, .. } => {
            let from = Party { account_id: from_account_id, owner };
            let to = payee(own, other)?;
            Message::TransferCmd(TransferCmd { operation_id, from, to, amount, description })
        }
    })
}

fn is_description(text: &str) -> bool {
    text.chars().count() <= DESCRIPTION_CHARACTERS_MAX && is_plain_line(text)
}

/// What the ledger's verdict means for the operation it judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    pub operation_id: OperationId,
    pub owner: UserId,
    pub status: Status,
}

/// Reads a verdict. Other events end no operation.
pub fn ending(event: &Message) -> Option<Ending> {
    let completed = |balance_after, account_version, ended_at| Status::Completed {
        balance_after,
        account_version,
        ended_at,
    };
    let (operation_id, owner, status) = match event {
        Message::Deposited(moved) | Message::Withdrawn(moved) => {
            let status = completed(moved.balance_after, moved.account_version, moved.occurred_at);
            (moved.operation_id, moved.owner, status)
        }
        Message::Transferred(transferred) => {
            let from = &transferred.from;
            let status = completed(from.balance_after, from.account_version, transferred.occurred_at);
            (transferred.operation_id, from.owner, status)
        }
        Message::DepositFailed(failed) | Message::WithdrawFailed(failed) => {
            let status = Status::Failed { reason: failed.reason, ended_at: failed.occurred_at };
            (failed.operation_id, failed.owner, status)
        }
        Message::TransferFailed(failed) => {
            let status = Status::Failed { reason: failed.reason, ended_at: failed.occurred_at };
            (failed.operation_id, failed.from.owner, status)
        }
        _ => return None,
    };
    Some(Ending { operation_id, owner, status })
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
