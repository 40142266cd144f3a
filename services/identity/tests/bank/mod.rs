//! A bank of identity alone, in process, on the memory store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use identity::{Identity, Keys, Settings};
use memory::{MemoryStore, TestClock};
use ports::{Answer, Letter, MailError, Mailer};
use serde_json::{Value, json};
use tower::ServiceExt;
use web::{HttpSettings, RateLimits};

pub const ISSUER: &str = "http://bank.example";
pub const EMAIL: &str = "ada@example.org";
pub const PASSWORD: &str = "correct horse battery staple";
pub const ANOTHER: &str = "purple monkeys dishwasher 42";

/// A mailer that keeps what it is given, once it has refused as often as it was told to.
#[derive(Default)]
pub struct Outbox {
    pub letters: Mutex<Vec<Letter>>,
    pub tries: Mutex<Vec<String>>,
    pub refusals: Mutex<u32>,
}

impl Mailer for Outbox {
    fn send<'a>(&'a self, letter: &'a Letter) -> Answer<'a, Result<(), MailError>> {
        Box::pin(async move {
            self.tries.lock().unwrap().push(letter.letter_id.clone());
            let mut refusals = self.refusals.lock().unwrap();
            if *refusals > 0 {
                *refusals -= 1;
                return Err(MailError::Later("try again".to_owned()));
            }
            self.letters.lock().unwrap().push(letter.clone());
            Ok(())
        })
    }
}

impl Outbox {
    pub fn count(&self) -> usize {
        self.letters.lock().unwrap().len()
    }

    /// The code of the `number`-th letter, once it has arrived.
    pub async fn code(&self, number: usize) -> String {
        for _ in 0..200 {
            if let Some(letter) = self.letters.lock().unwrap().get(number) {
                let is_code = |line: &&str| line.len() == 8 && line.bytes().all(|byte| byte.is_ascii_digit());
                return letter.body.lines().map(str::trim).find(is_code).unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("letter {number} never arrived");
    }
}

pub struct Bank {
    pub identity: Identity<MemoryStore>,
    router: Router,
    pub store: MemoryStore,
    pub clock: TestClock,
    pub outbox: Arc<Outbox>,
}

impl Bank {
    pub fn new(with_mailer: bool) -> Self {
        let (sources, clock) = memory::sources();
        let store = MemoryStore::new(Vec::new(), sources.clone());
        let outbox = Arc::new(Outbox::default());
        let mailer: Option<Arc<dyn Mailer>> = if with_mailer { Some(outbox.clone()) } else { None };
        let keys = Keys::ephemeral().unwrap();
        let identity = Identity::new(store.clone(), sources.clone(), Settings::new(ISSUER), mailer, keys);
        let (router, _) = identity::routes(Arc::new(identity.clone())).split_for_parts();
        let router = web::authenticate(router, identity.verifier(), sources.clone());
        let settings = HttpSettings { rate_limits: RateLimits::OFF, ..HttpSettings::default() };
        Self { router: web::finish(router, settings, sources), identity, store, clock, outbox }
    }

    pub async fn send(&self, request: Request<Body>) -> (StatusCode, Value, Response<()>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        (parts.status, body, Response::from_parts(parts, ()))
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let request =
            Request::post(path).header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string()));
        let (status, body, _) = self.send(request.unwrap()).await;
        (status, body)
    }

    /// The status, and the code of the problem if it is one.
    pub async fn refused(&self, path: &str, body: Value) -> (u16, String) {
        let (status, body) = self.post(path, body).await;
        (status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
    }

    pub async fn sign_up(&self) -> Value {
        let (status, body) = self.post("/auth/sign-up", json!({"email": EMAIL, "password": PASSWORD})).await;
        assert_eq!(status, 201, "{body}");
        body
    }

    pub async fn sign_in(&self, password: &str) -> Value {
        let (status, body) = self.post("/auth/sign-in", json!({"email": EMAIL, "password": password})).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub async fn refresh(&self, tokens: &Value) -> (StatusCode, Value) {
        self.post("/auth/refresh", json!({"refresh_token": tokens["refresh_token"]})).await
    }

    pub async fn sign_out(&self, token: &str) -> (u16, String) {
        self.post_signed("/auth/sign-out", token).await
    }

    pub async fn sign_out_everywhere(&self, token: &str) -> (u16, String) {
        self.post_signed("/auth/sign-out-everywhere", token).await
    }

    async fn post_signed(&self, path: &str, token: &str) -> (u16, String) {
        let request = Request::post(path).header(AUTHORIZATION, format!("Bearer {token}"));
        let (status, body, _) = self.send(request.body(Body::empty()).unwrap()).await;
        (status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
    }
}

pub fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
