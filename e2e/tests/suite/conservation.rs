//! No money is made or lost, and no account is overdrawn, however many ask at once.

use std::thread;

use e2e::{Api, Operation, Person, minor, text, wait_until};
use rand::RngExt;

const PEOPLE: usize = 4;
const ACCOUNTS_EACH: usize = 2;
const OPERATIONS_EACH: usize = 40;

/// An operation of a person on accounts of anybody's, drawn by lot.
fn drawn(mine: &[String], all: &[String]) -> Operation {
    let mut luck = rand::rng();
    let minor = luck.random_range(1..=20_000);
    let account_id = mine[luck.random_range(0..mine.len())].clone();
    match luck.random_range(0..4) {
        0 => Operation::Deposit { account_id, minor },
        1 => Operation::Withdraw { account_id, minor },
        _ => {
            let others: Vec<&String> = all.iter().filter(|other| **other != account_id).collect();
            let to_account_id = others[luck.random_range(0..others.len())].clone();
            Operation::Transfer { from_account_id: account_id, to_account_id, minor }
        }
    }
}

/// What the operations of one person did to the bank's total, in cents.
fn work(person: &Person, mine: &[String], all: &[String]) -> i64 {
    let mut total = 0;
    for _ in 0..OPERATIONS_EACH {
        let operation = drawn(mine, all);
        let ended = person.end(&operation);
        if ended["status"] != "COMPLETED" {
            assert_eq!(text(&ended, "reason"), "INSUFFICIENT_FUNDS", "{ended}");
            continue;
        }
        assert!(minor(text(&ended, "balance_after")) >= 0, "{ended}");
        total += match operation {
            Operation::Deposit { minor, .. } => minor,
            Operation::Withdraw { minor, .. } => -minor,
            Operation::Transfer { .. } => 0,
        };
    }
    total
}

/// The sum of what an account's history lists, in cents.
fn sum_of_history(person: &Person, account_id: &str) -> i64 {
    let history = person.history(account_id);
    let effects = history.iter().filter(|line| line["status"] != "FAILED").map(|line| {
        assert!(minor(text(line, "balance_after")) >= 0, "{line}");
        let amount = minor(text(line, "amount"));
        if line["direction"] == "CREDIT" { amount } else { -amount }
    });
    effects.sum()
}

#[test]
fn what_came_in_less_what_went_out_is_what_is_there() {
    let api = Api::from_environment();
    let people: Vec<Person> = (0..PEOPLE).map(|_| Person::sign_up(&api)).collect();
    let accounts: Vec<Vec<String>> = people
        .iter()
        .map(|person| (0..ACCOUNTS_EACH).map(|_| person.open_account("shared", "EUR")).collect())
        .collect();
    let all: Vec<String> = accounts.concat();
    let total: i64 = thread::scope(|scope| {
        let workers: Vec<_> = people
            .iter()
            .zip(&accounts)
            .flat_map(|pair| [pair, pair])
            .map(|(person, mine)| scope.spawn(|| work(person, mine, &all)))
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    let holders =
        || people.iter().zip(&accounts).flat_map(|(person, mine)| mine.iter().map(move |id| (person, id)));
    wait_until("the balances sum up to what came in less what went out", || {
        let balances: i64 = holders().map(|(person, id)| person.balance(id)).sum();
        (balances == total).then_some(())
    });
    for (person, account_id) in holders() {
        let balance = person.balance(account_id);
        assert!(balance >= 0, "{balance}");
        wait_until("the history adds up to the balance", || {
            (sum_of_history(person, account_id) == balance).then_some(())
        });
    }
}

#[test]
fn an_account_is_never_overdrawn_by_many_at_once() {
    const ATTEMPTS: usize = 24;
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(10_000);
    let withdraw = Operation::Withdraw { account_id: account_id.clone(), minor: 1_001 };
    let ended: Vec<_> = thread::scope(|scope| {
        let attempts: Vec<_> = (0..ATTEMPTS).map(|_| scope.spawn(|| person.end(&withdraw))).collect();
        attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect()
    });
    let completed = ended.iter().filter(|operation| operation["status"] == "COMPLETED").count();
    let refused = ended.iter().filter(|operation| operation["reason"] == "INSUFFICIENT_FUNDS").count();
    assert_eq!((completed, refused), (9, ATTEMPTS - 9), "{ended:?}");
    person.balance_becomes(&account_id, 10_000 - 9 * 1_001);
}

#[test]
fn money_sent_in_circles_stays_the_same() {
    let api = Api::from_environment();
    let people = [Person::sign_up(&api), Person::sign_up(&api)];
    let accounts = [people[0].open_account_with(5_000), people[1].open_account_with(5_000)];
    thread::scope(|scope| {
        for side in 0..2 {
            let (person, from, to) = (&people[side], &accounts[side], &accounts[1 - side]);
            scope.spawn(move || {
                for minor in 1..=25 {
                    let transfer = Operation::Transfer {
                        from_account_id: from.clone(),
                        to_account_id: to.clone(),
                        minor,
                    };
                    person.complete(&transfer);
                }
            });
        }
    });
    for side in 0..2 {
        people[side].balance_becomes(&accounts[side], 5_000);
    }
}

#[test]
fn a_closing_account_swallows_no_deposit() {
    let person = Person::sign_up(&Api::from_environment());
    for _ in 0..5 {
        let account_id = person.open_account("contested", "EUR");
        let deposit = Operation::Deposit { account_id: account_id.clone(), minor: 100 };
        let (deposited, closed) = thread::scope(|scope| {
            let deposit = scope.spawn(|| person.ask(&deposit).wait().send());
            let close = scope.spawn(|| person.post(format!("/accounts/{account_id}/close")).wait().send());
            (deposit.join().unwrap(), close.join().unwrap())
        });
        closed.must_be(200);
        let is_deposited = match deposited.status {
            409 => false,
            _ => person.ended(text(&deposited.must_be(200).json(), "operation_id"))["status"] == "COMPLETED",
        };
        let account = wait_until("the closing is decided", || {
            Some(person.account(&account_id)).filter(|account| account["status"] != "CLOSING")
        });
        assert_eq!(account["status"] == "OPEN", is_deposited, "{account}");
        person.balance_becomes(&account_id, if is_deposited { 100 } else { 0 });
    }
}
