//! Bearer tokens, read once: a verified token is remembered until it expires, so that its signature is not checked
//! again for every request. A token itself is never kept, only its hash.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use kernel::Timestamp;
use metrics::{Counter, counter};
use moka::sync::Cache;
use ports::Sources;
use sha2::{Digest, Sha256};

use crate::body::{self, BATCHES};
use crate::{Principal, Problem, Refused};

/// The most tokens that are remembered.
const TOKENS_MAX: u64 = 100_000;
/// The longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 4_096;

/// Checks access tokens.
pub trait Verifier: Send + Sync + 'static {
    /// Whose token it is, and when it expires.
    ///
    /// # Errors
    /// [`Refused`] if it is not one to be accepted now.
    fn verify(&self, token: &str) -> Result<(Principal, Timestamp), Refused>;
}

struct Tokens<V> {
    verifier: V,
    sources: Sources,
    verified: Cache<[u8; 32], (Principal, Timestamp)>,
    hits: Counter,
    misses: Counter,
}

/// Lets every route of the router see the [`Principal`] of a request that has a good token. A bad one is refused on
/// every route; whether none is enough is the route's affair.
pub fn authenticate<V: Verifier>(router: Router, verifier: V, sources: Sources) -> Router {
    let tokens = Tokens {
        verifier,
        sources,
        verified: Cache::new(TOKENS_MAX),
        hits: counter!("cache_hits_total", "cache" => "tokens"),
        misses: counter!("cache_misses_total", "cache" => "tokens"),
    };
    router.layer(from_fn_with_state(Arc::new(tokens), check::<V>))
}

async fn check<V: Verifier>(
    State(tokens): State<Arc<Tokens<V>>>,
    mut request: Request,
    next: Next,
) -> Response {
    match bearer(request.headers()).and_then(|token| token.map(|token| tokens.principal(token)).transpose()) {
        Ok(Some(principal)) => {
            request.extensions_mut().insert(principal);
            // Only now is the body of a batch read, and before anybody can refuse it for another reason: its sender hears
            // an answer once she has been heard.
            if request.uri().path() == BATCHES {
                request = match body::gathered(request).await {
                    Ok(request) => request,
                    Err(problem) => return body::unheard(problem),
                };
            }
            next.run(request).await
        }
        Ok(None) => next.run(request).await,
        Err(refused) => {
            Problem::new(StatusCode::UNAUTHORIZED, "INVALID_TOKEN", refused.to_string()).into_response()
        }
    }
}

/// The token of the request, if it has one (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Refused::Invalid);
    }
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Refused::Invalid)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.len() > TOKEN_BYTES_MAX {
        return Err(Refused::Invalid);
    }
    Ok(Some(token))
}

impl<V: Verifier> Tokens<V> {
    fn principal(&self, token: &str) -> Result<Principal, Refused> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some((principal, expires_at)) = self.verified.get(&hash) {
            self.hits.increment(1);
            if expires_at <= self.sources.now() {
                self.verified.invalidate(&hash);
                return Err(Refused::Expired);
            }
            return Ok(principal);
        }
        self.misses.increment(1);
        let (principal, expires_at) = self.verifier.verify(token)?;
        self.verified.insert(hash, (principal.clone(), expires_at));
        Ok(principal)
    }
}
