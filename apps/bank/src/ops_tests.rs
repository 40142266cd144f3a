use std::path::PathBuf;

use accounts::domain::Request as OpenRequest;
use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request};
use banking::domain::{Movement, Request as MoveRequest};
use embedded::Access;
use kernel::{AccountId, SessionId};
use ports::{Secret, Sources, Store, Table, Transaction};
use runtime::{Caller, Trace};
use serde_json::{Value, json};
use system::sources;
use tokio::sync::watch;
use tower::ServiceExt;
use uuid::Uuid;

use super::*;
use crate::routes;
use crate::world::open_store;

const PASSWORD: &str = "two people and a month";

/// A bank in a directory of its own, whose consumers run once they are told to.
struct Bench {
    world: World,
    router: Router,
    data_dir: PathBuf,
    start: watch::Sender<bool>,
}

impl Bench {
    fn new() -> Self {
        let sources = sources();
        let data_dir = std::env::temp_dir().join(format!("bank-ops-{}", sources.fresh_id()));
        let store = open_store(&data_dir, Access::Exclusive, &sources).unwrap();
        let world = World::at_rest(store, sources).unwrap();
        // No consumer takes anything before there are consumers.
        let (_, stopped) = watch::channel(true);
        let liveness = world.start_consumers(&stopped).liveness();
        let settings = web::HttpSettings::default();
        let router = routes::router(&world, liveness, telemetry::metrics().unwrap(), settings);
        Self { world, router, data_dir, start: watch::Sender::new(false) }
    }

    fn started() -> Self {
        let bench = Self::new();
        bench.start();
        bench
    }

    fn start(&self) {
        self.world.start_consumers(&self.start.subscribe());
    }

    fn sources(&self) -> &Sources {
        &self.world.sources
    }

    fn token(&self, user_id: UserId, groups: &[&str]) -> String {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self.world
            .identity
            .verifier()
            .mint(user_id, groups, SessionId::new(self.sources().fresh_id()))
            .unwrap()
    }

    async fn send(
        &self,
        token: Option<&str>,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let body = body.map_or_else(HttpBody::empty, |body| HttpBody::from(body.to_string()));
        let mut request = request.header("Content-Type", "application/json").body(body).unwrap();
        let peer: std::net::SocketAddr = "127.0.0.1:1".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1024 * 1024).await.unwrap();
        (status, if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() })
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let token = self.token(UserId::new(Uuid::max()), &["operators"]);
        self.send(Some(&token), Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let token = self.token(UserId::new(Uuid::max()), &["operators"]);
        self.send(Some(&token), Method::POST, path, Some(body)).await
    }

    /// Asks until the answer is as wanted.
    async fn get_until(&self, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..500 {
            let (status, answer) = self.get(path).await;
            if status == 200 && is_wanted(&answer) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{path} never answered as wanted; last: {:?}", self.get(path).await);
    }

    fn caller(&self, user_id: UserId) -> Caller {
        Caller { user_id, trace: Trace::begin(self.sources()), idempotency_key: None }
    }

    async fn open_account(&self, user_id: UserId, currency: &str) -> AccountId {
        let request = OpenRequest { name: "Savings".to_owned(), currency: currency.parse().unwrap() };
        self.world.accounts.open(&self.caller(user_id), &request).await.unwrap().answer.account_id
    }

    async fn submit(&self, user_id: UserId, movement: Movement, amount: &str) -> OperationId {
        let request = MoveRequest { movement, amount: amount.to_owned(), currency: None, description: None };
        self.world.banking.submit(&self.caller(user_id), &request).await.unwrap().answer.operation_id
    }

    /// A deposit command that the ledger cannot understand.
    async fn emit_poison(&self) {
        let trace = Trace::begin(self.sources());
        let envelope = Envelope {
            message_id: MessageId::new(self.sources().fresh_id()),
            kind: "DEPOSIT_CMD".to_owned(),
            version: 1,
            group: "poison".to_owned(),
            correlation_id: trace.correlation_id,
            causation_id: None,
            traceparent: trace.traceparent,
            occurred_at: self.sources().now(),
            body: serde_json::value::to_raw_value(&json!({"amount": "all of it"})).unwrap(),
        };
        let mut transaction = Transaction::new(self.sources().fresh_id());
        transaction.emit(Table("operations_events"), envelope).unwrap();
        self.world.store.commit(&transaction).await.unwrap();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }
}

fn hops(timeline: &Value) -> Vec<&str> {
    timeline["hops"].as_array().unwrap().iter().map(|hop| hop["hop"].as_str().unwrap()).collect()
}

