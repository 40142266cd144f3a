//! The model: accounts, and what the ledger's verdicts made of them, one after the other in the order of their commits.
//!
//! A verdict must answer a command, each command has one, and it must be what the accounts as they are at that moment
//! allow: posted where nothing stands against it, with the balance and the number of entries that follow; refused for a
//! reason that is true. So any order that the ledger took is legal, as long as it kept to it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Findings;
use super::form::{money, number, text};
use crate::record::Record;

/// The largest balance that the bank promises to count.
const BALANCE_MAX: i128 = 9_223_372_036_854_775_807;

/// A bank in plain terms.
#[derive(Default)]
pub struct Model {
    /// By account.
    pub accounts: BTreeMap<String, Account>,
    /// What became of each operation, by operation.
    pub verdicts: BTreeMap<String, Verdict>,
}

/// An account that at least one command has changed.
#[derive(Clone, Default)]
pub struct Account {
    pub owner: String,
    pub currency: String,
    pub balance: i128,
    /// How many entries it has.
    pub version: u64,
    /// Every balance it ever had: the first one before any entry.
    pub balances: Vec<i128>,
    pub is_closed: bool,
}

/// A command and its verdict.
pub struct Verdict {
    /// The name of the command.
    pub command_kind: String,
    /// The command as it was sent.
    pub command: Value,
    /// The name of the event.
    pub kind: String,
    /// The event as it was sent.
    pub event: Value,
}

impl Verdict {
    /// Why it was refused.
    pub fn reason(&self) -> Option<&str> {
        self.event["reason"].as_str()
    }

    /// Whether it closed an account or did not.
    pub fn is_closing(&self) -> bool {
        self.command_kind == "CLOSE_ACCOUNT_CMD"
    }
}

/// One side of a movement: whose account changes, and by how much.
struct Change<'a> {
    account_id: &'a str,
    owner: &'a str,
    by: i128,
}

impl Model {
    /// Replays a record.
    pub fn replay(record: &Record, findings: &mut Findings) -> Self {
        let mut commands: BTreeMap<&str, &Value> = BTreeMap::new();
        for outbox in ["accounts_events", "operations_events"] {
            for message in record.messages(outbox).filter(|message| text(message, "kind").ends_with("_CMD")) {
                let operation_id = text(&message["body"], "operation_id");
                if commands.insert(operation_id, message).is_some() {
                    findings
                        .add(format!("two commands were sent for operation {operation_id}"), &[operation_id]);
                }
            }
        }
        let mut model = Self::default();
        for event in record.messages("ledger_events") {
            let (kind, body) = (text(event, "kind"), &event["body"]);
            let operation_id = text(body, "operation_id");
            match commands.get(operation_id) {
                None => findings.add(format!("{kind} has no command: {body}"), &[operation_id]),
                Some(_) if model.verdicts.contains_key(operation_id) => {
                    findings
                        .add(format!("operation {operation_id} was judged twice: {body}"), &[operation_id]);
                }
                Some(command) => model.judge(command, kind, body, findings),
            }
        }
        for (operation_id, command) in commands {
            if !model.verdicts.contains_key(operation_id) {
                findings.add(
                    format!("{} was never judged: {}", text(command, "kind"), command["body"]),
                    &[operation_id],
                );
            }
        }
        model
    }

    fn judge(&mut self, message: &Value, kind: &str, event: &Value, findings: &mut Findings) {
        let (command_kind, command) = (text(message, "kind"), &message["body"]);
        let operation_id = text(command, "operation_id");
        let wrong = match command_kind {
            "CLOSE_ACCOUNT_CMD" => self.close(command, kind, event),
            _ => self.post(command_kind, command, kind, event),
        };
        if !wrong.is_empty() {
            let ids = [
                operation_id,
                text(command, "account_id"),
                text(&command["from"], "account_id"),
                text(&command["to"], "account_id"),
            ];
            let wrong = wrong.join(", ");
            findings.add(format!("{wrong}: {command_kind} {command} was answered {kind} {event}"), &ids);
        }
        let verdict = Verdict {
            command_kind: command_kind.to_owned(),
            command: command.clone(),
            kind: kind.to_owned(),
            event: event.clone(),
        };
        self.verdicts.insert(operation_id.to_owned(), verdict);
    }

    /// Judges a movement anew and says what is wrong with the verdict, which it takes over in any case.
    fn post(&mut self, command_kind: &str, command: &Value, kind: &str, event: &Value) -> Vec<String> {
        let Some((amount, currency)) = money(&command["amount"]) else {
            return vec!["the command has no amount".to_owned()];
        };
        let Some((posted, refused, changes)) = changes(command_kind, command, amount) else {
            return vec!["the command is of no kind".to_owned()];
        };
        let reasons: Vec<&str> =
            changes.iter().flat_map(|change| self.objections(change, &currency)).collect();
        let mut wrong = Vec::new();
        if money(&event["amount"]) != Some((amount, currency.clone())) {
            wrong.push("the amount is another".to_owned());
        }
        if event.get("description") != command.get("description") {
            wrong.push("the description is another".to_owned());
        }
        if kind == refused {
            wrong.extend(self.wrong_in_refusal(&reasons, &changes, event));
        } else if kind == posted {
            if !reasons.is_empty() {
                wrong.push(format!("it was posted, though {reasons:?} stands against it"));
            }
            for change in &changes {
                let told = if changes.len() == 1 { event } else { &event[side(change)] };
                wrong.extend(self.apply(change, &currency, told));
            }
        } else {
            wrong.push(format!("the verdict is neither {posted} nor {refused}"));
        }
        wrong
    }

