//! The bank is killed in the middle of load, again and again. What it answered must be there afterwards, once.
//!
//! Local: it starts the binary that `$BANK_BINARY` names, on a data directory of its own. Three rounds on the same
//! directory: load from several threads, SIGKILL, restart; then every acknowledged operation must end, every
//! request that got no answer is sent again under its key, and each history must list exactly what was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use e2e::{Bank, Operation, Person, decimal, minor, text, wait_until};
use rand::RngExt;
use serde_json::Value;

const ROUNDS: usize = 3;
const PEOPLE: usize = 4;
const ACCOUNTS_EACH: usize = 3;
const OPENING_MINOR: i64 = 100_000;
const LOAD_MS: std::ops::Range<u64> = 600..1_500;
/// Bounds what one round has to check afterwards.
const REQUESTS_MAX: usize = 1_500;

/// A request for an operation, as it was sent, and what came of it.
struct Request {
    person: usize,
    operation: Operation,
    key: String,
    /// The operation's id, once the bank has answered.
    acknowledged: Option<String>,
}

/// A directory that is removed when the test has passed, and kept for a look when it has not.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{:016x}", rand::random::<u64>()));
        assert!(std::fs::create_dir_all(&path).is_ok(), "{} can not be made", path.display());
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the bank's data and log are kept in {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn drawn(mine: &[String], all: &[String]) -> Operation {
    let mut luck = rand::rng();
    let minor = luck.random_range(1..=30_000);
    let account_id = mine[luck.random_range(0..mine.len())].clone();
    match luck.random_range(0..3) {
        0 => Operation::Deposit { account_id, minor },
        1 => Operation::Withdraw { account_id, minor },
        _ => {
            let others: Vec<&String> = all.iter().filter(|other| **other != account_id).collect();
            let to_account_id = others[luck.random_range(0..others.len())].clone();
            Operation::Transfer { from_account_id: account_id, to_account_id, minor }
        }
    }
}

/// Sends requests until it is told to stop, the bank is gone, or there are enough.
fn load(
    person: usize,
    customer: &Person,
    mine: &[String],
    all: &[String],
    stop: &AtomicBool,
) -> Vec<Request> {
    let mut requests = Vec::new();
    while !stop.load(Ordering::Relaxed) && requests.len() < REQUESTS_MAX {
        let (operation, key) = (drawn(mine, all), format!("{:032x}", rand::random::<u128>()));
        let answer = customer.ask(&operation).header("idempotency-key", &key).try_send();
        let is_gone = answer.is_err();
        let acknowledged = answer.ok().filter(|answer| answer.status == 200);
        let acknowledged = acknowledged.map(|answer| text(&answer.json(), "operation_id").to_owned());
        requests.push(Request { person, operation, key, acknowledged });
        if is_gone {
            break;
        }
    }
    requests
}

