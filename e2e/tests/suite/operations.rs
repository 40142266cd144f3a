//! Deposits, withdrawals and transfers, each from the request to the balance that shows it.

use e2e::{Api, Operation, Person, text};
use serde_json::{Value, json};

fn version(operation: &Value) -> u64 {
    match operation["account_version"].as_u64() {
        Some(version) => version,
        None => panic!("there is no account_version in {operation}"),
    }
}

#[test]
fn a_deposit_is_completed_and_polled() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let body =
        json!({"account_id": account_id, "amount": "12.50", "currency": "EUR", "description": "a gift"});
    let asked = person.post("/deposit").json(&body).send().must_be(200).json();
    assert!(matches!(text(&asked, "status"), "PENDING" | "COMPLETED"), "{asked}");
    let ended = person.ended(text(&asked, "operation_id"));
    for (field, value) in [
        ("kind", "DEPOSIT"),
        ("status", "COMPLETED"),
        ("account_id", &account_id),
        ("amount", "12.50"),
        ("currency", "EUR"),
        ("description", "a gift"),
        ("balance_after", "12.50"),
    ] {
        assert_eq!(ended[field], value, "{field} of {ended}");
    }
    assert!(ended["ended_at"].is_string() && ended["created_at"].is_string(), "{ended}");
    assert_eq!(person.balance_at(&account_id, version(&ended)), 1_250);
}

#[test]
fn a_deposit_that_is_waited_for_is_completed_in_its_answer() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let operation = Operation::Deposit { account_id: account_id.clone(), minor: 1 };
    let answered = person.ask(&operation).wait().send().must_be(200).json();
    assert_eq!(answered["status"], "COMPLETED", "{answered}");
    assert_eq!(answered["balance_after"], "0.01", "{answered}");
    assert_eq!(person.balance_at(&account_id, version(&answered)), 1);
}

#[test]
fn a_withdrawal_takes_what_is_there_to_the_last_cent() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(10_000);
    let ended = person.complete(&Operation::Withdraw { account_id: account_id.clone(), minor: 9_999 });
    assert_eq!((text(&ended, "kind"), text(&ended, "balance_after")), ("WITHDRAW", "0.01"));
    let ended = person.complete(&Operation::Withdraw { account_id: account_id.clone(), minor: 1 });
    assert_eq!(text(&ended, "balance_after"), "0.00");
    assert_eq!(person.balance_at(&account_id, version(&ended)), 0);
}

#[test]
fn a_withdrawal_of_more_than_there_is_fails_and_takes_nothing() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(10_000);
    let ended = person.end(&Operation::Withdraw { account_id: account_id.clone(), minor: 10_001 });
    assert_eq!((text(&ended, "status"), text(&ended, "reason")), ("FAILED", "INSUFFICIENT_FUNDS"));
    assert!(ended["ended_at"].is_string(), "{ended}");
    // A later operation sees the balance untouched.
    let after = person.complete(&Operation::Deposit { account_id, minor: 1 });
    assert_eq!(text(&after, "balance_after"), "100.01");
}

#[test]
fn the_first_withdrawal_of_an_account_fails() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("never used", "EUR");
    let ended = person.end(&Operation::Withdraw { account_id: account_id.clone(), minor: 1 });
    assert_eq!((text(&ended, "status"), text(&ended, "reason")), ("FAILED", "INSUFFICIENT_FUNDS"));
    assert_eq!(person.balance(&account_id), 0);
}

#[test]
fn a_transfer_moves_money_between_ones_own_accounts() {
    let person = Person::sign_up(&Api::from_environment());
    let (from, to) = (person.open_account_with(10_000), person.open_account("savings", "EUR"));
    let transfer =
        Operation::Transfer { from_account_id: from.clone(), to_account_id: to.clone(), minor: 2_550 };
    let ended = person.complete(&transfer);
    assert_eq!(
        (text(&ended, "from_account_id"), text(&ended, "to_account_id")),
        (from.as_str(), to.as_str())
    );
    assert_eq!((text(&ended, "kind"), text(&ended, "balance_after")), ("TRANSFER", "74.50"));
    assert_eq!(person.balance_at(&from, version(&ended)), 7_450);
    person.balance_becomes(&to, 2_550);
}

