//! What operators are told of people, of their accounts, of the books and of the flow.

use kernel::OperationId;
use runtime::Caching;
use serde_json::{Value, json};

use super::bank::{Answer, Bank, Person, text, wait_until};
use super::operations::{Filling, INVENTED};
use crate::timeline;
use crate::world::World;

async fn read(bank: &Bank, person: &Person, path: &str) -> Answer {
    bank.get(path).by(person).send().await
}

/// An answer once it is as wanted.
async fn read_until(bank: &Bank, person: &Person, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    wait_until(async || {
        let answer = read(bank, person, path).await;
        Some(answer).filter(|answer| answer.status == 200).map(|answer| answer.json()).filter(&is_wanted)
    })
    .await
}

fn hops(timeline: &Value) -> Vec<String> {
    timeline["hops"].as_array().unwrap().iter().map(|hop| text(hop, "hop")).collect()
}

#[tokio::test]
async fn somebody_is_found_by_her_whole_address_or_her_id() {
    let bank = Bank::open().await;
    let (ada, olive) = (bank.person("ada").await, bank.operator("olive").await);
    for (person, is_operator) in [(&ada, false), (&olive, true)] {
        let by_id = format!("/ops/people?user_id={}", person.user_id);
        let by_address = format!("/ops/people?email=%20{}", person.email.to_uppercase());
        for path in [by_id, by_address] {
            let mut found = read(&bank, &olive, &path).await.must_be(200).json();
            assert!(found["created_at"].take().is_string());
            assert_eq!(
                found,
                json!({
                    "user_id": person.user_id,
                    "email": person.email,
                    "created_at": null,
                    "is_confirmed": true,
                    "is_operator": is_operator,
                })
            );
        }
    }
    let of_another = format!("?email=ada@example.com&user_id={}", olive.user_id);
    let invented = format!("?user_id={INVENTED}");
    for nobody in ["", "?email=ada@example.org", "?email=ada", "?email=", &invented, &of_another] {
        let answer = read(&bank, &olive, &format!("/ops/people{nobody}")).await;
        assert_eq!(answer.problem(404), "NOT_FOUND", "{nobody}");
    }
    let both = format!("/ops/people?email=ada@example.com&user_id={}", ada.user_id);
    assert_eq!(read(&bank, &olive, &both).await.must_be(200).json()["user_id"], json!(ada.user_id));
    for unreadable in ["?user_id=ada", "?name=ada"] {
        let answer = read(&bank, &olive, &format!("/ops/people{unreadable}")).await;
        assert_eq!(answer.problem(400), "INVALID_QUERY", "{unreadable}");
    }
    bank.close().await;
}

#[tokio::test]
async fn an_account_is_found_with_its_owner_and_what_she_is_shown_of_it() {
    let bank = Bank::open().await;
    let (ada, olive) = (bank.person("ada").await, bank.operator("olive").await);
    let belongings = bank.belongings(&ada).await;
    let (first, second) = (&belongings.0["account_id"], &belongings.0["to_account_id"]);
    let found = read(&bank, &olive, &format!("/ops/accounts/{first}")).await.must_be(200).json();
    assert_eq!(
        found,
        json!({
            "account_id": first,
            "owner": ada.user_id,
            "name": belongings.0["name"],
            "currency": "EUR",
            "status": "OPEN",
            "balance": "10.00",
            "version": 1,
            "created_at": found["created_at"],
        })
    );
    let path = format!("/ops/people/{}/accounts", ada.user_id);
    let listed = read(&bank, &olive, &path).await.must_be(200).json();
    assert_eq!(listed["items"][0], found);
    assert_eq!(listed["items"][1]["account_id"], json!(second));
    let page = read(&bank, &olive, &format!("{path}?limit=1")).await.must_be(200).json();
    let rest = format!("{path}?cursor={}", text(&page, "next_cursor"));
    let rest = read(&bank, &olive, &rest).await.must_be(200).json();
    assert_eq!([&page["items"][0], &rest["items"][0]], [&listed["items"][0], &listed["items"][1]]);

    let call = bank.post(format!("/accounts/{first}/close")).by(&ada).header("prefer", "wait=10");
    call.send().await.must_be(200);
    let path = format!("/ops/accounts/{first}");
    let rejected = read_until(&bank, &olive, &path, |found| found["close_rejected_reason"].is_string()).await;
    assert_eq!(rejected["close_rejected_reason"], "BALANCE_NOT_ZERO");

    // Of an operator herself there is nothing yet, and of nobody less.
    let own = format!("/ops/people/{}/accounts", olive.user_id);
    assert_eq!(read(&bank, &olive, &own).await.must_be(200).json(), json!({"items": []}));
    let nobodys = Filling::invented().fill("/ops/people/{user_id}/accounts");
    assert_eq!(read(&bank, &olive, &nobodys).await.problem(404), "NOT_FOUND");
    assert_eq!(read(&bank, &olive, "/ops/accounts/no-id").await.problem(404), "NOT_FOUND");
    bank.close().await;
}

