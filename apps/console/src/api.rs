//! The way to the bank: its public API, in this process or elsewhere.
//!
//! In one process the API's own router is called with the request as a client would have sent it, so that sign-in,
//! ownership, limits and logs are those of any other client; there is no other way into the bank. Elsewhere the same
//! request goes over HTTP. Answers are read to their end and bounded; nothing is kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderName, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use ports::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt;
use ureq::Agent;
use ureq::tls::TlsConfig;

/// How long an answer over HTTP may take; a request may wait for ten seconds of it.
const ANSWER_MAX: Duration = Duration::from_secs(35);
/// The largest answer that is read, in bytes: the longest page of a list is far below it.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Where the bank is.
#[derive(Clone)]
pub enum Api {
    /// In this process: the API's router with everything that is around it.
    InProcess(Router),
    /// At this address, without a `/` at its end.
    Remote {
        /// Keeps connections.
        agent: Agent,
        /// Such as `https://abc.execute-api.eu-central-1.amazonaws.com/prod`.
        url: String,
    },
}

/// Why the bank did not answer as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// It refused, and says why.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// It could not be asked, or did not answer in its own words.
    #[error("the bank cannot be reached: {0}")]
    Unreachable(String),
}

/// A problem as the API tells it (RFC 9457).
#[derive(Clone, Debug, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The stable name of the problem.
    pub code: String,
    /// What is wrong, in English.
    pub detail: String,
    /// What is wrong with each field.
    #[serde(default)]
    pub errors: Vec<FieldError>,
    /// By which the bank's operators find the request.
    pub correlation_id: Option<String>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, Deserialize)]
pub struct FieldError {
    /// The field's name in the request.
    pub field: String,
    /// What is wrong with it, in English.
    pub message: String,
}

/// One request to the API.
pub struct Ask<'a> {
    method: Method,
    path: String,
    pub(crate) body: Option<Value>,
    token: Option<&'a Secret>,
    idempotency_key: Option<String>,
    wait_seconds: Option<u8>,
}

impl<'a> Ask<'a> {
    /// Asks for what is at a path.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: None,
            token: None,
            idempotency_key: None,
            wait_seconds: None,
        }
    }

    /// Sends something to a path.
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        let body = (!body.is_null()).then_some(body);
        Self { method: Method::POST, body, ..Self::get(path) }
    }

    /// Puts something in place of what is at a path.
    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PUT, ..Self::post(path, body) }
    }

    /// The same request a second time has no second effect.
    pub fn once(self, idempotency_key: impl Into<String>) -> Self {
        Self { idempotency_key: Some(idempotency_key.into()), ..self }
    }

    /// The answer comes once what was asked for has been done, or after this many seconds.
    pub fn wait(self, seconds: u8) -> Self {
        Self { wait_seconds: Some(seconds), ..self }
    }

    /// On behalf of whoever has this access token.
    pub fn by(self, token: &'a Secret) -> Self {
        Self { token: Some(token), ..self }
    }

    fn request(&self, base: &str) -> Result<Request<Vec<u8>>, ApiError> {
        let uri: Uri = format!("{base}{}", self.path).parse().map_err(unreachable)?;
        let mut request = Request::builder().method(self.method.clone()).uri(uri);
        if let Some(token) = self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        if let Some(key) = &self.idempotency_key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(seconds) = self.wait_seconds {
            request = request.header(PREFER, format!("wait={seconds}"));
        }
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = self.body.as_ref().map(ToString::to_string).unwrap_or_default();
        request.body(body.into_bytes()).map_err(unreachable)
    }
}

