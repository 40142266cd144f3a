//! An account's history: complete, in order, paged and filtered.

use std::collections::BTreeSet;

use e2e::{Api, Operation, Person, minor, text, wait_until};
use serde_json::Value;

/// The history once it has so many lines.
fn history_of(person: &Person, account_id: &str, lines: usize) -> Vec<Value> {
    wait_until(&format!("the history has {lines} lines"), || {
        Some(person.history(account_id)).filter(|history| history.len() == lines)
    })
}

fn ids(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| text(line, "transaction_id").to_owned()).collect()
}

/// An account with three deposits, two withdrawals, a failed withdrawal and a transfer, one after the other.
fn busy_account(person: &Person) -> (String, String) {
    let (account_id, other) = (person.open_account("busy", "EUR"), person.open_account("other", "EUR"));
    let deposit = |minor| Operation::Deposit { account_id: account_id.clone(), minor };
    let withdraw = |minor| Operation::Withdraw { account_id: account_id.clone(), minor };
    let transfer =
        Operation::Transfer { from_account_id: account_id.clone(), to_account_id: other.clone(), minor: 400 };
    for operation in [
        deposit(1_000),
        deposit(2_000),
        withdraw(500),
        deposit(3_000),
        withdraw(9_999_999),
        withdraw(100),
        transfer,
    ] {
        person.end(&operation);
    }
    (account_id, other)
}

#[test]
fn the_history_tells_how_the_balance_came_about() {
    let person = Person::sign_up(&Api::from_environment());
    let (account_id, other) = busy_account(&person);
    let history = history_of(&person, &account_id, 7);
    let mut balance = 0;
    for line in history.iter().rev() {
        let amount = minor(text(line, "amount"));
        match (line["status"].as_str(), text(line, "direction")) {
            (Some("FAILED"), _) => assert_eq!(line["reason"], "INSUFFICIENT_FUNDS", "{line}"),
            (_, "CREDIT") => balance += amount,
            (_, "DEBIT") => balance -= amount,
            (_, direction) => panic!("{direction} is no direction: {line}"),
        }
        if line["status"] != "FAILED" {
            assert_eq!(minor(text(line, "balance_after")), balance, "{line}");
        }
    }
    assert_eq!(balance, person.balance(&account_id));
    assert_eq!(text(&history[0], "counterparty_account_id"), other);
    assert_eq!(history_of(&person, &other, 1)[0]["counterparty_account_id"], account_id.as_str());
}

#[test]
fn a_failed_withdrawal_is_listed_once() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(100);
    let failed = person.end(&Operation::Withdraw { account_id: account_id.clone(), minor: 101 });
    let history = history_of(&person, &account_id, 2);
    let line = &history[0];
    assert_eq!(line["operation_id"], failed["operation_id"]);
    assert_eq!((text(line, "status"), text(line, "reason")), ("FAILED", "INSUFFICIENT_FUNDS"));
    assert_eq!((text(line, "kind"), text(line, "amount")), ("WITHDRAW", "1.01"));
}

#[test]
fn pages_of_any_size_lose_and_double_nothing() {
    let person = Person::sign_up(&Api::from_environment());
    let (account_id, _) = busy_account(&person);
    let whole = ids(&history_of(&person, &account_id, 7));
    assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), 7);
    for limit in 1..=8 {
        let paged = person.all(&format!("/transactions/{account_id}"), limit);
        assert_eq!(ids(&paged), whole, "limit {limit}");
    }
}

#[test]
fn lines_that_come_between_two_pages_move_nothing() {
    let person = Person::sign_up(&Api::from_environment());
    let (account_id, _) = busy_account(&person);
    let whole = ids(&history_of(&person, &account_id, 7));
    let path = format!("/transactions/{account_id}?limit=3");
    let first = person.get(&path).send().must_be(200).json();
    let deposit = Operation::Deposit { account_id: account_id.clone(), minor: 1 };
    person.complete(&deposit);
    history_of(&person, &account_id, 8);
    let second =
        person.get(format!("{path}&cursor={}", text(&first, "next_cursor"))).send().must_be(200).json();
    let Some(lines) = second["items"].as_array() else { panic!("no items in {second}") };
    assert_eq!(ids(lines), whole[3..6]);
}

#[test]
fn the_history_is_filtered_by_kind() {
    let person = Person::sign_up(&Api::from_environment());
    let (account_id, _) = busy_account(&person);
    history_of(&person, &account_id, 7);
    for (kind, count) in [("DEPOSIT", 3), ("WITHDRAW", 3), ("TRANSFER", 1)] {
        for limit in [1, 2, 100] {
            let lines = person.all(&format!("/transactions/{account_id}?kind={kind}"), limit);
            assert_eq!(lines.len(), count, "{kind} by {limit}");
            assert!(lines.iter().all(|line| line["kind"] == kind), "{lines:?}");
        }
    }
    person.get(format!("/transactions/{account_id}?kind=GIFT")).send().problem(&[400, 422]);
}

#[test]
fn the_history_is_filtered_by_date() {
    let person = Person::sign_up(&Api::from_environment());
    let (account_id, _) = busy_account(&person);
    let history = history_of(&person, &account_id, 7);
    let time = |line: usize| text(&history[line], "occurred_at").to_owned();
    let count = |filter: &str| person.all(&format!("/transactions/{account_id}?{filter}"), 2).len();

    assert_eq!(count("from=2000-01-01T00:00:00Z"), 7);
    assert_eq!(count("to=2000-01-01T00:00:00Z"), 0);
    assert_eq!(count("from=2999-01-01T00:00:00Z"), 0);
    // Whether the ends belong to the range does not matter here; what lies beyond them does.
    let later: Vec<Value> = person.all(&format!("/transactions/{account_id}?from={}", time(2)), 100);
    assert!((2..=3).contains(&later.len()), "{later:?}");
    assert!(later.iter().all(|line| text(line, "occurred_at") >= time(2).as_str()), "{later:?}");
    let earlier: Vec<Value> = person.all(&format!("/transactions/{account_id}?to={}", time(2)), 100);
    assert!((4..=5).contains(&earlier.len()), "{earlier:?}");

    for broken in ["from=yesterday", "to=2026-13-01T00:00:00Z", "from="] {
        person.get(format!("/transactions/{account_id}?{broken}")).send().problem(&[400, 422]);
    }
}
