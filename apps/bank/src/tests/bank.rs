//! A bank on a directory of its own, with its consumers running, people who signed up, and what they own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use embedded::Access;
use http_body_util::BodyExt;
use identity::Keys;
use kernel::Timestamp;
use ports::{Clock, Ids, Sources};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;
use uuid::Uuid;
use web::{HttpSettings, RateLimits};

use super::document::Document;
use super::operations::Filling;
use crate::routes;
use crate::world::{Consumers, World, open_store};

pub const ISSUER: &str = "digital-bank";
const PASSWORD: &str = "correct horse battery staple";
/// How long anything that happens behind the answers may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The real clock, moved forward where a test cannot wait, and real identifiers.
#[derive(Clone)]
struct MovedClock {
    sources: Sources,
    ahead_ms: Arc<AtomicU64>,
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        self.sources.now() + Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }
}

impl Ids for MovedClock {
    fn fresh(&self) -> Uuid {
        self.sources.fresh_id()
    }
}

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("bank-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // One that stays behind after a failed test harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct Bank {
    pub world: World,
    pub document: Document,
    router: Router,
    stop: watch::Sender<bool>,
    consumers: Option<Consumers>,
    clock: MovedClock,
    _directory: Directory,
}

impl Bank {
    /// A bank that nobody has used, without limits on how often it is asked.
    pub async fn open() -> Self {
        let directory = Directory::new();
        let clock = MovedClock { sources: system::sources(), ahead_ms: Arc::default() };
        let sources = Sources::new(clock.clone(), clock.clone());
        // Before anything that measures.
        let metrics = telemetry::metrics().unwrap();
        let store = open_store(directory.path(), Access::Exclusive, &sources).unwrap();
        let keys = Keys::load_or_make(directory.path()).unwrap();
        let world = World::new(store, sources, keys, ISSUER, None);
        let (stop, shutdown) = watch::channel(false);
        let consumers = world.start_consumers(&shutdown);
        let settings = HttpSettings { rate_limits: RateLimits::OFF, ..HttpSettings::default() };
        let router = routes::router(&world, consumers.liveness(), metrics, settings);
        let document = Document::served_by(&router).await;
        Self { world, document, router, stop, consumers: Some(consumers), clock, _directory: directory }
    }

    /// Lets the consumers end; the bank still answers.
    pub async fn stop_consumers(&mut self) {
        self.stop.send_replace(true);
        if let Some(consumers) = self.consumers.take() {
            consumers.stopped().await;
        }
    }

    pub async fn close(mut self) {
        self.stop_consumers().await;
        self.world.store.close().await;
    }

    /// Moves the clock on.
    pub fn advance(&self, time: Duration) {
        self.clock.ahead_ms.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub fn call(&self, method: &Method, path: impl Into<String>) -> Call<'_> {
        let path = path.into();
        Call { bank: self, method: method.clone(), path, headers: HeaderMap::new(), body: Body::empty() }
    }

