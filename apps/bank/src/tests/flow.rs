//! Money goes through the bank once, from signing up to closing the account, and the bank tells how it went.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::bank::{Bank, Person, text, wait_until};
use super::operations::INVENTED;

/// Sends a request to move money and waits for its end.
async fn ended(bank: &Bank, person: &Person, path: &str, body: &Value) -> Value {
    let call = bank.post(path).by(person).header("prefer", "wait=10").json(body);
    call.send().await.must_be(200).json()
}

/// What an account holds once it has had `version` entries.
async fn balance(bank: &Bank, person: &Person, account_id: &str, version: &Value) -> String {
    let path = format!("/balances/{account_id}?min_version={version}");
    let standing = bank.get(path).by(person).send().await.must_be(200).json();
    assert_eq!(standing["version"], *version, "{standing}");
    assert_eq!(standing["available"], standing["balance"], "{standing}");
    text(&standing, "balance")
}

/// The members of every row of a list, newest first.
async fn history(bank: &Bank, person: &Person, account_id: &str) -> Vec<[String; 4]> {
    let path = format!("/transactions/{account_id}");
    let listed = bank.get(path).by(person).send().await.must_be(200).json();
    let members = ["kind", "direction", "status", "amount"];
    listed["items"].as_array().unwrap().iter().map(|row| members.map(|member| text(row, member))).collect()
}

/// The kinds of message in somebody's inbox.
async fn kinds_of_messages(bank: &Bank, person: &Person) -> BTreeSet<String> {
    let listed = bank.get("/notifications?limit=100").by(person).send().await.must_be(200).json();
    listed["items"].as_array().unwrap().iter().map(|item| text(item, "kind")).collect()
}

/// What she hears of it all.
const MESSAGES: [&str; 7] = [
    "ACCOUNT_OPENED",
    "DEPOSIT_COMPLETED",
    "WITHDRAW_FAILED",
    "TRANSFER_SENT",
    "ACCOUNT_NOT_CLOSED",
    "WITHDRAW_COMPLETED",
    "ACCOUNT_CLOSED",
];

#[tokio::test]
async fn a_customers_life() {
    let bank = Bank::open().await;
    let (ada, grace) = (bank.person("ada").await, bank.person("grace").await);
    let current = bank.open_account(&ada, "Current account").await;
    let payee = bank.open_account(&grace, "Current account").await;

    let deposit = json!({"account_id": current, "amount": "100.00", "currency": "EUR"});
    let deposit = ended(&bank, &ada, "/deposit", &deposit).await;
    assert_eq!((&deposit["status"], &deposit["balance_after"]), (&json!("COMPLETED"), &json!("100.00")));
    assert_eq!(balance(&bank, &ada, &current, &deposit["account_version"]).await, "100.00");

    let too_much = json!({"account_id": current, "amount": "100.01"});
    let refused = ended(&bank, &ada, "/withdraw", &too_much).await;
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("FAILED"), &json!("INSUFFICIENT_FUNDS")));

    let transfer = json!({"from_account_id": current, "to_account_id": payee, "amount": 99.5});
    let transfer = ended(&bank, &ada, "/transfer", &transfer).await;
    assert_eq!((&transfer["status"], &transfer["balance_after"]), (&json!("COMPLETED"), &json!("0.50")));
    assert_eq!(balance(&bank, &ada, &current, &transfer["account_version"]).await, "0.50");
    assert_eq!(balance(&bank, &grace, &payee, &json!(1)).await, "99.50");

    let close = format!("/accounts/{current}/close");
    let close = async || bank.post(&close).by(&ada).header("prefer", "wait=10").send().await;
    let kept = close().await.must_be(200).json();
    assert_eq!(
        (&kept["status"], &kept["close_rejected_reason"]),
        (&json!("OPEN"), &json!("BALANCE_NOT_ZERO"))
    );
    let rest = json!({"account_id": current, "amount": "0.50"});
    assert_eq!(ended(&bank, &ada, "/withdraw", &rest).await["status"], "COMPLETED");
    assert_eq!(close().await.must_be(200).json()["status"], "CLOSED");

    let row = |row: [&str; 4]| row.map(str::to_owned);
    let lines =
        wait_until(async || Some(history(&bank, &ada, &current).await).filter(|lines| lines.len() == 4));
    assert_eq!(
        lines.await,
        [
            row(["WITHDRAW", "DEBIT", "COMPLETED", "0.50"]),
            row(["TRANSFER", "DEBIT", "COMPLETED", "99.50"]),
            row(["WITHDRAW", "DEBIT", "FAILED", "100.01"]),
            row(["DEPOSIT", "CREDIT", "COMPLETED", "100.00"]),
        ]
    );
    assert_eq!(history(&bank, &grace, &payee).await, [row(["TRANSFER", "CREDIT", "COMPLETED", "99.50"])]);
    let operations = bank.get("/operations").by(&ada).send().await.must_be(200).json();
    assert_eq!(operations["items"].as_array().unwrap().len(), 4, "{operations}");
    let heard = wait_until(async || {
        Some(kinds_of_messages(&bank, &ada).await).filter(|kinds| kinds.len() == MESSAGES.len())
    });
    assert_eq!(heard.await, MESSAGES.map(str::to_owned).into());

    // Until banking has heard of the closing, it is the ledger that refuses.
    wait_until(async || {
        let late = bank.post("/deposit").by(&ada).header("prefer", "wait=10").json(&rest).send().await;
        if late.status == 200 {
            assert_eq!(late.json()["reason"], "ACCOUNT_CLOSED", "{}", late.text());
            return None;
        }
        assert_eq!(late.problem(409), "ACCOUNT_NOT_OPEN");
        Some(())
    })
    .await;
    bank.close().await;
}

