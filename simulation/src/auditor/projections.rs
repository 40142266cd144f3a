//! Balances and histories: what is stored for readers equals what the ledger told, and so does every list that a
//! customer reads in peace, without a gap, a repetition or a thing out of its place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Findings;
use super::form::{millis, money, number, text};
use super::model::{Model, Verdict};
use super::{life, notices};
use crate::record::Record;

/// A row of an account's history, as its reader is shown it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// By what rows are sorted: time, then entries, then operation.
    pub place: (i64, u64, String),
    pub kind: &'static str,
    pub direction: &'static str,
    pub reason: Option<String>,
    pub amount: Value,
    pub balance_after: Option<Value>,
    pub description: Option<Value>,
    pub counterparty: Option<String>,
}

/// The rows of all accounts, by account and operation.
pub type Rows = BTreeMap<(String, String), Row>;

pub fn check(record: &Record, model: &Model, findings: &mut Findings) {
    let rows = rows(model);
    check_rows(record, &rows, findings);
    check_balances(record, model, findings);
    check_lists(record, &rows, findings);
}

/// What the verdicts mean for the histories.
pub fn rows(model: &Model) -> Rows {
    let mut rows = Rows::new();
    for (operation_id, verdict) in model.verdicts.iter().filter(|(_, verdict)| !verdict.is_closing()) {
        let (command, event) = (&verdict.command, &verdict.event);
        let (from, to) = (text(&command["from"], "account_id"), text(&command["to"], "account_id"));
        let mut add = |account_id: &str, kind, direction, told: &Value, counterparty: &str| {
            let row = row(operation_id, verdict, (kind, direction), told, counterparty);
            rows.insert((account_id.to_owned(), operation_id.clone()), row);
        };
        match verdict.command_kind.as_str() {
            "DEPOSIT_CMD" => add(text(command, "account_id"), "DEPOSIT", "CREDIT", event, ""),
            "WITHDRAW_CMD" => add(text(command, "account_id"), "WITHDRAW", "DEBIT", event, ""),
            // A payee hears nothing of a transfer that failed.
            _ if verdict.reason().is_some() => add(from, "TRANSFER", "DEBIT", event, to),
            _ => {
                add(from, "TRANSFER", "DEBIT", &event["from"], to);
                add(to, "TRANSFER", "CREDIT", &event["to"], from);
            }
        }
    }
    rows
}

fn row(
    operation_id: &str,
    verdict: &Verdict,
    (kind, direction): (&'static str, &'static str),
    told: &Value,
    counterparty: &str,
) -> Row {
    let event = &verdict.event;
    let occurred_at = millis(text(event, "occurred_at")).unwrap_or_default();
    Row {
        place: (occurred_at, number(told, "account_version"), operation_id.to_owned()),
        kind,
        direction,
        reason: verdict.reason().map(str::to_owned),
        amount: event["amount"].clone(),
        balance_after: told.get("balance_after").cloned(),
        description: event.get("description").cloned(),
        counterparty: Some(counterparty).filter(|id| !id.is_empty()).map(str::to_owned),
    }
}

fn check_rows(record: &Record, rows: &Rows, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for item in record.table("transactions") {
        let stored = &item.body["transaction"];
        let (account_id, operation_id) = (text(stored, "account_id"), text(stored, "operation_id"));
        let key = (account_id.to_owned(), operation_id.to_owned());
        let is_right = rows.get(&key).is_some_and(|row| {
            is_row(stored, row)
                && stored["amount"] == row.amount
                && stored.get("balance_after") == row.balance_after.as_ref()
                && number(stored, "account_version") == row.place.1
        });
        if !is_right || item.partition != account_id || !seen.insert(key) {
            findings.add(
                format!("a row of history is not as the ledger told: {stored}"),
                &[account_id, operation_id],
            );
        }
    }
    for (account_id, operation_id) in rows.keys().filter(|key| !seen.contains(*key)) {
        let what = format!("the history of account {account_id} lacks operation {operation_id}");
        findings.add(what, &[account_id, operation_id]);
    }
}

