//! Deposits, withdrawals and transfers, from the request to the end of the operation.
//!
//! What was granted is there, and once: under a key there is one operation however often it was sent, and without one at
//! most one a sending. What is there was asked for, by the one whose it is, and it ended as the ledger judged it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Findings;
use super::form::{money, sent_minor, text};
use super::model::Model;
use crate::record::{Exchange, Record};

/// The requests that carry one word: the same request, as often as it was sent.
type Sendings<'a> = BTreeMap<&'a str, Vec<&'a Exchange>>;

pub fn check(record: &Record, model: &Model, findings: &mut Findings) {
    let mut sendings: Sendings<'_> = BTreeMap::new();
    for exchange in record.exchanges.iter().filter(|exchange| is_movement(exchange)) {
        sendings.entry(text(&exchange.body, "description")).or_default().push(exchange);
    }
    let items = record.table("operations").iter().filter(|item| item.sort.starts_with("operation#"));
    let operations: BTreeMap<&str, &Value> =
        items.map(|item| (text(&item.body, "operation_id"), &item.body)).collect();
    let mut made: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (operation_id, operation) in &operations {
        made.entry(text(operation, "description")).or_default().push(operation_id);
        check_asked_for(operation, &sendings, findings);
        check_end(operation, model, findings);
    }
    check_counts(&sendings, &made, findings);
    for (word, sent) in &sendings {
        check_answers(sent, made.get(word).map_or(&[], Vec::as_slice), &operations, findings);
    }
    for (operation_id, verdict) in &model.verdicts {
        if !verdict.is_closing() && !operations.contains_key(operation_id.as_str()) {
            findings.add(format!("operation {operation_id} was judged, and nobody has it"), &[operation_id]);
        }
    }
}

/// Whether it asks to move money.
pub fn is_movement(exchange: &Exchange) -> bool {
    exchange.method == "POST" && matches!(exchange.route(), "/deposit" | "/withdraw" | "/transfer")
}

/// The operation is what its owner sent: the same kind, accounts and amount.
fn check_asked_for(operation: &Value, sendings: &Sendings<'_>, findings: &mut Findings) {
    let operation_id = text(operation, "operation_id");
    let Some(sent) = sendings.get(text(operation, "description")).and_then(|sent| sent.first()) else {
        findings.add(format!("nobody asked for operation {operation}"), &[operation_id]);
        return;
    };
    let body = &sent.body;
    let movement = match sent.route() {
        "/deposit" => json!({"DEPOSIT": {"account_id": body["account_id"]}}),
        "/withdraw" => json!({"WITHDRAW": {"account_id": body["account_id"]}}),
        _ => {
            json!({"TRANSFER": {"from_account_id": body["from_account_id"], "to_account_id": body["to_account_id"]}})
        }
    };
    let amount = money(&operation["amount"]);
    let sent_amount = amount
        .as_ref()
        .and_then(|(_, currency)| Some((sent_minor(&body["amount"], currency)?, currency.clone())));
    let is_owner = text(operation, "owner") == sent.user;
    if operation["movement"] != movement || amount.is_none() || amount != sent_amount || !is_owner {
        let what = format!("operation {operation} is not what {} asked for: {} {body}", sent.user, sent.path);
        findings.add(what, &[operation_id]);
    }
}

/// The operation ended, as the ledger judged it.
fn check_end(operation: &Value, model: &Model, findings: &mut Findings) {
    let operation_id = text(operation, "operation_id");
    let Some(verdict) = model.verdicts.get(operation_id) else {
        findings.add(format!("operation {operation_id} was never judged"), &[operation_id]);
        return;
    };
    let event = &verdict.event;
    let own = if verdict.kind == "TRANSFER_EVENT" { &event["from"] } else { event };
    let ended_at = &event["occurred_at"];
    let expected = match verdict.reason() {
        Some(reason) => json!({"FAILED": {"reason": reason, "ended_at": ended_at}}),
        None => json!({"COMPLETED": {
            "balance_after": own["balance_after"],
            "account_version": own["account_version"],
            "ended_at": ended_at,
        }}),
    };
    if operation["status"] != expected {
        let what = format!(
            "operation {operation_id} ended as {}, but its verdict says {expected}",
            operation["status"]
        );
        findings.add(what, &[operation_id]);
    }
    let movement = operation["movement"].as_object().and_then(|movement| movement.values().next());
    let movement = movement.unwrap_or(&Value::Null);
    let command = &verdict.command;
    let accounts = [&command["account_id"], &command["from"]["account_id"], &command["to"]["account_id"]];
    let named = [&movement["account_id"], &movement["from_account_id"], &movement["to_account_id"]];
    if accounts != named || command["amount"] != operation["amount"] {
        findings.add(format!("operation {operation} went to the ledger as {command}"), &[operation_id]);
    }
}

