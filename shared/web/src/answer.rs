//! Answers to requests that have their effect once.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use runtime::Answered;
use serde::Serialize;

/// Tells a replayed answer from a first one.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The answer as JSON; one that an earlier request got first has the header `Idempotency-Replayed: true`.
pub fn answered<T: Serialize>(status: StatusCode, answered: Answered<T>) -> Response {
    let Answered { answer, is_replay } = answered;
    let mut response = (status, Json(answer)).into_response();
    if is_replay {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
