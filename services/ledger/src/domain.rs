//! The rules of the books: a command and the heads of its accounts give a verdict, and a verdict gives new heads.
//!
//! A posting is balanced by construction: it has one debit, one credit, one amount and one currency. Customers'
//! accounts are what the bank owes them, so a credit makes a balance grow. The other side of a deposit or a withdrawal is a contra
//! account, which has no head, no floor and so no row that everybody would have to write: its balance is the sum of
//! its postings.

use std::collections::BTreeMap;
use std::fmt;

use contracts::Message;
use contracts::accounts::CloseAccountCmd;
use contracts::banking::{MoveCmd, Party, TransferCmd};
use contracts::ledger::{
    AccountClosedEvent, CloseRejectedEvent, FailureReason, Leg, MoveFailedEvent, MovedEvent,
    TransferFailedEvent, TransferredEvent,
};
use kernel::{AccountId, Currency, Money, OperationId, Timestamp, UserId, from_hexadecimal, hexadecimal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the ledger is asked to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Command {
    Deposit(MoveCmd),
    Withdraw(MoveCmd),
    Transfer(TransferCmd),
    Close(CloseAccountCmd),
}

/// A message that no rule can judge, because no service of this bank sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("{0} is not a command to the ledger")]
    NotACommand(&'static str),
    #[error("the amount is not more than zero")]
    NotPositive,
    #[error("a transfer names one account twice")]
    ToItself,
}

impl TryFrom<Message> for Command {
    type Error = Malformed;

    fn try_from(message: Message) -> Result<Self, Malformed> {
        let command = match message {
            Message::DepositCmd(deposit) => Self::Deposit(deposit),
            Message::WithdrawCmd(withdrawal) => Self::Withdraw(withdrawal),
            Message::TransferCmd(transfer) => Self::Transfer(transfer),
            Message::CloseAccountCmd(close) => Self::Close(close),
            other => return Err(Malformed::NotACommand(other.kind().name())),
        };
        match &command {
            Self::Deposit(MoveCmd { amount, .. }) | Self::Withdraw(MoveCmd { amount, .. })
                if amount.minor <= 0 =>
            {
                Err(Malformed::NotPositive)
            }
            Self::Transfer(transfer) if transfer.amount.minor <= 0 => Err(Malformed::NotPositive),
            Self::Transfer(transfer) if transfer.from.account_id == transfer.to.account_id => {
                Err(Malformed::ToItself)
            }
            _ => Ok(command),
        }
    }
}

impl Command {
    /// The key of the verdict.
    pub fn operation_id(&self) -> OperationId {
        match self {
            Self::Deposit(MoveCmd { operation_id, .. })
            | Self::Withdraw(MoveCmd { operation_id, .. })
            | Self::Transfer(TransferCmd { operation_id, .. })
            | Self::Close(CloseAccountCmd { operation_id, .. }) => *operation_id,
        }
    }

    /// The accounts whose heads it is judged by, one or two.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + use<> {
        let (first, second) = match self {
            Self::Deposit(MoveCmd { account_id, .. })
            | Self::Withdraw(MoveCmd { account_id, .. })
            | Self::Close(CloseAccountCmd { account_id, .. }) => (*account_id, None),
            Self::Transfer(TransferCmd { from, to, .. }) => (from.account_id, Some(to.account_id)),
        };
        std::iter::once(first).chain(second)
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first entry of an account has in the place of its predecessor's hash.
    pub const NONE: Self = Self([0; 32]);
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hexadecimal(&hash.0)
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        from_hexadecimal(&text).map(Self).ok_or("a hash is 64 hexadecimal digits")
    }
}

/// Where an account stands: the sum of its entries. It is made by the first command that changes the account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    pub account_id: AccountId,
    pub owner: UserId,
    /// Never below zero.
    pub balance: Money,
    /// How many entries the account has.
    pub version: u64,
    pub is_closed: bool,
    /// The hash of the last entry.
    pub last_hash: Hash,
}

impl Head {
    /// An account before its first entry.
    pub fn new(account_id: AccountId, owner: UserId, currency: Currency) -> Self {
        let balance = Money::zero(currency);
        Self { account_id, owner, balance, version: 0, is_closed: false, last_hash: Hash::NONE }
    }
}

/// One side of a posting. Written as the account's id, `CASH_IN` or `CASH_OUT`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Side {
    /// Money that came into the bank: the contra account of deposits.
    CashIn,
    /// Money that left the bank: the contra account of withdrawals.
    CashOut,
    /// A customer's account.
    Account(AccountId),
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CashIn => f.write_str("CASH_IN"),
            Self::CashOut => f.write_str("CASH_OUT"),
            Self::Account(account_id) => account_id.fmt(f),
        }
    }
}

/// What a posting did to one customer's account: a link in that account's chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    pub account_id: AccountId,
    pub owner: UserId,
    pub balance_after: Money,
    /// The how-manieth entry of the account this is, from 1.
    pub version: u64,
    pub previous_hash: Hash,
    pub hash: Hash,
}

