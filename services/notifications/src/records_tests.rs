//! The JSON of inboxes and preferences as they lie on disk: what is written here is written for ever.

use super::*;
use conformance::records::check_record;
use serde_json::{Value, json};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn layout(kind: &str) -> Value {
    json!({
        "notification_id": "00000000-0000-0000-0000-000000000003",
        "owner": "00000000-0000-0000-0000-000000000001",
        "kind": kind,
        "title": "You received 12.50 EUR",
        "text": "For “May”.",
        "account_id": "00000000-0000-0000-0000-000000000002",
        "created_at": "2027-01-15T08:00:00.000Z",
    })
}

fn notification(kind: Kind) -> Notification {
    Notification {
        notification_id: NotificationId::new(Uuid::from_u128(3)),
        owner: UserId::new(Uuid::from_u128(1)),
        kind,
        title: "You received 12.50 EUR".to_owned(),
        text: "For “May”.".to_owned(),
        operation_id: None,
        account_id: AccountId::new(Uuid::from_u128(2)),
        created_at: NOW,
        read_at: None,
    }
}

#[test]
fn a_notification_has_its_layout_whatever_it_is_about() {
    for (kind, name) in [
        (Kind::DepositCompleted, "DEPOSIT_COMPLETED"),
        (Kind::DepositFailed, "DEPOSIT_FAILED"),
        (Kind::WithdrawCompleted, "WITHDRAW_COMPLETED"),
        (Kind::WithdrawFailed, "WITHDRAW_FAILED"),
        (Kind::TransferSent, "TRANSFER_SENT"),
        (Kind::TransferReceived, "TRANSFER_RECEIVED"),
        (Kind::TransferMoved, "TRANSFER_MOVED"),
        (Kind::TransferFailed, "TRANSFER_FAILED"),
        (Kind::AccountOpened, "ACCOUNT_OPENED"),
        (Kind::AccountClosed, "ACCOUNT_CLOSED"),
        (Kind::AccountNotClosed, "ACCOUNT_NOT_CLOSED"),
    ] {
        assert_eq!(serde_json::to_value(notification(kind)).unwrap(), layout(name));
    }
}

#[test]
fn a_notification_that_was_read_has_its_layout() {
    let operation_id = Some(OperationId::new(Uuid::from_u128(9)));
    let read = Notification { operation_id, read_at: Some(NOW), ..notification(Kind::TransferReceived) };
    let mut layout = layout("TRANSFER_RECEIVED");
    layout["operation_id"] = json!("00000000-0000-0000-0000-000000000009");
    layout["read_at"] = json!("2027-01-15T08:00:00.000Z");
    check_record(&read, &layout);
}

#[test]
fn preferences_have_their_layout() {
    let preferences = Preferences { owner: UserId::new(Uuid::from_u128(1)), email: false };
    let layout = json!({"owner": "00000000-0000-0000-0000-000000000001", "email": false});
    check_record(&preferences, &layout);
}
