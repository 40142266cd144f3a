//! What the ledger's tests have in common: people, accounts and operations by small numbers. Account 1 is person 1's.

use contracts::Message;
use contracts::accounts::CloseAccountCmd;
use contracts::banking::{MoveCmd, Party, TransferCmd};
use kernel::{AccountId, Money, OperationId, Timestamp, UserId};
use uuid::Uuid;

use crate::domain::{self, Command, Heads, Verdict};

pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub fn operation(number: u128) -> OperationId {
    OperationId::new(Uuid::from_u128(number))
}

pub fn account(number: u128) -> AccountId {
    AccountId::new(Uuid::from_u128(number))
}

pub fn owner(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

pub fn party(number: u128) -> Party {
    Party { account_id: account(number), owner: owner(number) }
}

/// Reads `12.50 EUR`.
pub fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn movement(number: u128, target: u128, amount: Money) -> MoveCmd {
    let (operation_id, Party { account_id, owner }) = (operation(number), party(target));
    MoveCmd { operation_id, account_id, owner, amount, description: Some(format!("movement {number}")) }
}

pub fn deposit(number: u128, target: u128, amount: &str) -> Command {
    Command::Deposit(movement(number, target, money(amount)))
}

pub fn withdraw(number: u128, target: u128, amount: &str) -> Command {
    Command::Withdraw(movement(number, target, money(amount)))
}

pub fn transfer(number: u128, from: u128, to: u128, amount: &str) -> Command {
    Command::Transfer(TransferCmd {
        operation_id: operation(number),
        from: party(from),
        to: party(to),
        amount: money(amount),
        description: None,
    })
}

pub fn close(number: u128, target: u128, currency: &str) -> Command {
    Command::Close(CloseAccountCmd {
        operation_id: operation(number),
        account_id: account(target),
        owner: owner(target),
        currency: currency.parse().unwrap(),
    })
}

/// The message that the command came in.
pub fn message(command: Command) -> Message {
    match command {
        Command::Deposit(deposit) => Message::DepositCmd(deposit),
        Command::Withdraw(withdrawal) => Message::WithdrawCmd(withdrawal),
        Command::Transfer(transfer) => Message::TransferCmd(transfer),
        Command::Close(close) => Message::CloseAccountCmd(close),
    }
}

/// Judges commands one after the other.
pub fn judge(heads: &mut Heads, commands: &[Command]) -> Vec<Verdict> {
    let judged = commands.iter().map(|command| {
        let verdict = domain::decide(heads, command, NOW);
        domain::apply(heads, &verdict);
        verdict
    });
    judged.collect()
}
