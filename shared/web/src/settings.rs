//! What an operator may choose about HTTP.

use std::time::Duration;

use axum::http::HeaderValue;

use crate::{Network, RateLimits, Share, WAIT_MAX};

/// The longest that a client may take to send the body of a request, behind its headers.
pub(crate) const BODY_MAX: Duration = Duration::from_secs(10);
/// The longest that the bank may take for one request, once it is there.
pub(crate) const REQUEST_MAX: Duration = Duration::from_secs(30);

/// The most requests that are worked on at once, unless an operator chose otherwise.
pub const REQUESTS_MAX: usize = 768;
/// The most requests at once that wait.
pub const WAITING_REQUESTS_MAX: usize = 2_048;
/// The most batches that are worked on at once.
pub const BATCHES_MAX: usize = 16;

const _: () =
    assert!(WAIT_MAX.as_secs() < REQUEST_MAX.as_secs(), "a wait ends before its request is given up");

/// What an operator may choose about HTTP.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// How often somebody may ask.
    pub rate_limits: RateLimits,
    /// The proxies whose `X-Forwarded-For` is believed; of anybody else it is ignored.
    pub trusted_proxies: Vec<Network>,
    /// The origins whose scripts may call the bank; none closes CORS.
    pub cors_origins: Vec<HeaderValue>,
    /// For how long browsers keep to HTTPS (RFC 6797); only for a bank that is reached over HTTPS alone.
    pub strict_transport_security: Option<Duration>,
    /// The most requests that are worked on at once; further ones are refused with 503. Divided by what the bank does
    /// in a second, it is how long one that is accepted may take.
    pub in_flight_max: usize,
    /// The most requests at once that asked to wait for what is done behind the answer; further ones are refused with
    /// 503. They have room of their own, so that they keep out nobody who is served in a moment.
    pub waiting_max: usize,
    /// The most batches that are worked on at once; further ones are refused with 503. Each may have a body of 1 MiB, and as
    /// many messages to the ledger as it has operations.
    pub batches_max: usize,
    /// Which requests are logged; one that failed or was slow always is.
    pub logged: Share,
    /// Which traces that begin here are recorded; of one that the sender began, she has decided.
    pub traced: Share,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            rate_limits: RateLimits::default(),
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            strict_transport_security: None,
            in_flight_max: REQUESTS_MAX,
            waiting_max: WAITING_REQUESTS_MAX,
            batches_max: BATCHES_MAX,
            logged: Share::ALL,
            traced: Share::NONE,
        }
    }
}
