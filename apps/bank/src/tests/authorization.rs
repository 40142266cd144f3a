//! Nobody sees or moves another's money: every row of the table, asked by those who may not and by those who may.

use axum::http::StatusCode;
use serde_json::json;

use super::bank::{Answer, Bank, Person};
use super::operations::{Access, Filling, INVENTED, ROWS, Row};
use super::tokens::forged;

/// How old things must be for the bank not to wait for them any more, with room to spare.
const NOT_FRESH: std::time::Duration = std::time::Duration::from_secs(30);

/// What is no id at all.
const MALFORMED: &str = "no-id";

fn rows(access: impl Fn(Access) -> bool) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| access(row.access))
}

fn is_owners(access: Access) -> bool {
    matches!(access, Access::Owner { .. })
}

#[tokio::test]
async fn without_a_good_token_nothing_is_told() {
    let bank = Bank::open().await;
    let ada = bank.person("ada").await;
    let belongings = bank.belongings(&ada).await;
    let forged = forged(&bank, &ada);
    for row in rows(|access| access != Access::Public) {
        for filling in [Filling::invented(), belongings.clone()] {
            let answer = row.ask(&bank, &filling).send().await;
            assert_eq!(answer.problem(401), "UNAUTHENTICATED", "{}", row.name());
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{}", row.name());
        }
        for (what, authorization) in &forged {
            let answer = row.ask(&bank, &belongings).header("authorization", authorization).send().await;
            assert_eq!(answer.problem(401), "INVALID_TOKEN", "{}, {what}", row.name());
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, Some("Bearer error=\"invalid_token\""), "{}, {what}", row.name());
        }
    }
    // None of it did anything: her token still opens what it opened, and her account is as it was.
    let account = bank.get(format!("/accounts/{}", belongings.0["account_id"])).by(&ada).send().await;
    assert_eq!(account.must_be(200).json()["status"], "OPEN");
    let operations = bank.get("/operations").by(&ada).send().await.must_be(200).json();
    assert_eq!(operations["items"].as_array().unwrap().len(), 2, "{operations}");
    bank.close().await;
}

#[tokio::test]
async fn what_is_public_needs_no_token() {
    let bank = Bank::open().await;
    for row in rows(|access| access == Access::Public) {
        let answer = row.ask(&bank, &Filling::invented()).send().await;
        if !answer.status.is_success() {
            // There may be another reason to refuse it, such as a wrong password.
            assert_ne!(answer.problem(answer.status.as_u16()), "UNAUTHENTICATED", "{}", row.name());
        }
    }
    bank.close().await;
}

#[tokio::test]
async fn what_is_anothers_does_not_exist() {
    let bank = Bank::open().await;
    let (ada, eve) = (bank.person("ada").await, bank.person("eve").await);
    let mut things = Vec::new();
    for row in rows(is_owners) {
        things.push((row, bank.belongings(&ada).await, bank.belongings(&eve).await));
    }
    // A reader waits for what was opened a moment ago, and so she would for what she may not see.
    bank.advance(NOT_FRESH);
    let mut checked = 0;
    for (row, adas, eves) in &things {
        let (own, anybodys) = row.owned();
        for id in own {
            assert_hidden(&bank, row, &eve, (eves, adas), id).await;
            checked += 1;
        }
        for id in anybodys {
            assert_only_real(&bank, row, &eve, (eves, adas), id).await;
            checked += 1;
        }
        // It was not the request that was wrong: its owner is answered.
        let answer = row.ask(&bank, adas).by(&ada).send().await;
        assert!(answer.status.is_success(), "{}: {}", row.name(), answer.text());
    }
    assert!(checked >= things.len(), "every row names something");
    bank.close().await;
}

/// That another's id is answered like one that nobody has, byte for byte, and like one that is none.
async fn assert_hidden(
    bank: &Bank,
    row: &Row,
    eve: &Person,
    (eves, adas): (&Filling, &Filling),
    id: &'static str,
) {
    let ask = async |value: &str| {
        let call = row.ask(bank, &eves.with(id, value)).by(eve);
        call.header("x-correlation-id", "the-same").send().await
    };
    let (foreign, invented) = (ask(&adas.0[id]).await, ask(INVENTED).await);
    assert_eq!(foreign.problem(404), "NOT_FOUND", "{}, {id}", row.name());
    assert_same(&foreign, &invented);
    assert_same(&foreign, &ask(MALFORMED).await);
}

