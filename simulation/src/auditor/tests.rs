//! Every check of the auditor, and a record doctored so that it must fail: a check that cannot fail is worth nothing.

use std::sync::LazyLock;

use memory::Faults;
use serde_json::{Value, json};

use super::{Findings, audit, model};
use crate::plan::Plan;
use crate::record::{Exchange, Record, StoredItem};
use crate::run::run_plan;

/// What a quiet run left behind, in which all there is happened at least once.
static QUIET: LazyLock<Record> = LazyLock::new(|| {
    let plan = Plan { faults: Faults::NONE, mishaps: Vec::new(), mail_later_per_mille: 0, ..Plan::busy(7) };
    let ended = run_plan(plan).unwrap();
    assert_eq!(ended.findings, [], "a quiet run is clean");
    ended.record
});

/// Doctors the quiet record, and expects a finding with these words.
#[track_caller]
fn finds(words: &str, doctor: impl FnOnce(&mut Record)) {
    let mut record = QUIET.clone();
    doctor(&mut record);
    let findings = audit(&record);
    let is_found = findings.iter().any(|finding| finding.what.contains(words));
    assert!(is_found, "{words:?} is not among {findings:#?}");
}

fn item<'a>(record: &'a mut Record, table: &str, is_it: impl Fn(&StoredItem) -> bool) -> &'a mut StoredItem {
    record.tables.get_mut(table).unwrap().iter_mut().find(|item| is_it(item)).unwrap()
}

fn is_operation(item: &StoredItem) -> bool {
    item.sort.starts_with("operation#")
}

fn event<'a>(record: &'a mut Record, kind: &str) -> &'a mut Value {
    let messages = record.outboxes.values_mut().flatten().flatten();
    messages.into_iter().find(|message| message["kind"] == kind).unwrap()
}

fn exchange(record: &mut Record, is_it: impl Fn(&Exchange) -> bool) -> &mut Exchange {
    record.exchanges.iter_mut().find(|exchange| is_it(exchange)).unwrap()
}

fn is_granted_at(route: &'static str) -> impl Fn(&Exchange) -> bool {
    move |exchange| exchange.route() == route && exchange.granted().is_some()
}

fn drop_first(record: &mut Record, table: &str, is_it: impl Fn(&StoredItem) -> bool) {
    let items = record.tables.get_mut(table).unwrap();
    let place = items.iter().position(is_it).unwrap();
    items.remove(place);
}

#[test]
fn a_verdict_must_be_what_the_accounts_allow() {
    finds("it was refused for", |record| {
        event(record, "WITHDRAW_FAILED_EVENT")["body"]["reason"] = json!("ACCOUNT_CLOSED");
    });
    finds("the account must hold", |record| {
        event(record, "DEPOSIT_EVENT")["body"]["balance_after"]["amount"] = json!("1000000");
    });
    finds("the account must hold", |record| {
        event(record, "WITHDRAW_EVENT")["body"]["account_version"] = json!(99);
    });
    finds("the account must hold", |record| {
        event(record, "TRANSFER_EVENT")["body"]["to"]["owner"] = json!("somebody");
    });
    finds("the amount is another", |record| {
        event(record, "TRANSFER_EVENT")["body"]["amount"]["amount"] = json!("0.01");
    });
    finds("what the account holds is told wrong", |record| {
        event(record, "WITHDRAW_FAILED_EVENT")["body"]["account_version"] = json!(99);
    });
    finds("the description is another", |record| {
        event(record, "DEPOSIT_EVENT")["body"]["description"] = json!("other words");
    });
    finds("stands against it", |record| {
        // The command asks for more than there is, and was posted nevertheless.
        let operation_id = event(record, "WITHDRAW_EVENT")["body"]["operation_id"].clone();
        let commands = record.outboxes.get_mut("operations_events").unwrap().iter_mut().flatten();
        let command = commands.into_iter().find(|command| command["body"]["operation_id"] == operation_id);
        command.unwrap()["body"]["amount"]["amount"] = json!("99999999");
    });
}