impl Api {
    /// The bank at an address.
    pub fn remote(url: &str) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(ANSWER_MAX))
            .http_status_as_error(false)
            .allow_non_standard_methods(false)
            .max_redirects(0)
            .build();
        Self::Remote { agent: config.into(), url: url.trim_end_matches('/').to_owned() }
    }

    /// Asks the bank, and reads what it answers. `peer` is who asked the console.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        ask: &Ask<'_>,
        peer: Option<SocketAddr>,
    ) -> Result<T, ApiError> {
        let (status, body) = match self {
            Self::InProcess(router) => {
                in_process(router.clone(), ask.request("http://localhost")?, peer).await?
            }
            Self::Remote { agent, url } => remote(agent.clone(), ask.request(url)?).await?,
        };
        if status.is_success() {
            // Some answers are without content, and whoever asks for one wants nothing of it.
            let body = if body.is_empty() { b"null".as_slice() } else { &body };
            return serde_json::from_slice(body).map_err(unreachable);
        }
        match serde_json::from_slice(&body) {
            Ok(problem) => Err(ApiError::Refused(problem)),
            Err(_) => Err(ApiError::Unreachable(format!("it answered {status}"))),
        }
    }
}

async fn in_process(
    router: Router,
    request: Request<Vec<u8>>,
    peer: Option<SocketAddr>,
) -> Result<(StatusCode, Vec<u8>), ApiError> {
    let mut request = request.map(Body::from);
    // The limits before sign-in count addresses: they must be those of the people, not one for all of them.
    if let Some(peer) = peer {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(unreachable)?;
    Ok((status, body.to_bytes().into()))
}

async fn remote(agent: Agent, request: Request<Vec<u8>>) -> Result<(StatusCode, Vec<u8>), ApiError> {
    let asked = tokio::task::spawn_blocking(move || {
        let mut response = agent.run(request).map_err(unreachable)?;
        let status = response.status();
        let limited = response.body_mut().with_config().limit(ANSWER_BYTES_MAX as u64);
        Ok((status, limited.read_to_vec().map_err(unreachable)?))
    });
    asked.await.map_err(unreachable)?
}

fn unreachable(error: impl std::fmt::Display) -> ApiError {
    ApiError::Unreachable(error.to_string())
}

/// A path with a query of the pairs that have a value.
pub fn path_with(path: &str, query: &[(&str, Option<&str>)]) -> String {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            encoded.append_pair(name, value);
        }
    }
    let encoded = encoded.finish();
    if encoded.is_empty() { path.to_owned() } else { format!("{path}?{encoded}") }
}

/// A part of a path as it has to be written there: what somebody typed must not become another path.
pub fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
        .replace("..", "%2E%2E")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_typed_stays_one_part_of_a_path() {
        for (typed, written) in [
            ("01a1678f-3187", "01a1678f-3187"),
            ("../ops/operators", "%2E%2E%2Fops%2Foperators"),
            ("a b?c=d#e", "a%20b%3Fc%3Dd%23e"),
        ] {
            assert_eq!(segment(typed), written);
        }
        assert_eq!(path_with("/a", &[("b", None), ("c", Some("")), ("d", Some("e f&g"))]), "/a?d=e+f%26g");
    }

    #[tokio::test]
    async fn the_bank_is_asked_as_any_client_would_and_answers_in_its_own_words() {
        let problem = r#"{"status":422,"code":"INVALID_AMOUNT","detail":"no","errors":[]}"#;
        let router = Router::new()
            .route(
                "/echo",
                axum::routing::post(async |request: axum::extract::Request| {
                    let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
                    let sent = [header("authorization"), header("idempotency-key"), header("prefer")];
                    axum::Json(sent)
                }),
            )
            .route("/empty", axum::routing::get(StatusCode::NO_CONTENT))
            .route("/refused", axum::routing::get(async move || (StatusCode::UNPROCESSABLE_ENTITY, problem)))
            .route("/broken", axum::routing::get(StatusCode::BAD_GATEWAY));
        let api = Api::InProcess(router);
        let token = Secret::from("t");
        let ask = Ask::post("/echo", serde_json::json!({})).once("k").wait(5).by(&token);
        assert_eq!(api.ask::<Vec<String>>(&ask, None).await.unwrap(), ["Bearer t", "k", "wait=5"]);
        api.ask::<()>(&Ask::get("/empty"), None).await.unwrap();
        let refused = api.ask::<()>(&Ask::get("/refused"), None).await.unwrap_err();
        assert!(matches!(refused, ApiError::Refused(problem) if problem.code == "INVALID_AMOUNT"));
        let broken = api.ask::<()>(&Ask::get("/broken"), None).await.unwrap_err();
        assert!(matches!(broken, ApiError::Unreachable(_)));
    }
}
