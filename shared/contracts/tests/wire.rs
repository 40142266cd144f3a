//! The JSON of every command and event in version 1. A message is a contract between services that are deployed
//! apart and a row in outboxes that are years old: what is written here is written for ever.
//!
//! A field that is not known is passed over, so that a sender may be newer than its receiver.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use contracts::accounts::{AccountState, AccountStatus, CloseAccountCmd};
use contracts::banking::{MoveCmd, Party, TransferCmd};
use contracts::ledger::{
    AccountClosedEvent, CloseRejectedEvent, FailureReason, Leg, MoveFailedEvent, MovedEvent,
    TransferFailedEvent, TransferredEvent,
};
use contracts::{DecodeError, Kind, Message, VERSION};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const OPERATION: &str = "01890a5d-ac96-774b-bcce-b302099a8001";
const ACCOUNT: &str = "01890a5d-ac96-774b-bcce-b302099a8002";
const OTHER_ACCOUNT: &str = "01890a5d-ac96-774b-bcce-b302099a8003";
const ADA: &str = "01890a5d-ac96-774b-bcce-b302099a8004";
const BOB: &str = "01890a5d-ac96-774b-bcce-b302099a8005";
const CREATED: &str = "2026-11-22T10:00:00.000Z";
const OCCURRED: &str = "2026-11-22T10:00:00.125Z";

/// Reads an identifier, a time, an amount or a currency.
fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(json!(text)).unwrap()
}

fn euros(amount: &str) -> kernel::Money {
    format!("{amount} EUR").parse().unwrap()
}

fn description() -> Option<String> {
    Some("rent, \u{201c}May\u{201d}".to_owned())
}

fn party(account: &str, owner: &str) -> Party {
    Party { account_id: read(account), owner: read(owner) }
}

fn leg(account: &str, owner: &str, balance_after: &str, account_version: u64) -> Leg {
    let balance_after = euros(balance_after);
    Leg { account_id: read(account), owner: read(owner), balance_after, account_version }
}

fn account(status: AccountStatus, revision: u64, closed_at: Option<&str>) -> AccountState {
    AccountState {
        account_id: read(ACCOUNT),
        owner: read(ADA),
        name: "Everyday".to_owned(),
        currency: read("EUR"),
        status,
        revision,
        created_at: read(CREATED),
        closed_at: closed_at.map(read),
    }
}

fn movement() -> MoveCmd {
    MoveCmd {
        operation_id: read(OPERATION),
        account_id: read(ACCOUNT),
        owner: read(ADA),
        amount: euros("12.50"),
        description: description(),
    }
}

fn moved() -> MovedEvent {
    MovedEvent {
        operation_id: read(OPERATION),
        account_id: read(ACCOUNT),
        owner: read(ADA),
        amount: euros("12.50"),
        balance_after: euros("112.50"),
        account_version: 7,
        description: description(),
        occurred_at: read(OCCURRED),
    }
}

fn move_failed(reason: FailureReason) -> MoveFailedEvent {
    MoveFailedEvent {
        operation_id: read(OPERATION),
        account_id: read(ACCOUNT),
        owner: read(ADA),
        amount: euros("12.50"),
        reason,
        balance_after: Some(euros("3.00")),
        account_version: 6,
        description: description(),
        occurred_at: read(OCCURRED),
    }
}

fn transfer_failed() -> TransferFailedEvent {
    TransferFailedEvent {
        operation_id: read(OPERATION),
        from: party(ACCOUNT, ADA),
        to: party(OTHER_ACCOUNT, BOB),
        amount: euros("12.50"),
        reason: FailureReason::InsufficientFunds,
        balance_after: Some(euros("3.00")),
        account_version: 6,
        description: description(),
        occurred_at: read(OCCURRED),
    }
}

/// A body as a JSON object; parts that several messages have in common are written once.
fn object(parts: &[Value]) -> Value {
    let fields = parts.iter().flat_map(|part| part.as_object().unwrap().clone());
    Value::Object(fields.collect())
}

