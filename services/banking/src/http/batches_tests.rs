//! Batches, asked for as a client asks: each operation has its own answer, and what is no batch is refused whole.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use web::{BATCH_BYTES_MAX, BODY_BYTES_MAX, Principal};

use super::super::tests::{Bank, Seen, bank};
use super::{BATCH_OPERATIONS_MAX, ERRORS_MAX};
use crate::TOGETHER_MAX;
use crate::fixture::*;
use crate::records::OPERATIONS_EVENTS;

fn deposit(key: &str, amount: &str) -> Value {
    json!({"kind": "DEPOSIT", "idempotency_key": key, "account_id": account(1), "amount": amount})
}

fn deposits(count: usize) -> Vec<Value> {
    (0..count).map(|index| deposit(&format!("row-{index}"), "0.01")).collect()
}

async fn ask(bank: &Bank, operations: &[Value]) -> Seen {
    bank.post("/batches", &[], &json!({"operations": operations})).await
}

/// The status and the code of each result; of one that was done, whether it was before.
fn told(answer: &Value) -> Vec<(u64, &str)> {
    let results = answer["results"].as_array().unwrap().iter();
    let code = |result: &Value| match result["replayed"].as_bool() {
        Some(true) => "replayed",
        Some(false) => "",
        None => result["problem"]["code"].as_str().map_or("none", |code| code.to_owned().leak()),
    };
    results.map(|result| (result["status"].as_u64().unwrap(), code(result))).collect()
}

