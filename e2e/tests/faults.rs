//! The bank on AWS while its store fails: every request that is retried under its key moves money once, and nothing is
//! lost or doubled.
//!
//! `$AWS_FAULTS_URL` is the proxy between the bank's functions and their store. Its rules are everybody's, so this
//! test runs by itself; they end after a while, should the test not come to take them back.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use e2e::{Answer, Api, Call, Operation, Person, text, wait_until};
use serde_json::{Value, json};

const TRANSFERS_EACH: i64 = 12;
const RULES_MAX_SECONDS: u32 = 240;

/// How a store that is busy, contended and badly connected behaves. The first rule that is drawn counts.
fn faults() -> Value {
    let conflict = json!([{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]);
    let rule = |operation: Option<&str>, probability: f64, what: (&str, Value)| {
        let mut rule = json!({
            "service": "dynamodb", "probability": probability, "ttl_s": RULES_MAX_SECONDS, what.0: what.1,
        });
        if let Some(operation) = operation {
            rule["operation"] = json!(operation);
        }
        rule
    };
    let cancelled =
        json!({"code": "TransactionCanceledException", "fields": {"CancellationReasons": conflict}});
    json!([
        rule(Some("TransactWriteItems"), 0.1, ("error", cancelled)),
        // The transaction is committed; its answer never arrives.
        rule(Some("TransactWriteItems"), 0.1, ("response", json!({"abort_bytes": 0}))),
        rule(Some("PutItem"), 0.05, ("response", json!({"abort_bytes": 0}))),
        rule(None, 0.03, ("error", json!({"code": "ProvisionedThroughputExceededException"}))),
        rule(None, 0.02, ("reset", json!(true))),
    ])
}

fn proxy() -> Api {
    match std::env::var("AWS_FAULTS_URL") {
        Ok(url) if !url.is_empty() => Api::at(&url),
        _ => panic!("AWS_FAULTS_URL is not set: it says where the proxy before the bank's store is"),
    }
}

/// How many faults were drawn since the proxy was started.
fn fired() -> u64 {
    let stats = proxy().get("/_microburst/stats").send().must_be(200).json();
    stats["requests"]["faulted"].as_u64().unwrap_or_default()
}

/// Sends the request until it is answered for good, as a client that keeps the contract does.
fn insist<'a>(call: impl Fn() -> Call<'a>) -> Answer {
    wait_until("a request is answered for good", || {
        let answer = call().try_send().ok()?;
        // 409: the first one under this key is still being worked on.
        (answer.status < 500 && answer.status != 409 && answer.status != 429).then_some(answer)
    })
}

/// Sends transfers there and back, and says which operations were made.
fn transfer_under_faults(person: &Person, from: &str, to: &str) -> Vec<String> {
    (1..=TRANSFERS_EACH)
        .map(|minor| {
            let transfer =
                Operation::Transfer { from_account_id: from.to_owned(), to_account_id: to.to_owned(), minor };
            let key = format!("key-{:032x}", rand::random::<u128>());
            let answer = insist(|| person.ask(&transfer).header("idempotency-key", &key)).must_be(200);
            text(&answer.json(), "operation_id").to_owned()
        })
        .collect()
}

#[test]
fn a_failing_store_neither_loses_nor_doubles_anything() {
    const EACH: i64 = 100_000;
    let api = Api::from_environment();
    let people = [Person::sign_up(&api), Person::sign_up(&api), Person::sign_up(&api)];
    let accounts = people.each_ref().map(|person| person.open_account_with(EACH));

    let before = fired();
    proxy().post("/_microburst/rules").json(&faults()).send().must_be(200);
    let made: Vec<Vec<String>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..people.len())
            .map(|side| {
                let (person, from, to) =
                    (&people[side], &accounts[side], &accounts[(side + 1) % accounts.len()]);
                scope.spawn(move || transfer_under_faults(person, from, to))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    // What is under way passes through the faults as well.
    thread::sleep(Duration::from_secs(2));
    proxy().post("/_microburst/rules").json(&json!([])).send().must_be(200);
    let drawn = fired() - before;
    assert!(
        drawn > 10,
        "only {drawn} faults were drawn: is the proxy between the functions and their store?"
    );

    for (person, made) in people.iter().zip(&made) {
        for operation_id in made {
            assert_eq!(person.ended(operation_id)["status"], "COMPLETED");
        }
        let transfers: BTreeSet<String> = person
            .all("/operations", 100)
            .iter()
            .filter(|operation| operation["kind"] == "TRANSFER")
            .map(|operation| text(operation, "operation_id").to_owned())
            .collect();
        assert_eq!(transfers, made.iter().cloned().collect(), "an operation was lost or made twice");
    }
    // Everybody sent as much as she received.
    for (person, account_id) in people.iter().zip(&accounts) {
        person.balance_becomes(account_id, EACH);
        let lines = person.history(account_id).len();
        assert_eq!(lines as i64, 1 + 2 * TRANSFERS_EACH);
    }
}
