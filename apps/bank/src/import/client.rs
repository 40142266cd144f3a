//! The bank's API, as an import uses it: somebody signs in, and asks for batches until each of their operations has an
//! answer that stays.
//!
//! What the bank cannot do now is asked for again, with the same keys: after as long as it says, or a second. So is what was
//! sent when the connection broke, since nobody knows what became of it. A bank that takes nothing for two minutes is given
//! up. Nothing here is kept but the token and what it takes to get the next one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::console::Api;
use ports::Secret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::http::header::{AUTHORIZATION, RETRY_AFTER};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::rows::{Order, Rejected};
use crate::failure::Failure;

/// How long the bank may take nothing before it is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause where the bank says nothing of how long it wants one.
const PAUSE: Duration = Duration::from_secs(1);
/// The largest answer that is read, in bytes: that to a batch of the longest operations is far below it.
const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Somebody at a bank.
pub struct Client {
    agent: Agent,
    url: String,
    email: String,
    password: Secret,
    token: Mutex<String>,
}

/// What became of one operation in the end.
#[derive(Debug)]
pub enum Verdict {
    /// It was begun.
    Accepted,
    /// It had been begun before.
    Replayed,
    /// It was refused.
    Rejected(Rejected),
}

/// The request.
#[derive(Serialize)]
struct Batch<'a> {
    operations: &'a [&'a Order],
}

/// What the bank says to a whole batch.
enum Reply {
    Results(Vec<ResultOfOne>),
    /// Not now.
    Later(Duration, String),
}

#[derive(Deserialize)]
struct Results {
    results: Vec<ResultOfOne>,
}

#[derive(Deserialize)]
struct ResultOfOne {
    idempotency_key: String,
    status: u16,
    #[serde(default)]
    replayed: bool,
    problem: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Deserialize)]
struct FieldError {
    field: String,
    message: String,
}

#[derive(Deserialize)]
struct SignedIn {
    access_token: String,
}

impl Client {
    /// Signs in at the bank whose API is at `url`.
    pub fn sign_in(url: &str, email: String, password: Secret) -> Result<Self, Failure> {
        let Api::Remote { agent, url } = Api::remote(url) else {
            return Err(Failure::new(format!("{url} is not the address of a bank")));
        };
        let client = Self { agent, url, email, password, token: Mutex::default() };
        client.renew_token()?;
        Ok(client)
    }

    fn renew_token(&self) -> Result<(), Failure> {
        let credentials = json!({"email": self.email, "password": self.password.reveal()});
        let answered = self.post("/auth/sign-in", None, &credentials);
        let mut answer =
            answered.map_err(Failure::because(&format!("the bank at {} cannot be asked", self.url)))?;
        if answer.status() != StatusCode::OK {
            return Err(Failure::new(format!("{} cannot sign in: {}", self.email, explained(&mut answer))));
        }
        let SignedIn { access_token } = read(&mut answer)?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = access_token;
        Ok(())
    }

    /// Asks for operations, and again for those that could not be done yet, until each has an answer that stays. They are
    /// answered in order.
    pub fn submit(&self, orders: &[Order]) -> Result<Vec<Verdict>, Failure> {
        let mut verdicts: Vec<Option<Verdict>> = orders.iter().map(|_| None).collect();
        let mut waited = Duration::ZERO;
        loop {
            let open = orders.iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_none());
            let open: Vec<&Order> = open.map(|(order, _)| order).collect();
            if open.is_empty() {
                return Ok(verdicts.into_iter().flatten().collect());
            }
            let (pause, why) = match self.ask(&open)? {
                Reply::Later(pause, why) => (pause, why),
                Reply::Results(results) => {
                    let places = verdicts.iter_mut().filter(|verdict| verdict.is_none());
                    places.zip(results).for_each(|(place, result)| *place = result.verdict());
                    (PAUSE, "it is busy".to_owned())
                }
            };
            match verdicts.iter().filter(|verdict| verdict.is_none()).count() {
                0 => continue,
                left if left < open.len() => waited = Duration::ZERO,
                _ if waited < PATIENCE => {}
                _ => {
                    let seconds = PATIENCE.as_secs();
                    return Err(Failure::new(format!("the bank took nothing for {seconds} seconds: {why}")));
                }
            }
            std::thread::sleep(pause);
            waited += pause;
        }
    }

    fn ask(&self, orders: &[&Order]) -> Result<Reply, Failure> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut answer = match self.post("/batches", Some(&token), &Batch { operations: orders }) {
            Ok(answer) => answer,
            Err(error) => return Ok(Reply::Later(PAUSE, error.to_string())),
        };
        match answer.status() {
            StatusCode::OK => {
                let Results { results } = read(&mut answer)?;
                let keys = results.iter().map(|result| &result.idempotency_key);
                if keys.eq(orders.iter().map(|order| &order.idempotency_key)) {
                    Ok(Reply::Results(results))
                } else {
                    Err(Failure::new("the bank's answer is not one to what it was asked for"))
                }
            }
            // A token is good for a quarter of an hour, and an import may take longer.
            StatusCode::UNAUTHORIZED => {
                self.renew_token()?;
                Ok(Reply::Later(PAUSE, explained(&mut answer)))
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Ok(Reply::Later(retry_after(&answer).unwrap_or(PAUSE), explained(&mut answer)))
            }
            _ => Err(Failure::new(format!("the bank refuses the import: {}", explained(&mut answer)))),
        }
    }

    fn post(
        &self,
        path: &str,
        token: Option<&str>,
        body: &impl Serialize,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request.send_json(body)
    }
}

impl ResultOfOne {
    /// What became of the operation, unless it may be asked for again.
    fn verdict(self) -> Option<Verdict> {
        let Self { status, replayed, problem, .. } = self;
        let code = problem.as_ref().map_or("", |problem| problem.code.as_str());
        if status >= 500 || code == "REQUEST_IN_FLIGHT" {
            return None;
        }
        Some(match problem {
            None if replayed => Verdict::Replayed,
            None => Verdict::Accepted,
            Some(Problem { code, detail, errors }) => {
                let errors = errors.iter().map(|error| format!(" {}: {}.", error.field, error.message));
                Verdict::Rejected(Rejected { code, detail: detail + &errors.collect::<String>() })
            }
        })
    }
}

/// How long the bank wants to be left alone, if it says so.
fn retry_after(answer: &Response<Body>) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(PATIENCE))
}

/// What the bank says of a request that it does not do.
fn explained(answer: &mut Response<Body>) -> String {
    let status = answer.status();
    match answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_json::<Problem>() {
        Ok(problem) => problem.detail,
        Err(_) => format!("it answered {status}"),
    }
}

fn read<T: DeserializeOwned>(answer: &mut Response<Body>) -> Result<T, Failure> {
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
    body.read_json().map_err(Failure::because("the bank's answer cannot be read"))
}