/// A posted movement of money: an entry of the journal, which is only ever added to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub operation_id: OperationId,
    pub debit: Side,
    pub credit: Side,
    pub amount: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub occurred_at: Timestamp,
    /// The customers' accounts it changed: the debited one first.
    pub links: Vec<Link>,
}

/// A command that was refused, as it was, and what its paying account held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    pub command: Command,
    pub reason: FailureReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Money>,
    pub version: u64,
    pub occurred_at: Timestamp,
}

/// What became of a command, for ever.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    Posted(Entry),
    Closed(AccountClosedEvent),
    Refused(Refusal),
}

/// The heads of the accounts that some commands name, in an order that is the same in every run.
pub type Heads = BTreeMap<AccountId, Head>;

/// Judges a command. An account without a head is a new one.
pub fn decide(heads: &Heads, command: &Command, now: Timestamp) -> Verdict {
    let decided = match command {
        Command::Deposit(deposit) => {
            let credited = Party { account_id: deposit.account_id, owner: deposit.owner };
            post(
                heads,
                Side::CashIn,
                Side::Account(deposit.account_id),
                &[credited],
                Movement::from(deposit),
                now,
            )
        }
        Command::Withdraw(withdrawal) => {
            let debited = Party { account_id: withdrawal.account_id, owner: withdrawal.owner };
            post(
                heads,
                Side::Account(withdrawal.account_id),
                Side::CashOut,
                &[debited],
                Movement::from(withdrawal),
                now,
            )
        }
        Command::Transfer(transfer) => {
            let (debit, credit) =
                (Side::Account(transfer.from.account_id), Side::Account(transfer.to.account_id));
            post(heads, debit, credit, &[transfer.from, transfer.to], Movement::from(transfer), now)
        }
        Command::Close(close) => decide_close(heads, close, now),
    };
    decided.unwrap_or_else(|reason| {
        let payer = command.accounts().next().and_then(|account_id| heads.get(&account_id));
        Verdict::Refused(Refusal {
            command: command.clone(),
            reason,
            balance: payer.map(|head| head.balance),
            version: payer.map_or(0, |head| head.version),
            occurred_at: now,
        })
    })
}

/// What deposits, withdrawals and transfers have in common.
#[derive(Clone, Copy)]
struct Movement<'a> {
    operation_id: OperationId,
    amount: Money,
    description: Option<&'a String>,
}

impl<'a> From<&'a MoveCmd> for Movement<'a> {
    fn from(command: &'a MoveCmd) -> Self {
        let MoveCmd { operation_id, amount, description, .. } = command;
        Self { operation_id: *operation_id, amount: *amount, description: description.as_ref() }
    }
}

impl<'a> From<&'a TransferCmd> for Movement<'a> {
    fn from(command: &'a TransferCmd) -> Self {
        let TransferCmd { operation_id, amount, description, .. } = command;
        Self { operation_id: *operation_id, amount: *amount, description: description.as_ref() }
    }
}

fn post(
    heads: &Heads,
    debit: Side,
    credit: Side,
    targets: &[Party],
    movement: Movement<'_>,
    now: Timestamp,
) -> Result<Verdict, FailureReason> {
    let mut entry = Entry {
        operation_id: movement.operation_id,
        debit,
        credit,
        amount: movement.amount,
        description: movement.description.cloned(),
        occurred_at: now,
        links: Vec::with_capacity(targets.len()),
    };
    for target in targets {
        let link = link(heads, &entry, target)?;
        entry.links.push(link);
    }
    Ok(Verdict::Posted(entry))
}

/// What the entry does to one account, or why the account does not allow it.
fn link(heads: &Heads, entry: &Entry, target: &Party) -> Result<Link, FailureReason> {
    let new = Head::new(target.account_id, target.owner, entry.amount.currency);
    let head = heads.get(&target.account_id).unwrap_or(&new);
    if head.is_closed {
        return Err(FailureReason::AccountClosed);
    }
    if head.balance.currency != entry.amount.currency {
        return Err(FailureReason::CurrencyMismatch);
    }
    let is_credited = entry.credit == Side::Account(head.account_id);
    let change = if is_credited { entry.amount.minor } else { -entry.amount.minor };
    let minor = head.balance.minor.checked_add(change).ok_or(FailureReason::BalanceTooLarge)?;
    if minor < 0 {
        return Err(FailureReason::InsufficientFunds);
    }
    let mut link = Link {
        account_id: head.account_id,
        owner: head.owner,
        balance_after: Money::from_minor(minor, entry.amount.currency),
        version: head.version + 1,
        previous_hash: head.last_hash,
        hash: Hash::NONE,
    };
    link.hash = hash(entry, &link);
    Ok(link)
}