/// Whether what all forms of a row have in common is right.
fn is_row(shown: &Value, row: &Row) -> bool {
    let status = if row.reason.is_some() { "FAILED" } else { "COMPLETED" };
    (text(shown, "kind"), text(shown, "direction"), text(shown, "status"))
        == (row.kind, row.direction, status)
        && shown["reason"].as_str() == row.reason.as_deref()
        && shown.get("description") == row.description.as_ref()
        && shown["counterparty_account_id"].as_str() == row.counterparty.as_deref()
        && millis(text(shown, "occurred_at")) == Some(row.place.0)
}

/// Whether a row as a customer is shown it is right.
pub fn is_shown_right(shown: &Value, row: &Row) -> bool {
    let side = if row.direction == "CREDIT" { "credit" } else { "debit" };
    is_row(shown, row)
        && shown["amount"] == row.amount["amount"]
        && shown["currency"] == row.amount["currency"]
        && shown.get("balance_after") == row.balance_after.as_ref().map(|balance| &balance["amount"])
        && text(shown, "transaction_id") == format!("{}-{side}", row.place.2)
}

fn check_balances(record: &Record, model: &Model, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for item in record.table("balances") {
        let account_id = text(&item.body, "account_id");
        let account = model.accounts.get(account_id).filter(|account| account.version > 0);
        let is_right = account.is_some_and(|account| {
            money(&item.body["balance"]) == Some((account.balance, account.currency.clone()))
                && number(&item.body, "version") == account.version
        });
        if !is_right || !seen.insert(account_id) {
            findings.add(format!("a balance is not as the ledger told: {}", item.body), &[account_id]);
        }
    }
    for (account_id, account) in &model.accounts {
        if account.version > 0 && !seen.contains(account_id.as_str()) {
            findings.add(format!("account {account_id} has no balance"), &[account_id]);
        }
    }
}

/// Every list read in peace, page after page, has what it must have in its order.
fn check_lists(record: &Record, rows: &Rows, findings: &mut Findings) {
    let mut lists: BTreeMap<(&str, &str), Vec<&Value>> = BTreeMap::new();
    for exchange in record.in_peace() {
        let items = exchange.granted().and_then(|answer| answer.body["items"].as_array());
        if let Some(items) = items {
            lists.entry((&exchange.user, exchange.route())).or_default().extend(items);
        }
    }
    let accounts = life::stored(record);
    for user in &record.users {
        let own = accounts.iter().filter(|(_, account)| text(account, "owner") == user);
        let own: Vec<&str> = own.map(|(account_id, _)| *account_id).collect();
        let operations = record.table("operations").iter().filter(|item| item.partition == *user);
        let operations = operations.filter_map(|item| item.sort.strip_prefix("operation#"));
        let mut operations: Vec<&str> = operations.collect();
        operations.sort_unstable_by(|one, other| other.cmp(one));
        let mut notifications: Vec<&str> = notices::of(record, user).collect();
        notifications.sort_unstable_by(|one, other| other.cmp(one));
        let mut compare = |route: &str, member: &str, expected: &[&str]| {
            let listed = lists.get(&(user.as_str(), route)).map_or(&[][..], Vec::as_slice);
            let listed: Vec<&str> = listed.iter().map(|item| text(item, member)).collect();
            if listed != expected {
                findings.add(format!("{user} reads at {route} {listed:?}, not {expected:?}"), &[]);
            }
        };
        compare("/accounts", "account_id", &own);
        compare("/balances", "account_id", &own);
        compare("/operations", "operation_id", &operations);
        compare("/notifications", "notification_id", &notifications);
        for account_id in own {
            let mut history: Vec<&Row> =
                rows.iter().filter(|((account, _), _)| account == account_id).map(|(_, row)| row).collect();
            history.sort_unstable_by(|one, other| other.place.cmp(&one.place));
            let expected: Vec<&str> = history.iter().map(|row| row.place.2.as_str()).collect();
            compare(&format!("/transactions/{account_id}"), "operation_id", &expected);
        }
    }
}
