//! Many operations in one request: each for itself, each once, and all of them seen in the end.

use std::collections::BTreeSet;

use e2e::{Answer, Api, INVENTED_ID, Operation, Person, text};
use serde_json::{Value, json};

/// A word that no other test has, to begin keys with.
fn fresh_word() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn keyed(key: &str, operation: &Operation) -> Value {
    let mut keyed = operation.body();
    let kind = match operation {
        Operation::Deposit { .. } => "DEPOSIT",
        Operation::Withdraw { .. } => "WITHDRAW",
        Operation::Transfer { .. } => "TRANSFER",
    };
    keyed["kind"] = json!(kind);
    keyed["idempotency_key"] = json!(key);
    keyed
}

fn deposits(account_id: &str, word: &str, count: usize) -> Vec<Value> {
    let deposit = Operation::Deposit { account_id: account_id.to_owned(), minor: 1 };
    (0..count).map(|index| keyed(&format!("{word}-{index}"), &deposit)).collect()
}

fn send(person: &Person, operations: &[Value]) -> Answer {
    person.post("/batches").json(&json!({"operations": operations})).send()
}

fn results(answer: &Answer) -> Vec<Value> {
    let body = answer.clone().must_be(200).json();
    let Some(results) = body["results"].as_array() else { panic!("there are no results: {body}") };
    results.clone()
}

/// That every operation of a batch was done, or had been before.
#[track_caller]
fn assert_done(results: &[Value], replayed: bool) {
    for result in results {
        assert_eq!((&result["status"], &result["replayed"]), (&json!(200), &json!(replayed)), "{result}");
    }
}

#[test]
fn operations_of_a_batch_are_begun_and_end() {
    let person = Person::sign_up(&Api::from_environment());
    let (from, to, word) =
        (person.open_account_with(1_000), person.open_account("second", "EUR"), fresh_word());
    let operations = [
        Operation::Deposit { account_id: from.clone(), minor: 500 },
        Operation::Withdraw { account_id: from.clone(), minor: 200 },
        Operation::Transfer { from_account_id: from.clone(), to_account_id: to.clone(), minor: 300 },
    ];
    let keys: Vec<String> = (0..3).map(|index| format!("{word}-{index}")).collect();
    let asked: Vec<Value> =
        keys.iter().zip(&operations).map(|(key, operation)| keyed(key, operation)).collect();
    let results = results(&send(&person, &asked));
    assert_done(&results, false);
    assert_eq!(results.iter().map(|result| text(result, "idempotency_key")).collect::<Vec<_>>(), keys);
    for result in &results {
        let ended = person.ended(text(&result["operation"], "operation_id"));
        assert_eq!(ended["status"], "COMPLETED", "{ended}");
    }
    person.balance_becomes(&from, 1_000);
    person.balance_becomes(&to, 300);
}

#[test]
fn a_batch_that_is_sent_again_moves_money_once() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    // More than fit one transaction.
    let asked = deposits(&account_id, &fresh_word(), 60);
    let first = results(&send(&person, &asked));
    assert_done(&first, false);
    let again = results(&send(&person, &asked));
    assert_done(&again, true);
    let ids = |results: &[Value]| -> Vec<String> {
        results.iter().map(|result| text(&result["operation"], "operation_id").to_owned()).collect()
    };
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(ids(&first).iter().collect::<BTreeSet<_>>().len(), 60);
    person.balance_becomes(&account_id, 60);
    assert_eq!(person.all("/operations", 100).len(), 60);
}

#[test]
fn a_key_is_the_same_whichever_way_it_comes() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let deposit = Operation::Deposit { account_id: account_id.clone(), minor: 100 };
    let (one, other) = (fresh_word(), fresh_word());
    let alone = person.ask(&deposit).header("idempotency-key", &one).send().must_be(200).json();
    let batch = results(&send(&person, &[keyed(&one, &deposit), keyed(&other, &deposit)]));
    assert_eq!((&batch[0]["replayed"], &batch[1]["replayed"]), (&json!(true), &json!(false)));
    assert_eq!(batch[0]["operation"]["operation_id"], alone["operation_id"]);
    let replayed = person.ask(&deposit).header("idempotency-key", &other).send().must_be(200);
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    assert_eq!(replayed.json()["operation_id"], batch[1]["operation"]["operation_id"]);
    let another = Operation::Withdraw { account_id: account_id.clone(), minor: 100 };
    let refused = results(&send(&person, &[keyed(&one, &another)]));
    assert_eq!(
        (&refused[0]["status"], refused[0]["problem"]["code"].as_str()),
        (&json!(422), Some("IDEMPOTENCY_KEY_REUSED"))
    );
    person.balance_becomes(&account_id, 200);
}

