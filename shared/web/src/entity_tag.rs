//! Entity tags (RFC 9110, section 8.8.3): who has an answer already is only told so.

use axum::body::{Body, HttpBody, to_bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::Problem;
use crate::headers::has_type;

/// The longest answer that gets a tag, in bytes; a longer one is sent as it is.
const TAGGED_BYTES_MAX: u64 = 1024 * 1024;

/// The tags that a request has answers of.
pub(crate) fn known_tags(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(IF_NONE_MATCH).iter().cloned().collect()
}

/// Gives a successful JSON answer its tag, and leaves the body out if the tag is among the known ones.
pub(crate) async fn tag(response: Response, known: &[HeaderValue]) -> Result<Response, Problem> {
    let is_small = response.body().size_hint().upper().is_some_and(|upper| upper <= TAGGED_BYTES_MAX);
    let is_storable = response.headers().get(CACHE_CONTROL).is_none_or(|control| control != "no-store");
    let is_json = has_type(response.headers(), "application/json");
    if response.status() != StatusCode::OK || !is_small || !is_json || !is_storable {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX)
        .await
        .map_err(|error| runtime::Fault::Internal(format!("an answer could not be read: {error}")))?;
    let digest = Sha256::digest(&bytes);
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..16]));
    let is_known = known.iter().any(|list| names(list, &tag));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        parts.headers.insert(ETAG, tag);
    }
    // It may be kept by the one who asked, if she asks each time whether it is still true.
    parts.headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    if !is_known {
        return Ok(Response::from_parts(parts, Body::from(bytes)));
    }
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::empty()))
}

/// Whether a list of tags names this one. If-None-Match compares weakly (RFC 9110, section 13.1.2).
fn names(list: &HeaderValue, tag: &str) -> bool {
    let Ok(list) = list.to_str() else {
        return false;
    };
    list.split(',')
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}
