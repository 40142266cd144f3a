//! Requests that another site sends in a visitor's name are refused.
//!
//! Browsers say where a request comes from: `Sec-Fetch-Site` (Fetch Metadata), and before it `Origin`. A request that
//! changes something is let in from the console's own pages, and from programs that are no browser and carry no cookie
//! by accident. The same rule is `http.CrossOriginProtection` in Go's standard library; it needs no token in a form. The
//! session's cookie is `SameSite=Lax` besides, so that no other site's form carries it.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Console;
use crate::page;
use crate::text::Text;
use crate::visitor::Visitor;

/// Lets a request in, or refuses it with 403.
pub async fn protect(State(console): State<Console>, request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe || is_our_own(request.headers()) {
        return next.run(request).await;
    }
    tracing::warn!("a request of another site was refused");
    let (mut parts, _) = request.into_parts();
    let visitor = match Visitor::from_request_parts(&mut parts, &console).await {
        Ok(visitor) => visitor,
        Err(never) => match never {},
    };
    let refusal = page::message(&visitor, Text::Refused, Text::CrossSiteWhy, None);
    (StatusCode::FORBIDDEN, refusal).into_response()
}

fn is_our_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match headers.get(ORIGIN) {
        None => true,
        Some(_) => {
            let host = text(ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
            host.is_some() && host == text(HOST)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_and_programs_change_anything() {
        for (headers, is_let_in) in [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://bank.example"),
                    ("host", "bank.example"),
                ],
                false,
            ),
            (&[("origin", "http://bank.example"), ("host", "bank.example")], true),
            (&[("origin", "http://evil.example"), ("host", "bank.example")], false),
            (&[("origin", "null"), ("host", "bank.example")], false),
            (&[("origin", "http://bank.example:81"), ("host", "bank.example")], false),
        ] {
            let sent: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap())
                })
                .collect();
            assert_eq!(is_our_own(&sent), is_let_in, "{headers:?}");
        }
    }
}