    fn wrong_in_refusal(&self, reasons: &[&str], changes: &[Change<'_>], event: &Value) -> Vec<String> {
        let (mut wrong, reason) = (Vec::new(), text(event, "reason"));
        if !reasons.contains(&reason) {
            wrong.push(format!("it was refused for {reason:?}, but what stands against it is {reasons:?}"));
        }
        let account = changes.first().and_then(|payer| self.accounts.get(payer.account_id));
        let shown = event.get("balance_after").and_then(money).map(|(balance, _)| balance);
        let held = (account.map(|account| account.balance), account.map_or(0, |account| account.version));
        if (shown, number(event, "account_version")) != held {
            wrong.push("what the account holds is told wrong".to_owned());
        }
        wrong
    }

    /// Changes an account, and says what is wrong with what was told of it.
    fn apply(&mut self, change: &Change<'_>, currency: &str, told: &Value) -> Option<String> {
        let account = self.accounts.entry(change.account_id.to_owned()).or_insert_with(|| Account {
            owner: change.owner.to_owned(),
            currency: currency.to_owned(),
            balances: vec![0],
            ..Account::default()
        });
        account.balance += change.by;
        account.version += 1;
        account.balances.push(account.balance);
        let is_told = money(&told["balance_after"]) == Some((account.balance, currency.to_owned()))
            && number(told, "account_version") == account.version
            && (text(told, "account_id"), text(told, "owner")) == (change.account_id, change.owner)
            && account.owner == change.owner;
        (!is_told)
            .then(|| format!("the account must hold {} after entry {}", account.balance, account.version))
    }

    /// Everything that stands against a change of an account.
    fn objections(&self, change: &Change<'_>, currency: &str) -> Vec<&'static str> {
        let new = Account { currency: currency.to_owned(), ..Account::default() };
        let account = self.accounts.get(change.account_id).unwrap_or(&new);
        let after = account.balance + change.by;
        let all = [
            (account.is_closed, "ACCOUNT_CLOSED"),
            (account.currency != currency, "CURRENCY_MISMATCH"),
            (after < 0, "INSUFFICIENT_FUNDS"),
            (after > BALANCE_MAX, "BALANCE_TOO_LARGE"),
        ];
        all.into_iter().filter(|(stands, _)| *stands).map(|(_, reason)| reason).collect()
    }

    fn close(&mut self, command: &Value, kind: &str, event: &Value) -> Vec<String> {
        let account_id = text(command, "account_id");
        let account = self.accounts.get(account_id).cloned().unwrap_or_default();
        let all = [(account.is_closed, "ACCOUNT_CLOSED"), (account.balance != 0, "BALANCE_NOT_ZERO")];
        let reasons: Vec<&str> =
            all.into_iter().filter(|(stands, _)| *stands).map(|(_, reason)| reason).collect();
        let mut wrong = Vec::new();
        if (text(event, "account_id"), text(event, "owner")) != (account_id, text(command, "owner")) {
            wrong.push("another account is told of".to_owned());
        }
        let reason = text(event, "reason");
        match kind {
            "CLOSE_REJECTED_EVENT" if !reasons.contains(&reason) => {
                wrong.push(format!(
                    "closing was refused for {reason:?}, but what stands against it is {reasons:?}"
                ));
            }
            "CLOSE_REJECTED_EVENT" => {}
            "ACCOUNT_CLOSED_EVENT" => {
                let closed = self.accounts.entry(account_id.to_owned()).or_insert_with(|| Account {
                    owner: text(command, "owner").to_owned(),
                    currency: text(command, "currency").to_owned(),
                    balances: vec![0],
                    ..Account::default()
                });
                closed.is_closed = true;
                if number(event, "account_version") != closed.version {
                    wrong.push("the number of its entries is another".to_owned());
                }
                if !reasons.is_empty() {
                    wrong.push(format!("it was closed, though {reasons:?} stands against it"));
                }
            }
            _ => wrong.push("the verdict is none on a closing".to_owned()),
        }
        wrong
    }
}

/// The name of the side in the event of a transfer.
fn side(change: &Change<'_>) -> &'static str {
    if change.by < 0 { "from" } else { "to" }
}

/// The events that a command may be answered with, and what it changes, the payer first.
fn changes<'a>(
    command_kind: &str,
    command: &'a Value,
    amount: i128,
) -> Option<(&'static str, &'static str, Vec<Change<'a>>)> {
    let change = |party: &'a Value, by| Change {
        account_id: text(party, "account_id"),
        owner: text(party, "owner"),
        by,
    };
    Some(match command_kind {
        "DEPOSIT_CMD" => ("DEPOSIT_EVENT", "DEPOSIT_FAILED_EVENT", vec![change(command, amount)]),
        "WITHDRAW_CMD" => ("WITHDRAW_EVENT", "WITHDRAW_FAILED_EVENT", vec![change(command, -amount)]),
        "TRANSFER_CMD" => {
            let sides = vec![change(&command["from"], -amount), change(&command["to"], amount)];
            ("TRANSFER_EVENT", "TRANSFER_FAILED_EVENT", sides)
        }
        _ => return None,
    })
}
