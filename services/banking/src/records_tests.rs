//! The JSON of operations and known accounts as they lie on disk: what is written here is written for ever.

use super::*;
use crate::domain::{Movement, Status};
use crate::fixture::{JUDGED, account, money, owner, state};
use conformance::records::check_record;
use contracts::accounts::AccountStatus;
use contracts::ledger::FailureReason;
use serde_json::json;
use uuid::Uuid;

#[test]
fn an_operation_has_its_layout_whatever_it_is_and_however_it_ended() {
    let operation = |movement: Movement, status: Status| Operation {
        operation_id: OperationId::new(Uuid::from_u128(9)),
        owner: owner(1),
        movement,
        amount: money("12.50 EUR"),
        description: Some("rent, “May”".to_owned()),
        status,
        created_at: JUDGED,
        concluded_at: None,
    };
    let (from_account_id, to_account_id) = (account(1), account(2));
    let balance_after = money("112.50 EUR");
    for (operation, movement, status) in [
        (
            operation(Movement::Deposit { account_id: account(1) }, Status::Pending),
            json!({"DEPOSIT": {"account_id": "00000000-0000-0000-0000-000000000001"}}),
            json!("PENDING"),
        ),
        (
            operation(
                Movement::Withdraw { account_id: account(1) },
                Status::Failed { reason: FailureReason::InsufficientFunds, ended_at: JUDGED },
            ),
            json!({"WITHDRAW": {"account_id": "00000000-0000-0000-0000-000000000001"}}),
            json!({"FAILED": {"reason": "INSUFFICIENT_FUNDS", "ended_at": "2027-01-15T08:00:00.000Z"}}),
        ),
        (
            operation(
                Movement::Transfer { from_account_id, to_account_id },
                Status::Completed { balance_after, account_version: 7, ended_at: JUDGED },
            ),
            json!({"TRANSFER": {
                "from_account_id": "00000000-0000-0000-0000-000000000001",
                "to_account_id": "00000000-0000-0000-0000-000000000002",
            }}),
            json!({"COMPLETED": {
                "balance_after": {"amount": "112.50", "currency": "EUR"},
                "account_version": 7,
                "ended_at": "2027-01-15T08:00:00.000Z",
            }}),
        ),
    ] {
        check_record(
            &operation,
            &json!({
                "operation_id": "00000000-0000-0000-0000-000000000009",
                "owner": "00000000-0000-0000-0000-000000000001",
                "movement": movement,
                "amount": {"amount": "12.50", "currency": "EUR"},
                "description": "rent, “May”",
                "status": status,
                "created_at": "2027-01-15T08:00:00.000Z",
            }),
        );
    }
}

/// The one above that ended without it was written before banking kept when it heard of a verdict.
#[test]
fn an_operation_that_ended_says_when_banking_heard_of_it() {
    let operation = Operation {
        operation_id: OperationId::new(Uuid::from_u128(9)),
        owner: owner(1),
        movement: Movement::Deposit { account_id: account(1) },
        amount: money("12.50 EUR"),
        description: None,
        status: Status::Failed { reason: FailureReason::AccountClosed, ended_at: JUDGED },
        created_at: JUDGED,
        concluded_at: Some(JUDGED),
    };
    check_record(
        &operation,
        &json!({
            "operation_id": "00000000-0000-0000-0000-000000000009",
            "owner": "00000000-0000-0000-0000-000000000001",
            "movement": {"DEPOSIT": {"account_id": "00000000-0000-0000-0000-000000000001"}},
            "amount": {"amount": "12.50", "currency": "EUR"},
            "status": {"FAILED": {"reason": "ACCOUNT_CLOSED", "ended_at": "2027-01-15T08:00:00.000Z"}},
            "created_at": "2027-01-15T08:00:00.000Z",
            "concluded_at": "2027-01-15T08:00:00.000Z",
        }),
    );
}

#[test]
fn a_known_account_lies_as_it_was_told() {
    let closed =
        AccountState { status: AccountStatus::Closed, revision: 3, closed_at: Some(JUDGED), ..state(1) };
    check_record(
        &KnownAccount(closed),
        &json!({
            "account_id": "00000000-0000-0000-0000-000000000001",
            "owner": "00000000-0000-0000-0000-000000000001",
            "name": "account 1",
            "currency": "EUR",
            "status": "CLOSED",
            "revision": 3,
            "created_at": "1970-01-01T00:00:00.000Z",
            "closed_at": "2027-01-15T08:00:00.000Z",
        }),
    );
}
