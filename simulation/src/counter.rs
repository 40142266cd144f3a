//! The counter of the bank: requests go in over the bank's own routes, and everything that is seen outside is written
//! down in its order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use kernel::UserId;
use serde_json::Value;
use tower::ServiceExt;
use web::Principal;

use crate::record::{Answer, Exchange};
use crate::world::World;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// GET or POST.
    pub method: &'static str,
    /// With the query.
    pub path: String,
    /// The Idempotency-Key.
    pub key: Option<String>,
    /// Whether she waits for the end of what she asks for.
    pub is_waiting: bool,
    /// What she sends; nothing where it is null.
    pub body: Value,
}

impl Ask {
    /// Asks to see something.
    pub fn to_read(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), key: None, is_waiting: false, body: Value::Null }
    }
}

/// Where people ask. Clones are the same one.
#[derive(Clone)]
pub struct Counter {
    world: World,
    seen: Arc<Mutex<Seen>>,
}

/// Everything that was seen outside.
#[derive(Default)]
struct Seen {
    moment: u64,
    exchanges: Vec<Exchange>,
    trace: Vec<String>,
}

impl Counter {
    /// The counter of a world.
    pub fn new(world: World) -> Self {
        Self { world, seen: Arc::default() }
    }

    /// Asks, and waits at most this long for the answer. There is none where the process is away or dies meanwhile.
    pub async fn ask(&self, user: UserId, ask: &Ask, patience: Duration) -> Option<Answer> {
        let number = self.begin(user, ask);
        let answering = self.answer(user, ask);
        let answer = tokio::time::timeout(patience, answering).await.ok().flatten();
        self.end(number, answer.clone());
        answer
    }

    /// Writes down something that happened.
    pub fn note(&self, what: &str) {
        let at = self.now();
        self.seen().trace.push(format!("{at} -- {what}"));
    }

    /// How many exchanges there were.
    pub fn exchanges(&self) -> u64 {
        self.seen().exchanges.len() as u64
    }

    /// Everything that was seen, exchanges and trace.
    pub fn hand_over(&self) -> (Vec<Exchange>, Vec<String>) {
        let mut seen = self.seen();
        (std::mem::take(&mut seen.exchanges), std::mem::take(&mut seen.trace))
    }

    fn begin(&self, user: UserId, ask: &Ask) -> usize {
        let at = self.now();
        let mut seen = self.seen();
        seen.moment += 1;
        let number = seen.exchanges.len();
        let Ask { method, path, key, is_waiting, body } = ask.clone();
        let (shown_key, wait) =
            (key.as_deref().unwrap_or("none"), if is_waiting { " and waits" } else { "" });
        seen.trace.push(format!("{at} #{number} {user} {method} {path} key {shown_key}{wait} {body}"));
        let (user, asked_at) = (user.to_string(), seen.moment);
        seen.exchanges.push(Exchange {
            number: number as u64,
            user,
            method,
            path,
            key,
            is_waiting,
            body,
            asked_at,
            ended_at: asked_at,
            answer: None,
        });
        number
    }

    fn end(&self, number: usize, answer: Option<Answer>) {
        let at = self.now();
        let mut seen = self.seen();
        seen.moment += 1;
        let ended_at = seen.moment;
        let line = match &answer {
            Some(Answer { status, is_replay, body }) => {
                let replay = if *is_replay { " again" } else { "" };
                format!("{at} #{number} heard{replay} {status} {body}")
            }
            None => format!("{at} #{number} heard nothing"),
        };
        seen.trace.push(line);
        if let Some(exchange) = seen.exchanges.get_mut(number) {
            (exchange.ended_at, exchange.answer) = (ended_at, answer);
        }
    }

    async fn answer(&self, user: UserId, ask: &Ask) -> Option<Answer> {
        let (router, death) = self.world.door()?;
        tokio::select! {
            biased;
            () = death.struck() => None,
            answer = answer_of(router, user, ask) => answer,
        }
    }

    fn now(&self) -> String {
        self.world.sources.now().to_string()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer_of(router: Router, user: UserId, ask: &Ask) -> Option<Answer> {
    let mut request = Request::builder().method(ask.method).uri(&ask.path);
    if let Some(key) = &ask.key {
        request = request.header("idempotency-key", key);
    }
    if ask.is_waiting {
        request = request.header("prefer", "wait=10");
    }
    let body = match &ask.body {
        Value::Null => Body::empty(),
        body => {
            request = request.header(CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
    };
    let mut request = request.body(body).ok()?;
    request.extensions_mut().insert(Principal { user_id: user, groups: Vec::new() });
    let Ok(response) = router.oneshot(request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    Some(Answer {
        status: parts.status.as_u16(),
        is_replay: parts.headers.contains_key("idempotency-replayed"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}