#[tokio::test(start_paused = true)]
async fn each_operation_has_the_answer_of_its_own_route() {
    let bank = bank().await;
    let transfer = json!({"kind": "TRANSFER", "idempotency_key": "b", "from_account_id": account(1),
        "to_account_id": account(2), "amount": 3, "currency": "EUR", "description": "rent"});
    let withdrawal =
        json!({"kind": "WITHDRAW", "idempotency_key": "c", "account_id": account(1), "amount": "0.001"});
    let answer = ask(&bank, &[deposit("a", "12.50"), transfer.clone(), withdrawal]).await.done();
    let results = answer["results"].as_array().unwrap();
    let keys: Vec<&Value> = results.iter().map(|result| &result["idempotency_key"]).collect();
    assert_eq!(keys, ["a", "b", "c"]);
    for (result, kind, amount) in [(&results[0], "DEPOSIT", "12.50"), (&results[1], "TRANSFER", "3.00")] {
        let operation = &result["operation"];
        assert_eq!((&result["status"], &result["replayed"]), (&json!(200), &json!(false)));
        assert_eq!((&operation["kind"], &operation["amount"]), (&json!(kind), &json!(amount)));
        let path = format!("/operation-status/{}", operation["operation_id"].as_str().unwrap());
        assert_eq!(bank.get(1, &path).await.done(), *operation);
        assert!(result.get("problem").is_none());
    }
    assert_eq!(
        results[2],
        json!({"idempotency_key": "c", "status": 422, "problem": {
            "type": "/problems/invalid-amount", "title": "Invalid amount", "status": 422, "code": "INVALID_AMOUNT",
            "detail": "the amount has more decimals than the 2 of its currency",
            "errors": [{"field": "amount", "message": "the amount has more decimals than the 2 of its currency"}],
        }})
    );
    assert_eq!(bank.commands(), 1);
    // The routes of their own know them too, by their keys.
    let mut alone = transfer;
    for name in ["kind", "idempotency_key"] {
        alone.as_object_mut().unwrap().remove(name);
    }
    let replay = bank.post("/transfer", &[("idempotency-key", "b")], &alone).await;
    assert!(replay.is_replay);
    assert_eq!(replay.done(), results[1]["operation"]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_operation_is_refused_alone() {
    let bank = bank().await;
    bank.world.take(&[closed(3)]).await;
    let with = |field: &str, value: Value| {
        let mut operation = deposit(field, "1");
        operation[field] = value;
        operation
    };
    let without = |field: &str| {
        let mut operation = deposit(&format!("no {field}").replace(' ', "-"), "1");
        operation.as_object_mut().unwrap().remove(field);
        operation
    };
    let transfer = |key: &str, to: Value| {
        json!({"kind": "TRANSFER", "idempotency_key": key, "from_account_id": account(1), "to_account_id": to,
            "amount": "1"})
    };
    for (operation, status, code, field) in [
        (with("extra", json!(1)), 422, "INVALID_BODY", Some("extra")),
        (with("kind", json!("GIFT")), 422, "INVALID_BODY", Some("kind")),
        (with("amount", json!(true)), 422, "INVALID_BODY", Some("amount")),
        (with("amount", json!("-1")), 422, "INVALID_AMOUNT", Some("amount")),
        (with("currency", json!("USD")), 422, "CURRENCY_MISMATCH", Some("currency")),
        (with("currency", json!("euro")), 422, "INVALID_CURRENCY", Some("currency")),
        (with("account_id", json!(account(2))), 404, "NOT_FOUND", None),
        (with("account_id", json!("42")), 404, "NOT_FOUND", None),
        (with("to_account_id", json!(account(2))), 422, "INVALID_BODY", Some("to_account_id")),
        (without("amount"), 422, "INVALID_BODY", Some("amount")),
        (without("kind"), 422, "INVALID_BODY", Some("kind")),
        (without("account_id"), 422, "INVALID_BODY", Some("account_id")),
        (transfer("closed", json!(account(3))), 409, "ACCOUNT_NOT_OPEN", Some("to_account_id")),
        (transfer("same", json!(account(1))), 422, "SAME_ACCOUNT", Some("to_account_id")),
        (transfer("nobody", Value::Null), 422, "INVALID_BODY", Some("to_account_id")),
        (deposit("two words", "1"), 400, "INVALID_IDEMPOTENCY_KEY", None),
        (deposit("", "1"), 400, "INVALID_IDEMPOTENCY_KEY", None),
        (deposit(&"k".repeat(256), "1"), 400, "INVALID_IDEMPOTENCY_KEY", None),
    ] {
        let before = bank.commands();
        let neighbours = [deposit(&format!("{before}-first"), "1"), deposit(&format!("{before}-last"), "1")];
        let [first, last] = neighbours;
        let answer = ask(&bank, &[first, operation.clone(), last]).await.done();
        assert_eq!(told(&answer), [(200, ""), (status, code), (200, "")], "{operation}");
        let result = &answer["results"][1];
        assert_eq!(result["idempotency_key"], operation["idempotency_key"]);
        assert_eq!(result["problem"]["errors"][0]["field"].as_str(), field, "{result}");
        assert_eq!(bank.commands(), before + 1);
        assert_eq!(bank.world.store.outbox_records(OPERATIONS_EVENTS).last().unwrap().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_batch_is_refused_whole() {
    let bank = bank().await;
    let ok = deposit("a", "1");
    let mut keyless = ok.clone();
    keyless.as_object_mut().unwrap().remove("idempotency_key");
    let numbered = json!({"kind": "DEPOSIT", "idempotency_key": 7});
    let key = |index: usize| format!("operations[{index}].idempotency_key");
    for (body, code, fields) in [
        (json!({}), "INVALID_BODY", vec!["operations".to_owned()]),
        (json!({"operations": []}), "INVALID_BODY", vec!["operations".to_owned()]),
        (json!({"operations": {"a": ok}}), "INVALID_BODY", vec!["operations".to_owned()]),
        (json!({"operations": null}), "INVALID_BODY", vec!["operations".to_owned()]),
        (json!({"operations": deposits(1_001)}), "INVALID_BODY", vec!["operations".to_owned()]),
        (json!({"operations": [ok], "more": 1}), "INVALID_BODY", vec!["more".to_owned()]),
        (json!([ok]), "INVALID_BODY", vec![]),
        (json!({"operations": [ok, deposit("b", "1"), ok]}), "INVALID_BATCH", vec![key(2)]),
        (
            json!({"operations": [ok, keyless, numbered, "text"]}),
            "INVALID_BATCH",
            vec![key(1), key(2), key(3)],
        ),
        (json!({"operations": [["a"]]}), "INVALID_BATCH", vec![key(0)]),
        (json!({"operations": vec![ok; 100]}), "INVALID_BATCH", (1..=ERRORS_MAX).map(key).collect()),
    ] {
        let seen = bank.post("/batches", &[], &body).await;
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        assert_eq!(seen.refusal(), (422, code, fields), "{}", seen.body);
    }
    assert_eq!(bank.commands(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_batch_again_is_answered_again() {
    let bank = bank().await;
    let operations = deposits(120);
    let first = ask(&bank, &operations).await.done();
    assert_eq!(told(&first), vec![(200, ""); 120]);
    // What another batch asks for besides is begun.
    let mut more = operations;
    more.push(deposit("new", "1"));
    let again = ask(&bank, &more).await.done();
    let told_again = told(&again);
    assert_eq!((&told_again[..120], told_again[120]), (&[(200, "replayed"); 120][..], (200, "")));
    let operation = |answer: &Value, index: usize| answer["results"][index]["operation"].clone();
    assert!((0..120).all(|index| operation(&first, index) == operation(&again, index)));
    // The same keys for other operations are refused, each alone.
    let others: Vec<Value> = (0..3).map(|index| deposit(&format!("row-{index}"), "9")).collect();
    assert_eq!(told(&ask(&bank, &others).await.done()), [(422, "IDEMPOTENCY_KEY_REUSED"); 3]);
    assert_eq!(bank.world.store.outbox_records(OPERATIONS_EVENTS).concat().len(), 121);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_under_way_is_refused_alone() {
    let bank = bank().await;
    let (alone, key) = (json!({"account_id": account(1), "amount": "1"}), [("idempotency-key", "a")]);
    let batch = [deposit("a", "1"), deposit("b", "1")];
    let (single, batch) = tokio::join!(bank.post("/deposit", &key, &alone), ask(&bank, &batch));
    single.done();
    assert_eq!(told(&batch.done()), [(409, "REQUEST_IN_FLIGHT"), (200, "")]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_the_longest_is_written_in_full_transactions() {
    let bank = bank().await;
    let answer = ask(&bank, &deposits(BATCH_OPERATIONS_MAX)).await.done();
    assert_eq!(told(&answer), vec![(200, ""); BATCH_OPERATIONS_MAX]);
    let parts: Vec<usize> = bank.world.store.outbox_records(OPERATIONS_EVENTS).iter().map(Vec::len).collect();
    assert_eq!(parts.len(), BATCH_OPERATIONS_MAX.div_ceil(TOGETHER_MAX));
    assert_eq!(parts.iter().sum::<usize>(), BATCH_OPERATIONS_MAX);
}

#[tokio::test(start_paused = true)]
async fn who_wants_lines_gets_them_part_by_part() {
    let bank = bank().await;
    let mut operations = deposits(100);
    operations[60] = deposit("wrong", "-1");
    let body = json!({"operations": operations}).to_string();
    let request = Request::post("/batches")
        .header("content-type", "application/json")
        .header("accept", "text/html, application/x-ndjson;q=0.9");
    let mut request = request.body(Body::from(body)).unwrap();
    request.extensions_mut().insert(Principal { user_id: owner(1), groups: Vec::new() });
    let response = bank.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (mut body, mut lines, mut parts) = (response.into_body(), Vec::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let bytes = frame.unwrap().into_data().unwrap();
        let part: Vec<Value> =
            bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parse).collect();
        assert!(bytes.ends_with(b"\n"));
        parts.push(part.len());
        lines.extend(part);
    }
    assert_eq!(parts, [TOGETHER_MAX, TOGETHER_MAX, 2]);
    let keys: Vec<&Value> = lines.iter().map(|line| &line["idempotency_key"]).collect();
    assert_eq!(keys, operations.iter().map(|operation| &operation["idempotency_key"]).collect::<Vec<_>>());
    assert_eq!(lines.iter().filter(|line| line["status"] == 200).count(), 99);
    assert_eq!(lines[60]["problem"]["code"], "INVALID_AMOUNT");
}

fn parse(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_batch_may_be_larger_than_other_requests_and_not_without_end() {
    let bank = bank().await;
    let padded = |body: Value, bytes: usize| {
        let body = body.to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    let send = async |path: &str, body: String| {
        let request = Request::post(path).header("content-type", "application/json");
        bank.send(Some(1), request.body(Body::from(body)).unwrap()).await
    };
    let batch = json!({"operations": [deposit("a", "1")]});
    send("/batches", padded(batch.clone(), BATCH_BYTES_MAX)).await.done();
    let refused = send("/batches", padded(batch, BATCH_BYTES_MAX + 1)).await;
    assert_eq!(refused.refusal(), (413, "BODY_TOO_LARGE", vec![]));
    let single = json!({"account_id": account(1), "amount": "1"});
    let refused = send("/deposit", padded(single, BODY_BYTES_MAX + 1)).await;
    assert_eq!(refused.refusal(), (413, "BODY_TOO_LARGE", vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_counts_as_a_tenth_of_its_operations() {
    let bank = bank().await;
    let remaining = async |operations: Vec<Value>| {
        let body = json!({"operations": operations}).to_string();
        let request = Request::post("/batches").header("content-type", "application/json");
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Principal { user_id: owner(1), groups: Vec::new() });
        let response = bank.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        to_bytes(body, BATCH_BYTES_MAX).await.unwrap();
        let remaining = head.headers["ratelimit-remaining"].to_str().unwrap().parse::<u32>().unwrap();
        (head.status.as_u16(), remaining)
    };
    // The burst is 500, of which a few may come back while this runs.
    let (status, left) = remaining(deposits(1)).await;
    assert!(status == 200 && (499..=500).contains(&left), "{status} {left}");
    let (status, left) = remaining(deposits(1_000)).await;
    assert!(status == 200 && (399..450).contains(&left), "{status} {left}");
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(remaining(deposits(1_000)).await.0);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}
