//! Requests that are sent again.

use std::collections::BTreeSet;
use std::thread;

use e2e::{Api, Operation, Person, text, wait_until};
use serde_json::json;

fn fresh_key() -> String {
    format!("key-{:032x}", rand::random::<u128>())
}

#[test]
fn the_same_request_gets_the_first_answer_and_moves_money_once() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let (key, deposit) = (fresh_key(), Operation::Deposit { account_id, minor: 500 });
    let first = person.ask(&deposit).header("idempotency-key", &key).send().must_be(200);
    assert_eq!(first.header("idempotency-replayed"), None);
    let first = first.json();
    person.ended(text(&first, "operation_id"));
    for _ in 0..3 {
        let again = person.ask(&deposit).header("idempotency-key", &key).send().must_be(200);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.json()["operation_id"], first["operation_id"]);
    }
    let last = person.complete(&deposit);
    assert_eq!(text(&last, "balance_after"), "10.00");
    assert_eq!(person.all("/operations", 100).len(), 2);
}

#[test]
fn the_same_key_with_another_body_is_refused() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let key = fresh_key();
    let deposit = |minor| Operation::Deposit { account_id: account_id.clone(), minor };
    person.ask(&deposit(500)).header("idempotency-key", &key).wait().send().must_be(200);
    person.ask(&deposit(501)).header("idempotency-key", &key).send().problem(&[422]);
    assert_eq!(person.all("/operations", 100).len(), 1);
}

#[test]
fn the_same_key_of_another_person_is_another_key() {
    let api = Api::from_environment();
    let key = fresh_key();
    let ids: BTreeSet<String> = (0..2)
        .map(|_| {
            let person = Person::sign_up(&api);
            let deposit =
                Operation::Deposit { account_id: person.open_account("current", "EUR"), minor: 500 };
            let asked = person.ask(&deposit).header("idempotency-key", &key).send().must_be(200).json();
            text(&asked, "operation_id").to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn without_a_key_every_request_is_new() {
    let person = Person::sign_up(&Api::from_environment());
    let deposit = Operation::Deposit { account_id: person.open_account("current", "EUR"), minor: 500 };
    assert_ne!(person.complete(&deposit)["operation_id"], person.complete(&deposit)["operation_id"]);
}

#[test]
fn a_key_sent_at_the_same_time_makes_one_operation() {
    const SENDERS: usize = 12;
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let (key, deposit) = (fresh_key(), Operation::Deposit { account_id: account_id.clone(), minor: 500 });
    let send = || person.ask(&deposit).header("idempotency-key", &key).wait().send();
    let answers: Vec<_> = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let mut ids = BTreeSet::new();
    for answer in answers {
        if answer.status == 409 {
            answer.problem(&[409]);
        } else {
            ids.insert(text(&answer.must_be(200).json(), "operation_id").to_owned());
        }
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    let listed = person.all("/operations", 100);
    assert_eq!(listed.len(), 1, "{listed:?}");
    person.balance_becomes(&account_id, 500);
}

#[test]
fn accounts_are_opened_and_closed_once_a_key() {
    let person = Person::sign_up(&Api::from_environment());
    let open = fresh_key();
    let body = json!({"name": "once", "currency": "EUR"});
    let make =
        || person.post("/accounts").json(&body).header("idempotency-key", &open).send().must_be(201).json();
    let (first, second) = (make(), make());
    assert_eq!(first["account_id"], second["account_id"]);
    assert_eq!(person.all("/accounts", 100).len(), 1);

    let (close, path) = (fresh_key(), format!("/accounts/{}/close", text(&first, "account_id")));
    let shut = || person.post(&path).header("idempotency-key", &close).send();
    shut().must_be(200);
    wait_until("the account is closed", || {
        (person.account(text(&first, "account_id"))["status"] == "CLOSED").then_some(())
    });
    // A second closing would be a conflict; the same one, sent again, is not.
    shut().must_be(200);
    person.post(&path).send().problem(&[409]);
}

#[test]
fn a_refused_request_can_be_corrected_under_a_new_key() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let key = fresh_key();
    let ask = |amount: &str, key: &str| {
        let body = json!({"account_id": account_id, "amount": amount});
        person.post("/deposit").json(&body).header("idempotency-key", key).send()
    };
    ask("-5", &key).problem(&[422]);
    ask("-5", &key).problem(&[422]);
    ask("5", &fresh_key()).must_be(200);
}

#[test]
fn a_key_that_is_no_key_is_refused() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let deposit = Operation::Deposit { account_id, minor: 500 };
    for key in [String::new(), "k".repeat(5_000)] {
        person.ask(&deposit).header("idempotency-key", key).send().problem(&[400, 422, 431]);
    }
}