#[test]
fn a_closing_must_be_what_the_account_allows() {
    finds("closing was refused for", |record| {
        event(record, "CLOSE_REJECTED_EVENT")["body"]["reason"] = json!("ACCOUNT_CLOSED");
    });
    finds("another account is told of", |record| {
        event(record, "ACCOUNT_CLOSED_EVENT")["body"]["owner"] = json!("somebody");
    });
    finds("the number of its entries is another", |record| {
        event(record, "ACCOUNT_CLOSED_EVENT")["body"]["account_version"] = json!(99);
    });
    finds("it was closed, though", |record| {
        event(record, "CLOSE_REJECTED_EVENT")["kind"] = json!("ACCOUNT_CLOSED_EVENT");
    });
}

#[test]
fn a_command_has_one_verdict() {
    finds("was never judged", |record| {
        record.outboxes.get_mut("ledger_events").unwrap().pop();
    });
    finds("was judged twice", |record| {
        let events = record.outboxes.get_mut("ledger_events").unwrap();
        events.push(events[0].clone());
    });
    finds("has no command", |record| {
        event(record, "DEPOSIT_EVENT")["body"]["operation_id"] = json!("nobody asked");
    });
    finds("two commands were sent", |record| {
        let commands = record.outboxes.get_mut("operations_events").unwrap();
        commands.push(commands[0].clone());
    });
}

#[test]
fn the_stored_books_are_those_that_were_told() {
    let is_entry = |item: &StoredItem| item.body["verdict"].get("POSTED").is_some();
    let is_head = |item: &StoredItem| item.sort == "head" && item.body["version"] != 0;
    finds("no verdict on operation", |record| drop_first(record, "ledger", is_entry));
    finds("is stored as refused", |record| {
        item(record, "ledger", is_entry).body["verdict"] = json!({"REFUSED": {"reason": "ACCOUNT_CLOSED"}});
    });
    finds("has no head", |record| drop_first(record, "ledger", is_head));
    finds("but its", |record| item(record, "ledger", is_head).body["balance"]["amount"] = json!("7777"));
    finds("but was told to be", |record| {
        item(record, "ledger", is_head).body["is_closed"] = json!("perhaps");
    });
    finds("hash is another", |record| {
        item(record, "ledger", is_entry).body["verdict"]["POSTED"]["description"] = json!("other words");
    });
    finds("does not name its predecessor", |record| {
        item(record, "ledger", is_entry).body["verdict"]["POSTED"]["links"][0]["previous_hash"] =
            json!("f".repeat(64));
    });
    finds("is not the next one", |record| {
        item(record, "ledger", is_entry).body["verdict"]["POSTED"]["links"][0]["version"] = json!(99);
    });
    finds("leads to another balance", |record| {
        let entry = &mut item(record, "ledger", is_entry).body["verdict"]["POSTED"];
        entry["links"][0]["balance_after"]["amount"] = json!("7777");
    });
    finds("is not balanced", |record| {
        item(record, "ledger", is_entry).body["verdict"]["POSTED"]["debit"] = json!("CASH_OUT");
        item(record, "ledger", is_entry).body["verdict"]["POSTED"]["credit"] = json!("CASH_OUT");
    });
    finds("not to zero", |record| {
        item(record, "ledger", is_entry).body["verdict"]["POSTED"]["amount"]["amount"] = json!("7777");
    });
}

#[test]
fn an_operation_was_asked_for_once_and_ended_as_judged() {
    finds("nobody asked for operation", |record| {
        item(record, "operations", is_operation).body["description"] = json!("no such word");
    });
    finds("is not what", |record| {
        item(record, "operations", is_operation).body["owner"] = json!("somebody");
    });
    finds("ended as", |record| item(record, "operations", is_operation).body["status"] = json!("PENDING"));
    finds("and nobody has it", |record| drop_first(record, "operations", is_operation));
    finds("went to the ledger as", |record| {
        event(record, "DEPOSIT_CMD")["body"]["amount"]["amount"] = json!("7777");
    });
    finds("operations under", |record| {
        let keyed =
            exchange(record, |exchange| exchange.key.is_some() && is_granted_at("/deposit")(exchange));
        let word = keyed.body["description"].clone();
        let mut twin = item(record, "operations", |item| item.body["description"] == word).clone();
        twin.body["operation_id"] = json!("the same once more");
        record.tables.get_mut("operations").unwrap().push(twin);
    });
    finds("and done 2 times", |record| {
        let plain =
            exchange(record, |exchange| exchange.key.is_none() && is_granted_at("/deposit")(exchange));
        let word = plain.body["description"].clone();
        let mut twin = item(record, "operations", |item| item.body["description"] == word).clone();
        twin.body["operation_id"] = json!("the same once more");
        record.tables.get_mut("operations").unwrap().push(twin);
    });
}

