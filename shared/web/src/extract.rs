//! The path, the query and the preferences of a request.

use std::str::FromStr;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use kernel::{AccountId, MessageId, NotificationId, OperationId, SessionId, UserId};
use serde::de::DeserializeOwned;

use crate::headers::PREFER;
use crate::wrong::{self, Wrong};
use crate::{Problem, not_found};

/// The longest that a request may wait for its end.
pub const WAIT_MAX: Duration = Duration::from_secs(10);
/// Tells which preferences were honoured (RFC 7240, section 3).
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The id at the end of the path. One that cannot be read is answered like one that does not exist.
#[derive(Clone, Copy, Debug)]
pub struct PathId<T>(pub T);

/// An id that a path may hold.
pub trait Identifier: FromStr + Send {
    /// The name of what it identifies, for a person.
    const WHAT: &'static str;
}

macro_rules! identifiers {
    ($($id:ty => $what:literal),* $(,)?) => {$(
        impl Identifier for $id {
            const WHAT: &'static str = $what;
        }
    )*};
}

identifiers! {
    AccountId => "account",
    MessageId => "message",
    NotificationId => "notification",
    OperationId => "operation",
    SessionId => "session",
    UserId => "user",
}

impl<T: Identifier, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unknown = || not_found(T::WHAT);
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        id.parse().map(Self).map_err(|_| unknown())
    }
}

/// The parameters of the query. `T` refuses unknown ones by `#[serde(deny_unknown_fields)]`.
#[derive(Clone, Copy, Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let rejection = match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => return Ok(Self(params)),
            Err(rejection) => rejection,
        };
        let problem = invalid_query("The query has a parameter that is unknown or wrong.");
        let error = wrong::cause::<QueryError>(&rejection);
        Err(
            match error.and_then(|error| Wrong::read(&error.path().to_string(), &error.inner().to_string())) {
                Some(Wrong { field, message }) => problem.with_error(field, message),
                None => problem,
            },
        )
    }
}

type QueryError = serde_path_to_error::Error<serde::de::value::Error>;

/// The query as a whole is refused.
pub(crate) fn invalid_query(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "INVALID_QUERY", detail)
}

/// How long the sender would rather wait for the end than hear of the beginning: `Prefer: wait=N` in seconds
/// (RFC 7240), at most [`WAIT_MAX`]. As that document has it, preferences that are unknown or wrong are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait(pub Option<Duration>);

impl Wait {
    /// Says in the answer that the preference was honoured, and with how many seconds, if there was one.
    pub fn applied(self, mut response: Response) -> Response {
        if let Some(wait) = self.0
            && let Ok(preference) = HeaderValue::try_from(format!("wait={}", wait.as_secs()))
        {
            response.headers_mut().insert(PREFERENCE_APPLIED, preference);
        }
        response
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(preferred_wait(&parts.headers)))
    }
}

fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let waits = values.flat_map(|value| value.split(',')).filter_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"'))
    });
    // Where one is sent twice the first counts.
    let seconds: u64 = waits.take(1).find_map(|seconds| seconds.parse().ok())?;
    Some(Duration::from_secs(seconds).min(WAIT_MAX)).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_as_rfc_7240_writes_it() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (values, wait) in [
            (&["wait=5"][..], seconds(5)),
            (&["Wait = \"5\""], seconds(5)),
            (&["respond-async, wait=3;foo=bar"], seconds(3)),
            (&["return=minimal", "wait=2"], seconds(2)),
            (&["wait=2, wait=9"], seconds(2)),
            (&["wait=11"], Some(WAIT_MAX)),
            (&["wait=18446744073709551615"], Some(WAIT_MAX)),
            (&["wait=99999999999999999999999"], None),
            (&["wait=0"], None),
            (&["wait=-1"], None),
            (&["wait=1.5"], None),
            (&["wait"], None),
            (&["await=5"], None),
            (&[""], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", value.parse().unwrap());
            }
            assert_eq!(preferred_wait(&headers), wait, "{values:?}");
        }
    }
}