#[test]
fn an_operation_that_is_wrong_is_refused_alone() {
    let api = Api::from_environment();
    let (person, stranger) = (Person::sign_up(&api), Person::sign_up(&api));
    let (account_id, foreign) = (person.open_account("current", "EUR"), stranger.open_account_with(500));
    let word = fresh_word();
    let mut asked = deposits(&account_id, &word, 8);
    asked[1]["amount"] = json!("0.001");
    asked[2]["currency"] = json!("USD");
    asked[3]["account_id"] = json!(foreign);
    asked[4]["account_id"] = json!(INVENTED_ID);
    asked[5]["surprise"] = json!(1);
    asked[6]["kind"] = json!("GIFT");
    let results = results(&send(&person, &asked));
    let statuses: Vec<u64> = results.iter().filter_map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [200, 422, 422, 404, 404, 422, 422, 200]);
    assert_eq!(results[3]["problem"], results[4]["problem"], "another's account is one that nobody has");
    for result in &results[1..7] {
        for field in ["type", "title", "detail", "code"] {
            assert!(!text(&result["problem"], field).is_empty(), "{result}");
        }
        assert_eq!(result["problem"]["status"], result["status"]);
        assert!(result.get("operation").is_none(), "{result}");
    }
    person.balance_becomes(&account_id, 2);
    assert_eq!(stranger.balance(&foreign), 500);
}

#[test]
fn what_is_no_batch_is_refused_whole() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let word = fresh_word();
    let good = deposits(&account_id, &word, 2);
    let mut keyless = good.clone();
    if let Some(operation) = keyless[1].as_object_mut() {
        operation.remove("idempotency_key");
    }
    for (body, field) in [
        (json!({}), "operations"),
        (json!({"operations": []}), "operations"),
        (json!({"operations": good[0]}), "operations"),
        (json!({"operations": deposits(&account_id, &word, 1_001)}), "operations"),
        (json!({"operations": [good[0], good[1], good[0]]}), "operations[2].idempotency_key"),
        (json!({"operations": keyless}), "operations[1].idempotency_key"),
        (json!({"operations": good, "surprise": 1}), "surprise"),
    ] {
        let problem = person.post("/batches").json(&body).send().problem(&[422]);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert!(person.all("/operations", 100).is_empty());
}

#[test]
fn who_wants_lines_gets_a_line_an_operation() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let mut asked = deposits(&account_id, &fresh_word(), 60);
    asked[5]["amount"] = json!("-1");
    let call = person.post("/batches").header("accept", "application/x-ndjson");
    let answer = call.json(&json!({"operations": asked})).send().must_be(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines: Result<Vec<Value>, _> = answer.body.lines().map(serde_json::from_str).collect();
    let Ok(lines) = lines else { panic!("not each line is JSON: {}", answer.body) };
    let keys = |values: &[Value]| -> Vec<String> {
        values.iter().map(|value| text(value, "idempotency_key").to_owned()).collect()
    };
    assert_eq!(keys(&lines), keys(&asked));
    assert_eq!(lines.iter().filter(|line| line["status"] == 200).count(), 59);
    assert_eq!(lines[5]["problem"]["errors"][0]["field"], "amount");
    person.balance_becomes(&account_id, 59);
}

#[test]
fn a_batch_may_be_as_large_as_a_mebibyte() {
    const MEBIBYTE: usize = 1024 * 1024;
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let padded = |bytes: usize| {
        let body = json!({"operations": deposits(&account_id, &fresh_word(), 1)}).to_string();
        format!("{}{body}", " ".repeat(bytes - body.len()))
    };
    person.post("/batches").raw_json(padded(MEBIBYTE)).send().must_be(200);
    // It may be refused before all of it is sent, and then she who still sends it hears of nothing but that.
    if let Ok(refused) = person.post("/batches").raw_json(padded(MEBIBYTE + 1)).try_send() {
        refused.problem(&[413]);
    }
    assert_eq!(person.all("/operations", 100).len(), 1);
    person.balance_becomes(&account_id, 1);
}
