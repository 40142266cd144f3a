//! The body of a request: strict JSON.
//!
//! It is 64 KiB at most, and a batch's 1 MiB: that one is read only of somebody who is signed in, and only of so many at
//! once as [`BATCHES_MAX`](crate::BATCHES_MAX) says.

use std::error::Error;

use axum::body::{Bytes, HttpBody, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::Problem;
use crate::settings::BODY_MAX;
use crate::wrong::{self, Wrong};

/// The longest body, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The longest body of a batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The path that takes many things in one request, whoever serves it.
pub const BATCHES: &str = "/batches";
/// The deepest body, in objects and lists within one another: far more than any shape of this bank has.
const DEPTH_MAX: usize = 32;

/// The body of a request. `T` refuses unknown fields by `#[serde(deny_unknown_fields)]`; a field that is sent twice is
/// refused for every structure.
///
/// What is no JSON at all is 400, and JSON of another shape is 422 with the field that is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                "The body must be JSON, sent with Content-Type: application/json.",
            ));
        }
        let bytes_max = bytes_max(request.uri().path());
        read_json(&bytes_of(request.into_body(), bytes_max).await?).map(Self)
    }
}

/// The request with its whole body at hand, so that none of it is left on the connection whoever refuses it.
pub(crate) async fn gathered(request: Request) -> Result<Request, Problem> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    let bytes = bytes_of(body, bytes_max(head.uri.path()));
    let bytes = tokio::time::timeout(BODY_MAX, bytes).await.unwrap_or_else(|_| Err(too_slow()))?;
    Ok(Request::from_parts(head, bytes.into()))
}

/// Hears a request out and keeps nothing of it, so that its sender has ears for what she is told.
pub(crate) async fn discarded(request: Request) -> Result<(), Problem> {
    let bytes_max = bytes_max(request.uri().path());
    let mut body = Limited::new(request.into_body(), bytes_max);
    let read = async {
        while let Some(frame) = body.frame().await {
            frame.map_err(|error| unread(error.as_ref(), bytes_max))?;
        }
        Ok(())
    };
    tokio::time::timeout(BODY_MAX, read).await.unwrap_or_else(|_| Err(too_slow()))
}

/// Refuses a request whose body was not read to its end. What is left of it would be taken for the next request, so the
/// connection ends with this answer, and says so (RFC 9112, section 9.6).
pub(crate) fn unheard(refused: impl IntoResponse) -> Response {
    let mut response = refused.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The longest body of a request to this path, in bytes.
fn bytes_max(path: &str) -> usize {
    if path == BATCHES { BATCH_BYTES_MAX } else { BODY_BYTES_MAX }
}

async fn bytes_of(body: axum::body::Body, bytes_max: usize) -> Result<Bytes, Problem> {
    to_bytes(body, bytes_max).await.map_err(|error| unread(&error, bytes_max))
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

/// Refuses a body that says itself that it is too large, so that nothing of it need be read.
pub(crate) fn check_declared(request: &Request) -> Result<(), Problem> {
    let bytes_max = bytes_max(request.uri().path());
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared = declared.and_then(|length| length.parse::<u64>().ok());
    if declared.is_some_and(|length| length > bytes_max as u64) { Err(too_large(bytes_max)) } else { Ok(()) }
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "BODY_TOO_LARGE",
        format!("The body is longer than {bytes_max} bytes."),
    )
}

/// A body that did not come to its end in time.
fn too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", "The body did not arrive in time.")
}

/// A body that could not be read to its end: because it was too long, or because its sender went away.
fn unread(error: &(dyn Error + 'static), bytes_max: usize) -> Problem {
    match wrong::cause::<LengthLimitError>(error) {
        Some(_) => too_large(bytes_max),
        None => malformed("The body ended before it was complete."),
    }
}

fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "MALFORMED_JSON", detail)
}

/// Reads a body, or a part of one that is judged by itself, as [`Body`] is read.
///
/// # Errors
/// 400 `MALFORMED_JSON`, and 422 `INVALID_BODY` with the field that is wrong.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde would take a list for a structure, its fields by their order.
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    if !is_object {
        return Err(check_syntax(bytes).err().unwrap_or_else(|| invalid("The body must be a JSON object.")));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    match T::deserialize(&mut json) {
        Ok(value) if json.end().is_ok() => Ok(value),
        Ok(_) => Err(malformed("There is something behind the JSON of the body.")),
        Err(_) => Err(wrong_in::<T>(bytes)),
    }
}

/// What is wrong with a body that cannot be read. It is read once more for it: to know at every field where one is costs
/// every request, and few need it.
fn wrong_in<T: DeserializeOwned>(bytes: &[u8]) -> Problem {
    // An error of shape may come before one of syntax: the syntax is judged first, of the whole body.
    if let Err(problem) = check_syntax(bytes) {
        return problem;
    }
    let problem = invalid("A field of the body is unknown, missing or wrong.");
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let error = serde_path_to_error::deserialize::<_, T>(&mut json).err();
    let wrong = error.and_then(|error| Wrong::read(&error.path().to_string(), &error.inner().to_string()));
    match wrong {
        Some(Wrong { field, message }) => problem.with_error(field, message),
        None => problem,
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_BODY", detail)
}

/// Refuses what is not JSON, or JSON that is nested too deep.
fn check_syntax(bytes: &[u8]) -> Result<(), Problem> {
    if bytes.trim_ascii().is_empty() {
        return Err(malformed("The body is empty."));
    }
    if depth(bytes) > DEPTH_MAX {
        return Err(malformed("The JSON of the body is nested too deep."));
    }
    serde_json::from_slice::<IgnoredAny>(bytes).map(|IgnoredAny| ()).map_err(|error| {
        malformed(&format!("The body is not JSON: see line {}, column {}.", error.line(), error.column()))
    })
}

/// How many objects and lists are open at once at most. Texts are passed over.
fn depth(bytes: &[u8]) -> usize {
    let (mut open, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' if !is_text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