/// Every kind of message with its name and its body on the wire.
fn wire() -> Vec<(Message, &'static str, Value)> {
    let [commands, account_events, move_events, transfer_events] =
        [commands(), account_events(), move_events(), transfer_events()];
    [commands, account_events, move_events, transfer_events].concat()
}

fn commands() -> Vec<(Message, &'static str, Value)> {
    let movement_wire = json!({
        "operation_id": OPERATION,
        "account_id": ACCOUNT,
        "owner": ADA,
        "amount": {"amount": "12.50", "currency": "EUR"},
        "description": "rent, “May”",
    });
    let transfer = TransferCmd {
        operation_id: read(OPERATION),
        from: party(ACCOUNT, ADA),
        to: party(OTHER_ACCOUNT, BOB),
        amount: euros("12.50"),
        description: description(),
    };
    let transfer_wire = json!({
        "operation_id": OPERATION,
        "from": {"account_id": ACCOUNT, "owner": ADA},
        "to": {"account_id": OTHER_ACCOUNT, "owner": BOB},
        "amount": {"amount": "12.50", "currency": "EUR"},
        "description": "rent, “May”",
    });
    let close = CloseAccountCmd {
        operation_id: read(OPERATION),
        account_id: read(ACCOUNT),
        owner: read(ADA),
        currency: read("EUR"),
    };
    let close_wire =
        json!({"operation_id": OPERATION, "account_id": ACCOUNT, "owner": ADA, "currency": "EUR"});
    vec![
        (Message::DepositCmd(movement()), "DEPOSIT_CMD", movement_wire.clone()),
        (Message::WithdrawCmd(movement()), "WITHDRAW_CMD", movement_wire),
        (Message::TransferCmd(transfer), "TRANSFER_CMD", transfer_wire),
        (Message::CloseAccountCmd(close), "CLOSE_ACCOUNT_CMD", close_wire),
    ]
}

fn account_events() -> Vec<(Message, &'static str, Value)> {
    let opened = account(AccountStatus::Open, 1, None);
    let opened_wire = json!({
        "account_id": ACCOUNT,
        "owner": ADA,
        "name": "Everyday",
        "currency": "EUR",
        "status": "OPEN",
        "revision": 1,
        "created_at": CREATED,
    });
    let closing = account(AccountStatus::Closing, 2, None);
    let closing_wire = object(&[opened_wire.clone(), json!({"status": "CLOSING", "revision": 2})]);
    let closed = account(AccountStatus::Closed, 3, Some(OCCURRED));
    let closed_wire =
        object(&[opened_wire.clone(), json!({"status": "CLOSED", "revision": 3, "closed_at": OCCURRED})]);
    let head_closed = AccountClosedEvent {
        operation_id: read(OPERATION),
        account_id: read(ACCOUNT),
        owner: read(ADA),
        currency: read("EUR"),
        account_version: 6,
        occurred_at: read(OCCURRED),
    };
    let head_closed_wire = json!({
        "operation_id": OPERATION,
        "account_id": ACCOUNT,
        "owner": ADA,
        "currency": "EUR",
        "account_version": 6,
        "occurred_at": OCCURRED,
    });
    let rejected = CloseRejectedEvent {
        operation_id: read(OPERATION),
        account_id: read(ACCOUNT),
        owner: read(ADA),
        reason: FailureReason::BalanceNotZero,
        occurred_at: read(OCCURRED),
    };
    let rejected_wire = json!({
        "operation_id": OPERATION,
        "account_id": ACCOUNT,
        "owner": ADA,
        "reason": "BALANCE_NOT_ZERO",
        "occurred_at": OCCURRED,
    });
    vec![
        (Message::CreateAccount(opened), "CREATE_ACCOUNT_EVENT", opened_wire),
        (Message::CloseAccount(closing), "CLOSE_ACCOUNT_EVENT", closing_wire),
        (Message::CloseAccount(closed), "CLOSE_ACCOUNT_EVENT", closed_wire),
        (Message::AccountClosed(head_closed), "ACCOUNT_CLOSED_EVENT", head_closed_wire),
        (Message::CloseRejected(rejected), "CLOSE_REJECTED_EVENT", rejected_wire),
    ]
}

