//! What an event means to the people it concerns, in plain English, and whom a letter is worth.
//!
//! Each side of a transfer is told only what is hers: neither hears the other's balance, and a payee hears nothing
//! of a transfer that failed.

use contracts::Message;
use contracts::accounts::AccountState;
use contracts::ledger::{
    CloseRejectedEvent, FailureReason, Leg, MoveFailedEvent, MovedEvent, TransferFailedEvent,
    TransferredEvent,
};
use kernel::{AccountId, NotificationId, OperationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Builder;

/// What a notice is about. The numbers are part of the identifiers of notifications: they never change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum Kind {
    DepositCompleted = 1,
    DepositFailed = 2,
    WithdrawCompleted = 3,
    WithdrawFailed = 4,
    TransferSent = 5,
    TransferReceived = 6,
    /// Between two accounts of one person.
    TransferMoved = 7,
    TransferFailed = 8,
    AccountOpened = 9,
    AccountClosed = 10,
    AccountNotClosed = 11,
}

impl Kind {
    /// Whether a letter goes out beside the notification, for one who wants letters: where money leaves or an account
    /// is closed, since she must hear of it even if it was not she who asked.
    pub fn is_worth_a_letter(self) -> bool {
        match self {
            Self::WithdrawCompleted | Self::TransferSent | Self::AccountClosed => true,
            Self::DepositCompleted
            | Self::DepositFailed
            | Self::WithdrawFailed
            | Self::TransferReceived
            | Self::TransferMoved
            | Self::TransferFailed
            | Self::AccountOpened
            | Self::AccountNotClosed => false,
        }
    }
}

/// What one person is told of one event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// The same however often the event is delivered.
    pub notification_id: NotificationId,
    pub owner: UserId,
    pub kind: Kind,
    /// One line.
    pub title: String,
    pub text: String,
    pub operation_id: Option<OperationId>,
    pub account_id: AccountId,
}

/// Whom an event concerns, and what each is told. The ledger's ACCOUNT_CLOSED_EVENT is passed over, because the accounts
/// service tells of the same with the account's name.
pub fn notices(event: &Message) -> Vec<Notice> {
    match event {
        Message::Deposited(moved) => vec![deposited(moved)],
        Message::Withdrawn(moved) => vec![withdrawn(moved)],
        Message::DepositFailed(failed) => vec![move_failed(failed, Kind::DepositFailed, "deposit")],
        Message::WithdrawFailed(failed) => vec![move_failed(failed, Kind::WithdrawFailed, "withdrawal")],
        Message::Transferred(transferred) if transferred.from.owner == transferred.to.owner => {
            vec![moved_between_own(transferred)]
        }
        Message::Transferred(transferred) => vec![sent(transferred), received(transferred)],
        Message::TransferFailed(failed) => vec![transfer_failed(failed)],
        Message::CreateAccount(account) => vec![opened(account)],
        Message::CloseAccount(account) => vec![closed(account)],
        Message::CloseRejected(rejected) => vec![not_closed(rejected)],
        Message::AccountClosed(_)
        | Message::DepositCmd(_)
        | Message::WithdrawCmd(_)
        | Message::TransferCmd(_)
        | Message::CloseAccountCmd(_) => Vec::new(),
    }
}

/// Whom a notice is for, and what it is about.
#[derive(Clone, Copy)]
struct About {
    owner: UserId,
    account_id: AccountId,
    operation_id: Option<OperationId>,
    occurred_at: Timestamp,
}

impl About {
    fn notice(self, kind: Kind, title: impl Into<String>, text: impl Into<String>) -> Notice {
        Notice {
            notification_id: self.notification_id(kind),
            owner: self.owner,
            kind,
            title: title.into(),
            text: text.into(),
            operation_id: self.operation_id,
            account_id: self.account_id,
        }
    }

