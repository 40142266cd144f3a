//! The life of accounts: opened once for each request, closed by the ledger's word, and told to the others once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Findings;
use super::form::{number, text};
use super::model::Model;
use crate::record::{Exchange, Record};

pub fn check(record: &Record, model: &Model, findings: &mut Findings) {
    let accounts = stored(record);
    check_openings(record, &accounts, findings);
    check_events(record, &accounts, findings);
    check_projections(record, &accounts, findings);
    for (account_id, account) in &accounts {
        check_closings(record, account_id, account, model, findings);
    }
    for (account_id, judged) in &model.accounts {
        let is_hers = |account: &&&Value| {
            (text(account, "owner"), text(account, "currency"))
                == (judged.owner.as_str(), judged.currency.as_str())
        };
        if accounts.get(account_id.as_str()).filter(is_hers).is_none() {
            findings.add(
                format!("the ledger keeps account {account_id}, which its owner does not have"),
                &[account_id],
            );
        }
    }
}

/// The accounts as the accounts service has them.
pub fn stored(record: &Record) -> BTreeMap<&str, &Value> {
    let items = record.table("accounts").iter().filter(|item| item.sort.starts_with("account#"));
    items.map(|item| (text(&item.body, "account_id"), &item.body)).collect()
}

/// The status by its name.
fn status(account: &Value) -> &str {
    account["status"].as_object().and_then(|status| status.keys().next()).map_or("", String::as_str)
}

fn check_openings(record: &Record, accounts: &BTreeMap<&str, &Value>, findings: &mut Findings) {
    let mut sendings: BTreeMap<&str, Vec<&Exchange>> = BTreeMap::new();
    for exchange in &record.exchanges {
        if exchange.method == "POST" && exchange.route() == "/accounts" {
            sendings.entry(text(&exchange.body, "name")).or_default().push(exchange);
        }
    }
    let mut made: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (account_id, account) in accounts {
        made.entry(text(account, "name")).or_default().push(account_id);
        let sent = sendings.get(text(account, "name")).and_then(|sent| sent.first());
        let is_asked_for = sent.is_some_and(|sent| {
            sent.user == text(account, "owner") && sent.body["currency"] == account["currency"]
        });
        if !is_asked_for {
            findings.add(format!("nobody asked for account {account}"), &[account_id]);
        }
    }
    for (name, sent) in &sendings {
        let made = made.get(name).map_or(&[][..], Vec::as_slice);
        let is_keyed = sent.first().is_some_and(|sent| sent.key.is_some());
        let most = if is_keyed { 1 } else { sent.len() };
        if made.len() > most {
            findings.add(
                format!("{name} was opened {} times, and at most {most} times by right", made.len()),
                made,
            );
        }
        let mut heard = BTreeSet::new();
        for (exchange, answer) in sent.iter().filter_map(|sent| Some((sent, sent.granted()?))) {
            let account_id = text(&answer.body, "account_id");
            let is_new = heard.insert(account_id);
            let is_first =
                answer.body["status"] == "OPEN" && answer.body["currency"] == exchange.body["currency"];
            if !made.contains(&account_id) || !is_first || (!is_keyed && !is_new) {
                let what =
                    format!("request #{} to open {name} was answered {}", exchange.number, answer.body);
                findings.add(what, &[account_id]);
            }
        }
    }
}

/// The others are told of an opening once, and of a closing once.
fn check_events(record: &Record, accounts: &BTreeMap<&str, &Value>, findings: &mut Findings) {
    let mut told: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for message in record.messages("accounts_events") {
        *told.entry((text(message, "kind"), text(&message["body"], "account_id"))).or_default() += 1;
    }
    let told = |kind, account_id| told.get(&(kind, account_id)).copied().unwrap_or_default();
    for (account_id, account) in accounts {
        let closings = u64::from(status(account) == "CLOSED");
        let heard = (told("CREATE_ACCOUNT_EVENT", *account_id), told("CLOSE_ACCOUNT_EVENT", *account_id));
        if heard != (1, closings) {
            findings.add(format!("the others heard {heard:?} times of account {account}"), &[account_id]);
        }
    }
}

/// Banking and query know every account as it is, but for what they are not told: that it once was to be closed.
fn check_projections(record: &Record, accounts: &BTreeMap<&str, &Value>, findings: &mut Findings) {
    for table in ["banking_accounts_projection", "query_accounts_projection"] {
        let items = record.table(table);
        let known: BTreeMap<&str, &Value> =
            items.iter().map(|item| (text(&item.body, "account_id"), &item.body)).collect();
        for (account_id, account) in accounts {
            let is_closed = status(account) == "CLOSED";
            let is_known = known.get(account_id).is_some_and(|known| {
                let revision = if is_closed { number(account, "revision") } else { 1 };
                let expected = if is_closed { "CLOSED" } else { "OPEN" };
                let same = ["owner", "name", "currency", "created_at"];
                same.iter().all(|member| known[member] == account[member])
                    && (text(known, "status"), number(known, "revision")) == (expected, revision)
                    && known["closed_at"] == account["status"]["CLOSED"]["closed_at"]
            });
            if !is_known {
                let what = format!("{table} has {:?}, but the account is {account}", known.get(account_id));
                findings.add(what, &[account_id]);
            }
        }
        if known.len() != items.len() || known.keys().any(|account_id| !accounts.contains_key(account_id)) {
            findings.add(format!("{table} has accounts that nobody has"), &[]);
        }
    }
}

/// An account is closed if the ledger closed it, and otherwise open with the last reason why it was not.
fn check_closings(
    record: &Record,
    account_id: &str,
    account: &Value,
    model: &Model,
    findings: &mut Findings,
) {
    let path = format!("/accounts/{account_id}/close");
    let sent = record.exchanges.iter().filter(|exchange| exchange.method == "POST" && exchange.path == path);
    let sent: Vec<&Exchange> = sent.collect();
    let commands: Vec<&str> = record
        .messages("accounts_events")
        .filter(|message| text(message, "kind") == "CLOSE_ACCOUNT_CMD")
        .filter(|message| text(&message["body"], "account_id") == account_id)
        .map(|message| text(&message["body"], "operation_id"))
        .collect();
    let granted = sent.iter().filter_map(|exchange| exchange.granted());
    let first_answers = granted.filter(|answer| !answer.is_replay).count();
    if first_answers > commands.len() || commands.len() > sent.len() {
        let what = format!(
            "closing {account_id} was asked {} times, granted {first_answers} times and sent to the ledger {} times",
            sent.len(),
            commands.len()
        );
        findings.add(what, &[account_id]);
    }
    let last = commands.last().and_then(|operation_id| model.verdicts.get(*operation_id));
    let is_closed = model.accounts.get(account_id).is_some_and(|account| account.is_closed);
    let is_right = match status(account) {
        "CLOSED" => {
            is_closed
                && last
                    .is_some_and(|last| last.event["occurred_at"] == account["status"]["CLOSED"]["closed_at"])
        }
        "OPEN" => {
            let reason = account["status"]["OPEN"]["close_rejected_reason"].as_str();
            !is_closed && last.and_then(|last| last.reason()) == reason
        }
        _ => false,
    };
    if !is_right {
        findings.add(
            format!("account {account} is not as the ledger's answer to its closing has it"),
            &[account_id],
        );
    }
}
