//! Opening, listing and closing accounts.

use std::collections::BTreeSet;

use e2e::{Api, Operation, Person, text, wait_until};
use serde_json::{Value, json};

fn close(person: &Person, account_id: &str) -> e2e::Answer {
    person.post(format!("/accounts/{account_id}/close")).wait().send()
}

fn becomes(person: &Person, account_id: &str, status: &str) -> Value {
    wait_until(&format!("the account is {status}"), || {
        let account = person.account(account_id);
        (account["status"] == status).then_some(account)
    })
}

#[test]
fn an_account_is_opened_and_read_back() {
    let person = Person::sign_up(&Api::from_environment());
    let made = person
        .post("/accounts")
        .json(&json!({"name": "Holidays 🏖", "currency": "EUR"}))
        .send()
        .must_be(201)
        .json();
    assert_eq!((text(&made, "name"), text(&made, "currency")), ("Holidays 🏖", "EUR"));
    assert!(text(&made, "created_at").ends_with('Z'), "{made}");
    assert!(made["closed_at"].is_null() && made["close_rejected_reason"].is_null(), "{made}");
    assert_eq!(person.account(text(&made, "account_id")), made);
}

#[test]
fn a_new_account_holds_nothing() {
    let person = Person::sign_up(&Api::from_environment());
    for (currency, nothing) in [("EUR", "0.00"), ("JPY", "0"), ("BHD", "0.000")] {
        let account_id = person.open_account("empty", currency);
        let balance = person.get(format!("/balances/{account_id}")).send().must_be(200).json();
        assert_eq!(text(&balance, "balance"), nothing);
        assert_eq!(text(&balance, "available"), nothing);
        assert_eq!((text(&balance, "currency"), text(&balance, "name")), (currency, "empty"));
    }
}

#[test]
fn a_list_of_accounts_has_each_of_them_once() {
    let person = Person::sign_up(&Api::from_environment());
    let made: BTreeSet<String> =
        (0..7).map(|n| person.open_account(&format!("account {n}"), "EUR")).collect();
    for limit in [1, 2, 3, 7, 100] {
        let listed = person.all("/accounts", limit);
        assert_eq!(listed.len(), made.len(), "limit {limit}");
        let listed: BTreeSet<String> =
            listed.iter().map(|account| text(account, "account_id").to_owned()).collect();
        assert_eq!(listed, made, "limit {limit}");
    }
}

#[test]
fn balances_list_every_account_of_the_person_and_no_other() {
    let api = Api::from_environment();
    let (person, other) = (Person::sign_up(&api), Person::sign_up(&api));
    let mut mine = [person.open_account_with(500), person.open_account("second", "USD")];
    other.open_account_with(700);
    let mut listed: Vec<String> =
        person.all("/balances", 100).iter().map(|balance| text(balance, "account_id").to_owned()).collect();
    listed.sort();
    mine.sort();
    assert_eq!(listed, mine);
}

#[test]
fn an_empty_account_is_closed_for_good() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("short-lived", "EUR");
    let asked = close(&person, &account_id).must_be(200).json();
    assert!(matches!(text(&asked, "status"), "CLOSING" | "CLOSED"), "{asked}");
    let closed = becomes(&person, &account_id, "CLOSED");
    assert!(closed["closed_at"].is_string(), "{closed}");
    close(&person, &account_id).problem(&[409]);
}

#[test]
fn an_account_with_money_stays_open_and_says_why() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(1);
    close(&person, &account_id).must_be(200);
    let account = becomes(&person, &account_id, "OPEN");
    assert_eq!(account["close_rejected_reason"], "BALANCE_NOT_ZERO", "{account}");
    assert!(account["closed_at"].is_null(), "{account}");

    // It works on, and once it is empty it can be closed after all.
    person.complete(&Operation::Withdraw { account_id: account_id.clone(), minor: 1 });
    close(&person, &account_id).must_be(200);
    becomes(&person, &account_id, "CLOSED");
}

#[test]
fn a_closed_account_moves_no_money() {
    let person = Person::sign_up(&Api::from_environment());
    let (closed, open) = (person.open_account("closed", "EUR"), person.open_account_with(1_000));
    close(&person, &closed).must_be(200);
    becomes(&person, &closed, "CLOSED");
    let attempts = [
        Operation::Deposit { account_id: closed.clone(), minor: 100 },
        Operation::Withdraw { account_id: closed.clone(), minor: 100 },
        Operation::Transfer { from_account_id: closed.clone(), to_account_id: open.clone(), minor: 100 },
        Operation::Transfer { from_account_id: open.clone(), to_account_id: closed.clone(), minor: 100 },
    ];
    for operation in &attempts {
        let refused = wait_until("banking has heard of the closing", || {
            let answer = person.ask(operation).send();
            if answer.status != 200 {
                return Some(answer);
            }
            // Banking may hear late; the ledger does not.
            let ended = person.ended(text(&answer.json(), "operation_id"));
            assert_eq!((text(&ended, "status"), text(&ended, "reason")), ("FAILED", "ACCOUNT_CLOSED"));
            None
        });
        assert_eq!(refused.problem(&[409])["code"], "ACCOUNT_NOT_OPEN", "{operation:?}");
    }
    assert_eq!(person.balance(&open), 1_000);
    assert_eq!(person.balance(&closed), 0);
}

#[test]
fn what_can_not_be_an_account_is_refused() {
    let person = Person::sign_up(&Api::from_environment());
    let long = "x".repeat(10_000);
    for body in [
        json!({"name": "no currency"}),
        json!({"currency": "EUR"}),
        json!({"name": "", "currency": "EUR"}),
        json!({"name": long, "currency": "EUR"}),
        json!({"name": "lower case", "currency": "eur"}),
        json!({"name": "no such currency", "currency": "XXX"}),
        json!({"name": "gold", "currency": "XAU"}),
        json!({"name": 5, "currency": "EUR"}),
        json!({"name": "unknown field", "currency": "EUR", "balance": "1000.00"}),
        json!(["name", "EUR"]),
    ] {
        person.post("/accounts").json(&body).send().problem(&[400, 422]);
    }
    assert!(person.all("/accounts", 100).is_empty());
}