    pub fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.call(&Method::GET, path)
    }

    pub fn post(&self, path: impl Into<String>) -> Call<'_> {
        self.call(&Method::POST, path)
    }

    /// Somebody who signed up and in.
    pub async fn person(&self, name: &str) -> Person {
        let email = format!("{name}@example.com");
        let credentials = json!({"email": email, "password": PASSWORD});
        let signed_up = self.post("/auth/sign-up").json(&credentials).send().await.must_be(201).json();
        let mut person = Person { user_id: text(&signed_up, "user_id"), email, token: String::new() };
        self.sign_in(&mut person).await;
        person
    }

    /// Somebody who signed up, was named an operator, and signed in.
    pub async fn operator(&self, name: &str) -> Person {
        let mut person = self.person(name).await;
        self.world.identity.add_operator(&person.email.parse().unwrap()).await.unwrap();
        self.sign_in(&mut person).await;
        person
    }

    async fn sign_in(&self, person: &mut Person) {
        let credentials = json!({"email": person.email, "password": PASSWORD});
        let signed_in = self.post("/auth/sign-in").json(&credentials).send().await.must_be(200).json();
        person.token = text(&signed_in, "access_token");
    }

    /// Two new accounts of hers, one of them with money, its deposit, and the message that tells of it; all of them
    /// known to every service.
    pub async fn belongings(&self, person: &Person) -> Filling {
        let name = self.world.sources.fresh_id().to_string();
        let account_id = self.open_account(person, &name).await;
        let other = self.open_account(person, &name).await;
        let operation_id = self.deposit(person, &account_id).await;
        self.deposit(person, &other).await;
        for account_id in [&account_id, &other] {
            let balance = self.get(format!("/balances/{account_id}?min_version=1"));
            balance.by(person).send().await.must_be(200);
        }
        let notification_id = self.notification_of(person, &operation_id).await;
        Filling(BTreeMap::from([
            ("account_id", account_id.clone()),
            ("from_account_id", account_id),
            ("to_account_id", other),
            ("operation_id", operation_id),
            ("notification_id", notification_id),
            ("user_id", person.user_id.clone()),
            ("name", name),
        ]))
    }

    pub async fn open_account(&self, person: &Person, name: &str) -> String {
        let body = json!({"name": name, "currency": "EUR"});
        text(&self.post("/accounts").by(person).json(&body).send().await.must_be(201).json(), "account_id")
    }

    async fn deposit(&self, person: &Person, account_id: &str) -> String {
        let body = json!({"account_id": account_id, "amount": "10.00"});
        let asked = self.post("/deposit").by(person).header("prefer", "wait=10").json(&body);
        let operation = asked.send().await.must_be(200).json();
        assert_eq!(operation["status"], "COMPLETED", "{operation}");
        text(&operation, "operation_id")
    }

    async fn notification_of(&self, person: &Person, operation_id: &str) -> String {
        let found = wait_until(async || {
            let listed = self.get("/notifications?limit=100").by(person).send().await.must_be(200).json();
            let items = listed["items"].as_array().unwrap();
            items.iter().find(|item| item["operation_id"] == operation_id).cloned()
        });
        text(&found.await, "notification_id")
    }
}

/// Looks again and again until there is something to see.
pub async fn wait_until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it never came about")
}

pub struct Person {
    pub user_id: String,
    pub email: String,
    /// Her access token.
    pub token: String,
}

/// A request that is being put together.
pub struct Call<'a> {
    bank: &'a Bank,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
}

impl Call<'_> {
    pub fn by(self, person: &Person) -> Self {
        self.header("authorization", format!("Bearer {}", person.token))
    }

    pub fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.headers.insert(name, value.as_ref().parse().unwrap());
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    pub fn body(mut self, json: String) -> Self {
        self.body = Body::from(json);
        self.header("content-type", "application/json")
    }

    /// Sends it, and fails if the document does not know of such an answer.
    pub async fn send(self) -> Answer {
        let Self { bank, method, path, headers, body } = self;
        let asked = format!("{method} {path}");
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.parse().unwrap();
        *request.headers_mut() = headers;
        let answer = Answer::of(asked, &bank.router, request).await;
        bank.document.assert_knows(&method, &path, &answer);
        answer
    }
}

pub struct Answer {
    pub asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub async fn of(asked: String, router: &Router, request: Request<Body>) -> Self {
        let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { asked, status: parts.status, headers: parts.headers, body }
    }

    #[track_caller]
    pub fn must_be(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn media_type(&self) -> Option<&str> {
        let content_type = self.header(header::CONTENT_TYPE.as_str())?;
        content_type.split(';').next().map(str::trim)
    }

    /// The code of a whole problem with this status, or of one that is not whole a failure.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        let Self { asked, .. } = self;
        assert_eq!(self.status, status, "{asked}: {}", self.text());
        assert_eq!(self.media_type(), Some("application/problem+json"), "{asked}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{asked}: {problem}");
        for member in ["type", "title", "detail", "code", "correlation_id"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{asked}: {problem}");
        }
        let correlation_id = self.header("x-correlation-id");
        assert_eq!(problem["correlation_id"].as_str(), correlation_id, "{asked}: {problem}");
        text(&problem, "code")
    }
}

/// A text of a JSON object.
#[track_caller]
pub fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("{member} is not in {value}")).to_owned()
}