fn decide_close(heads: &Heads, close: &CloseAccountCmd, now: Timestamp) -> Result<Verdict, FailureReason> {
    let head = heads.get(&close.account_id);
    if head.is_some_and(|head| head.is_closed) {
        return Err(FailureReason::AccountClosed);
    }
    if head.is_some_and(|head| head.balance.minor != 0) {
        return Err(FailureReason::BalanceNotZero);
    }
    Ok(Verdict::Closed(AccountClosedEvent {
        operation_id: close.operation_id,
        account_id: close.account_id,
        owner: close.owner,
        currency: close.currency,
        account_version: head.map_or(0, |head| head.version),
        occurred_at: now,
    }))
}

/// Brings the heads to where the verdict leaves them. A refusal leaves them alone.
pub fn apply(heads: &mut Heads, verdict: &Verdict) {
    match verdict {
        Verdict::Posted(entry) => {
            for link in &entry.links {
                let new = || Head::new(link.account_id, link.owner, entry.amount.currency);
                let head = heads.entry(link.account_id).or_insert_with(new);
                head.balance = link.balance_after;
                head.version = link.version;
                head.last_hash = link.hash;
            }
        }
        Verdict::Closed(closed) => {
            let new = || Head::new(closed.account_id, closed.owner, closed.currency);
            heads.entry(closed.account_id).or_insert_with(new).is_closed = true;
        }
        Verdict::Refused(_) => {}
    }
}

/// The hash of a link: SHA-256 over one line a field, in this order. The free text comes last and its length before
/// it, so that no two entries have the same bytes.
pub fn hash(entry: &Entry, link: &Link) -> Hash {
    let description = entry.description.as_deref().unwrap_or_default();
    let canonical = format!(
        "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n",
        link.account_id,
        link.owner,
        link.version,
        link.previous_hash,
        entry.operation_id,
        entry.debit,
        entry.credit,
        entry.amount.minor,
        entry.amount.currency,
        link.balance_after.minor,
        link.balance_after.currency,
        entry.occurred_at.as_millis(),
        description.len(),
    );
    Hash(Sha256::new().chain_update(canonical).chain_update(description).finalize().into())
}

/// A stored entry that was altered: its links are not those of the accounts it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {0} is not balanced")]
pub struct Unbalanced(pub OperationId);

/// What the others are told of a verdict.
pub fn event(verdict: &Verdict) -> Result<Message, Unbalanced> {
    match verdict {
        Verdict::Posted(entry) => posted_event(entry),
        Verdict::Closed(closed) => Ok(Message::AccountClosed(closed.clone())),
        Verdict::Refused(refusal) => Ok(refused_event(refusal)),
    }
}

fn posted_event(entry: &Entry) -> Result<Message, Unbalanced> {
    let moved = |link: &Link| MovedEvent {
        operation_id: entry.operation_id,
        account_id: link.account_id,
        owner: link.owner,
        amount: entry.amount,
        balance_after: link.balance_after,
        account_version: link.version,
        description: entry.description.clone(),
        occurred_at: entry.occurred_at,
    };
    let leg = |link: &Link| Leg {
        account_id: link.account_id,
        owner: link.owner,
        balance_after: link.balance_after,
        account_version: link.version,
    };
    Ok(match (entry.debit, entry.credit, entry.links.as_slice()) {
        (Side::CashIn, Side::Account(_), [link]) => Message::Deposited(moved(link)),
        (Side::Account(_), Side::CashOut, [link]) => Message::Withdrawn(moved(link)),
        (Side::Account(_), Side::Account(_), [from, to]) => Message::Transferred(TransferredEvent {
            operation_id: entry.operation_id,
            from: leg(from),
            to: leg(to),
            amount: entry.amount,
            description: entry.description.clone(),
            occurred_at: entry.occurred_at,
        }),
        _ => return Err(Unbalanced(entry.operation_id)),
    })
}

fn refused_event(refusal: &Refusal) -> Message {
    let Refusal { command, reason, balance, version, occurred_at } = refusal.clone();
    let failed = |command: MoveCmd| MoveFailedEvent {
        operation_id: command.operation_id,
        account_id: command.account_id,
        owner: command.owner,
        amount: command.amount,
        reason,
        balance_after: balance,
        account_version: version,
        description: command.description,
        occurred_at,
    };
    match command {
        Command::Deposit(deposit) => Message::DepositFailed(failed(deposit)),
        Command::Withdraw(withdrawal) => Message::WithdrawFailed(failed(withdrawal)),
        Command::Transfer(transfer) => Message::TransferFailed(TransferFailedEvent {
            operation_id: transfer.operation_id,
            from: transfer.from,
            to: transfer.to,
            amount: transfer.amount,
            reason,
            balance_after: balance,
            account_version: version,
            description: transfer.description,
            occurred_at,
        }),
        Command::Close(close) => Message::CloseRejected(CloseRejectedEvent {
            operation_id: close.operation_id,
            account_id: close.account_id,
            owner: close.owner,
            reason,
            occurred_at,
        }),
    }
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
