//! Who asks, and for which request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use runtime::{Caller, Trace};

use crate::headers::IDEMPOTENCY_KEY;
use crate::{OPERATORS, Principal, Problem, passage};

/// The longest Idempotency-Key, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Somebody who is signed in. Without a token the answer is 401.
#[derive(Clone, Debug)]
pub struct Signed(pub Caller);

/// An operator who is signed in. Anybody else is answered 403.
#[derive(Clone, Debug)]
pub struct Operator(pub Caller);

/// Anybody, signed in or not.
#[derive(Clone, Debug)]
pub struct Traced(pub Trace);

impl<S: Send + Sync> FromRequestParts<S> for Signed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self(caller(parts, principal(parts)?)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let principal = principal(parts)?;
        let caller = caller(parts, principal)?;
        if !principal.is_in(OPERATORS) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "FORBIDDEN",
                "This is for the bank's operators.",
            ));
        }
        Ok(Self(caller))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Traced {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self(passage::current()?.trace.clone()))
    }
}

fn principal(parts: &Parts) -> Result<&Principal, Problem> {
    let missing =
        || Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "Sign in and send the access token.");
    parts.extensions.get::<Principal>().ok_or_else(missing)
}

fn caller(parts: &Parts, principal: &Principal) -> Result<Caller, Problem> {
    let passage = passage::current()?;
    passage.sign_in(principal.user_id)?;
    Ok(Caller {
        user_id: principal.user_id,
        trace: passage.trace.clone(),
        idempotency_key: idempotency_key(&parts.headers)?,
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if values.next().is_none() => {
            check_idempotency_key(key)?;
            Ok(Some(key.to_owned()))
        }
        _ => Err(invalid_idempotency_key()),
    }
}

/// Refuses what is no key of a request.
///
/// # Errors
/// 400 `INVALID_IDEMPOTENCY_KEY`.
pub fn check_idempotency_key(key: &str) -> Result<(), Problem> {
    let is_plain = key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) {
        Ok(())
    } else {
        Err(invalid_idempotency_key())
    }
}

fn invalid_idempotency_key() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "INVALID_IDEMPOTENCY_KEY",
        "An Idempotency-Key is sent once and has 1 to 255 visible ASCII characters.",
    )
}