#[tokio::test]
async fn a_history_is_shown_to_an_operator_as_to_its_owner() {
    let bank = Bank::open().await;
    let (ada, olive) = (bank.person("ada").await, bank.operator("olive").await);
    let account_id = &bank.belongings(&ada).await.0["account_id"];
    for query in ["", "?kind=DEPOSIT&limit=5", "?kind=TRANSFER", "?from=2001-01-01T00:00:00Z"] {
        let own = read(&bank, &ada, &format!("/transactions/{account_id}{query}")).await.must_be(200);
        let path = format!("/ops/accounts/{account_id}/transactions{query}");
        assert_eq!(read(&bank, &olive, &path).await.must_be(200).json(), own.json(), "{query}");
    }
    let invented = format!("/ops/accounts/{INVENTED}/transactions");
    assert_eq!(read(&bank, &olive, &invented).await.problem(404), "NOT_FOUND");
    bank.close().await;
}

#[tokio::test]
async fn a_customer_follows_her_own_operation_through_the_bank() {
    let bank = Bank::open().await;
    let (ada, olive) = (bank.person("ada").await, bank.operator("olive").await);
    let belongings = bank.belongings(&ada).await;
    let (from, to) = (&belongings.0["from_account_id"], &belongings.0["to_account_id"]);
    let body =
        json!({"from_account_id": from, "to_account_id": to, "amount": "2.50", "description": "a secret"});
    let asked = bank.post("/transfer").by(&ada).json(&body).send().await.must_be(200).json();
    let path = format!("/operations/{}/timeline", text(&asked, "operation_id"));
    let timeline = read_until(&bank, &ada, &path, |timeline| hops(timeline).len() == 6).await;
    for (member, value) in [
        ("kind", "TRANSFER"),
        ("outcome", "POSTED"),
        ("owner", &ada.user_id),
        ("account_id", from),
        ("to_account_id", to),
        ("amount", "2.50"),
        ("currency", "EUR"),
    ] {
        assert_eq!(timeline[member], json!(value), "{timeline}");
    }
    assert_eq!(hops(&timeline)[..3], ["accepted", "command_delivered", "posted"]);
    let brought = |name: &str| {
        let hop = timeline["hops"].as_array().unwrap().iter().find(|hop| hop["hop"] == name).unwrap();
        ["service", "message", "consumer"].map(|member| hop[member].as_str().unwrap_or("nothing").to_owned())
    };
    for (hop, expected) in [
        ("accepted", ["banking", "nothing", "nothing"]),
        ("command_delivered", ["ledger", "TRANSFER_CMD", "ledger_commands"]),
        ("posted", ["ledger", "nothing", "nothing"]),
        ("concluded", ["banking", "TRANSFER_EVENT", "banking_events"]),
        ("projected", ["query", "TRANSFER_EVENT", "query_events"]),
        ("notified", ["notifications", "TRANSFER_EVENT", "notifications_events"]),
    ] {
        assert_eq!(brought(hop), expected, "{hop}");
    }
    let operators = read(&bank, &olive, &format!("/ops{path}")).await.must_be(200);
    assert_eq!(operators.json(), timeline);
    assert!(!operators.text().contains("secret"), "her own words are no operator's business");
    bank.close().await;
}

/// An operation that ended before banking kept when it heard of it.
#[tokio::test]
async fn an_operation_of_an_older_bank_has_a_timeline_with_a_hop_less() {
    let bank = Bank::open().await;
    let ada = bank.person("ada").await;
    let belongings = bank.belongings(&ada).await;
    let operation_id: OperationId = belongings.0["operation_id"].parse().unwrap();
    let path = format!("/operations/{operation_id}/timeline");
    read_until(&bank, &ada, &path, |timeline| hops(timeline).len() == 6).await;

    let key = banking::records::operation_key(ada.user_id.parse().unwrap(), operation_id);
    let held: ports::Held<banking::domain::Operation> =
        runtime::get(&bank.world.store, key).await.unwrap().unwrap();
    let mut transaction = ports::Transaction::new(bank.world.sources.fresh_id());
    let older = banking::domain::Operation { concluded_at: None, ..held.record };
    transaction.replace(held.revision, &older).unwrap();
    ports::Store::commit(&bank.world.store, &transaction).await.unwrap();

    // One that was started since, and so remembers nothing.
    let (store, sources) = (bank.world.store.clone(), bank.world.sources.clone());
    let banking = banking::Banking::new(store, sources, Caching::NONE, Caching::NONE);
    let newer = World { banking, ..bank.world.clone() };
    let timeline = timeline::find(&newer, operation_id, None).await.unwrap();
    let timeline = serde_json::to_value(timeline.unwrap()).unwrap();
    assert!(hops(&timeline).len() == 5 && !hops(&timeline).contains(&"concluded".to_owned()), "{timeline}");
    bank.close().await;
}

