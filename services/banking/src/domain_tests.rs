//! Given these accounts, when this is asked for, then it is begun or refused; and how every verdict ends it.

use std::collections::BTreeSet;

use contracts::Kind;
use contracts::accounts::CloseAccountCmd;
use contracts::ledger::{AccountClosedEvent, CloseRejectedEvent};
use uuid::Uuid;

use super::*;
use crate::fixture::*;

fn asked() -> Asked {
    Asked { owner: owner(1), operation_id: OperationId::new(Uuid::from_u128(9)), now: JUDGED }
}

fn status(number: u128, status: AccountStatus) -> AccountState {
    AccountState { status, ..state(number) }
}

fn yen(number: u128) -> AccountState {
    AccountState { currency: money("0 JPY").currency, ..state(number) }
}

fn described(text: &str) -> Request {
    Request { description: Some(text.to_owned()), ..request(deposit_to(1), "1") }
}

fn in_currency(code: &str) -> Request {
    Request { currency: Some(code.parse().unwrap()), ..request(deposit_to(1), "1") }
}

type Row = (Request, Option<AccountState>, Option<AccountState>, Rejection);

fn refused_for_accounts() -> Vec<Row> {
    use Rejection::*;
    let (euros, yens) = (state(1).currency, yen(1).currency);
    let (open, other) = (Some(state(1)), Some(state(2)));
    let (deposit, withdrawal, transfer) =
        (request(deposit_to(1), "1"), request(withdrawal_from(1), "1"), request(transfer_between(1, 2), "1"));
    vec![
        (deposit.clone(), None, None, AccountNotFound),
        (request(deposit_to(2), "1"), other.clone(), None, AccountNotFound),
        (request(withdrawal_from(2), "1"), other.clone(), None, AccountNotFound),
        (request(transfer_between(2, 1), "1"), other.clone(), open.clone(), AccountNotFound),
        (transfer.clone(), open.clone(), None, AccountNotFound),
        (deposit, Some(status(1, AccountStatus::Closing)), None, AccountNotOpen),
        (withdrawal, Some(status(1, AccountStatus::Closed)), None, AccountNotOpen),
        (transfer.clone(), Some(status(1, AccountStatus::Closing)), other, AccountNotOpen),
        (transfer.clone(), open.clone(), Some(status(2, AccountStatus::Closing)), PayeeNotOpen),
        (transfer.clone(), open.clone(), Some(status(2, AccountStatus::Closed)), PayeeNotOpen),
        (in_currency("USD"), open.clone(), None, CurrencyMismatch(euros)),
        (transfer, open.clone(), Some(yen(2)), PayeeCurrencyMismatch(yens)),
        (request(transfer_between(1, 1), "1"), open.clone(), open, SameAccount),
    ]
}

fn refused_for_words() -> Vec<Row> {
    let amount = |text: &str, currency: AccountState, why: InvalidAmount| {
        (request(deposit_to(1), text), Some(currency), None, Rejection::InvalidAmount(why))
    };
    let wordy = |text: &str| (described(text), Some(state(1)), None, Rejection::InvalidDescription);
    vec![
        amount("0", state(1), InvalidAmount::NotPositive),
        amount("-1", state(1), InvalidAmount::NotPositive),
        amount("1.005", state(1), InvalidAmount::TooManyDecimals { allowed: 2 }),
        amount("1.5", yen(1), InvalidAmount::TooManyDecimals { allowed: 0 }),
        amount("1e400", state(1), InvalidAmount::NotDecimal),
        amount("NaN", state(1), InvalidAmount::NotDecimal),
        amount(" 5", state(1), InvalidAmount::NotDecimal),
        amount("10000000000000.01", state(1), InvalidAmount::TooLarge),
        amount("99999999999999999999", state(1), InvalidAmount::TooLarge),
        wordy(&"x".repeat(141)),
        wordy("two\nlines"),
        wordy("nothing\u{0}"),
        wordy("\u{202E}05.21 RUE"),
    ]
}

/// Its name; one without a name here does not compile, and one without a row fails.
fn name(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::AccountNotFound => "account not found",
        Rejection::AccountNotOpen => "account not open",
        Rejection::PayeeNotOpen => "payee not open",
        Rejection::CurrencyMismatch(_) => "currency mismatch",
        Rejection::PayeeCurrencyMismatch(_) => "payee currency mismatch",
        Rejection::SameAccount => "same account",
        Rejection::InvalidAmount(_) => "invalid amount",
        Rejection::InvalidDescription => "invalid description",
    }
}

