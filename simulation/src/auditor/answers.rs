//! What customers heard: every refusal has its reason, nobody saw or moved what is another's, and whatever was shown was
//! true at some moment, and never of an earlier one than what the same customer had seen before.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Findings;
use super::form::{minor, number, sent_minor, text};
use super::life;
use super::model::Model;
use super::movements::{is_movement, is_true_of};
use super::projections::{Rows, is_shown_right, rows};
use crate::record::{Answer, Exchange, Record};

/// What the answers are held against.
struct Truth<'a> {
    record: &'a Record,
    model: &'a Model,
    accounts: BTreeMap<&'a str, &'a Value>,
    operations: BTreeMap<&'a str, &'a Value>,
    rows: Rows,
}

/// What the customers have seen so far, by what it is about; with the moment they had heard it.
#[derive(Default)]
struct Seen<'a> {
    versions: BTreeMap<&'a str, Vec<(u64, u64)>>,
    ended: BTreeMap<&'a str, u64>,
    known: BTreeMap<(&'a str, &'a str), u64>,
}

pub fn check(record: &Record, model: &Model, findings: &mut Findings) {
    let operations = record.table("operations").iter().filter(|item| item.sort.starts_with("operation#"));
    let truth = Truth {
        record,
        model,
        accounts: life::stored(record),
        operations: operations.map(|item| (text(&item.body, "operation_id"), &item.body)).collect(),
        rows: rows(model),
    };
    let mut seen = Seen::default();
    for exchange in &record.exchanges {
        let Some(answer) = &exchange.answer else {
            if exchange.number >= record.peace_from {
                findings.add(format!("request #{} was not answered in peace", exchange.number), &[]);
            }
            continue;
        };
        let wrong = if (200..300).contains(&answer.status) {
            truth.wrong_in_grant(exchange, answer, &mut seen)
        } else {
            truth.wrong_in_refusal(exchange, answer, &seen)
        };
        if let Some(wrong) = wrong {
            let what = format!(
                "{wrong}: #{} {} {} {} was answered {} {}",
                exchange.number, exchange.method, exchange.path, exchange.body, answer.status, answer.body
            );
            findings.add(what, &[&named(exchange), &format!("#{} ", exchange.number)]);
        }
    }
}

/// The account or operation that a request names as the caller's own.
fn named(exchange: &Exchange) -> String {
    let body = &exchange.body;
    let in_body = body["account_id"].as_str().or(body["from_account_id"].as_str());
    let in_path = exchange.route().split('/').nth(2);
    in_body.or(in_path).unwrap_or_default().to_owned()
}

/// The account that a transfer is to be paid to.
fn payee(exchange: &Exchange) -> String {
    text(&exchange.body, "to_account_id").to_owned()
}

/// Which service answers it.
fn service(exchange: &Exchange) -> &str {
    match exchange.route().split('/').nth(1).unwrap_or_default() {
        "deposit" | "withdraw" | "transfer" => "banking",
        "balances" | "transactions" => "query",
        other => other,
    }
}

impl<'a> Truth<'a> {
    /// Whether this is somebody else's.
    fn is_foreign(&self, id: &str, user: &str) -> bool {
        let owned = self.accounts.get(id).or_else(|| self.operations.get(id));
        owned.is_some_and(|owned| text(owned, "owner") != user)
    }

    fn wrong_in_grant(
        &self,
        exchange: &'a Exchange,
        answer: &'a Answer,
        seen: &mut Seen<'a>,
    ) -> Option<String> {
        if self.is_foreign(&named(exchange), &exchange.user) {
            return Some("it is another's".to_owned());
        }
        if is_movement(exchange) {
            self.note_known(exchange, seen);
            return (!self.is_possible(exchange)).then(|| "it cannot be granted".to_owned());
        }
        if exchange.method != "GET" {
            return None;
        }
        self.note_known(exchange, seen);
        let one = std::slice::from_ref(&answer.body);
        let items = answer.body["items"].as_array().map_or(one, Vec::as_slice);
        items.iter().find_map(|item| self.wrong_in_item(exchange, item, seen))
    }

    /// An account that a service has known once it knows for ever.
    fn note_known(&self, exchange: &'a Exchange, seen: &mut Seen<'a>) {
        for id in [named(exchange), payee(exchange)] {
            if let Some((account_id, _)) = self.accounts.get_key_value(id.as_str()) {
                seen.known.entry((service(exchange), account_id)).or_insert(exchange.ended_at);
            }
        }
    }

    /// Whether the service had known all accounts that a request names before it was sent.
    fn was_known(&self, exchange: &Exchange, seen: &Seen<'_>) -> bool {
        let ids = [named(exchange), payee(exchange)];
        let mut ids = ids.iter().enumerate().filter(|(place, id)| *place == 0 || !id.is_empty());
        ids.all(|(_, id)| {
            let moment = seen.known.get(&(service(exchange), id.as_str()));
            // A list names nothing, nor does what is asked for by an empty name.
            moment.is_some_and(|moment| !id.is_empty() && *moment < exchange.asked_at)
        })
    }

    fn wrong_in_item(&self, exchange: &Exchange, item: &'a Value, seen: &mut Seen<'a>) -> Option<String> {
        let account_id = text(item, "account_id");
        if self.is_foreign(account_id, &exchange.user) {
            return Some(format!("account {account_id} is another's"));
        }
        match exchange.route().split('/').nth(1).unwrap_or_default() {
            "balances" => self.wrong_in_balance(exchange, item, seen),
            "transactions" => {
                let key =
                    (exchange.route().split('/').nth(2)?.to_owned(), text(item, "operation_id").to_owned());
                let is_right = self.rows.get(&key).is_some_and(|row| is_shown_right(item, row));
                (!is_right).then(|| format!("this row is not as the ledger told: {item}"))
            }
            "operations" | "operation-status" => self.wrong_in_operation(exchange, item, seen),
            "accounts" => {
                let account = self.accounts.get(account_id)?;
                let same =
                    ["name", "currency", "created_at"].iter().all(|member| item[member] == account[member]);
                let may_be_closed =
                    text(item, "status") != "CLOSED" || account["status"].get("CLOSED").is_some();
                (!same || !may_be_closed).then(|| format!("this account is {account}: {item}"))
            }
            _ => None,
        }
    }

