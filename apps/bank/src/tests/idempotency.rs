//! A request that is sent again with its Idempotency-Key has its effect once.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::Value;

use super::bank::{Answer, Bank, Person};
use super::operations::{Filling, ROWS, Row};

/// The posts that take no key, and why a repetition does no harm.
const WITHOUT_A_KEY: &[(&str, &str)] = &[
    ("/auth/sign-up", "an address has one person, and the second request is told so"),
    ("/auth/confirm", "a code is good once"),
    ("/auth/sign-in", "each is a session of its own"),
    ("/auth/refresh", "a refresh token is good once"),
    ("/auth/sign-out", "a session that has ended has ended"),
    ("/auth/sign-out-everywhere", "sessions that have ended have ended"),
    ("/auth/forgot-password", "each is a letter of its own"),
    ("/auth/reset-password", "a code is good once"),
    ("/batches", "each of its operations has a key of its own"),
    ("/notifications/{notification_id}/read", "what was read stays read"),
    ("/ops/dead-letters/{dead_letter_id}/redrive", "a dead letter that was sent again is one no more"),
    ("/ops/audits", "one runs at a time, and moves nothing"),
    ("/ops/operators", "an operator stays one"),
    ("/ops/operators/remove", "who is none stays so"),
];

fn rows_with_a_key(bank: &Bank) -> Vec<&'static Row> {
    let takes_key = |row: &&Row| bank.document.operation(row).takes("header", "Idempotency-Key");
    ROWS.iter().filter(takes_key).collect()
}

/// How many accounts and operations somebody has.
async fn counts(bank: &Bank, person: &Person) -> [usize; 2] {
    let mut counts = [0; 2];
    for (path, count) in ["/accounts?limit=100", "/operations?limit=100"].into_iter().zip(&mut counts) {
        let listed = bank.get(path).by(person).send().await.must_be(200).json();
        assert_eq!(listed.get("next_cursor"), None, "{path} has more than one page");
        *count = listed["items"].as_array().unwrap().len();
    }
    counts
}

#[tokio::test]
async fn every_post_takes_a_key_or_needs_none() {
    let bank = Bank::open().await;
    let reasons: BTreeMap<&str, &str> = WITHOUT_A_KEY.iter().copied().collect();
    let with_a_key: Vec<String> = rows_with_a_key(&bank).into_iter().map(Row::name).collect();
    for row in ROWS {
        let is_post = row.method == Method::POST;
        let is_explained = is_post && reasons.contains_key(row.path);
        assert_eq!(with_a_key.contains(&row.name()), is_post && !is_explained, "{}", row.name());
    }
    for path in reasons.keys() {
        assert!(ROWS.iter().any(|row| row.path == *path), "there is no {path}");
    }
    bank.close().await;
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer_and_another_is_refused() {
    let bank = Bank::open().await;
    let (ada, grace) = (bank.person("ada").await, bank.person("grace").await);
    let rows = rows_with_a_key(&bank);
    for (index, row) in rows.iter().enumerate() {
        let (things, others) = (bank.belongings(&ada).await, bank.belongings(&ada).await);
        let graces = bank.belongings(&grace).await;
        let key = format!("key-{index}");
        let ask = async |person: &Person, filling: &Filling| -> Answer {
            row.ask(&bank, filling).by(person).header("idempotency-key", &key).send().await
        };
        let first = ask(&ada, &things).await;
        assert!(first.status.is_success(), "{}: {}", row.name(), first.text());
        assert_eq!(first.header("idempotency-replayed"), None, "{}", row.name());
        let before = counts(&bank, &ada).await;

        for _ in 0..2 {
            let again = ask(&ada, &things).await.must_be(first.status.as_u16());
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", row.name());
            assert_eq!(again.json(), first.json(), "{}", row.name());
        }
        assert_eq!(ask(&ada, &others).await.problem(422), "IDEMPOTENCY_KEY_REUSED", "{}", row.name());
        assert_eq!(counts(&bank, &ada).await, before, "{}", row.name());

        // A key is its sender's own.
        let hers = ask(&grace, &graces).await.must_be(first.status.as_u16());
        assert_eq!(hers.header("idempotency-replayed"), None, "{}", row.name());
    }
    assert_eq!(rows.len(), 5, "open, close, deposit, withdraw and transfer");
    bank.close().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let bank = Bank::open().await;
    let ada = bank.person("ada").await;
    let belongings = bank.belongings(&ada).await;
    let before = counts(&bank, &ada).await;
    for row in rows_with_a_key(&bank) {
        for key in ["", "two words", &"k".repeat(256)] {
            let answer = row.ask(&bank, &belongings).by(&ada).header("idempotency-key", key).send().await;
            assert_eq!(answer.problem(400), "INVALID_IDEMPOTENCY_KEY", "{}, {key:?}", row.name());
        }
    }
    assert_eq!(counts(&bank, &ada).await, before);
    bank.close().await;
}

#[tokio::test]
async fn keys_of_money_are_shared_by_all_movements() {
    let bank = Bank::open().await;
    let ada = bank.person("ada").await;
    let belongings = bank.belongings(&ada).await;
    let body = format!(r#"{{"account_id": "{}", "amount": "1.00"}}"#, belongings.0["account_id"]);
    let ask = async |path: &str| {
        bank.post(path).by(&ada).header("idempotency-key", "one").body(body.clone()).send().await
    };
    let deposit: Value = ask("/deposit").await.must_be(200).json();
    assert_eq!(deposit["kind"], "DEPOSIT");
    assert_eq!(ask("/withdraw").await.problem(422), "IDEMPOTENCY_KEY_REUSED");
    bank.close().await;
}
