//! Answers to requests that have their effect once, and answers of many lines.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use runtime::Answered;
use serde::Serialize;

use crate::passage;

/// Tells a replayed answer from a first one.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The media type of JSON values one a line (NDJSON).
const LINES: &str = "application/x-ndjson";

/// The answer as JSON; one that an earlier request got first has the header `Idempotency-Replayed: true`.
pub fn answered<T: Serialize>(status: StatusCode, answered: Answered<T>) -> Response {
    let Answered { answer, is_replay } = answered;
    let mut response = (status, Json(answer)).into_response();
    if is_replay {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Whether the sender would rather have her answer a line at a time.
pub fn accepts_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut media_types = accepted.flat_map(|value| value.split(','));
    media_types.any(|accepted| {
        accepted.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(LINES))
    })
}

/// An answer of one JSON value a line. The lines of each part are sent as soon as it is there.
pub fn lines<T: Serialize>(parts: impl Stream<Item = Vec<T>> + Send + 'static) -> Response {
    let written = passage::kept(parts).map(|part| {
        let mut lines = Vec::new();
        for value in part {
            serde_json::to_writer(&mut lines, &value)?;
            lines.push(b'\n');
        }
        Ok::<_, serde_json::Error>(Bytes::from(lines))
    });
    let headers = [(CONTENT_TYPE, LINES), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(written)).into_response()
}