fn move_events() -> Vec<(Message, &'static str, Value)> {
    let moved_wire = json!({
        "operation_id": OPERATION,
        "account_id": ACCOUNT,
        "owner": ADA,
        "amount": {"amount": "12.50", "currency": "EUR"},
        "balance_after": {"amount": "112.50", "currency": "EUR"},
        "account_version": 7,
        "description": "rent, “May”",
        "occurred_at": OCCURRED,
    });
    let failed_wire = |reason: &str| {
        object(&[
            moved_wire.clone(),
            json!({
                "balance_after": {"amount": "3.00", "currency": "EUR"},
                "account_version": 6,
                "reason": reason,
            }),
        ])
    };
    let mut rows = vec![
        (Message::Deposited(moved()), "DEPOSIT_EVENT", moved_wire.clone()),
        (Message::Withdrawn(moved()), "WITHDRAW_EVENT", moved_wire.clone()),
    ];
    for (reason, name) in [
        (FailureReason::InsufficientFunds, "INSUFFICIENT_FUNDS"),
        (FailureReason::AccountClosed, "ACCOUNT_CLOSED"),
        (FailureReason::CurrencyMismatch, "CURRENCY_MISMATCH"),
        (FailureReason::BalanceTooLarge, "BALANCE_TOO_LARGE"),
        (FailureReason::BalanceNotZero, "BALANCE_NOT_ZERO"),
    ] {
        assert_eq!(reason.name(), name);
        rows.push((Message::DepositFailed(move_failed(reason)), "DEPOSIT_FAILED_EVENT", failed_wire(name)));
        rows.push((Message::WithdrawFailed(move_failed(reason)), "WITHDRAW_FAILED_EVENT", failed_wire(name)));
    }
    rows
}

fn transfer_events() -> Vec<(Message, &'static str, Value)> {
    let transferred = TransferredEvent {
        operation_id: read(OPERATION),
        from: leg(ACCOUNT, ADA, "100.00", 8),
        to: leg(OTHER_ACCOUNT, BOB, "12.50", 1),
        amount: euros("12.50"),
        description: description(),
        occurred_at: read(OCCURRED),
    };
    let transferred_wire = json!({
        "operation_id": OPERATION,
        "from": {
            "account_id": ACCOUNT,
            "owner": ADA,
            "balance_after": {"amount": "100.00", "currency": "EUR"},
            "account_version": 8,
        },
        "to": {
            "account_id": OTHER_ACCOUNT,
            "owner": BOB,
            "balance_after": {"amount": "12.50", "currency": "EUR"},
            "account_version": 1,
        },
        "amount": {"amount": "12.50", "currency": "EUR"},
        "description": "rent, “May”",
        "occurred_at": OCCURRED,
    });
    let failed_wire = json!({
        "operation_id": OPERATION,
        "from": {"account_id": ACCOUNT, "owner": ADA},
        "to": {"account_id": OTHER_ACCOUNT, "owner": BOB},
        "amount": {"amount": "12.50", "currency": "EUR"},
        "reason": "INSUFFICIENT_FUNDS",
        "balance_after": {"amount": "3.00", "currency": "EUR"},
        "account_version": 6,
        "description": "rent, “May”",
        "occurred_at": OCCURRED,
    });
    vec![
        (Message::Transferred(transferred), "TRANSFER_EVENT", transferred_wire),
        (Message::TransferFailed(transfer_failed()), "TRANSFER_FAILED_EVENT", failed_wire),
    ]
}

fn raw(body: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(body).unwrap()
}

fn decode(kind: &str, body: &Value) -> Result<Message, DecodeError> {
    Message::decode(kind, VERSION, &raw(body))
}

#[test]
fn every_message_is_written_and_read_as_version_1_has_it() {
    for (message, name, body) in wire() {
        assert_eq!(message.kind().name(), name);
        assert_eq!(serde_json::from_str::<Value>(message.body().get()).unwrap(), body, "{name}");
        assert_eq!(Message::decode(name, 1, &raw(&body)).unwrap(), message, "{name}");
    }
}