/// One round of load that ends with the bank's death.
fn load_and_kill(bank: Bank, people: &[Person], accounts: &[Vec<String>]) -> Vec<Request> {
    let (stop, all) = (AtomicBool::new(false), accounts.concat());
    let requests: Mutex<Vec<Request>> = Mutex::default();
    thread::scope(|scope| {
        // Two threads a person, so that her accounts are asked for at the same time.
        for index in (0..people.len()).chain(0..people.len()) {
            let (stop, requests, all) = (&stop, &requests, &all);
            let (customer, mine) = (&people[index], &accounts[index]);
            scope.spawn(move || {
                let made = load(index, customer, mine, all, stop);
                requests.lock().unwrap_or_else(PoisonError::into_inner).extend(made);
            });
        }
        thread::sleep(Duration::from_millis(rand::rng().random_range(LOAD_MS)));
        bank.kill();
        stop.store(true, Ordering::Relaxed);
    });
    requests.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a request again under its key until it is answered; twice, to see that it is one operation.
fn send_again(customer: &Person, request: &Request) -> String {
    let once = || {
        wait_until("a repeated request is answered", || {
            let answer = customer.ask(&request.operation).header("idempotency-key", &request.key).send();
            match answer.status {
                200 => Some(text(&answer.json(), "operation_id").to_owned()),
                409 | 503 => None,
                status => panic!("a repeated request was answered with {status}: {}", answer.body),
            }
        })
    };
    let (first, second) = (once(), once());
    assert_eq!(first, second, "one key, two operations");
    first
}

/// What one account's history must show: each operation's effect in cents, by its id.
type Expected = BTreeMap<String, i64>;

fn expect(expected: &mut BTreeMap<String, Expected>, operation: &Operation, ended: &Value) {
    let operation_id = text(ended, "operation_id");
    if ended["status"] == "FAILED" {
        assert_eq!(ended["reason"], "INSUFFICIENT_FUNDS", "{ended}");
        return;
    }
    assert_eq!(ended["status"], "COMPLETED", "{ended}");
    let mut effect = |account_id: &String, minor: i64| {
        let lines = expected.entry(account_id.clone()).or_default();
        assert!(
            lines.insert(operation_id.to_owned(), minor).is_none(),
            "{operation_id} was given to two requests"
        );
    };
    match operation {
        Operation::Deposit { account_id, minor } => effect(account_id, *minor),
        Operation::Withdraw { account_id, minor } => effect(account_id, -minor),
        Operation::Transfer { from_account_id, to_account_id, minor } => {
            effect(from_account_id, -minor);
            effect(to_account_id, *minor);
        }
    }
}

/// The history's own account of what happened, checked for doubles.
fn shown(customer: &Person, account_id: &str) -> Expected {
    let mut shown = Expected::new();
    for line in customer.history(account_id) {
        if line["status"] == "FAILED" {
            continue;
        }
        let amount = minor(text(&line, "amount"));
        let effect = if line["direction"] == "CREDIT" { amount } else { -amount };
        let operation_id = text(&line, "operation_id").to_owned();
        assert!(shown.insert(operation_id, effect).is_none(), "listed twice: {line}");
    }
    shown
}

fn check_account(customer: &Person, account_id: &str, expected: &Expected) {
    let balance: i64 = expected.values().sum();
    assert!(balance >= 0, "{account_id} is overdrawn: {}", decimal(balance));
    customer.balance_becomes(account_id, balance);
    wait_until("the history is complete", || {
        (shown(customer, account_id).len() >= expected.len()).then_some(())
    });
    let shown = shown(customer, account_id);
    let missing: BTreeSet<_> = expected.keys().filter(|id| !shown.contains_key(*id)).collect();
    let surplus: BTreeSet<_> = shown.keys().filter(|id| !expected.contains_key(*id)).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "{account_id}: missing {missing:?}, surplus {surplus:?}"
    );
    assert_eq!(&shown, expected);
}

#[test]
fn what_was_answered_survives_being_killed() {
    let (binary, scratch) = (Bank::binary(), Scratch::new());
    let data_dir = scratch.0.join("data");
    let mut bank = Bank::start(&binary, &data_dir);
    let mut people: Vec<Person> = (0..PEOPLE).map(|_| Person::sign_up(&bank.api)).collect();
    let mut accounts = Vec::new();
    let mut expected = BTreeMap::new();
    for customer in &people {
        let mine: Vec<String> = (0..ACCOUNTS_EACH).map(|_| customer.open_account("current", "EUR")).collect();
        for account_id in &mine {
            let opening = Operation::Deposit { account_id: account_id.clone(), minor: OPENING_MINOR };
            expect(&mut expected, &opening, &customer.complete(&opening));
        }
        accounts.push(mine);
    }

    for round in 1..=ROUNDS {
        let requests = load_and_kill(bank, &people, &accounts);
        let answered = requests.iter().filter(|request| request.acknowledged.is_some()).count();
        assert!(answered > 0, "the bank answered nothing before it was killed");
        println!("round {round}: {} requests, {answered} of them answered", requests.len());

        bank = Bank::start(&binary, &data_dir);
        people = people.iter().map(|customer| customer.at(&bank.api)).collect();
        for request in &requests {
            let customer = &people[request.person];
            let operation_id = match &request.acknowledged {
                Some(operation_id) => operation_id.clone(),
                None => send_again(customer, request),
            };
            expect(&mut expected, &request.operation, &customer.ended(&operation_id));
        }
        for (customer, mine) in people.iter().zip(&accounts) {
            for account_id in mine {
                check_account(customer, account_id, &expected[account_id]);
            }
        }
    }

    let stopped = bank.terminate();
    assert!(stopped.success(), "after SIGTERM the bank ended with {stopped}");
    let audit = Bank::audit(&binary, &data_dir);
    let told = [String::from_utf8_lossy(&audit.stdout), String::from_utf8_lossy(&audit.stderr)].concat();
    println!("{told}");
    assert!(audit.status.success(), "the audit ended with {}: {told}", audit.status);
}