#[test]
fn what_was_heard_of_an_operation_is_true() {
    let deposit = is_granted_at("/deposit");
    finds("its operation is not there", |record| {
        exchange(record, &deposit).answer.as_mut().unwrap().body["operation_id"] = json!("none");
    });
    finds("but the operation is", |record| {
        exchange(record, &deposit).answer.as_mut().unwrap().body["amount"] = json!("7777");
    });
    finds("has no key and was answered as another", |record| {
        let mut twin = exchange(record, |exchange| exchange.key.is_none() && deposit(exchange)).clone();
        twin.number = 0;
        record.exchanges.push(twin);
    });
    finds("first answers", |record| {
        let mut twin = exchange(record, |exchange| exchange.key.is_some() && deposit(exchange)).clone();
        twin.number = 0;
        record.exchanges.push(twin);
    });
}

#[test]
fn an_account_lives_as_it_was_asked_to() {
    let is_account = |item: &StoredItem| item.sort.starts_with("account#");
    let is_open = |item: &StoredItem| item.body["status"].get("OPEN").is_some();
    finds("nobody asked for account", |record| {
        item(record, "accounts", is_account).body["currency"] = json!("SEK");
    });
    finds("which its owner does not have", |record| drop_first(record, "accounts", is_account));
    finds("by right", |record| {
        let mut twin = item(record, "accounts", is_account).clone();
        twin.body["account_id"] = json!("another");
        record.tables.get_mut("accounts").unwrap().push(twin);
    });
    finds("was answered", |record| {
        exchange(record, is_granted_at("/accounts")).answer.as_mut().unwrap().body["account_id"] =
            json!("none");
    });
    finds("the others heard", |record| {
        let events = record.outboxes.get_mut("accounts_events").unwrap();
        events.push(events[0].clone());
    });
    for table in ["banking_accounts_projection", "query_accounts_projection"] {
        finds(table, |record| drop_first(record, table, |_| true));
        finds(table, |record| item(record, table, |_| true).body["name"] = json!("another"));
        finds("accounts that nobody has", |record| {
            let mut odd = item(record, table, |_| true).clone();
            odd.body["account_id"] = json!("odd");
            record.tables.get_mut(table).unwrap().push(odd);
        });
    }
    finds("is not as the ledger's answer", |record| {
        item(record, "accounts", is_open).body["status"] = json!({"CLOSING": {"operation_id": "x"}});
    });
    finds("is not as the ledger's answer", |record| {
        item(record, "accounts", is_open).body["status"]["OPEN"]["close_rejected_reason"] =
            json!("ACCOUNT_CLOSED");
    });
    finds("and sent to the ledger", |record| {
        let close = |exchange: &Exchange| exchange.path.ends_with("/close") && exchange.granted().is_some();
        let mut twin = exchange(record, close).clone();
        twin.answer.as_mut().unwrap().is_replay = false;
        record.exchanges.extend([twin.clone(), twin]);
    });
}

#[test]
fn what_is_stored_for_readers_is_what_the_ledger_told() {
    finds("lacks operation", |record| drop_first(record, "transactions", |_| true));
    finds("is not as the ledger told", |record| {
        item(record, "transactions", |_| true).body["transaction"]["direction"] = json!("SIDEWAYS");
    });
    finds("is not as the ledger told", |record| {
        let twin = item(record, "transactions", |_| true).clone();
        record.tables.get_mut("transactions").unwrap().push(twin);
    });
    finds("has no balance", |record| drop_first(record, "balances", |_| true));
    finds("a balance is not as the ledger told", |record| {
        item(record, "balances", |_| true).body["version"] = json!(99);
    });
}

