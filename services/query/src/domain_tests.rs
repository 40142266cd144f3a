//! What a reader notices of every event.

use contracts::Kind;
use contracts::accounts::CloseAccountCmd;
use contracts::ledger::{AccountClosedEvent, CloseRejectedEvent};

use super::*;
use crate::fixture::*;

/// A row of account 1's history that changes nothing but what a test names.
fn row(number: u64, kind: TransactionKind, direction: Direction) -> Transaction {
    Transaction {
        operation_id: operation(number),
        account_id: account(1),
        kind,
        direction,
        status: TransactionStatus::Completed,
        reason: None,
        amount: cents(250),
        balance_after: Some(cents(1_000)),
        account_version: 4,
        description: None,
        counterparty_account_id: None,
        occurred_at: minute(number),
    }
}

fn balance(number: u64, minor: i64, version: u64, updated: u64) -> Balance {
    Balance { account_id: account(number), balance: cents(minor), version, updated_at: minute(updated) }
}

fn described(mut transaction: Transaction) -> Transaction {
    let number = transaction.operation_id.uuid().as_u128();
    transaction.description = Some(format!("movement {number}"));
    transaction
}

fn refused(transaction: Transaction, reason: FailureReason) -> Transaction {
    Transaction { status: TransactionStatus::Failed, reason: Some(reason), ..transaction }
}

/// Events that add rows, and what they change.
fn movements() -> Vec<(Message, Changes)> {
    use Direction::{Credit, Debit};
    use TransactionKind::{Deposit, Transfer, Withdraw};
    let after = After(1_000, 4);
    let moves = |transaction, balance| Changes {
        transactions: vec![transaction],
        balances: vec![balance],
        account: None,
    };
    let only = |transaction| Changes { transactions: vec![transaction], ..Changes::default() };
    let paid = Transaction { counterparty_account_id: Some(account(2)), ..row(5, Transfer, Debit) };
    let received = Transaction {
        account_id: account(2),
        balance_after: Some(cents(300)),
        account_version: 9,
        counterparty_account_id: Some(account(1)),
        ..row(5, Transfer, Credit)
    };
    let not_paid = Transaction { counterparty_account_id: Some(account(2)), ..row(6, Transfer, Debit) };
    let without_entries = Transaction { balance_after: None, account_version: 0, ..row(7, Withdraw, Debit) };
    vec![
        (deposited(1, 1, 250, after), moves(described(row(1, Deposit, Credit)), balance(1, 1_000, 4, 1))),
        (
            Message::Withdrawn(moved(2, 1, 250, after)),
            moves(described(row(2, Withdraw, Debit)), balance(1, 1_000, 4, 2)),
        ),
        (
            Message::DepositFailed(failed(3, 1, 250, after)),
            only(refused(row(3, Deposit, Credit), FailureReason::InsufficientFunds)),
        ),
        (
            withdraw_failed(4, 1, 250, after),
            only(refused(row(4, Withdraw, Debit), FailureReason::InsufficientFunds)),
        ),
        (
            transferred(5, 250, (1, after), (2, After(300, 9))),
            Changes {
                transactions: vec![paid, received],
                balances: vec![balance(1, 1_000, 4, 5), balance(2, 300, 9, 5)],
                account: None,
            },
        ),
        // The payee never hears of it.
        (transfer_failed(6, 250, (1, after), 2), only(refused(not_paid, FailureReason::AccountClosed))),
        (
            withdraw_failed(7, 1, 250, After(0, 0)),
            only(refused(without_entries, FailureReason::InsufficientFunds)),
        ),
    ]
}

/// Messages that add no rows.
fn others() -> Vec<(Message, Changes)> {
    let state_of = |message: &Message| match message {
        Message::CreateAccount(state) | Message::CloseAccount(state) => Some(state.clone()),
        _ => None,
    };
    let (operation_id, account_id, owner, currency) = (operation(1), account(1), owner(1), cents(0).currency);
    let occurred_at = minute(1);
    let closed_event =
        AccountClosedEvent { operation_id, account_id, owner, currency, account_version: 4, occurred_at };
    let reason = FailureReason::BalanceNotZero;
    let rejected = CloseRejectedEvent { operation_id, account_id, owner, reason, occurred_at };
    let messages = [
        opened(1),
        closed(1),
        Message::AccountClosed(closed_event),
        Message::CloseRejected(rejected),
        Message::CloseAccountCmd(CloseAccountCmd { operation_id, account_id, owner, currency }),
    ];
    messages
        .into_iter()
        .map(|message| {
            let account = state_of(&message);
            (message, Changes { account, ..Changes::default() })
        })
        .collect()
}

#[test]
fn an_event_changes_what_it_tells_of() {
    for (given, then) in movements().into_iter().chain(others()) {
        assert_eq!(changes(&given), then, "{given:?}");
    }
}

#[test]
fn every_event_has_a_row() {
    let rows: Vec<Kind> = movements().iter().chain(&others()).map(|(message, _)| message.kind()).collect();
    for kind in Kind::ALL.iter().filter(|kind| kind.name().ends_with("_EVENT")) {
        assert!(rows.contains(kind), "{kind:?}");
    }
}

#[test]
fn what_events_share_is_a_balance_or_an_account() {
    for (given, then) in [
        (deposited(1, 1, 1, After(1, 1)), vec![Shared::Balance(account(1))]),
        (
            transferred(1, 1, (1, After(1, 1)), (2, After(1, 1))),
            vec![Shared::Balance(account(1)), Shared::Balance(account(2))],
        ),
        (opened(1), vec![Shared::Account(account(1))]),
        (withdraw_failed(1, 1, 1, After(1, 1)), vec![]),
    ] {
        assert_eq!(changes(&given).shared(), then, "{given:?}");
    }
}
