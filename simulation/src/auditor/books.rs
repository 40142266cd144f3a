//! The stored books: every verdict once and as it was told, every head where its entries end, every chain of hashes
//! unbroken, and every currency summing to zero.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Findings;
use super::form::{millis, money, number, text};
use super::model::Model;
use crate::record::Record;

/// A link as it was stored: the entry it is of, and itself.
struct Link<'a> {
    entry: &'a Value,
    link: &'a Value,
}

pub fn check(record: &Record, model: &Model, findings: &mut Findings) {
    let mut verdicts: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut heads: BTreeMap<&str, &Value> = BTreeMap::new();
    for item in record.table("ledger") {
        match item.sort.as_str() {
            "head" => _ = heads.insert(text(&item.body, "account_id"), &item.body),
            "verdict" => _ = verdicts.insert(text(&item.body, "operation_id"), &item.body["verdict"]),
            other => findings.add(format!("the ledger holds an item of no kind, {other:?}"), &[]),
        }
    }
    compare_verdicts(&verdicts, model, findings);
    let mut chains: BTreeMap<&str, Vec<Link<'_>>> = BTreeMap::new();
    for entry in verdicts.values().filter_map(|verdict| verdict.get("POSTED")) {
        check_balanced(entry, findings);
        for link in entry["links"].as_array().into_iter().flatten() {
            chains.entry(text(link, "account_id")).or_default().push(Link { entry, link });
        }
    }
    for (account_id, head) in &heads {
        check_chain(account_id, head, chains.remove(account_id).unwrap_or_default(), findings);
    }
    for account_id in chains.keys() {
        findings.add(format!("account {account_id} has entries and no head"), &[account_id]);
    }
    compare_heads(&heads, model, findings);
    check_sums(&heads, &verdicts, findings);
}

fn compare_verdicts(verdicts: &BTreeMap<&str, &Value>, model: &Model, findings: &mut Findings) {
    for (operation_id, told) in &model.verdicts {
        let Some(stored) = verdicts.get(operation_id.as_str()) else {
            findings.add(format!("no verdict on operation {operation_id} is stored"), &[operation_id]);
            continue;
        };
        let stored_reason = stored["REFUSED"]["reason"].as_str();
        let (name, is_told) = match (stored.get("POSTED"), stored.get("CLOSED")) {
            (Some(_), _) => ("posted", told.reason().is_none() && !told.is_closing()),
            (_, Some(_)) => ("closed", told.kind == "ACCOUNT_CLOSED_EVENT"),
            _ => ("refused", stored_reason.is_some() && stored_reason == told.reason()),
        };
        if !is_told {
            findings.add(
                format!("operation {operation_id} is stored as {name}, and was told otherwise"),
                &[operation_id],
            );
        }
    }
    for operation_id in verdicts.keys().filter(|id| !model.verdicts.contains_key(**id)) {
        findings.add(format!("nobody was told of the verdict on operation {operation_id}"), &[operation_id]);
    }
}

/// An entry has two sides, and links for those of them that are customers' accounts.
fn check_balanced(entry: &Value, findings: &mut Findings) {
    let operation_id = text(entry, "operation_id");
    let customers: Vec<&str> =
        ["debit", "credit"].iter().filter_map(|side| entry[side]["ACCOUNT"].as_str()).collect();
    let linked: Vec<&str> =
        entry["links"].as_array().into_iter().flatten().map(|link| text(link, "account_id")).collect();
    let is_positive = money(&entry["amount"]).is_some_and(|(amount, _)| amount > 0);
    if customers != linked || customers.is_empty() || entry["debit"] == entry["credit"] || !is_positive {
        findings.add(format!("an entry is not balanced: {entry}"), &[operation_id]);
    }
}