/// Under a key there is one operation, and without one at most as many as were sent.
fn check_counts(sendings: &Sendings<'_>, made: &BTreeMap<&str, Vec<&str>>, findings: &mut Findings) {
    let mut by_key: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (word, operations) in made {
        let Some(sent) = sendings.get(word) else { continue };
        let Some(first) = sent.first() else { continue };
        match &first.key {
            Some(key) => by_key.entry((&first.user, key)).or_default().extend(operations),
            None if operations.len() > sent.len() => {
                let what =
                    format!("{word} was sent {} times and done {} times", sent.len(), operations.len());
                findings.add(what, operations);
            }
            None => {}
        }
    }
    for ((user, key), operations) in by_key.iter().filter(|(_, operations)| operations.len() > 1) {
        findings.add(format!("{user} has {} operations under {key}", operations.len()), operations);
    }
}

/// What was heard of a request is true of what it made.
fn check_answers(
    sent: &[&Exchange],
    made: &[&str],
    operations: &BTreeMap<&str, &Value>,
    findings: &mut Findings,
) {
    let mut heard = BTreeSet::new();
    let mut first_answers = 0;
    for exchange in sent {
        let Some(answer) = exchange.granted() else { continue };
        let operation_id = text(&answer.body, "operation_id");
        let is_new = heard.insert(operation_id);
        first_answers += u64::from(!answer.is_replay);
        let Some(operation) = operations.get(operation_id).filter(|_| made.contains(&operation_id)) else {
            findings.add(
                format!("request #{} was granted, and its operation is not there", exchange.number),
                &[operation_id],
            );
            continue;
        };
        if exchange.key.is_none() && !is_new {
            findings.add(
                format!("request #{} has no key and was answered as another", exchange.number),
                &[operation_id],
            );
        }
        if !is_true_of(&answer.body, operation, exchange.is_waiting) {
            let what = format!(
                "request #{} was answered {}, but the operation is {operation}",
                exchange.number, answer.body
            );
            findings.add(what, &[operation_id]);
        }
    }
    let is_keyed = sent.first().is_some_and(|exchange| exchange.key.is_some());
    if is_keyed && (heard.len() > 1 || first_answers > 1) {
        let ids: Vec<&str> = heard.into_iter().collect();
        findings.add(format!("one key had {first_answers} first answers, naming {ids:?}"), &ids);
    }
}

/// Whether an operation as it was shown may be an earlier state of it, or the state it ended in.
pub fn is_true_of(shown: &Value, operation: &Value, may_have_ended: bool) -> bool {
    let (kind, movement) = match operation["movement"].as_object().and_then(|movement| movement.iter().next())
    {
        Some((kind, movement)) => (kind.as_str(), movement),
        None => return false,
    };
    let same =
        ["operation_id", "description", "created_at"].iter().all(|member| shown[member] == operation[member]);
    let accounts = ["account_id", "from_account_id", "to_account_id"];
    let same_accounts = accounts.iter().all(|member| shown[member] == movement[member]);
    let amount = &operation["amount"];
    let is_shown = same
        && same_accounts
        && shown["kind"] == kind
        && (&shown["amount"], &shown["currency"]) == (&amount["amount"], &amount["currency"]);
    let status = &operation["status"];
    let ended = match shown["status"].as_str() {
        Some("PENDING") => {
            shown.get("reason").or(shown.get("balance_after")).or(shown.get("ended_at")).is_none()
        }
        Some("COMPLETED") => {
            let end = &status["COMPLETED"];
            may_have_ended
                && shown["balance_after"] == end["balance_after"]["amount"]
                && shown["account_version"] == end["account_version"]
                && shown["ended_at"] == end["ended_at"]
        }
        Some("FAILED") => {
            let end = &status["FAILED"];
            may_have_ended && shown["reason"] == end["reason"] && shown["ended_at"] == end["ended_at"]
        }
        _ => false,
    };
    is_shown && ended
}
