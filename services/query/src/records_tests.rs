//! The JSON of the projections as they lie on disk: they can be rebuilt, but not while the bank serves.

use super::*;
use crate::domain::{Direction, TransactionKind, TransactionStatus};
use crate::fixture::{account, cents, minute, operation, state};
use conformance::records::check_record;
use contracts::ledger::FailureReason;
use serde_json::json;

const ONE: &str = "00000000-0000-0000-0000-000000000001";

#[test]
fn a_row_of_history_has_its_layout() {
    let failed = Transaction {
        operation_id: operation(7),
        account_id: account(1),
        kind: TransactionKind::Transfer,
        direction: Direction::Debit,
        status: TransactionStatus::Failed,
        reason: Some(FailureReason::InsufficientFunds),
        amount: cents(1_250),
        balance_after: Some(cents(300)),
        account_version: 6,
        description: Some("rent, “May”".to_owned()),
        counterparty_account_id: Some(account(2)),
        occurred_at: minute(7),
    };
    let row = |transaction| TransactionRecord { transaction, projected_at: minute(8) };
    let layout =
        |transaction| json!({"transaction": transaction, "projected_at": "2027-01-15T08:08:00.000Z"});
    check_record(
        &row(failed.clone()),
        &layout(json!({
            "operation_id": "00000000-0000-0000-0000-000000000007",
            "account_id": ONE,
            "kind": "TRANSFER",
            "direction": "DEBIT",
            "status": "FAILED",
            "reason": "INSUFFICIENT_FUNDS",
            "amount": {"amount": "12.50", "currency": "EUR"},
            "balance_after": {"amount": "3.00", "currency": "EUR"},
            "account_version": 6,
            "description": "rent, “May”",
            "counterparty_account_id": "00000000-0000-0000-0000-000000000002",
            "occurred_at": "2027-01-15T08:07:00.000Z",
        })),
    );
    let completed = Transaction {
        kind: TransactionKind::Deposit,
        direction: Direction::Credit,
        status: TransactionStatus::Completed,
        reason: None,
        description: None,
        counterparty_account_id: None,
        ..failed
    };
    check_record(
        &row(completed),
        &layout(json!({
            "operation_id": "00000000-0000-0000-0000-000000000007",
            "account_id": ONE,
            "kind": "DEPOSIT",
            "direction": "CREDIT",
            "status": "COMPLETED",
            "amount": {"amount": "12.50", "currency": "EUR"},
            "balance_after": {"amount": "3.00", "currency": "EUR"},
            "account_version": 6,
            "occurred_at": "2027-01-15T08:07:00.000Z",
        })),
    );
}

#[test]
fn a_balance_and_a_known_account_have_their_layouts() {
    check_record(
        &Balance { account_id: account(1), balance: cents(11_250), version: 7, updated_at: minute(7) },
        &json!({
            "account_id": ONE,
            "balance": {"amount": "112.50", "currency": "EUR"},
            "version": 7,
            "updated_at": "2027-01-15T08:07:00.000Z",
        }),
    );
    check_record(
        &KnownAccount(state(1)),
        &json!({
            "account_id": ONE,
            "owner": ONE,
            "name": "account 1",
            "currency": "EUR",
            "status": "OPEN",
            "revision": 1,
            "created_at": "2027-01-15T08:00:00.000Z",
        }),
    );
}