    fn wrong_in_balance(&self, exchange: &Exchange, item: &'a Value, seen: &mut Seen<'a>) -> Option<String> {
        let (account_id, version) = (text(item, "account_id"), number(item, "version"));
        let shown = minor(text(item, "balance"), text(item, "currency"));
        let balances = self.model.accounts.get(account_id).map(|account| account.balances.as_slice());
        let held = balances.unwrap_or(&[0]).get(usize::try_from(version).unwrap_or(usize::MAX)).copied();
        if shown.is_none() || shown != held || item["available"] != item["balance"] {
            return Some(format!("account {account_id} had {held:?} after {version} entries"));
        }
        let asked = exchange.path.split_once("min_version=").and_then(|(_, least)| least.parse::<u64>().ok());
        if asked.is_some_and(|least| version < least) {
            return Some(format!("it has {version} entries only"));
        }
        let versions = seen.versions.entry(account_id).or_default();
        let newest = versions
            .iter()
            .filter(|(moment, _)| *moment < exchange.asked_at)
            .map(|(_, version)| *version)
            .max();
        versions.push((exchange.ended_at, version));
        newest.filter(|newest| version < *newest).map(|newest| format!("it had {newest} entries before"))
    }

    fn wrong_in_operation(
        &self,
        exchange: &Exchange,
        item: &'a Value,
        seen: &mut Seen<'a>,
    ) -> Option<String> {
        let operation_id = text(item, "operation_id");
        let operation = self.operations.get(operation_id);
        let is_hers = operation.filter(|operation| text(operation, "owner") == exchange.user);
        if !is_hers.is_some_and(|operation| is_true_of(item, operation, true)) {
            return Some(format!("this operation is {operation:?}"));
        }
        if text(item, "status") != "PENDING" {
            seen.ended.entry(operation_id).or_insert(exchange.ended_at);
            return None;
        }
        let had_ended = seen.ended.get(operation_id).is_some_and(|moment| *moment < exchange.asked_at);
        had_ended.then(|| "it had ended before".to_owned())
    }

    fn wrong_in_refusal(&self, exchange: &Exchange, answer: &Answer, seen: &Seen<'_>) -> Option<String> {
        let (id, code) = (named(exchange), text(&answer.body, "code"));
        if exchange.number >= self.record.peace_from {
            return Some("it was refused in peace".to_owned());
        }
        match (answer.status, code) {
            (503 | 504, _) | (409, "REQUEST_IN_FLIGHT" | "NOT_PROJECTED_YET") => None,
            (422, "IDEMPOTENCY_KEY_REUSED") => {
                (!self.is_key_reused(exchange)).then(|| "its key was not used for another request".to_owned())
            }
            (404, _) if self.is_foreign(&id, &exchange.user) => None,
            (404, _) => {
                let is_wrong = self.was_known(exchange, seen) && self.is_possible(exchange);
                is_wrong.then(|| "it was known before".to_owned())
            }
            (409, "ACCOUNT_NOT_OPEN") if !self.is_foreign(&id, &exchange.user) => {
                (!self.was_to_be_closed(exchange)).then(|| "nobody asked to close it".to_owned())
            }
            (400 | 422, _) if !self.is_possible(exchange) => None,
            _ => Some("nothing explains this answer".to_owned()),
        }
    }

    /// Whether the caller had sent something else under this key to the same service before.
    fn is_key_reused(&self, exchange: &Exchange) -> bool {
        let is_account = |path: &str| path.starts_with("/accounts");
        self.record.exchanges.iter().any(|other| {
            (&other.user, &other.key) == (&exchange.user, &exchange.key)
                && is_account(&other.path) == is_account(&exchange.path)
                && (&other.path, &other.body) != (&exchange.path, &exchange.body)
                && other.asked_at < exchange.ended_at
        })
    }

    /// Whether somebody had asked, by another request, to close an account that this one names.
    fn was_to_be_closed(&self, exchange: &Exchange) -> bool {
        let ids = [named(exchange), payee(exchange)];
        self.record.exchanges.iter().any(|other| {
            let closes = |id: &String| other.path == format!("/accounts/{id}/close");
            other.number != exchange.number && ids.iter().any(closes) && other.asked_at < exchange.ended_at
        })
    }

    /// Whether a movement may be granted at all, as far as the request itself goes. Anything else may be.
    fn is_possible(&self, exchange: &Exchange) -> bool {
        if !is_movement(exchange) {
            return true;
        }
        let body = &exchange.body;
        let Some(own) = self.accounts.get(named(exchange).as_str()) else { return false };
        let currency = text(own, "currency");
        let is_of_currency = body.get("currency").is_none_or(|sent| sent == currency);
        let has_only_known = body.as_object().is_some_and(|body| !body.contains_key("more"));
        let payee = body.get("to_account_id").and_then(Value::as_str);
        let can_be_paid = payee.is_none_or(|payee| {
            payee != named(exchange)
                && self.accounts.get(payee).is_some_and(|payee| payee["currency"] == currency)
        });
        sent_minor(&body["amount"], currency).is_some() && is_of_currency && has_only_known && can_be_paid
    }
}
