//! The routes, asked as a client asks: the shapes on the wire, and what a repetition or a wish to wait does.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use contracts::Message;
use kernel::OperationId;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt;
use web::{HttpSettings, Principal};

use crate::fixture::*;
use crate::records::OPERATIONS_EVENTS;

/// What was answered.
pub(super) struct Seen {
    pub status: StatusCode,
    pub is_replay: bool,
    pub body: Value,
}

impl Seen {
    /// The body of an answer to what was done.
    pub fn done(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body
    }

    /// The status, the code and the fields of a problem.
    pub fn refusal(&self) -> (u16, &str, Vec<&str>) {
        let fields = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let fields = fields.iter().filter_map(|error| error["field"].as_str()).collect();
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default(), fields)
    }
}

/// A bank with the accounts 1 and 2.
pub(super) struct Bank {
    pub world: World,
    pub router: Router,
}

pub(super) async fn bank() -> Bank {
    let world = world();
    world.take(&[opened(1), opened(2)]).await;
    let (router, _) = super::routes(world.banking.clone()).split_for_parts();
    let router = web::finish(router, HttpSettings::default(), world.sources.clone());
    Bank { world, router }
}

impl Bank {
    pub async fn send(&self, person: Option<u128>, request: Request<Body>) -> Seen {
        let mut request = request;
        if let Some(number) = person {
            request.extensions_mut().insert(Principal { user_id: owner(number), groups: Vec::new() });
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, is_replay) =
            (response.status(), response.headers().contains_key("idempotency-replayed"));
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Seen { status, is_replay, body: serde_json::from_slice(&body).unwrap() }
    }

