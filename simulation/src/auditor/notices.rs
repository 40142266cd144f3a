//! What people are told: one notification for each thing that happened to them, and a letter for the weightier ones.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use super::form::text;
use super::model::{Model, Verdict};
use crate::record::Record;

/// What a letter goes out for beside the notification.
const WORTH_A_LETTER: [&str; 3] = ["WITHDRAW_COMPLETED", "TRANSFER_SENT", "ACCOUNT_CLOSED"];

/// Whom something happened to, what it was, and the account and operation it is about.
type Notice = (String, &'static str, String, String);

pub fn check(record: &Record, model: &Model, findings: &mut Findings) {
    let mut expected: BTreeMap<Notice, i64> = BTreeMap::new();
    for notice in notices(record, model) {
        *expected.entry(notice).or_default() += 1;
    }
    let mut letters: BTreeSet<(&str, String)> = BTreeSet::new();
    for item in record.table("notifications") {
        let body = &item.body;
        let (owner, kind) = (text(body, "owner"), text(body, "kind"));
        let (account_id, operation_id) = (text(body, "account_id"), text(body, "operation_id"));
        let is_it = |(notice, _): &(&Notice, _)| {
            (notice.0.as_str(), notice.1, notice.2.as_str(), notice.3.as_str())
                == (owner, kind, account_id, operation_id)
        };
        let notice = expected.iter().find(is_it).map(|(notice, _)| notice.clone());
        match notice {
            Some(notice) if item.partition == owner => *expected.entry(notice).or_default() -= 1,
            _ => findings
                .add(format!("nothing happened that this tells of: {body}"), &[account_id, operation_id]),
        }
        let amount = model.verdicts.get(operation_id).map(|verdict| &verdict.event["amount"]);
        if let Some((digits, currency)) =
            amount.and_then(|amount| Some((amount["amount"].as_str()?, amount["currency"].as_str()?)))
            && !text(body, "title").contains(&format!("{digits} {currency}"))
        {
            findings
                .add(format!("a notification names another amount than {digits}: {body}"), &[operation_id]);
        }
        if WORTH_A_LETTER.contains(&kind) {
            letters.insert((text(body, "notification_id"), format!("{owner}@example.com")));
        }
    }
    for ((owner, kind, account_id, operation_id), count) in expected.iter().filter(|(_, count)| **count != 0)
    {
        let what = format!("{owner} was told of {kind} {} times", 1 - count);
        findings.add(what, &[account_id, operation_id]);
    }
    let posted: BTreeSet<(&str, String)> =
        record.letters.iter().map(|letter| (letter.letter_id.as_str(), letter.to.clone())).collect();
    for (letter_id, to) in letters.symmetric_difference(&posted) {
        findings
            .add(format!("letter {letter_id} to {to} was not sent, or had nothing to tell"), &[letter_id]);
    }
}

/// The identifiers of a customer's notifications.
pub fn of<'a>(record: &'a Record, user: &str) -> impl Iterator<Item = &'a str> {
    let items = record.table("notifications").iter().filter(move |item| item.partition == user);
    items.map(|item| text(&item.body, "notification_id"))
}

fn notices(record: &Record, model: &Model) -> Vec<Notice> {
    let mut notices = Vec::new();
    for message in record.messages("accounts_events") {
        let body = &message["body"];
        let kind = match text(message, "kind") {
            "CREATE_ACCOUNT_EVENT" => "ACCOUNT_OPENED",
            "CLOSE_ACCOUNT_EVENT" => "ACCOUNT_CLOSED",
            _ => continue,
        };
        notices.push((
            text(body, "owner").to_owned(),
            kind,
            text(body, "account_id").to_owned(),
            String::new(),
        ));
    }
    for (operation_id, verdict) in &model.verdicts {
        for (kind, side) in kinds(verdict) {
            let told = if side.is_empty() { &verdict.event } else { &verdict.event[side] };
            let (owner, account_id) = (text(told, "owner").to_owned(), text(told, "account_id").to_owned());
            notices.push((owner, kind, account_id, operation_id.clone()));
        }
    }
    notices
}

/// What a verdict means to people, each with the side of it that is theirs.
fn kinds(verdict: &Verdict) -> Vec<(&'static str, &'static str)> {
    let event = &verdict.event;
    match verdict.kind.as_str() {
        "DEPOSIT_EVENT" => vec![("DEPOSIT_COMPLETED", "")],
        "DEPOSIT_FAILED_EVENT" => vec![("DEPOSIT_FAILED", "")],
        "WITHDRAW_EVENT" => vec![("WITHDRAW_COMPLETED", "")],
        "WITHDRAW_FAILED_EVENT" => vec![("WITHDRAW_FAILED", "")],
        "TRANSFER_EVENT" if event["from"]["owner"] == event["to"]["owner"] => {
            vec![("TRANSFER_MOVED", "from")]
        }
        "TRANSFER_EVENT" => vec![("TRANSFER_SENT", "from"), ("TRANSFER_RECEIVED", "to")],
        "TRANSFER_FAILED_EVENT" => vec![("TRANSFER_FAILED", "from")],
        "CLOSE_REJECTED_EVENT" => vec![("ACCOUNT_NOT_CLOSED", "")],
        _ => Vec::new(),
    }
}