#[test]
fn a_transfer_reaches_another_person() {
    let api = Api::from_environment();
    let (payer, payee) = (Person::sign_up(&api), Person::sign_up(&api));
    let (from, to) = (payer.open_account_with(10_000), payee.open_account_with(500));
    let transfer =
        Operation::Transfer { from_account_id: from.clone(), to_account_id: to.clone(), minor: 10_000 };
    let ended = payer.complete(&transfer);
    assert_eq!(payer.balance_at(&from, version(&ended)), 0);
    payee.balance_becomes(&to, 10_500);
    // The payee sees the money, and nothing of what the payer holds.
    let line = payee.history(&to).into_iter().find(|line| line["operation_id"] == ended["operation_id"]);
    let Some(line) = line else { panic!("the payee's history does not show the transfer") };
    assert_eq!((text(&line, "direction"), text(&line, "balance_after")), ("CREDIT", "105.00"));
    assert_eq!(text(&line, "counterparty_account_id"), from);
}

#[test]
fn a_transfer_of_more_than_there_is_fails_on_both_sides() {
    let api = Api::from_environment();
    let (payer, payee) = (Person::sign_up(&api), Person::sign_up(&api));
    let (from, to) = (payer.open_account_with(100), payee.open_account_with(100));
    let transfer =
        Operation::Transfer { from_account_id: from.clone(), to_account_id: to.clone(), minor: 101 };
    let ended = payer.end(&transfer);
    assert_eq!((text(&ended, "status"), text(&ended, "reason")), ("FAILED", "INSUFFICIENT_FUNDS"));
    assert_eq!((payer.balance(&from), payee.balance(&to)), (100, 100));
}

#[test]
fn a_transfer_to_the_same_account_is_refused() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(100);
    let transfer =
        Operation::Transfer { from_account_id: account_id.clone(), to_account_id: account_id, minor: 1 };
    person.ask(&transfer).send().problem(&[422]);
}

#[test]
fn another_currency_is_refused_at_once() {
    let person = Person::sign_up(&Api::from_environment());
    let (euros, dollars) = (person.open_account_with(1_000), person.open_account("dollars", "USD"));
    for (path, body) in [
        ("/deposit", json!({"account_id": euros, "amount": "1", "currency": "USD"})),
        ("/withdraw", json!({"account_id": euros, "amount": "1", "currency": "USD"})),
        ("/transfer", json!({"from_account_id": euros, "to_account_id": dollars, "amount": "1"})),
        (
            "/transfer",
            json!({"from_account_id": euros, "to_account_id": dollars, "amount": "1", "currency": "USD"}),
        ),
    ] {
        person.post(path).json(&body).send().problem(&[422]);
    }
    assert_eq!(person.balance(&euros), 1_000);
}

#[test]
fn every_currency_has_its_own_decimals() {
    let person = Person::sign_up(&Api::from_environment());
    for (currency, amount, balance, too_fine) in
        [("JPY", "1000", "1000", "0.5"), ("BHD", "1.005", "1.005", "1.0005"), ("USD", "0.1", "0.10", "0.001")]
    {
        let account_id = person.open_account(currency, currency);
        let body = json!({"account_id": account_id, "amount": amount});
        let asked = person.post("/deposit").json(&body).wait().send().must_be(200).json();
        let ended = person.ended(text(&asked, "operation_id"));
        assert_eq!((text(&ended, "status"), text(&ended, "balance_after")), ("COMPLETED", balance));
        let body = json!({"account_id": account_id, "amount": too_fine});
        person.post("/deposit").json(&body).send().problem(&[422]);
    }
}

#[test]
fn tenths_add_up_exactly() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("tenths", "EUR");
    for balance in ["0.10", "0.20", "0.30"] {
        // The amount is a JSON number here: a float would make 0.30000000000000004 of three of them.
        let body = format!(r#"{{"account_id":"{account_id}","amount":0.1}}"#);
        let asked = person.post("/deposit").raw_json(body).wait().send().must_be(200).json();
        assert_eq!(text(&person.ended(text(&asked, "operation_id")), "balance_after"), balance);
    }
}

#[test]
fn operations_are_listed_newest_first_each_once() {
    let api = Api::from_environment();
    let (person, other) = (Person::sign_up(&api), Person::sign_up(&api));
    let account_id = person.open_account("current", "EUR");
    other.open_account_with(100);
    let mut made: Vec<String> = (1..=7)
        .map(|minor| {
            let ended = person.complete(&Operation::Deposit { account_id: account_id.clone(), minor });
            text(&ended, "operation_id").to_owned()
        })
        .collect();
    made.reverse();
    for limit in [1, 3, 7, 100] {
        let listed: Vec<String> = person
            .all("/operations", limit)
            .iter()
            .map(|operation| text(operation, "operation_id").to_owned())
            .collect();
        assert_eq!(listed, made, "limit {limit}");
    }
}
