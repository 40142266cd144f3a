//! The routes behind the edge, on a store in memory.

use std::time::Duration;

use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::http::{HeaderMap, Request as HttpRequest};
use contracts::Message;
use contracts::ledger::AccountClosedEvent;
use kernel::UserId;
use memory::{MemoryStore, sources};
use ports::{Consumer, Delivery, Outcome, Sources};
use runtime::{Caching, Trace, envelope};
use serde_json::{Value, json};
use tower::ServiceExt;
use web::{HttpSettings, Principal, finish};

use super::*;
use crate::records::ACCOUNTS_EVENTS;

struct World {
    router: Router,
    accounts: Accounts<MemoryStore>,
    store: MemoryStore,
    sources: Sources,
}

fn world() -> World {
    let (sources, _) = sources();
    let store = MemoryStore::new(Vec::new(), sources.clone());
    let accounts = Accounts::new(store.clone(), sources.clone(), Caching::heard(100));
    let (router, _) = routes(accounts.clone()).split_for_parts();
    let router = finish(router, HttpSettings::default(), sources.clone());
    World { router, accounts, store, sources }
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl World {
    fn person(&self) -> UserId {
        UserId::new(self.sources.fresh_id())
    }

    /// Sends a request with these headers as this person.
    async fn ask(&self, user_id: Option<UserId>, call: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = HttpRequest::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(user_id) = user_id {
            request = request.extension(Principal { user_id, groups: Vec::new() });
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(HttpBody::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn opened(&self, user_id: UserId, name: &str) -> Value {
        let body = json!({"name": name, "currency": "EUR"}).to_string();
        let reply = self.ask(Some(user_id), "POST /accounts", &[], &body).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.body
    }

    /// Has the ledger close what it is asked to.
    async fn close_all(&self) {
        for record in self.store.outbox_records(ACCOUNTS_EVENTS).iter().flatten() {
            let message = Message::decode(&record.kind, record.version, &record.body).unwrap();
            let Message::CloseAccountCmd(command) = message else { continue };
            let closed = Message::AccountClosed(AccountClosedEvent {
                operation_id: command.operation_id,
                account_id: command.account_id,
                owner: command.owner,
                currency: command.currency,
                account_version: 0,
                occurred_at: self.sources.now(),
            });
            let trace = Trace::begin(&self.sources);
            let envelope = envelope(&closed, "account", &trace, self.sources.now(), &self.sources);
            let batch = [Delivery { envelope: envelope.into(), attempt: 1 }];
            assert_eq!(self.accounts.closings().handle(&batch).await, [Outcome::Done]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_is_opened_read_listed_and_closed() {
    let world = world();
    let ada = world.person();
    let opened = world.opened(ada, " Savings ").await;
    let account_id = opened["account_id"].as_str().unwrap().to_owned();
    assert_eq!(
        opened,
        json!({"account_id": account_id, "name": "Savings", "currency": "EUR", "status": "OPEN",
            "created_at": "2026-01-01T00:00:00.000Z"})
    );
    let read = world.ask(Some(ada), &format!("GET /accounts/{account_id}"), &[], "").await;
    assert_eq!((read.status, &read.body), (200, &opened));
    let listed = world.ask(Some(ada), "GET /accounts", &[], "").await;
    assert_eq!((listed.status, listed.body), (200, json!({"items": [opened]})));

    let close = format!("POST /accounts/{account_id}/close");
    let (closed, ()) = tokio::join!(world.ask(Some(ada), &close, &[("prefer", "wait=10")], ""), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.close_all().await;
    });
    assert_eq!(closed.status, 200);
    assert_eq!(closed.headers["preference-applied"], "wait=10");
    assert_eq!(closed.body["status"], "CLOSED");
    assert_eq!(closed.body["closed_at"], "2026-01-01T00:00:00.050Z");
    let read = world.ask(Some(ada), &format!("GET /accounts/{account_id}"), &[], "").await;
    assert_eq!(read.body, closed.body);
    let again = world.ask(Some(ada), &close, &[], "").await;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("ACCOUNT_NOT_OPEN")));
}

#[tokio::test(start_paused = true)]
async fn without_a_preference_a_closing_is_answered_at_once() {
    let world = world();
    let ada = world.person();
    let opened = world.opened(ada, "Savings").await;
    let close = format!("POST /accounts/{}/close", opened["account_id"].as_str().unwrap());
    let reply = world.ask(Some(ada), &close, &[], "").await;
    assert_eq!((reply.status, &reply.body["status"]), (200, &json!("CLOSING")));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_is_answered_as_the_first_time() {
    let world = world();
    let ada = world.person();
    let key = [("idempotency-key", "account-1")];
    let body = r#"{"name": "Savings", "currency": "EUR"}"#;
    let first = world.ask(Some(ada), "POST /accounts", &key, body).await;
    // The same request in other spelling.
    let again =
        world.ask(Some(ada), "POST /accounts", &key, r#"{ "currency":"EUR", "name":"Savings" }"#).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other =
        world.ask(Some(ada), "POST /accounts", &key, r#"{"name": "Holidays", "currency": "EUR"}"#).await;
    assert_eq!((other.status, &other.body["code"]), (422, &json!("IDEMPOTENCY_KEY_REUSED")));
    // The key is hers: another's is another key.
    let others = world.ask(Some(world.person()), "POST /accounts", &key, body).await;
    assert_eq!(others.status, 201);
    assert_ne!(others.body["account_id"], first.body["account_id"]);

    let close = format!("POST /accounts/{}/close", first.body["account_id"].as_str().unwrap());
    let key = [("idempotency-key", "close-1")];
    let closing = world.ask(Some(ada), &close, &key, "").await;
    let again = world.ask(Some(ada), &close, &key, "").await;
    assert_eq!((closing.status, again.status), (200, 200));
    assert_eq!(closing.body, again.body);
    assert_eq!(again.headers["idempotency-replayed"], "true");
}

#[tokio::test(start_paused = true)]
async fn accounts_are_listed_in_pages_oldest_first() {
    let world = world();
    let ada = world.person();
    world.opened(world.person(), "Another's").await;
    for number in 1..=5 {
        world.opened(ada, &format!("Account {number}")).await;
    }
    let (mut names, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        pages += 1;
        let page = world.ask(Some(ada), &format!("GET /accounts?limit=2{cursor}"), &[], "").await;
        assert_eq!(page.status, 200, "{}", page.body);
        let items = page.body["items"].as_array().unwrap();
        names.extend(items.iter().map(|account| account["name"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(names, ["Account 1", "Account 2", "Account 3", "Account 4", "Account 5"]);
}

#[tokio::test(start_paused = true)]
async fn anothers_account_is_as_unknown_as_none() {
    let world = world();
    let (ada, eve) = (world.person(), world.person());
    let account_id = world.opened(ada, "Savings").await["account_id"].as_str().unwrap().to_owned();
    let invented = AccountId::new(world.sources.fresh_id()).to_string();
    for path in ["/accounts/ID", "/accounts/ID/close"] {
        let method = if path.ends_with("close") { "POST" } else { "GET" };
        let mut answers = Vec::new();
        for id in [account_id.as_str(), &invented, "42", "%00"] {
            let reply = world.ask(Some(eve), &format!("{method} {}", path.replace("ID", id)), &[], "").await;
            assert_eq!((reply.status, &reply.body["code"]), (404, &json!("NOT_FOUND")), "{path} {id}");
            answers.push(reply.body["detail"].clone());
        }
        answers.dedup();
        assert_eq!(answers, ["There is no such account."], "{path}");
    }
    assert_eq!(world.ask(Some(eve), "GET /accounts", &[], "").await.body, json!({"items": []}));
    let read = world.ask(Some(ada), &format!("GET /accounts/{account_id}"), &[], "").await;
    assert_eq!(read.body["status"], "OPEN");
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_refused_and_changes_nothing() {
    let world = world();
    let ada = world.person();
    let long = json!({"name": "x".repeat(101), "currency": "EUR"}).to_string();
    for (body, status, code, field) in [
        (r#"{"name": " ", "currency": "EUR"}"#, 422, "INVALID_NAME", "name"),
        (r#"{"name": "a\u0007b", "currency": "EUR"}"#, 422, "INVALID_NAME", "name"),
        (long.as_str(), 422, "INVALID_NAME", "name"),
        (r#"{"name": "Savings", "currency": "eur"}"#, 422, "INVALID_CURRENCY", "currency"),
        (r#"{"name": "Savings", "currency": "XAU"}"#, 422, "INVALID_CURRENCY", "currency"),
        (r#"{"name": "Savings"}"#, 422, "INVALID_BODY", "currency"),
        (r#"{"name": 1, "currency": "EUR"}"#, 422, "INVALID_BODY", "name"),
        (r#"{"name": "Savings", "currency": "EUR", "balance": "1"}"#, 422, "INVALID_BODY", "balance"),
    ] {
        let reply = world.ask(Some(ada), "POST /accounts", &[], body).await;
        assert_eq!((reply.status, &reply.body["code"]), (status, &json!(code)), "{body}");
        assert_eq!(reply.body["errors"][0]["field"], field, "{body}");
    }
    let malformed = world.ask(Some(ada), "POST /accounts", &[], r#"{"name": "#).await;
    assert_eq!((malformed.status, &malformed.body["code"]), (400, &json!("MALFORMED_JSON")));
    for (call, status) in [
        ("GET /accounts?limit=0", 400),
        ("GET /accounts?cursor=broken", 400),
        ("GET /accounts?colour=red", 400),
        ("DELETE /accounts", 405),
    ] {
        assert_eq!(world.ask(Some(ada), call, &[], "").await.status, status, "{call}");
    }
    for call in ["GET /accounts", "POST /accounts", "GET /accounts/42", "POST /accounts/42/close"] {
        let reply = world.ask(None, call, &[], "{}").await;
        assert_eq!((reply.status, &reply.body["code"]), (401, &json!("UNAUTHENTICATED")), "{call}");
    }
    assert_eq!(world.ask(Some(ada), "GET /accounts", &[], "").await.body, json!({"items": []}));
    assert!(world.store.outbox_records(ACCOUNTS_EVENTS).is_empty());
}
