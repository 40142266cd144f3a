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

/// The name of the header that carries the correlation id.
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