#[test]
fn a_list_read_in_peace_is_whole_and_in_order() {
    for list in ["/accounts", "/balances", "/operations", "/notifications", "/transactions/"] {
        finds(&format!("reads at {list}"), |record| {
            let peace_from = record.peace_from;
            let is_long = |exchange: &Exchange| {
                let items = exchange.answer.as_ref().and_then(|answer| answer.body["items"].as_array());
                exchange.number >= peace_from
                    && exchange.path.starts_with(list)
                    && items.is_some_and(|items| items.len() > 1)
            };
            let page = exchange(record, is_long).answer.as_mut().unwrap();
            page.body["items"].as_array_mut().unwrap().reverse();
        });
    }
}

#[test]
fn people_are_told_once_of_what_happened() {
    finds("was told of", |record| drop_first(record, "notifications", |_| true));
    finds("was told of", |record| {
        let twin = item(record, "notifications", |_| true).clone();
        record.tables.get_mut("notifications").unwrap().push(twin);
    });
    finds("nothing happened that this tells of", |record| {
        item(record, "notifications", |_| true).body["kind"] = json!("ACCOUNT_NOT_OPENED");
    });
    finds("names another amount", |record| {
        let is_deposit = |item: &StoredItem| item.body["kind"] == "DEPOSIT_COMPLETED";
        item(record, "notifications", is_deposit).body["title"] = json!("You received something");
    });
    finds("was not sent, or had nothing to tell", |record| _ = record.letters.pop());
    finds("was not sent, or had nothing to tell", |record| {
        record.letters[0].to = "another@example.com".to_owned();
    });
}

#[test]
fn the_dead_letters_are_the_poison() {
    let letter = json!({"consumer": "ledger_commands", "envelope": {"message_id": "m", "body": {}}});
    finds("a good message is a dead letter", |record| record.dead_letters.push(letter));
    finds("is no dead letter of", |record| {
        let message_id = event(record, "DEPOSIT_EVENT")["message_id"].as_str().unwrap().to_owned();
        record.poison.insert((message_id, "query_events".to_owned()));
    });
    finds("two messages are named", |record| {
        let message_id = event(record, "DEPOSIT_EVENT")["message_id"].clone();
        event(record, "DEPOSIT_CMD")["message_id"] = message_id;
    });
}

#[test]
fn nobody_is_granted_what_is_another_s() {
    let somebody = "00000000-0000-7000-8000-000000000000";
    for path in ["/deposit", "/accounts/", "/balances/", "/transactions/", "/operation-status/"] {
        finds("it is another's", |record| {
            let is_it = |exchange: &Exchange| exchange.path.starts_with(path) && exchange.granted().is_some();
            exchange(record, is_it).user = somebody.to_owned();
        });
    }
    finds("is another's", |record| exchange(record, is_granted_at("/balances")).user = somebody.to_owned());
    finds("nothing explains this answer", |record| {
        let is_foreign = |exchange: &Exchange| {
            exchange.path == "/deposit" && exchange.answer.as_ref().is_some_and(|answer| answer.status == 404)
        };
        exchange(record, is_foreign).answer.as_mut().unwrap().status = 403;
    });
}

#[test]
fn every_refusal_has_its_reason() {
    let refuse = |record: &mut Record, status, code: &str| {
        let deposit = exchange(record, is_granted_at("/deposit"));
        let answer = deposit.answer.as_mut().unwrap();
        (answer.status, answer.body) = (status, json!({"code": code}));
    };
    finds("nothing explains this answer", |record| refuse(record, 500, "INTERNAL"));
    finds("nothing explains this answer", |record| refuse(record, 422, "INVALID_AMOUNT"));
    finds("nothing explains this answer", |record| refuse(record, 401, "UNAUTHENTICATED"));
    finds("its key was not used for another request", |record| refuse(record, 422, "IDEMPOTENCY_KEY_REUSED"));
    finds("nobody asked to close it", |record| {
        refuse(record, 409, "ACCOUNT_NOT_OPEN");
        record.exchanges.retain(|exchange| !exchange.path.ends_with("/close"));
    });
    finds("it was known before", |record| {
        let is_read =
            |exchange: &&Exchange| exchange.path.starts_with("/balances/") && exchange.granted().is_some();
        let mut again = record.exchanges.iter().find(is_read).unwrap().clone();
        (again.asked_at, again.ended_at) = (again.ended_at + 1, again.ended_at + 2);
        again.answer.as_mut().unwrap().status = 404;
        record.exchanges.push(Exchange { number: 0, ..again });
    });
    finds("it was refused in peace", |record| {
        let last = record.exchanges.last_mut().unwrap();
        last.answer.as_mut().unwrap().status = 503;
    });
    finds("was not answered in peace", |record| record.exchanges.last_mut().unwrap().answer = None);
    finds("it cannot be granted", |record| {
        exchange(record, is_granted_at("/deposit")).body["currency"] = json!("SEK");
    });
}

