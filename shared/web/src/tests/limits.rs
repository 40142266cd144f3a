//! Who asks too often waits.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use axum::extract::ConnectInfo;
use governor::Quota;

use super::*;

fn three_an_hour() -> Option<Quota> {
    Some(Quota::per_hour(NonZeroU32::new(3).unwrap()))
}

fn limited(rate_limits: RateLimits) -> Router {
    bank(HttpSettings { rate_limits, ..HttpSettings::default() }, &World::default())
}

#[tokio::test]
async fn a_person_who_asks_too_often_waits() {
    let bank = limited(RateLimits { per_user: three_an_hour(), per_address: None });
    let alice = [("authorization", "Bearer alice")];
    for remaining in ["2", "1", "0"] {
        let seen = send(&bank, ask("/operations", &alice)).await;
        assert_eq!((seen.status, seen.header("ratelimit-limit")), (200, "3"));
        assert_eq!(seen.header("ratelimit-remaining"), remaining);
        let reset: u64 = seen.header("ratelimit-reset").parse().unwrap();
        assert!((1..=3_600).contains(&reset), "{reset}");
    }
    let seen = send(&bank, ask("/operations", &alice)).await;
    assert_eq!(seen.refusal(), (429, "RATE_LIMITED", vec![]));
    let retry_after: u64 = seen.header("retry-after").parse().unwrap();
    assert!((1_000..=1_200).contains(&retry_after), "{retry_after}");
    assert_eq!(seen.header("ratelimit-remaining"), "0");
    // What needs no sign-in is not counted.
    assert_eq!(send(&bank, ask("/trace", &[])).await.status, 200);
}

#[tokio::test]
async fn an_address_may_try_to_sign_in_so_often() {
    let bank = limited(RateLimits { per_user: None, per_address: three_an_hour() });
    let sign_in = |address: &str| {
        let mut request = request(Method::POST, "/auth/sign-in", &[("x-forwarded-for", "203.0.113.9")], "");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address.parse().unwrap(), 1)));
        request
    };
    for _ in 0..3 {
        assert_eq!(send(&bank, sign_in("192.0.2.1")).await.status, 204);
    }
    assert_eq!(send(&bank, sign_in("192.0.2.1")).await.refusal(), (429, "RATE_LIMITED", vec![]));
    assert_eq!(send(&bank, sign_in("192.0.2.2")).await.status, 204);
    assert_eq!(send(&bank, sign_in("2001:db8::1")).await.header("ratelimit-remaining"), "2");
    assert_eq!(send(&bank, sign_in("2001:db8::2")).await.header("ratelimit-remaining"), "1");
}

#[tokio::test]
async fn limits_may_be_off() {
    let bank = limited(RateLimits::OFF);
    for _ in 0..600 {
        let seen = send(&bank, ask("/operations", &[("authorization", "Bearer alice")])).await;
        assert_eq!((seen.status, seen.header("ratelimit-limit")), (200, ""));
    }
}

#[tokio::test]
async fn the_default_lets_a_burst_of_500_pass() {
    let bank = small_bank();
    let mut answered = 0;
    while send(&bank, ask("/operations", &[("authorization", "Bearer alice")])).await.status == 200 {
        answered += 1;
    }
    assert!(answered >= 500, "{answered}");
}