#[test]
fn every_kind_has_a_row_and_a_name_of_its_own() {
    let rows = wire();
    for kind in Kind::ALL {
        assert!(rows.iter().any(|(message, ..)| message.kind() == *kind), "{kind:?} has no row");
        let namesakes = Kind::ALL.iter().filter(|other| other.name() == kind.name());
        assert_eq!(namesakes.count(), 1, "{kind:?}");
    }
}

#[test]
fn what_is_optional_may_be_missing_or_null_and_is_not_written() {
    const OPTIONAL: [&str; 3] = ["description", "balance_after", "closed_at"];
    for (message, name, body) in wire() {
        // A posted movement always has the balance it led to; only a refused one may lack it.
        let is_optional = |field: &str| match &message {
            Message::Deposited(_) | Message::Withdrawn(_) => field == "description",
            _ => OPTIONAL.contains(&field),
        };
        let fields = body.as_object().unwrap();
        for field in fields.keys() {
            let (mut without, mut null) = (fields.clone(), fields.clone());
            without.remove(field);
            null.insert(field.clone(), Value::Null);
            let without = Value::Object(without);
            let read = decode(name, &without);
            assert_eq!(read.is_ok(), is_optional(field), "{name} without {field}");
            assert_eq!(
                decode(name, &Value::Object(null)).ok(),
                read.as_ref().ok().cloned(),
                "{name}, null {field}"
            );
            if let Ok(read) = read {
                assert_eq!(serde_json::from_str::<Value>(read.body().get()).unwrap(), without, "{name}");
            }
        }
    }
}

#[test]
fn a_field_that_is_not_known_is_passed_over() {
    for (message, name, body) in wire() {
        let newer = object(&[body, json!({"a_field_of_tomorrow": {"any": ["thing"]}})]);
        assert_eq!(decode(name, &newer).unwrap(), message, "{name}");
    }
}

#[test]
fn another_version_is_refused() {
    for (_, name, body) in wire() {
        for other in [0, VERSION + 1, u32::MAX] {
            match Message::decode(name, other, &raw(&body)) {
                Err(DecodeError::Version { kind, version }) => assert_eq!((kind, version), (name, other)),
                read => panic!("{name} in version {other}: {read:?}"),
            }
        }
    }
}

#[test]
fn a_kind_that_is_not_known_is_refused() {
    for name in ["", "deposit_cmd", "DEPOSIT_CMD ", "REFUND_CMD"] {
        match decode(name, &json!({})) {
            Err(DecodeError::Kind(unknown)) => assert_eq!(unknown, name),
            read => panic!("{name}: {read:?}"),
        }
    }
}

#[test]
fn a_body_of_another_shape_is_refused() {
    let bodies = [json!(null), json!([]), json!("text"), json!(1), json!({})];
    for (_, name, _) in wire() {
        for body in &bodies {
            match decode(name, body) {
                Err(DecodeError::Body { kind, .. }) => assert_eq!(kind, name),
                read => panic!("{name} {body}: {read:?}"),
            }
        }
    }
}

#[test]
fn a_wrong_field_is_refused() {
    for (field, wrong) in [
        ("operation_id", json!("42")),
        ("operation_id", json!(42)),
        ("amount", json!("12.50 EUR")),
        ("amount", json!({"amount": 12.5, "currency": "EUR"})),
        ("amount", json!({"amount": "12.505", "currency": "EUR"})),
        ("amount", json!({"amount": "1e2", "currency": "EUR"})),
        ("amount", json!({"amount": "12.50", "currency": "XXX"})),
        ("amount", json!({"amount": "92233720368547758.08", "currency": "EUR"})),
        ("balance_after", json!({"amount": "112.50"})),
        ("account_version", json!(-1)),
        ("account_version", json!(7.5)),
        ("description", json!(["rent"])),
        ("occurred_at", json!("yesterday")),
        ("occurred_at", json!(1_700_000_000)),
    ] {
        let body: Value = serde_json::from_str(Message::Deposited(moved()).body().get()).unwrap();
        let body = object(&[body, json!({field: wrong})]);
        assert!(matches!(decode("DEPOSIT_EVENT", &body), Err(DecodeError::Body { .. })), "{body}");
    }
}