#[test]
fn what_banking_knows_to_be_wrong_is_refused_at_once() {
    let mut names = BTreeSet::new();
    for (when, own, payee, then) in refused_for_accounts().into_iter().chain(refused_for_words()) {
        let accounts = Accounts { own: own.as_ref(), payee: payee.as_ref() };
        assert_eq!(begin(&when, &accounts, asked()), Err(then), "{when:?}");
        names.insert(name(then));
    }
    assert_eq!(names.len(), 8, "a rejection has no row: {names:?}");
}

#[test]
fn what_is_begun_is_pending_and_asked_of_the_ledger() {
    let text = "ä".repeat(DESCRIPTION_CHARACTERS_MAX);
    let (own, other) = (state(1), state(2));
    for (movement, amount) in
        [(deposit_to(1), "12.50"), (withdrawal_from(1), "0.01"), (transfer_between(1, 2), "10000000000000")]
    {
        let when = Request {
            currency: Some(own.currency),
            description: Some(text.clone()),
            ..request(movement, amount)
        };
        let accounts = Accounts { own: Some(&own), payee: movement.payee().map(|_| &other) };
        let (operation, command) = begin(&when, &accounts, asked()).unwrap();
        let expected = Operation {
            operation_id: asked().operation_id,
            owner: owner(1),
            movement,
            amount: Money::parse_amount(amount, own.currency).unwrap(),
            description: Some(text.clone()),
            status: Status::Pending,
            created_at: JUDGED,
            concluded_at: None,
        };
        assert_eq!(operation, expected);
        let asked_for = match movement {
            Movement::Deposit { .. } => Message::DepositCmd(crate::fixture::movement(&operation)),
            Movement::Withdraw { .. } => Message::WithdrawCmd(crate::fixture::movement(&operation)),
            Movement::Transfer { .. } => Message::TransferCmd(TransferCmd {
                operation_id: operation.operation_id,
                from: party(1),
                to: party(2),
                amount: operation.amount,
                description: operation.description,
            }),
        };
        assert_eq!(command, asked_for);
    }
}

/// Every event with the status it ends the operation of person 1 in, if it ends one.
fn endings() -> Vec<(Message, Option<Status>)> {
    let (operation_id, account_id, owner) = (asked().operation_id, account(1), owner(1));
    let (currency, occurred_at) = (state(1).currency, JUDGED);
    let completed =
        Some(Status::Completed { balance_after: money("112.50 EUR"), account_version: 7, ended_at: JUDGED });
    let ended = |reason| Some(Status::Failed { reason, ended_at: JUDGED });
    let head_closed =
        AccountClosedEvent { operation_id, account_id, owner, currency, account_version: 7, occurred_at };
    let reason = FailureReason::BalanceNotZero;
    vec![
        (deposited(operation_id, 1), completed.clone()),
        (Message::Withdrawn(moved(operation_id, 1)), completed.clone()),
        // The payer hears what she has left, not what the payee has now.
        (transferred(operation_id), completed),
        (Message::DepositFailed(failed(operation_id, 1)), ended(FailureReason::InsufficientFunds)),
        (withdraw_failed(operation_id, 1), ended(FailureReason::InsufficientFunds)),
        (transfer_failed(operation_id), ended(FailureReason::AccountClosed)),
        (opened(1), None),
        (closed(1), None),
        (Message::AccountClosed(head_closed), None),
        (
            Message::CloseRejected(CloseRejectedEvent {
                operation_id,
                account_id,
                owner,
                reason,
                occurred_at,
            }),
            None,
        ),
        (Message::CloseAccountCmd(CloseAccountCmd { operation_id, account_id, owner, currency }), None),
    ]
}

#[test]
fn a_verdict_ends_the_operation_of_the_one_who_asked() {
    let endings = endings();
    for kind in Kind::ALL.iter().filter(|kind| kind.name().ends_with("_EVENT")) {
        assert!(endings.iter().any(|(event, _)| event.kind() == *kind), "{kind:?} has no row");
    }
    for (given, then) in endings {
        let then = then.map(|status| Ending { operation_id: asked().operation_id, owner: owner(1), status });
        assert_eq!(ending(&given), then, "{given:?}");
    }
}