    pub async fn get(&self, person: u128, path: &str) -> Seen {
        self.send(Some(person), Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Asks as person 1.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Seen {
        let mut request = Request::post(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(Some(1), request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn status_of(&self, answer: &Value) -> Value {
        let path = format!("/operation-status/{}", answer["operation_id"].as_str().unwrap());
        self.get(1, &path).await.done()
    }

    pub fn commands(&self) -> usize {
        self.world.store.outbox_records(OPERATIONS_EVENTS).len()
    }
}

fn id_of(answer: &Value) -> OperationId {
    answer["operation_id"].as_str().unwrap().parse().unwrap()
}

fn deposit() -> Value {
    json!({"account_id": account(1), "amount": "12.50", "currency": "EUR", "description": "salary"})
}

fn transfer() -> Value {
    json!({"from_account_id": account(1), "to_account_id": account(2), "amount": 12.5})
}

#[tokio::test(start_paused = true)]
async fn an_operation_has_its_shape() {
    let bank = bank().await;
    let moves = json!({"account_id": account(1), "description": "salary"});
    let transfers = json!({"from_account_id": account(1), "to_account_id": account(2)});
    let completed = json!({
        "status": "COMPLETED",
        "balance_after": "112.50",
        "account_version": 7,
        "ended_at": "2027-01-15T08:00:00.000Z",
    });
    let failed =
        json!({"status": "FAILED", "reason": "INSUFFICIENT_FUNDS", "ended_at": "2027-01-15T08:00:00.000Z"});
    let deposited: fn(OperationId) -> Message = |id| deposited(id, 1);
    for (path, body, kind, names, event, end) in [
        ("/deposit", deposit(), "DEPOSIT", &moves, deposited, &completed),
        ("/withdraw", deposit(), "WITHDRAW", &moves, |id| withdraw_failed(id, 1), &failed),
        ("/transfer", transfer(), "TRANSFER", &transfers, transferred, &completed),
    ] {
        let answer = bank.post(path, &[], &body).await.done();
        let mut expected = json!({
            "operation_id": answer["operation_id"],
            "kind": kind,
            "status": "PENDING",
            "amount": "12.50",
            "currency": "EUR",
            "created_at": "2026-01-01T00:00:00.000Z",
        });
        let fields = expected.as_object_mut().unwrap();
        fields.extend(names.as_object().unwrap().clone());
        assert_eq!(answer, Value::Object(fields.clone()), "{path}");
        assert_eq!(bank.status_of(&answer).await, answer, "{path}");
        bank.world.take(&[event(id_of(&answer))]).await;
        fields.extend(end.as_object().unwrap().clone());
        assert_eq!(bank.status_of(&answer).await, expected, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_is_answered_as_the_first_time() {
    let bank = bank().await;
    let key = [("idempotency-key", "order-1")];
    let first = bank.post("/deposit", &key, &deposit()).await;
    assert!(!first.is_replay);
    let first = first.done();
    // The same request otherwise written: another order of fields, and a number for the amount.
    let rewritten = format!(
        "{{\"description\": \"salary\", \"currency\":\"EUR\", \"amount\":12.50, \"account_id\":\"{}\"}}",
        account(1)
    );
    let request =
        Request::post("/deposit").header("content-type", "application/json").header(key[0].0, key[0].1);
    let rewritten = bank.send(Some(1), request.body(Body::from(rewritten)).unwrap()).await;
    for again in [bank.post("/deposit", &key, &deposit()).await, rewritten] {
        assert!(again.is_replay);
        assert_eq!(again.done(), first);
    }
    assert_eq!(bank.commands(), 1);
    assert!(!bank.post("/deposit", &[], &deposit()).await.is_replay);
    assert_eq!(bank.commands(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_for_one_request() {
    let bank = bank().await;
    let key = [("idempotency-key", "order-1")];
    bank.post("/deposit", &key, &deposit()).await.done();
    let mut other_amount = deposit();
    other_amount["amount"] = json!("12.51");
    for (path, body) in [("/deposit", other_amount), ("/withdraw", deposit()), ("/transfer", transfer())] {
        let refused = bank.post(path, &key, &body).await;
        assert_eq!(refused.refusal().0, 422, "{path} {}", refused.body);
    }
    assert_eq!(bank.commands(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_beside_one_with_the_same_key_hears_of_it() {
    let bank = bank().await;
    let key = [("idempotency-key", "order-1")];
    let (body, other_key) = (deposit(), [("idempotency-key", "order-2")]);
    let (first, second, third) = tokio::join!(
        bank.post("/deposit", &key, &body),
        bank.post("/deposit", &key, &body),
        bank.post("/deposit", &other_key, &body),
    );
    assert_eq!(second.refusal().0, 409, "{}", second.body);
    let first = first.done();
    third.done();
    assert_eq!(bank.post("/deposit", &key, &body).await.done(), first);
    assert_eq!(bank.commands(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_who_would_rather_wait_is_answered_at_the_end() {
    let bank = bank().await;
    let began = Instant::now();
    let body = deposit();
    let judge = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let listed = bank.get(1, "/operations").await.done();
        bank.world.take(&[deposited(id_of(&listed["items"][0]), 1)]).await;
    };
    let headers = [("prefer", "wait=5"), ("idempotency-key", "order-1")];
    let (seen, ()) = tokio::join!(bank.post("/deposit", &headers, &body), judge);
    let answer = seen.done();
    assert_eq!((&answer["status"], &answer["balance_after"]), (&json!("COMPLETED"), &json!("112.50")));
    assert!(began.elapsed() < Duration::from_millis(1_100), "{:?}", began.elapsed());
    // A repetition that waits hears of the end too, at once.
    let again = bank.post("/deposit", &headers, &body).await;
    assert!(again.is_replay);
    assert_eq!(again.done(), answer);
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_in_vain_is_answered_pending() {
    let bank = bank().await;
    for (prefer, waited) in [("wait=3", 3), ("wait=60", 10), ("respond-async", 0)] {
        let began = Instant::now();
        let answer = bank.post("/transfer", &[("prefer", prefer)], &transfer()).await.done();
        assert_eq!(answer["status"], "PENDING");
        let waited = Duration::from_secs(waited);
        assert!((waited..waited + Duration::from_millis(300)).contains(&began.elapsed()), "{prefer}");
    }
}

#[tokio::test(start_paused = true)]
async fn operations_are_listed_newest_first_in_pages() {
    let bank = bank().await;
    let mut asked = Vec::new();
    for _ in 0..30 {
        // The first answers, which lie beside the operations, are no operations.
        let key = format!("order-{}", asked.len());
        asked.push(bank.post("/deposit", &[("idempotency-key", &key)], &deposit()).await.done());
        bank.world.clock.advance(Duration::from_millis(1));
    }
    asked.reverse();
    for limit in [1, 7, 30, 100] {
        let (mut listed, mut query) = (Vec::new(), format!("?limit={limit}"));
        loop {
            let page = bank.get(1, &format!("/operations{query}")).await.done();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            listed.extend(items.clone());
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("?limit={limit}&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(listed, asked, "limit {limit}");
    }
    assert_eq!(bank.get(2, "/operations").await.done(), json!({"items": []}));
}

#[tokio::test(start_paused = true)]
async fn another_persons_operation_does_not_exist() {
    let bank = bank().await;
    let answer = bank.post("/deposit", &[], &deposit()).await.done();
    for (person, id) in
        [(2, answer["operation_id"].as_str().unwrap()), (1, &account(5).to_string()), (1, "42")]
    {
        let seen = bank.get(person, &format!("/operation-status/{id}")).await;
        assert_eq!(seen.refusal(), (404, "NOT_FOUND", vec![]), "{person} {id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_wrong_is_refused_and_does_nothing() {
    let bank = bank().await;
    bank.world.take(&[opened(3), closed(4)]).await;
    let moves = |name: &str, value: Value| {
        let mut body = deposit();
        body[name] = value;
        ("/deposit", body)
    };
    let transfers = |name: &str, value: Value| {
        let mut body = transfer();
        body[name] = value;
        ("/transfer", body)
    };
    for ((path, body), status, code, field) in [
        (moves("account_id", json!(account(2))), 404, "NOT_FOUND", None),
        (moves("account_id", json!(account(9))), 404, "NOT_FOUND", None),
        (moves("account_id", json!("42")), 404, "NOT_FOUND", None),
        (moves("amount", json!("1.005")), 422, "INVALID_AMOUNT", Some("amount")),
        (moves("amount", json!("-1")), 422, "INVALID_AMOUNT", Some("amount")),
        (moves("amount", json!(0)), 422, "INVALID_AMOUNT", Some("amount")),
        (moves("currency", json!("USD")), 422, "CURRENCY_MISMATCH", Some("currency")),
        (moves("description", json!("x".repeat(141))), 422, "INVALID_DESCRIPTION", Some("description")),
        (transfers("to_account_id", json!(account(1))), 422, "SAME_ACCOUNT", Some("to_account_id")),
        (transfers("to_account_id", json!(account(9))), 404, "NOT_FOUND", None),
        (transfers("to_account_id", json!(account(4))), 409, "ACCOUNT_NOT_OPEN", Some("to_account_id")),
        (transfers("from_account_id", json!(account(3))), 404, "NOT_FOUND", None),
    ] {
        let seen = bank.post(path, &[("idempotency-key", "order-1")], &body).await;
        assert_eq!(seen.refusal(), (status, code, Vec::from_iter(field)), "{body}");
    }
    assert_eq!(bank.commands(), 0);
    // A refusal has no effect, and so uses up no key.
    bank.post("/deposit", &[("idempotency-key", "order-1")], &deposit()).await.done();
}

#[tokio::test(start_paused = true)]
async fn nobody_is_served_who_is_not_signed_in() {
    let bank = bank().await;
    for (method, path) in [
        (Method::POST, "/deposit"),
        (Method::POST, "/withdraw"),
        (Method::POST, "/transfer"),
        (Method::POST, "/batches"),
        (Method::GET, "/operations"),
        (Method::GET, "/operation-status/42"),
    ] {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let seen = bank.send(None, request.body(Body::from(deposit().to_string())).unwrap()).await;
        assert_eq!(seen.refusal(), (401, "UNAUTHENTICATED", vec![]), "{path}");
    }
}
