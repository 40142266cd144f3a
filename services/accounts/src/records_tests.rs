//! The JSON of an account as it lies on disk: what is written here is written for ever.

use super::*;
use crate::domain::Status;
use conformance::records::check_record;
use contracts::ledger::FailureReason;
use kernel::{OperationId, Timestamp};
use serde_json::json;
use uuid::Uuid;

const CREATED: Timestamp = Timestamp::from_millis(1_800_000_000_125);

#[test]
fn an_account_has_its_layout_wherever_it_is_in_its_life() {
    let status = |status: Status| Account {
        account_id: AccountId::new(Uuid::from_u128(2)),
        owner: UserId::new(Uuid::from_u128(1)),
        name: "Everyday".to_owned(),
        currency: "EUR".parse().unwrap(),
        status,
        revision: 3,
        created_at: CREATED,
    };
    for (account, layout) in [
        (status(Status::Open { close_rejected_reason: None }), json!({"OPEN": {}})),
        (
            status(Status::Open { close_rejected_reason: Some(FailureReason::BalanceNotZero) }),
            json!({"OPEN": {"close_rejected_reason": "BALANCE_NOT_ZERO"}}),
        ),
        (
            status(Status::Closing { operation_id: OperationId::new(Uuid::from_u128(3)) }),
            json!({"CLOSING": {"operation_id": "00000000-0000-0000-0000-000000000003"}}),
        ),
        (
            status(Status::Closed { closed_at: CREATED }),
            json!({"CLOSED": {"closed_at": "2027-01-15T08:00:00.125Z"}}),
        ),
    ] {
        check_record(
            &account,
            &json!({
                "account_id": "00000000-0000-0000-0000-000000000002",
                "owner": "00000000-0000-0000-0000-000000000001",
                "name": "Everyday",
                "currency": "EUR",
                "status": layout,
                "revision": 3,
                "created_at": "2027-01-15T08:00:00.125Z",
            }),
        );
    }
}