#[tokio::test]
async fn who_has_the_answer_already_is_told_so_as_documented() {
    let bank = Bank::open().await;
    let ada = bank.person("ada").await;
    let account_id = bank.open_account(&ada, "Savings").await;
    let path = format!("/accounts/{account_id}");
    let first = bank.get(&path).by(&ada).send().await.must_be(200);
    let tag = first.header("etag").unwrap();
    let second = bank.get(&path).by(&ada).header("if-none-match", tag).send().await.must_be(304);
    assert!(second.body.is_empty(), "{}", second.text());
    bank.close().await;
}

#[tokio::test]
async fn the_bank_is_ready_only_while_its_consumers_run() {
    let mut bank = Bank::open().await;
    bank.get("/readyz").send().await.must_be(204);
    bank.get("/healthz").send().await.must_be(204);
    bank.stop_consumers().await;
    bank.get("/readyz").send().await.problem(503);
    bank.get("/healthz").send().await.must_be(204);
    bank.world.store.close().await;
}

/// What the measures must tell, by name, once there was traffic: of requests, consumers, queues, dead letters and the
/// store. Those of what goes wrong in the store are there before it has.
const MEASURED: &[&str] = &[
    r#"http_requests_total{route="/deposit",method="POST",status="200"}"#,
    r#"http_requests_total{route="/accounts/{account_id}",method="GET",status="404"}"#,
    r#"http_request_seconds_bucket{route="/deposit",method="POST",status="200",le="0.01"}"#,
    r#"consumer_batch_size_count{consumer="ledger_commands"}"#,
    r#"consumer_seconds_count{consumer="ledger_commands"}"#,
    r#"consumer_outcomes_total{consumer="query_events",outcome="done"}"#,
    r#"queue_depth{consumer="notifications_events"}"#,
    r#"queue_age_seconds{consumer="notifications_events"}"#,
    r#"dead_letters{consumer="notifications_emails"}"#,
    r#"store_outbox_lag_messages{consumer="banking_events"}"#,
    "store_commit_batch_size_count",
    "store_commit_seconds_count",
    "store_fsync_seconds_count",
    "store_queue_depth",
    "store_settle_seconds_count",
    "store_unsettled_bytes",
    "store_wal_bytes",
    "store_conflicts_total",
    "store_busy_total",
    "commit_retries_total",
    r#"cache_hits_total{cache="tokens"}"#,
    r#"cache_misses_total{cache="tokens"}"#,
];

/// Closes an account twice at the same time, so that one of the two has to decide again.
async fn conflict(bank: &Bank, person: &Person) {
    let account_id = bank.open_account(person, "Short-lived").await;
    let close = async || bank.post(format!("/accounts/{account_id}/close")).by(person).send().await;
    let (one, other) = tokio::join!(close(), close());
    let refused = if one.status == 200 { other } else { one };
    assert_eq!(refused.problem(409), "ACCOUNT_NOT_OPEN");
}

#[tokio::test]
async fn the_measures_tell_of_the_traffic() {
    let bank = Bank::open().await;
    let ada = bank.person("ada").await;
    let belongings = bank.belongings(&ada).await;
    bank.get(format!("/accounts/{INVENTED}")).by(&ada).send().await.must_be(404);
    let measures = wait_until(async || {
        conflict(&bank, &ada).await;
        bank.world.store.flush().await;
        let measures = bank.get("/metrics").send().await.must_be(200);
        (!measures.text().contains("store_conflicts_total 0\n")).then_some(measures)
    })
    .await;
    for name in MEASURED {
        let is_of_it = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
        assert!(measures.text().lines().any(is_of_it), "{name} is not in:\n{}", measures.text());
    }
    for secret in belongings.0.values().chain([&ada.user_id, &ada.email]) {
        assert!(!measures.text().contains(secret.as_str()), "{secret} is in the measures");
    }
    bank.close().await;
}
