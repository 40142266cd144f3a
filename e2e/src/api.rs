//! Requests and answers over plain HTTP.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Request, Response};
use ureq::{Agent, Body};

/// An identifier in the bank's own form that the bank never gave out.
pub const INVENTED_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Longer than any wait that a request may ask for, so that a hung bank ends a test instead of holding it.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// A bank, by its address.
#[derive(Clone)]
pub struct Api {
    base: String,
    agent: Agent,
}

/// A request that is being put together.
#[must_use]
pub struct Call<'a> {
    api: &'a Api,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

/// What the bank answered, whatever the status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request, for the reader of a failed test.
    pub asked: String,
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, empty if there was none.
    pub body: String,
}

impl Api {
    /// The bank at `$API_URL`.
    pub fn from_environment() -> Self {
        match std::env::var("API_URL") {
            Ok(base) if !base.is_empty() => Self::at(&base),
            _ => {
                panic!("API_URL is not set: it says which bank is tested, for example http://127.0.0.1:8080")
            }
        }
    }

    /// The bank at `base`, such as `http://127.0.0.1:8080`.
    pub fn at(base: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_MAX))
            .max_idle_connections_per_host(64)
            .build();
        Self { base: base.trim_end_matches('/').to_owned(), agent: config.into() }
    }

    /// Starts a GET of `path`.
    pub fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.call("GET", path)
    }

    /// Starts a POST to `path`.
    pub fn post(&self, path: impl Into<String>) -> Call<'_> {
        self.call("POST", path)
    }

    /// Starts a request of any method.
    pub fn call(&self, method: &'static str, path: impl Into<String>) -> Call<'_> {
        Call { api: self, method, path: path.into(), headers: Vec::new(), body: None }
    }
}

impl Call<'_> {
    /// Adds a header field.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Signs the request with an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Asks the bank to answer once the operation has ended.
    pub fn wait(self) -> Self {
        self.header("prefer", "wait=10")
    }

    /// Sends a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.raw_json(body.to_string())
    }

    /// Sends a body that claims to be JSON.
    pub fn raw_json(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    /// Sends a body without saying what it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends the request. That there is no answer at all fails the test.
    #[must_use = "an answer that nobody looks at proves nothing"]
    #[track_caller]
    pub fn send(self) -> Answer {
        let asked = format!("{} {}", self.method, self.path);
        match self.try_send() {
            Ok(answer) => answer,
            Err(error) => panic!("{asked}: no answer: {error}"),
        }
    }

    /// Sends the request to a bank that may be gone.
    ///
    /// # Errors
    /// Whatever kept the answer away: a refused or broken connection, or a request that took too long.
    pub fn try_send(self) -> Result<Answer, ureq::Error> {
        let asked = format!("{} {}", self.method, self.path);
        let mut request =
            Request::builder().method(self.method).uri(format!("{}{}", self.api.base, self.path));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let response = match (self.body, self.method) {
            (Some(body), _) => self.api.agent.run(request.body(body)?)?,
            (None, "POST" | "PUT" | "PATCH") => self.api.agent.run(request.body(Vec::new())?)?,
            (None, _) => self.api.agent.run(request.body(())?)?,
        };
        Answer::read(asked, response)
    }
}

impl Answer {
    fn read(asked: String, response: Response<Body>) -> Result<Self, ureq::Error> {
        let (parts, mut body) = response.into_parts();
        let body = body.read_to_string()?;
        Ok(Self { asked, status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Fails the test unless the status is `status`.
    #[track_caller]
    pub fn must_be(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {}: {}", self.asked, self.status, self.body);
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.body) {
            Ok(value) => value,
            Err(error) => {
                panic!("{} answered {} with no JSON ({error}): {}", self.asked, self.status, self.body)
            }
        }
    }

    /// The value of a header field, if it was sent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Fails the test unless the answer is a complete problem of RFC 9457 with one of these statuses.
    #[track_caller]
    pub fn problem(&self, statuses: &[u16]) -> Value {
        let Self { asked, status, body, .. } = self;
        assert!(statuses.contains(status), "{asked} answered {status}, not one of {statuses:?}: {body}");
        let content_type = self.header("content-type").unwrap_or_default();
        assert!(
            content_type.starts_with("application/problem+json"),
            "{asked} answered {status} as {content_type:?}"
        );
        let problem = self.json();
        for field in ["type", "title", "detail", "code", "correlation_id"] {
            let is_there = problem[field].as_str().is_some_and(|text| !text.is_empty());
            assert!(is_there, "{asked} answered {status} without a {field}: {body}");
        }
        assert_eq!(problem["status"], *status, "{asked} says another status than its own: {body}");
        problem
    }
}

/// A text field of a JSON object; that it is missing fails the test.
#[track_caller]
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    match object[field].as_str() {
        Some(text) => text,
        None => panic!("there is no text {field:?} in {object}"),
    }
}