/// That an id which may be anybody's must be somebody's.
async fn assert_only_real(
    bank: &Bank,
    row: &Row,
    eve: &Person,
    (eves, adas): (&Filling, &Filling),
    id: &'static str,
) {
    let ask = async |value: &str| row.ask(bank, &eves.with(id, value)).by(eve).send().await;
    let foreign = ask(&adas.0[id]).await;
    assert!(foreign.status.is_success(), "{}: {}", row.name(), foreign.text());
    for value in [INVENTED, MALFORMED] {
        assert_eq!(ask(value).await.problem(404), "NOT_FOUND", "{}, {id}", row.name());
    }
}

#[track_caller]
fn assert_same(left: &Answer, right: &Answer) {
    let parts = |answer: &Answer| (answer.status, answer.headers.clone(), answer.text().to_owned());
    assert_eq!(parts(left), parts(right), "{} and {}", left.asked, right.asked);
}

#[tokio::test]
async fn what_is_anothers_does_not_exist_in_a_batch() {
    let bank = Bank::open().await;
    let (ada, eve) = (bank.person("ada").await, bank.person("eve").await);
    let (adas, eves) = (bank.belongings(&ada).await, bank.belongings(&eve).await);
    bank.advance(NOT_FRESH);
    let ask = async |ids: [&str; 3]| {
        let moved =
            |kind: &str| json!({"kind": kind, "idempotency_key": kind, "account_id": ids[0], "amount": "1"});
        let transfer = json!({"kind": "TRANSFER", "idempotency_key": "TRANSFER", "from_account_id": ids[1],
            "to_account_id": ids[2], "amount": "1"});
        let call = bank.post("/batches").by(&eve);
        let body = json!({"operations": [moved("DEPOSIT"), moved("WITHDRAW"), transfer]});
        call.json(&body).send().await.must_be(200).json()
    };
    let (hers, own) = (adas.0["account_id"].as_str(), eves.0["account_id"].as_str());
    let foreign = ask([hers, hers, own]).await;
    assert_eq!(foreign, ask([INVENTED, INVENTED, own]).await);
    assert_eq!(foreign, ask([MALFORMED, MALFORMED, own]).await);
    for result in foreign["results"].as_array().unwrap() {
        assert_eq!((&result["status"], &result["problem"]["code"]), (&json!(404), &json!("NOT_FOUND")));
    }
    bank.close().await;
}

#[tokio::test]
async fn lists_hold_only_what_is_ones_own() {
    let bank = Bank::open().await;
    let (ada, eve) = (bank.person("ada").await, bank.person("eve").await);
    let (adas, eves) = (bank.belongings(&ada).await, bank.belongings(&eve).await);
    let names = |answer: &Answer, things: &Filling, person: &Person| {
        let mut names = things.0.values().chain([&person.user_id, &person.email]);
        names.any(|name| answer.text().contains(name.as_str()))
    };
    let mut lists = 0;
    for row in rows(|access| access == Access::SignedIn).filter(|row| row.body.is_none()) {
        let answer = row.ask(&bank, &Filling::invented()).by(&eve).send().await;
        assert!(answer.status.is_success(), "{}: {}", row.name(), answer.text());
        assert!(!names(&answer, &adas, &ada), "{} tells of another: {}", row.name(), answer.text());
        lists += usize::from(names(&answer, &eves, &eve));
    }
    assert_eq!(lists, 4, "accounts, operations, balances and notifications tell of what is her own");
    bank.close().await;
}

#[tokio::test]
async fn customers_are_no_operators() {
    let bank = Bank::open().await;
    let (ada, grace) = (bank.person("ada").await, bank.operator("grace").await);
    let belongings = bank.belongings(&ada).await.with("dead_letter_id", INVENTED);
    for row in rows(|access| access == Access::Operator) {
        for filling in [&belongings, &Filling::invented()] {
            let refused = row.ask(&bank, filling).by(&ada).send().await;
            assert_eq!(refused.problem(403), "FORBIDDEN", "{}", row.name());
            // An operator gets further, if only to hear that there is no such thing.
            let heard = row.ask(&bank, filling).by(&grace).send().await;
            assert!(heard.status.is_success() || heard.status == StatusCode::NOT_FOUND, "{}", heard.text());
        }
    }
    bank.close().await;
}

#[tokio::test]
async fn operators_own_nothing_of_a_customers() {
    let bank = Bank::open().await;
    let (ada, grace) = (bank.person("ada").await, bank.operator("grace").await);
    let belongings = bank.belongings(&ada).await;
    bank.advance(NOT_FRESH);
    for row in rows(is_owners) {
        let (own, _) = row.owned();
        assert!(!own.is_empty(), "{}", row.name());
        let answer = row.ask(&bank, &belongings).by(&grace).send().await;
        assert_eq!(answer.problem(404), "NOT_FOUND", "{}", row.name());
    }
    bank.close().await;
}