    /// Names a notice by what it is about, so that an event that is delivered again makes the same one: a UUID of
    /// version 7 (RFC 9562) of the time of the event, so that newer ones sort behind, with the random part of the
    /// operation's or account's identifier, into which the kind of notice is folded to tell two of one event apart.
    fn notification_id(self, kind: Kind) -> NotificationId {
        let named_after = self.operation_id.map_or(self.account_id.uuid(), OperationId::uuid);
        let mut random = [0; 10];
        random.copy_from_slice(&named_after.as_bytes()[6..]);
        random[1] ^= kind as u8;
        let millis = self.occurred_at.as_millis().unsigned_abs();
        NotificationId::new(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

fn about_moved(moved: &MovedEvent) -> About {
    About {
        owner: moved.owner,
        account_id: moved.account_id,
        operation_id: Some(moved.operation_id),
        occurred_at: moved.occurred_at,
    }
}

fn about_leg(transferred: &TransferredEvent, leg: &Leg) -> About {
    About {
        owner: leg.owner,
        account_id: leg.account_id,
        operation_id: Some(transferred.operation_id),
        occurred_at: transferred.occurred_at,
    }
}

fn about_account(account: &AccountState, occurred_at: Timestamp) -> About {
    About { owner: account.owner, account_id: account.account_id, operation_id: None, occurred_at }
}

fn deposited(moved: &MovedEvent) -> Notice {
    let MovedEvent { amount, balance_after, description, .. } = moved;
    let note = note("Your note", description.as_deref());
    let text = format!("{amount} was paid into your account. It now holds {balance_after}.{note}");
    about_moved(moved).notice(Kind::DepositCompleted, format!("You received {amount}"), text)
}

fn withdrawn(moved: &MovedEvent) -> Notice {
    let MovedEvent { amount, balance_after, description, .. } = moved;
    let note = note("Your note", description.as_deref());
    let text = format!("{amount} was paid out of your account. It now holds {balance_after}.{note}");
    about_moved(moved).notice(Kind::WithdrawCompleted, format!("You withdrew {amount}"), text)
}

fn move_failed(failed: &MoveFailedEvent, kind: Kind, movement: &str) -> Notice {
    let about = About {
        owner: failed.owner,
        account_id: failed.account_id,
        operation_id: Some(failed.operation_id),
        occurred_at: failed.occurred_at,
    };
    let title = format!("Your {movement} of {} failed", failed.amount);
    about.notice(kind, title, format!("No money was moved: {}.", in_words(failed.reason)))
}

fn sent(transferred: &TransferredEvent) -> Notice {
    let TransferredEvent { amount, from, description, .. } = transferred;
    let note = note("Your note", description.as_deref());
    let text =
        format!("{amount} was transferred from your account. It now holds {}.{note}", from.balance_after);
    about_leg(transferred, from).notice(Kind::TransferSent, format!("You sent {amount}"), text)
}

fn received(transferred: &TransferredEvent) -> Notice {
    let TransferredEvent { amount, to, description, .. } = transferred;
    let note = note("The sender wrote", description.as_deref());
    let text = format!("{amount} was transferred to your account. It now holds {}.{note}", to.balance_after);
    about_leg(transferred, to).notice(Kind::TransferReceived, format!("You received {amount}"), text)
}

fn moved_between_own(transferred: &TransferredEvent) -> Notice {
    let TransferredEvent { amount, from, to, description, .. } = transferred;
    let note = note("Your note", description.as_deref());
    let text = format!(
        "{amount} was moved between your accounts. The one it left now holds {}, the other {}.{note}",
        from.balance_after, to.balance_after
    );
    about_leg(transferred, from).notice(Kind::TransferMoved, format!("You moved {amount}"), text)
}

fn transfer_failed(failed: &TransferFailedEvent) -> Notice {
    let about = About {
        owner: failed.from.owner,
        account_id: failed.from.account_id,
        operation_id: Some(failed.operation_id),
        occurred_at: failed.occurred_at,
    };
    let title = format!("Your transfer of {} failed", failed.amount);
    let text = format!("No money was moved: {}.", transfer_in_words(failed.reason));
    about.notice(Kind::TransferFailed, title, text)
}

fn opened(account: &AccountState) -> Notice {
    let text = format!("Your account “{}” in {} is open.", account.name, account.currency);
    about_account(account, account.created_at).notice(Kind::AccountOpened, "Your account is open", text)
}

fn closed(account: &AccountState) -> Notice {
    let closed_at = account.closed_at.unwrap_or(account.created_at);
    let text = format!("Your account “{}” in {} is closed for good.", account.name, account.currency);
    about_account(account, closed_at).notice(Kind::AccountClosed, "Your account is closed", text)
}

fn not_closed(rejected: &CloseRejectedEvent) -> Notice {
    let about = About {
        owner: rejected.owner,
        account_id: rejected.account_id,
        operation_id: Some(rejected.operation_id),
        occurred_at: rejected.occurred_at,
    };
    let text = format!("Your account stays as it was: {}.", in_words(rejected.reason));
    about.notice(Kind::AccountNotClosed, "Your account was not closed", text)
}

/// The words that a movement came with, as a last sentence.
fn note(whose: &str, description: Option<&str>) -> String {
    description.map(|words| format!(" {whose}: “{words}”.")).unwrap_or_default()
}

/// Why an operation on one account failed.
fn in_words(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::InsufficientFunds => "there was not enough money in the account",
        FailureReason::AccountClosed => "the account is closed",
        FailureReason::CurrencyMismatch => "the account is kept in another currency",
        FailureReason::BalanceTooLarge => "the account would hold more than the bank can count",
        FailureReason::BalanceNotZero => "there is still money in the account",
    }
}

/// Why an operation on two accounts failed, without telling the payer more of the payee's than she needs.
fn transfer_in_words(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::AccountClosed => "one of the two accounts is closed",
        FailureReason::CurrencyMismatch => "the two accounts are not kept in the currency of the transfer",
        FailureReason::BalanceTooLarge => "the bank cannot post so much to the account to be paid",
        FailureReason::InsufficientFunds | FailureReason::BalanceNotZero => in_words(reason),
    }
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
