//! The JSON of heads and verdicts as they lie on disk: what is written here is written for ever. The hashes are those
//! that any other reading of the documented rule comes to: SHA-256 over one line a field.

use super::*;
use crate::domain::{Command, Heads};
use crate::fixture::{NOW, account, close, deposit, judge, transfer, withdraw};
use conformance::records::check_record;
use serde_json::{Value, json};

const ONE: &str = "00000000-0000-0000-0000-000000000001";
const TWO: &str = "00000000-0000-0000-0000-000000000002";
const AT: &str = "2027-01-15T08:00:00.000Z";

const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const AFTER_DEPOSIT: &str = "34358abae019df17c7177909d984545ebd338972692d102f0138ef3cf6c91b52";
const AFTER_TRANSFER: &str = "38861c1b294d422d644ae72798d1c90d7038f671651b9d24f320745e24681b5e";
const AFTER_TRANSFER_OF_PAYEE: &str = "bcd22aaa977f246c8c01337fc46e77822c96857732a05fe75d97fce2f38a9e70";
const AFTER_WITHDRAWAL: &str = "90bd21553192602b44473275b72b924ac42769eadcc1c4b58dc0b423364cb4e7";

fn euros(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn link(of: &str, balance_after: &str, version: u64, [previous_hash, hash]: [&str; 2]) -> Value {
    json!({
        "account_id": of,
        "owner": of,
        "balance_after": euros(balance_after),
        "version": version,
        "previous_hash": previous_hash,
        "hash": hash,
    })
}

/// What lies where a command was posted.
fn postings() -> [Value; 3] {
    [
        json!({"POSTED": {
            "operation_id": "00000000-0000-0000-0000-000000000007",
            "debit": "CASH_IN",
            "credit": {"ACCOUNT": ONE},
            "amount": euros("100.00"),
            "description": "movement 7",
            "occurred_at": AT,
            "links": [link(ONE, "100.00", 1, [NONE, AFTER_DEPOSIT])],
        }}),
        json!({"POSTED": {
            "operation_id": "00000000-0000-0000-0000-000000000008",
            "debit": {"ACCOUNT": ONE},
            "credit": {"ACCOUNT": TWO},
            "amount": euros("12.50"),
            "occurred_at": AT,
            "links": [
                link(ONE, "87.50", 2, [AFTER_DEPOSIT, AFTER_TRANSFER]),
                link(TWO, "12.50", 1, [NONE, AFTER_TRANSFER_OF_PAYEE]),
            ],
        }}),
        json!({"POSTED": {
            "operation_id": "00000000-0000-0000-0000-000000000009",
            "debit": {"ACCOUNT": ONE},
            "credit": "CASH_OUT",
            "amount": euros("0.50"),
            "description": "movement 9",
            "occurred_at": AT,
            "links": [link(ONE, "87.00", 3, [AFTER_TRANSFER, AFTER_WITHDRAWAL])],
        }}),
    ]
}

/// What lies where one was refused, or closed an account.
fn other_verdicts() -> [Value; 3] {
    [
        json!({"REFUSED": {
            "command": {"WITHDRAW": {
                "operation_id": "00000000-0000-0000-0000-00000000000a",
                "account_id": ONE,
                "owner": ONE,
                "amount": euros("999.00"),
                "description": "movement 10",
            }},
            "reason": "INSUFFICIENT_FUNDS",
            "balance": euros("87.00"),
            "version": 3,
            "occurred_at": AT,
        }}),
        json!({"REFUSED": {
            "command": {"CLOSE": {
                "operation_id": "00000000-0000-0000-0000-00000000000b",
                "account_id": ONE,
                "owner": ONE,
                "currency": "EUR",
            }},
            "reason": "BALANCE_NOT_ZERO",
            "balance": euros("87.00"),
            "version": 3,
            "occurred_at": AT,
        }}),
        json!({"CLOSED": {
            "operation_id": "00000000-0000-0000-0000-00000000000c",
            "account_id": "00000000-0000-0000-0000-000000000003",
            "owner": "00000000-0000-0000-0000-000000000003",
            "currency": "EUR",
            "account_version": 0,
            "occurred_at": AT,
        }}),
    ]
}

/// Each verdict there is, with its layout.
fn verdicts(heads: &mut Heads) -> Vec<(Command, Verdict, Value)> {
    let commands = [
        deposit(7, 1, "100.00 EUR"),
        transfer(8, 1, 2, "12.50 EUR"),
        withdraw(9, 1, "0.50 EUR"),
        withdraw(10, 1, "999 EUR"),
        close(11, 1, "EUR"),
        close(12, 3, "EUR"),
    ];
    let layouts = postings().into_iter().chain(other_verdicts());
    let judged = judge(heads, &commands);
    commands
        .into_iter()
        .zip(judged)
        .zip(layouts)
        .map(|((command, verdict), layout)| (command, verdict, layout))
        .collect()
}

#[test]
fn every_verdict_has_its_layout() {
    for (command, verdict, layout) in verdicts(&mut Heads::new()) {
        let operation_id = command.operation_id();
        let layout = json!({"operation_id": operation_id, "delivered_at": AT, "verdict": layout});
        check_record(&VerdictRecord { operation_id, delivered_at: NOW, verdict }, &layout);
    }
}

#[test]
fn a_head_has_its_layout() {
    let mut heads = Heads::new();
    verdicts(&mut heads);
    for (number, balance, version, is_closed, last_hash) in [
        (1, "87.00", 3, false, AFTER_WITHDRAWAL),
        (2, "12.50", 1, false, AFTER_TRANSFER_OF_PAYEE),
        (3, "0.00", 0, true, NONE),
    ] {
        check_record(
            &heads[&account(number)],
            &json!({
                "account_id": account(number),
                "owner": account(number),
                "balance": euros(balance),
                "version": version,
                "is_closed": is_closed,
                "last_hash": last_hash,
            }),
        );
    }
}