#[test]
fn whatever_was_shown_was_true_and_never_goes_back() {
    let is_balance = |exchange: &Exchange| {
        exchange.path.starts_with("/balances/")
            && !exchange.path.contains('?')
            && exchange.granted().is_some_and(|answer| answer.body["version"].as_u64() > Some(1))
    };
    let shown = |record: &mut Record, member: &str, value: Value| {
        exchange(record, is_balance).answer.as_mut().unwrap().body[member] = value;
    };
    finds("entries: #", |record| shown(record, "balance", json!("7777")));
    finds("entries: #", |record| shown(record, "available", json!("7777")));
    finds("entries only", |record| {
        let read = exchange(record, is_balance);
        read.path = format!("{}?min_version=99", read.route());
    });
    finds("entries before", |record| {
        let mut again = exchange(record, is_balance).clone();
        (again.asked_at, again.ended_at) = (again.ended_at + 1, again.ended_at + 2);
        let body = &mut again.answer.as_mut().unwrap().body;
        let account_id = body["account_id"].as_str().unwrap().to_owned();
        let model = model::Model::replay(&QUIET, &mut Findings::default());
        let first = model.accounts[&account_id].balances[1];
        let digits = match body["currency"].as_str().unwrap() {
            "JPY" => first.to_string(),
            "BHD" => format!("{}.{:03}", first / 1_000, first % 1_000),
            _ => format!("{}.{:02}", first / 100, first % 100),
        };
        (body["version"], body["balance"], body["available"]) = (json!(1), json!(digits), json!(digits));
        record.exchanges.push(Exchange { number: 0, ..again });
    });
    let is_status =
        |exchange: &Exchange| exchange.path.starts_with("/operation-status/") && exchange.granted().is_some();
    finds("this operation is", |record| {
        exchange(record, is_status).answer.as_mut().unwrap().body["amount"] = json!("7777");
    });
    finds("it had ended before", |record| {
        let mut again = exchange(record, |exchange| {
            is_status(exchange)
                && exchange.answer.as_ref().is_some_and(|answer| answer.body["status"] != "PENDING")
        })
        .clone();
        (again.asked_at, again.ended_at) = (again.ended_at + 1, again.ended_at + 2);
        let body = again.answer.as_mut().unwrap().body.as_object_mut().unwrap();
        body.insert("status".to_owned(), json!("PENDING"));
        for ended in ["reason", "balance_after", "account_version", "ended_at"] {
            body.remove(ended);
        }
        record.exchanges.push(Exchange { number: 0, ..again });
    });
    finds("this row is not as the ledger told", |record| {
        let is_history = |exchange: &Exchange| {
            let first = exchange.granted().map(|answer| &answer.body["items"][0]);
            exchange.path.starts_with("/transactions/") && first.is_some_and(|first| !first.is_null())
        };
        exchange(record, is_history).answer.as_mut().unwrap().body["items"][0]["amount"] = json!("7777");
    });
    finds("this account is", |record| {
        let is_account = |exchange: &Exchange| {
            exchange.method == "GET"
                && exchange.path.starts_with("/accounts/")
                && exchange.granted().is_some()
        };
        exchange(record, is_account).answer.as_mut().unwrap().body["name"] = json!("another");
    });
}