/// The hops up to the verdict in their order, and the rest by name: all others hear of it at the same time.
fn hops_and_hearers(timeline: &Value) -> Vec<&str> {
    let mut hops = hops(timeline);
    hops[3..].sort_unstable();
    hops
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operator_endpoint_is_for_operators() {
    let bench = Bench::new();
    let customer = bench.token(UserId::new(Uuid::max()), &[]);
    let teller = bench.token(UserId::new(Uuid::max()), &["tellers"]);
    let (_, document) = bench.send(None, Method::GET, "/openapi.json", None).await;
    let mut endpoints = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/ops/") {
            continue;
        }
        let filled = |path: String, name: &str| path.replace(name, &Uuid::max().to_string());
        let path = ["{operation_id}", "{user_id}", "{account_id}", "{dead_letter_id}"]
            .into_iter()
            .fold(path.clone(), filled);
        for method in methods.as_object().unwrap().keys() {
            endpoints += 1;
            let method: Method = method.to_uppercase().parse().unwrap();
            let body = || Some(json!({"email": "ada@example.com"}));
            for (token, status, code) in [
                (None, 401, "UNAUTHENTICATED"),
                (Some("forged"), 401, "INVALID_TOKEN"),
                (Some(customer.as_str()), 403, "FORBIDDEN"),
                (Some(teller.as_str()), 403, "FORBIDDEN"),
            ] {
                let (answered, problem) = bench.send(token, method.clone(), &path, body()).await;
                assert_eq!((answered, &problem["code"]), (status, &json!(code)), "{method} {path} {token:?}");
            }
        }
    }
    assert_eq!(endpoints, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queues_show_what_waits_and_for_how_long() {
    let bench = Bench::new();
    let ada = UserId::new(bench.sources().fresh_id());
    bench.open_account(ada, "EUR").await;
    let (status, queues) = bench.get("/ops/queues").await;
    assert_eq!(status, 200);
    let waiting: Vec<_> =
        queues["items"].as_array().unwrap().iter().map(|queue| queue["waiting"].as_u64().unwrap()).collect();
    assert_eq!(waiting, [0, 0, 1, 1, 1, 0], "{queues}");
    assert!(queues["items"][0].get("oldest_at").is_none());
    assert!(queues["items"][2]["oldest_at"].is_string() && queues["items"][2]["age_ms"].is_u64(), "{queues}");
    bench.start();
    let is_drained =
        |queues: &Value| queues["items"].as_array().unwrap().iter().all(|queue| queue["waiting"] == 0);
    bench.get_until("/ops/queues", is_drained).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_can_be_read_and_sent_again() {
    let bench = Bench::started();
    for _ in 0..3 {
        bench.emit_poison().await;
    }
    let three =
        bench.get_until("/ops/dead-letters", |letters| letters["items"].as_array().unwrap().len() == 3).await;
    assert!(three.get("next_cursor").is_none() && three["items"][0].get("envelope").is_none(), "{three}");
    let (_, page) = bench.get("/ops/dead-letters?limit=2").await;
    assert_eq!(page["items"].as_array().unwrap()[..], three["items"].as_array().unwrap()[..2]);
    let (_, rest) =
        bench.get(&format!("/ops/dead-letters?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!(rest["items"].as_array().unwrap()[..], three["items"].as_array().unwrap()[2..]);

    let first = three["items"][0]["dead_letter_id"].as_str().unwrap();
    let (status, letter) = bench.get(&format!("/ops/dead-letters/{first}")).await;
    assert_eq!(
        (status, &letter["consumer"], &letter["kind"]),
        (200, &json!("ledger_commands"), &json!("DEPOSIT_CMD"))
    );
    assert_eq!(letter["envelope"]["body"], json!({"amount": "all of it"}));
    assert_eq!(letter["envelope"]["message_id"], letter["message_id"]);

    let redrive = format!("/ops/dead-letters/{first}/redrive");
    let redriven = json!({"dead_letter_id": first, "redriven": true});
    assert_eq!(bench.post(&redrive, json!({})).await, (200, redriven));
    assert_eq!(bench.post(&redrive, json!({})).await.0, 404);
    assert_eq!(bench.get("/ops/dead-letters/unknown").await.0, 404);
    // It still cannot be understood, so it dies again under a new id.
    let again =
        bench.get_until("/ops/dead-letters", |letters| letters["items"].as_array().unwrap().len() == 3).await;
    assert!(again["items"].as_array().unwrap().iter().all(|letter| letter["dead_letter_id"] != first));
    assert_eq!(again["items"][2]["message_id"], three["items"][0]["message_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_shows_each_hop_once_it_has_happened() {
    let bench = Bench::new();
    let ada = UserId::new(bench.sources().fresh_id());
    let account_id = bench.open_account(ada, "EUR").await;
    let start = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        bench.start();
    };
    // Banking waits until it has heard of the new account.
    let (deposit, ()) = tokio::join!(bench.submit(ada, Movement::Deposit { account_id }, "12.50"), start);
    let path = format!("/ops/operations/{deposit}/timeline");
    let timeline = bench.get_until(&path, |timeline| hops(timeline).len() == 6).await;
    assert_eq!(
        hops_and_hearers(&timeline),
        ["accepted", "command_delivered", "posted", "concluded", "notified", "projected"]
    );
    assert_eq!((&timeline["kind"], &timeline["outcome"]), (&json!("DEPOSIT"), &json!("POSTED")));
    assert_eq!(timeline["owner"], json!(ada));
    let after: Vec<_> =
        timeline["hops"].as_array().unwrap().iter().map(|hop| hop["after_ms"].as_u64().unwrap()).collect();
    assert!(after[0] == 0 && after.is_sorted(), "{after:?}");

    let withdrawal = bench.submit(ada, Movement::Withdraw { account_id }, "12.51").await;
    let path = format!("/ops/operations/{withdrawal}/timeline");
    let timeline = bench.get_until(&path, |timeline| hops(timeline).len() == 6).await;
    assert_eq!(
        hops_and_hearers(&timeline),
        ["accepted", "command_delivered", "refused", "concluded", "notified", "projected"]
    );
    assert_eq!(
        (&timeline["outcome"], &timeline["reason"]),
        (&json!("REFUSED"), &json!("INSUFFICIENT_FUNDS"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_under_way_is_found_by_its_owner() {
    let bench = Bench::started();
    let ada = UserId::new(bench.sources().fresh_id());
    let account_id = bench.open_account(ada, "EUR").await;
    bench.submit(ada, Movement::Deposit { account_id }, "1.00").await;
    bench.start.send(true).unwrap();
    bench.get_until("/ops/queues", |_| bench.start.receiver_count() == 0).await;

    let pending = bench.submit(ada, Movement::Deposit { account_id }, "2.00").await;
    let path = format!("/ops/operations/{pending}/timeline");
    assert_eq!(bench.get(&path).await.0, 404);
    assert_eq!(bench.get(&format!("{path}?user_id={}", Uuid::max())).await.0, 404);
    assert_eq!(bench.get(&format!("{path}?user_id=ada")).await.0, 400);
    let (status, timeline) = bench.get(&format!("{path}?user_id={ada}")).await;
    assert_eq!((status, hops(&timeline), &timeline["outcome"]), (200, vec!["accepted"], &json!("PENDING")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trial_balance_comes_from_the_journal_and_is_remembered() {
    let bench = Bench::started();
    let ada = UserId::new(bench.sources().fresh_id());
    let (euros, yen) = (bench.open_account(ada, "EUR").await, bench.open_account(ada, "JPY").await);
    bench.submit(ada, Movement::Deposit { account_id: euros }, "100.00").await;
    bench.submit(ada, Movement::Deposit { account_id: yen }, "500").await;
    let last = bench.submit(ada, Movement::Withdraw { account_id: euros }, "0.01").await;
    bench.get_until(&format!("/ops/operations/{last}/timeline"), |timeline| hops(timeline).len() == 6).await;
    let (status, first) = bench.get("/ops/trial-balance").await;
    assert_eq!((status, &first["is_balanced"]), (200, &json!(true)));
    assert_eq!(
        first["items"],
        json!([
            {"currency": "EUR", "customers": "99.99", "cash_in": "-100.00", "cash_out": "0.01", "sum": "0.00"},
            {"currency": "JPY", "customers": "500", "cash_in": "-500", "cash_out": "0", "sum": "0"},
        ])
    );
    assert_eq!(bench.get("/ops/trial-balance").await.1, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_names_another_and_removes_her() {
    let bench = Bench::new();
    let email: Email = "ada@example.com".parse().unwrap();
    bench.world.identity.sign_up(&email, &Secret::from(PASSWORD)).await.unwrap();
    let add = |email: &str| json!({ "email": email });
    for (body, status) in [
        (add("nobody@example.com"), 404),
        (add("nobody"), 422),
        (json!({}), 422),
        (json!({"email": "ada@example.com", "group": "operators"}), 422),
        (add("ada@example.com"), 204),
        (add(" Ada@Example.com "), 204),
    ] {
        assert_eq!(bench.post("/ops/operators", body.clone()).await.0, status, "{body}");
    }
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});
    let (_, signed_in) = bench.send(None, Method::POST, "/auth/sign-in", Some(credentials)).await;
    let token = signed_in["access_token"].as_str();
    assert_eq!(bench.send(token, Method::GET, "/ops/queues", None).await.0, 200);
    for (body, status) in [(add("nobody@example.com"), 404), (add("ada@example.com"), 204)] {
        assert_eq!(bench.post("/ops/operators/remove", body.clone()).await.0, status, "{body}");
    }
    let refresh = json!({"refresh_token": signed_in["refresh_token"]});
    let (_, refreshed) = bench.send(None, Method::POST, "/auth/refresh", Some(refresh)).await;
    let token = refreshed["access_token"].as_str();
    assert_eq!(bench.send(token, Method::GET, "/ops/queues", None).await.0, 403);
}
