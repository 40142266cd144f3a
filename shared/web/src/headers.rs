//! The headers that every answer has, for the sake of those who are asked in a browser (OWASP Secure Headers).
//!
//! One that a handler set itself is left as it is.

use std::time::Duration;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// For answers that are no page: nothing in them is to be loaded, run or framed.
const POLICY_OF_DATA: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// For pages: only what the bank itself serves. The documentation's own styles are written into its page.
const POLICY_OF_PAGES: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'",
);

/// No page of another origin may load an answer as if it were an image or a script of its own; scripts that CORS lets in
/// are not concerned (Fetch Standard).
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// No page of another origin that opened one of the bank's keeps a hold of it (HTML Standard).
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// `Strict-Transport-Security` for this long.
pub(crate) fn strict_transport_security(max_age: Duration) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("max-age={}; includeSubDomains", max_age.as_secs())).ok()
}

/// Writes the headers that are missing.
pub(crate) fn secure(headers: &mut HeaderMap, transport_security: Option<&HeaderValue>) {
    let is_page = has_type(headers, "text/html");
    let policy = if is_page { POLICY_OF_PAGES } else { POLICY_OF_DATA };
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.entry(CROSS_ORIGIN_RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    if is_page {
        headers.entry(CROSS_ORIGIN_OPENER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    }
    if has_type(headers, "application/json") || has_type(headers, crate::problem::PROBLEM_JSON) {
        headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    }
    if let Some(transport_security) = transport_security {
        headers.insert(STRICT_TRANSPORT_SECURITY, transport_security.clone());
    }
}

/// Whether the answer is of this media type.
pub(crate) fn has_type(headers: &HeaderMap, media_type: &str) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    match content_type.strip_prefix(media_type.as_bytes()) {
        Some(rest) => rest.is_empty() || rest.starts_with(b";"),
        None => false,
    }
}

// A name that is no constant is read letter by letter wherever it is used.

/// The name of the header that carries the correlation id.
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The trace and span of the sender (W3C Trace Context).
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What makes a repetition of a request known as one.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How the sender would like to be answered (RFC 7240).
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// How much may be sent at once.
pub(crate) const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
/// How much of it may still be sent.
pub(crate) const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// When all of it may be sent again, in seconds.
pub(crate) const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
