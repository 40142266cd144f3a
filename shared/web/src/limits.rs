//! Rate limits: per person once she is signed in, per address before.
//!
//! Each key has a bucket of its own (GCRA). The buckets lie in a bounded cache and leave it once they are full again, so
//! that neither time nor many addresses can fill the memory. In one process only: on AWS the gateway's throttling
//! stands in front.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use kernel::UserId;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::Problem;
use crate::headers::{RATELIMIT_LIMIT, RATELIMIT_REMAINING, RATELIMIT_RESET};
use crate::problem::whole_seconds;

/// The most keys of each kind; beyond it those unused for the longest time are forgotten.
const KEYS_MAX: u64 = 100_000;

/// How often somebody may ask. The default is what a person or a script never meets in normal use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimits {
    /// Per person who is signed in; none is no limit.
    pub per_user: Option<Quota>,
    /// Per address, for the posts under `/auth/`; none is no limit.
    pub per_address: Option<Quota>,
}

impl RateLimits {
    /// No limits, for load tests.
    pub const OFF: Self = Self { per_user: None, per_address: None };
}

impl Default for RateLimits {
    /// 100 a second with a burst of 500 for a person; 20 a minute with a burst of 40 for an address.
    fn default() -> Self {
        const fn count(number: u32) -> NonZeroU32 {
            NonZeroU32::MIN.saturating_add(number - 1)
        }
        Self {
            per_user: Some(Quota::per_second(count(100)).allow_burst(count(500))),
            per_address: Some(Quota::per_minute(count(20)).allow_burst(count(40))),
        }
    }
}

/// What is left of a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Allowance {
    limit: u32,
    remaining: u32,
    /// When all of it is there again, in seconds.
    reset_seconds: u64,
}

pub(crate) struct Limits {
    users: Option<Buckets<UserId>>,
    addresses: Option<Buckets<IpAddr>>,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

struct Buckets<K> {
    quota: Quota,
    clock: DefaultClock,
    by_key: Cache<K, Arc<Bucket>>,
}

impl Limits {
    pub fn new(limits: RateLimits) -> Self {
        Self { users: limits.per_user.map(Buckets::new), addresses: limits.per_address.map(Buckets::new) }
    }

    /// Takes so many requests from what a person may send.
    pub fn check_user(
        &self,
        user_id: UserId,
        requests: NonZeroU32,
    ) -> Result<Option<Allowance>, (Allowance, Problem)> {
        self.users.as_ref().map(|users| users.check(user_id, requests)).transpose()
    }

    /// Takes one request from what an address may send.
    pub fn check_address(&self, address: IpAddr) -> Result<Option<Allowance>, (Allowance, Problem)> {
        self.addresses.as_ref().map(|addresses| addresses.check(address, NonZeroU32::MIN)).transpose()
    }
}

impl<K: Eq + Hash + Send + Sync + 'static> Buckets<K> {
    fn new(quota: Quota) -> Self {
        let by_key = Cache::builder()
            .max_capacity(KEYS_MAX)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(refilled_after(quota, quota.burst_size().get()).max(Duration::from_secs(1)))
            .build();
        Self { quota, clock: DefaultClock::default(), by_key }
    }

    /// Takes so many requests from a bucket; more than it ever holds take all of it.
    fn check(&self, key: K, requests: NonZeroU32) -> Result<Allowance, (Allowance, Problem)> {
        let limit = self.quota.burst_size().get();
        let bucket =
            self.by_key.get_with(key, || Arc::new(RateLimiter::direct(self.quota).with_middleware()));
        let checked = bucket.check_n(requests.min(self.quota.burst_size()));
        match checked.unwrap_or_else(|_| unreachable!("a bucket holds a burst")) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity().min(limit);
                let reset = refilled_after(self.quota, limit - remaining);
                Ok(Allowance { limit, remaining, reset_seconds: whole_seconds(reset) })
            }
            Err(refused) => {
                let wait = refused.wait_time_from(self.clock.now());
                let reset_seconds = whole_seconds(refilled_after(self.quota, limit));
                let problem = Problem::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "RATE_LIMITED",
                    "Too many requests. Wait a little.",
                )
                .retry_after(wait);
                Err((Allowance { limit, remaining: 0, reset_seconds }, problem))
            }
        }
    }
}

/// How long it takes until this many requests may be sent again.
fn refilled_after(quota: Quota, requests: u32) -> Duration {
    quota.replenish_interval().saturating_mul(requests)
}

impl Allowance {
    /// Writes what is left, modelled on the IETF draft `draft-ietf-httpapi-ratelimit-headers`.
    pub fn write(self, headers: &mut HeaderMap) {
        headers.insert(RATELIMIT_LIMIT, self.limit.into());
        headers.insert(RATELIMIT_REMAINING, self.remaining.into());
        headers.insert(RATELIMIT_RESET, self.reset_seconds.into());
    }
}