fn check_chain(account_id: &str, head: &Value, mut links: Vec<Link<'_>>, findings: &mut Findings) {
    links.sort_by_key(|link| number(link.link, "version"));
    let (mut balance, mut last_hash) = (0, "0".repeat(64));
    for (version, Link { entry, link }) in (1..).zip(&links) {
        let amount = money(&entry["amount"]).map_or(0, |(amount, _)| amount);
        let is_credited = entry["credit"]["ACCOUNT"] == account_id;
        balance += if is_credited { amount } else { -amount };
        let operation_id = text(entry, "operation_id");
        let wrong = if number(link, "version") != version {
            "is not the next one"
        } else if money(&link["balance_after"]).map(|(after, _)| after) != Some(balance) {
            "leads to another balance"
        } else if balance < 0 {
            "overdraws the account"
        } else if text(link, "previous_hash") != last_hash {
            "does not name its predecessor"
        } else if hash(entry, link) != text(link, "hash") {
            "was altered: its hash is another"
        } else {
            ""
        };
        if !wrong.is_empty() {
            let what = format!("entry {version} of account {account_id} {wrong}: {link}");
            findings.add(what, &[account_id, operation_id]);
            return;
        }
        text(link, "hash").clone_into(&mut last_hash);
    }
    let held = money(&head["balance"]).map(|(balance, _)| balance);
    let entries = links.len() as u64;
    if held != Some(balance) || number(head, "version") != entries || text(head, "last_hash") != last_hash {
        let what = format!("account {account_id} is at {head}, but its {entries} entries lead to {balance}");
        findings.add(what, &[account_id]);
    }
}

/// The digest of a link as the documents describe it: one line a field, then the length of the free text, then the text.
fn hash(entry: &Value, link: &Value) -> String {
    let side = |side: &Value| side["ACCOUNT"].as_str().or(side.as_str()).unwrap_or_default().to_owned();
    let (amount, currency) = money(&entry["amount"]).unwrap_or_default();
    let (after, after_currency) = money(&link["balance_after"]).unwrap_or_default();
    let description = text(entry, "description");
    let lines = [
        text(link, "account_id").to_owned(),
        text(link, "owner").to_owned(),
        number(link, "version").to_string(),
        text(link, "previous_hash").to_owned(),
        text(entry, "operation_id").to_owned(),
        side(&entry["debit"]),
        side(&entry["credit"]),
        amount.to_string(),
        currency,
        after.to_string(),
        after_currency,
        millis(text(entry, "occurred_at")).unwrap_or_default().to_string(),
        description.len().to_string(),
    ];
    let digest = Sha256::digest(format!("{}\n{description}", lines.join("\n")));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn compare_heads(heads: &BTreeMap<&str, &Value>, model: &Model, findings: &mut Findings) {
    for (account_id, account) in &model.accounts {
        let Some(head) = heads.get(account_id.as_str()) else {
            findings.add(format!("account {account_id} has no head"), &[account_id]);
            continue;
        };
        let held = (money(&head["balance"]), number(head, "version"), text(head, "owner"));
        let expected =
            (Some((account.balance, account.currency.clone())), account.version, account.owner.as_str());
        if held != expected || head["is_closed"] != account.is_closed {
            findings.add(
                format!("account {account_id} is at {head}, but was told to be at {expected:?}"),
                &[account_id],
            );
        }
    }
    for account_id in heads.keys().filter(|id| !model.accounts.contains_key(**id)) {
        findings.add(format!("nobody was told of account {account_id}"), &[account_id]);
    }
}

/// What the bank owes its customers is what came in less what went out.
fn check_sums(heads: &BTreeMap<&str, &Value>, verdicts: &BTreeMap<&str, &Value>, findings: &mut Findings) {
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    for (balance, currency) in heads.values().filter_map(|head| money(&head["balance"])) {
        *sums.entry(currency).or_default() += balance;
    }
    for entry in verdicts.values().filter_map(|verdict| verdict.get("POSTED")) {
        let Some((amount, currency)) = money(&entry["amount"]) else { continue };
        let came_in = if entry["debit"] == "CASH_IN" { amount } else { 0 };
        let went_out = if entry["credit"] == "CASH_OUT" { amount } else { 0 };
        *sums.entry(currency).or_default() -= came_in - went_out;
    }
    for (currency, sum) in sums.iter().filter(|(_, sum)| **sum != 0) {
        findings.add(format!("the accounts of {currency} sum to {sum}, not to zero"), &[]);
    }
}
