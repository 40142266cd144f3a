//! The routes behind the edge, on a store in memory.

use std::time::Duration;

use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::http::Request;
use contracts::Message;
use contracts::ledger::MovedEvent;
use kernel::{Money, UserId};
use memory::{MemoryStore, TestClock, sources};
use ports::{Consumer, Delivery, Outcome, Sources};
use runtime::{Trace, envelope};
use serde_json::{Value, json};
use tower::ServiceExt;
use web::{HttpSettings, Principal, finish};

use super::*;

struct World {
    router: Router,
    notifications: Notifications<MemoryStore>,
    sources: Sources,
    clock: TestClock,
}

fn world() -> World {
    let (sources, clock) = sources();
    let store = MemoryStore::new(Vec::new(), sources.clone());
    let notifications = Notifications::new(store, sources.clone(), None);
    let (router, _) = routes(notifications.clone()).split_for_parts();
    let router = finish(router, HttpSettings::default(), sources.clone());
    World { router, notifications, sources, clock }
}

impl World {
    fn person(&self) -> UserId {
        UserId::new(self.sources.fresh_id())
    }

    async fn ask(&self, user_id: Option<UserId>, call: &str, body: &str) -> (u16, Value) {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(user_id) = user_id {
            request = request.extension(Principal { user_id, groups: Vec::new() });
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(HttpBody::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Tells a person of so many deposits, a minute apart: 0.01 EUR, 0.02 EUR and so on.
    async fn tell(&self, owner: UserId, deposits: i64) {
        for number in 1..=deposits {
            self.clock.advance(Duration::from_secs(60));
            let money = Money::from_minor(number, "EUR".parse().unwrap());
            let deposited = Message::Deposited(MovedEvent {
                operation_id: OperationId::new(self.sources.fresh_id()),
                account_id: AccountId::new(self.sources.fresh_id()),
                owner,
                amount: money,
                balance_after: money,
                account_version: 1,
                description: None,
                occurred_at: self.sources.now(),
            });
            let trace = Trace::begin(&self.sources);
            let envelope = envelope(&deposited, "account", &trace, self.sources.now(), &self.sources);
            let batch = [Delivery { envelope: envelope.into(), attempt: 1 }];
            assert_eq!(self.notifications.events().handle(&batch).await, [Outcome::Done]);
        }
    }

    /// The titles on all pages of a list.
    async fn titles(&self, owner: UserId, query: &str) -> Vec<String> {
        let (mut titles, mut cursor) = (Vec::new(), String::new());
        loop {
            let (status, page) =
                self.ask(Some(owner), &format!("GET /notifications?{query}{cursor}"), "").await;
            assert_eq!(status, 200, "{page}");
            let items = page["items"].as_array().unwrap().iter();
            titles.extend(items.map(|item| item["title"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return titles,
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_inbox_is_read_newest_first() {
    let world = world();
    let (ada, bob) = (world.person(), world.person());
    world.tell(bob, 1).await;
    world.tell(ada, 5).await;
    let all = ["You received 0.05 EUR", "You received 0.04 EUR", "You received 0.03 EUR"];
    assert_eq!(world.titles(ada, "limit=2").await[..3], all);
    assert_eq!(world.titles(ada, "limit=2").await.len(), 5);
    let (_, page) = world.ask(Some(ada), "GET /notifications?limit=1", "").await;
    let item = &page["items"][0];
    assert_eq!(item["kind"], "DEPOSIT_COMPLETED");
    assert_eq!(item["text"], "0.05 EUR was paid into your account. It now holds 0.05 EUR.");
    assert_eq!(item["created_at"], "2026-01-01T00:06:00.000Z");
    assert!(item["operation_id"].is_string() && item["account_id"].is_string());
    assert!(item.get("read_at").is_none() && item.get("owner").is_none(), "{item}");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_stays_read_and_can_be_left_out() {
    let world = world();
    let ada = world.person();
    world.tell(ada, 6).await;
    let (_, page) = world.ask(Some(ada), "GET /notifications", "").await;
    for index in [0, 2, 3] {
        let read =
            format!("POST /notifications/{}/read", page["items"][index]["notification_id"].as_str().unwrap());
        let (status, first) = world.ask(Some(ada), &read, "").await;
        assert_eq!((status, &first["read_at"]), (200, &json!(world.sources.now())));
        world.clock.advance(Duration::from_secs(60));
        let (status, again) = world.ask(Some(ada), &read, "").await;
        assert_eq!((status, &again), (200, &first), "it was read when it was read first");
    }
    let unread = ["You received 0.05 EUR", "You received 0.02 EUR", "You received 0.01 EUR"];
    for limit in 1..=4 {
        assert_eq!(world.titles(ada, &format!("unread=true&limit={limit}")).await, unread, "{limit}");
        assert_eq!(world.titles(ada, &format!("unread=false&limit={limit}")).await.len(), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn preferences_are_kept() {
    let world = world();
    let (ada, bob) = (world.person(), world.person());
    let path = "/notifications/preferences";
    assert_eq!(world.ask(Some(ada), &format!("GET {path}"), "").await, (200, json!({"email": true})));
    for email in [false, false, true, false] {
        let body = json!({ "email": email });
        assert_eq!(
            world.ask(Some(ada), &format!("PUT {path}"), &body.to_string()).await,
            (200, body.clone())
        );
        assert_eq!(world.ask(Some(ada), &format!("GET {path}"), "").await, (200, body));
    }
    assert_eq!(world.ask(Some(bob), &format!("GET {path}"), "").await, (200, json!({"email": true})));
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_refused_and_changes_nothing() {
    let world = world();
    let (ada, eve) = (world.person(), world.person());
    world.tell(ada, 1).await;
    let (_, page) = world.ask(Some(ada), "GET /notifications", "").await;
    let read = format!("POST /notifications/{}/read", page["items"][0]["notification_id"].as_str().unwrap());
    let preferences = "PUT /notifications/preferences";
    for (call, body, status, code) in [
        (read.as_str(), "", 404, "NOT_FOUND"),
        ("POST /notifications/42/read", "", 404, "NOT_FOUND"),
        ("GET /notifications?limit=101", "", 400, "INVALID_QUERY"),
        ("GET /notifications?unread=perhaps", "", 400, "INVALID_QUERY"),
        ("GET /notifications?cursor=broken", "", 400, "INVALID_CURSOR"),
        (preferences, r#"{"email": "yes"}"#, 422, "INVALID_BODY"),
        (preferences, r#"{"email": true, "telephone": true}"#, 422, "INVALID_BODY"),
        (preferences, "{}", 422, "INVALID_BODY"),
        (preferences, "", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ] {
        let (answered, problem) = world.ask(Some(eve), call, body).await;
        assert_eq!((answered, &problem["code"]), (status, &json!(code)), "{call} {body}");
    }
    for call in [&read, "GET /notifications", "GET /notifications/preferences", preferences] {
        assert_eq!(world.ask(None, call, r#"{"email": true}"#).await.0, 401, "{call}");
    }
    assert_eq!(world.ask(Some(ada), "GET /notifications", "").await.1, page);
    let (_, of_eve) = world.ask(Some(eve), "GET /notifications", "").await;
    assert_eq!(of_eve, json!({"items": []}));
}
