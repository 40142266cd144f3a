//! The life of an account: it is opened, its owner asks to close it, and the ledger closes it or does not.
//!
//! Accounts never knows a balance. Whether an account is empty is the ledger's to say, so an account that is to be
//! closed waits for the ledger's answer to that very request; an answer to an earlier one changes nothing.

use contracts::Message;
use contracts::accounts::{AccountState, AccountStatus, CloseAccountCmd};
use contracts::ledger::FailureReason;
use kernel::{AccountId, Currency, OperationId, Timestamp, UserId, is_plain_line};
use serde::{Deserialize, Serialize};

/// The longest name of an account, in characters.
pub const NAME_CHARACTERS_MAX: usize = 100;

/// What a customer asks for when she opens an account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Request {
    /// What she wants to call it.
    pub name: String,
    /// The only currency it will hold.
    pub currency: Currency,
}

/// Where an account is in its life.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It takes part in movements.
    Open {
        /// Why the ledger did not close it when it was last asked to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        close_rejected_reason: Option<FailureReason>,
    },
    /// The ledger has been asked to close it, and has not answered.
    Closing {
        /// The request whose answer counts.
        operation_id: OperationId,
    },
    /// It never takes part in a movement again.
    Closed { closed_at: Timestamp },
}

/// An account of a customer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Account {
    pub account_id: AccountId,
    pub owner: UserId,
    pub name: String,
    pub currency: Currency,
    pub status: Status,
    /// Grows by one with every change; it is the revision of the stored record too.
    pub revision: u64,
    pub created_at: Timestamp,
}

/// Why an account is not opened or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the name is one line of 1 to {NAME_CHARACTERS_MAX} characters that read as they are written")]
    InvalidName,
    #[error("there is no such account")]
    AccountNotFound,
    #[error("the account is not open")]
    AccountNotOpen,
}

/// Who asks, under which new identifier, and when.
#[derive(Clone, Copy)]
pub struct Asked {
    pub owner: UserId,
    pub account_id: AccountId,
    pub now: Timestamp,
}

impl Account {
    /// What the others are told of the account.
    pub fn state(&self) -> AccountState {
        let (status, closed_at) = match self.status {
            Status::Open { .. } => (AccountStatus::Open, None),
            Status::Closing { .. } => (AccountStatus::Closing, None),
            Status::Closed { closed_at } => (AccountStatus::Closed, Some(closed_at)),
        };
        AccountState {
            account_id: self.account_id,
            owner: self.owner,
            name: self.name.clone(),
            currency: self.currency,
            status,
            revision: self.revision,
            created_at: self.created_at,
            closed_at,
        }
    }

    /// Whether the ledger has yet to answer the request that the account waits for as `other` does.
    pub fn waits_as(&self, other: &Self) -> bool {
        matches!(self.status, Status::Closing { .. }) && self.status == other.status
    }

    fn changed_to(&self, status: Status) -> Self {
        Self { status, revision: self.revision + 1, ..self.clone() }
    }
}

/// Opens an account, and says what to tell the others.
pub fn open(request: &Request, asked: Asked) -> Result<(Account, Message), Rejection> {
    let account = Account {
        account_id: asked.account_id,
        owner: asked.owner,
        name: name(&request.name)?,
        currency: request.currency,
        status: Status::Open { close_rejected_reason: None },
        revision: 1,
        created_at: asked.now,
    };
    let event = Message::CreateAccount(account.state());
    Ok((account, event))
}

/// The name without the white space around it.
fn name(text: &str) -> Result<String, Rejection> {
    let name = text.trim();
    let is_name = (1..=NAME_CHARACTERS_MAX).contains(&name.chars().count()) && is_plain_line(name);
    if is_name { Ok(name.to_owned()) } else { Err(Rejection::InvalidName) }
}

/// Begins to close an account, and says what to ask of the ledger. `operation_id` names this request.
pub fn close(account: Option<&Account>, operation_id: OperationId) -> Result<(Account, Message), Rejection> {
    let account = account.ok_or(Rejection::AccountNotFound)?;
    if !matches!(account.status, Status::Open { .. }) {
        return Err(Rejection::AccountNotOpen);
    }
    let Account { account_id, owner, currency, .. } = *account;
    let command = Message::CloseAccountCmd(CloseAccountCmd { operation_id, account_id, owner, currency });
    Ok((account.changed_to(Status::Closing { operation_id }), command))
}

/// The ledger's answer to a request to close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conclusion {
    pub operation_id: OperationId,
    pub account_id: AccountId,
    pub owner: UserId,
    pub verdict: Verdict,
}

/// What the ledger decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Closed { closed_at: Timestamp },
    Rejected { reason: FailureReason },
}

/// A message that no service of this bank sends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} does not answer a request to close an account")]
pub struct NotAConclusion(&'static str);

impl TryFrom<&Message> for Conclusion {
    type Error = NotAConclusion;

    fn try_from(event: &Message) -> Result<Self, NotAConclusion> {
        match event {
            Message::AccountClosed(closed) => Ok(Self {
                operation_id: closed.operation_id,
                account_id: closed.account_id,
                owner: closed.owner,
                verdict: Verdict::Closed { closed_at: closed.occurred_at },
            }),
            Message::CloseRejected(rejected) => Ok(Self {
                operation_id: rejected.operation_id,
                account_id: rejected.account_id,
                owner: rejected.owner,
                verdict: Verdict::Rejected { reason: rejected.reason },
            }),
            other => Err(NotAConclusion(other.kind().name())),
        }
    }
}

/// Closes an account for good, or opens it again, and says what to tell the others. Nothing comes of an answer that
/// the account does not wait for: one that was delivered before, or one to an earlier request.
pub fn conclude(account: &Account, conclusion: &Conclusion) -> Option<(Account, Option<Message>)> {
    if account.status != (Status::Closing { operation_id: conclusion.operation_id }) {
        return None;
    }
    Some(match conclusion.verdict {
        Verdict::Closed { closed_at } => {
            let closed = account.changed_to(Status::Closed { closed_at });
            let event = Message::CloseAccount(closed.state());
            (closed, Some(event))
        }
        // The others were never told that it was to be closed, so there is nothing to take back.
        Verdict::Rejected { reason } => {
            (account.changed_to(Status::Open { close_rejected_reason: Some(reason) }), None)
        }
    })
}

/// The events there were of an account, made again from what it is now.
pub fn events(account: &Account) -> Vec<Message> {
    let opened =
        Account { status: Status::Open { close_rejected_reason: None }, revision: 1, ..account.clone() };
    let mut events = vec![Message::CreateAccount(opened.state())];
    if matches!(account.status, Status::Closed { .. }) {
        events.push(Message::CloseAccount(account.state()));
    }
    events
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
