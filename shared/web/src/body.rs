//! The body of a request: strict JSON.

use axum::body::{Bytes, HttpBody, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::LengthLimitError;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::Problem;
use crate::wrong::{self, Wrong};

/// The longest body, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
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
        read(&bytes_of(request.into_body()).await?).map(Self)
    }
}

/// The request with its whole body at hand, so that none of it is left on the connection whoever refuses it.
pub(crate) async fn gathered(request: Request) -> Result<Request, Problem> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    Ok(Request::from_parts(head, bytes_of(body).await?.into()))
}

async fn bytes_of(body: axum::body::Body) -> Result<Bytes, Problem> {
    to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| unread(&error))
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

/// Whether the body says itself that it is too large, so that nothing of it need be read.
pub(crate) fn is_declared_too_large(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > BODY_BYTES_MAX as u64)
}

pub(crate) fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "BODY_TOO_LARGE",
        format!("The body is longer than {BODY_BYTES_MAX} bytes."),
    )
}

/// A body that did not come to its end in time.
pub(crate) fn too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", "The body did not arrive in time.")
}

/// A body that could not be read to its end: because it was too long, or because its sender went away.
fn unread(error: &axum::Error) -> Problem {
    match wrong::cause::<LengthLimitError>(error) {
        Some(_) => too_large(),
        None => malformed("The body ended before it was complete."),
    }
}

fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "MALFORMED_JSON", detail)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde would take a list for a structure, its fields by their order.
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    if !is_object {
        return Err(check_syntax(bytes).err().unwrap_or_else(|| invalid("The body must be a JSON object.")));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let error = match serde_path_to_error::deserialize(&mut json) {
        Ok(value) if json.end().is_ok() => return Ok(value),
        Ok(_) => return Err(malformed("There is something behind the JSON of the body.")),
        Err(error) => error,
    };
    // An error of shape may come before one of syntax: the syntax is judged first, of the whole body.
    check_syntax(bytes)?;
    let problem = invalid("A field of the body is unknown, missing or wrong.");
    Err(match Wrong::read(&error.path().to_string(), &error.inner().to_string()) {
        Some(Wrong { field, message }) => problem.with_error(field, message),
        None => problem,
    })
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
