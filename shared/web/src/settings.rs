//! What an operator may choose about HTTP.

use std::time::Duration;

use axum::http::HeaderValue;

use crate::{Network, RateLimits, WAIT_MAX};

/// The longest that one request may take.
pub(crate) const REQUEST_MAX: Duration = Duration::from_secs(30);

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
    /// The most requests at once; further ones are refused with 503.
    pub in_flight_max: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            rate_limits: RateLimits::default(),
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            strict_transport_security: None,
            in_flight_max: 4_096,
        }
    }
}