#[tokio::test]
async fn an_audit_runs_beside_the_bank_and_tells_what_it_counted() {
    let bank = Bank::open().await;
    let (ada, olive) = (bank.person("ada").await, bank.operator("olive").await);
    assert_eq!(read(&bank, &olive, "/ops/audits/latest").await.problem(404), "NOT_FOUND");
    bank.belongings(&ada).await;
    let begun = bank.post("/ops/audits").by(&olive).send().await.must_be(202).json();
    assert_eq!((&begun["status"], begun.get("found")), (&json!("RUNNING"), None));
    let ended = read_until(&bank, &olive, "/ops/audits/latest", |audit| audit["status"] != "RUNNING").await;
    assert_eq!((&ended["status"], &ended["started_at"]), (&json!("CLEAN"), &begun["started_at"]), "{ended}");
    assert!(ended["took_ms"].is_u64(), "{ended}");
    let found = &ended["found"];
    for (what, count) in [("accounts", 2), ("entries", 2), ("links", 2), ("refusals", 0)] {
        assert_eq!(found["counted"][what], json!(count), "{ended}");
    }
    assert_eq!((&found["findings_count"], &found["findings"]), (&json!(0), &json!([])), "{ended}");
    let balances = json!([
        {"currency": "EUR", "customers": "20.00", "cash_in": "-20.00", "cash_out": "0.00", "sum": "0.00"},
    ]);
    assert_eq!(found["trial_balances"], balances);
    bank.close().await;
}

/// Money moves while audits run one after another: what is late is not wrong, and nothing else is either.
#[tokio::test(flavor = "multi_thread")]
async fn audits_beside_a_bank_that_moves_find_nothing_wrong() {
    let bank = Bank::open().await;
    let (ada, olive) = (bank.person("ada").await, bank.operator("olive").await);
    let belongings = bank.belongings(&ada).await;
    let body = json!({"account_id": belongings.0["account_id"], "amount": "0.01"});
    for _ in 0..5 {
        let begun = bank.post("/ops/audits").by(&olive).send().await.must_be(202).json();
        let audit = wait_until(async || {
            bank.post("/deposit").by(&ada).json(&body).send().await.must_be(200);
            let audit = read(&bank, &olive, "/ops/audits/latest").await.must_be(200).json();
            Some(audit).filter(|audit| audit["status"] != "RUNNING")
        });
        let audit = audit.await;
        assert_eq!(
            (&audit["status"], &audit["started_at"]),
            (&json!("CLEAN"), &begun["started_at"]),
            "{audit}"
        );
    }
    bank.close().await;
}

#[tokio::test]
async fn the_flow_shows_what_the_bank_did_in_the_last_minute() {
    let bank = Bank::open().await;
    let (ada, olive) = (bank.person("ada").await, bank.operator("olive").await);
    bank.belongings(&ada).await;
    let is_told = |flow: &Value| {
        let seconds = flow["seconds"].as_array().unwrap();
        let handled: u64 = seconds.iter().map(|second| second["handled"].as_u64().unwrap()).sum();
        handled > 0 && seconds.iter().any(|second| second["requests"] != 0)
    };
    let flow = read_until(&bank, &olive, "/ops/flow", is_told).await;
    let consumers: Vec<String> =
        flow["consumers"].as_array().unwrap().iter().map(|consumer| text(consumer, "consumer")).collect();
    assert_eq!(consumers, contracts::topology::consumers::ALL);
    for of in [&flow["http"], &flow["store"], &flow["consumers"][0]] {
        let (median, slow) = (of["p50_us"].as_u64().unwrap(), of["p99_us"].as_u64().unwrap());
        assert!(0 < median && median <= slow, "{of}");
    }
    assert!(flow["http"]["per_second"].as_f64().unwrap() > 0.0, "{flow}");
    let classes = flow["http"]["by_status"].as_array().unwrap();
    assert!(classes.iter().any(|class| class["class"] == "2xx" && class["per_second"] != 0.0), "{flow}");
    assert!(flow["store"]["transactions_per_commit"].as_f64().unwrap() >= 1.0, "{flow}");
    let ends: Vec<String> =
        flow["seconds"].as_array().unwrap().iter().map(|second| text(second, "at")).collect();
    assert!(ends.is_sorted() && ends.last() == flow["at"].as_str().map(str::to_owned).as_ref(), "{flow}");
    bank.close().await;
}
