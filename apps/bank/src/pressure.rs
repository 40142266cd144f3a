//! Back pressure: no more orders than the bank works off in some seconds, and no faster than it ends them.
//!
//! An order is durable before anybody works on it, so a bank under too much load could take orders faster than it ends
//! them, for as long as the disk has room. So while more messages wait for a consumer that an operation needs to end than
//! it takes in a moment, each further order is held up a little, the longer the more they are: callers who wait for their
//! answers get no faster ahead of the bank than it works, and what passes through quickly is never written into the tables
//! of its queues. Whoever asks without waiting for answers gets ahead nevertheless, and once the backlog is some seconds
//! long, orders are refused as busy.
//!
//! Reads are neither held up nor refused. A batch is up to a thousand orders, so batches are refused earlier: were all that
//! are under way of the longest, they would fill no more than there is room for. How far projections and letters are
//! behind does not matter here: whoever stands behind a consumer that has died must not be held up by it.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use banking::BATCH_OPERATIONS_MAX;
use contracts::topology::consumers::{BANKING_EVENTS, LEDGER_COMMANDS};
use embedded::EmbeddedStore;
use runtime::Fault;
use web::{BATCHES, BATCHES_MAX, Problem};

/// The consumers that an operation needs to end: the one that judges it and the one that hears the verdict.
const NEEDED: [&str; 2] = [LEDGER_COMMANDS, BANKING_EVENTS];
/// The most messages that may wait for one of them: about ten seconds of work.
const WAITING_MAX: u64 = 50_000;
/// How many messages the batches that are under way may yet send.
const OF_BATCHES: u64 = (BATCHES_MAX * BATCH_OPERATIONS_MAX) as u64;

const _: () = assert!(OF_BATCHES < WAITING_MAX, "a bank with nothing to do takes a batch");

/// How many may wait without holding anybody up: about a tenth of a second of work.
const UNHELD_MAX: u64 = 1_000;
/// How long an order is held up for each message beyond that.
const HOLD_FOR_EACH: Duration = Duration::from_micros(10);
/// The longest that an order is held up. It keeps its place among the requests that are worked on at once, which must
/// not run out while the bank works off what waits behind an overload.
const HOLD_MAX: Duration = Duration::from_millis(10);

/// When to ask again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the layer is given.
#[derive(Clone)]
pub struct Pressure {
    store: EmbeddedStore,
    waiting_max: u64,
}

impl Pressure {
    pub fn of(store: EmbeddedStore) -> Self {
        Self { store, waiting_max: WAITING_MAX }
    }

    /// How long an order at this path is to be held up; none if it is to be refused.
    fn hold(&self, path: &str) -> Option<Duration> {
        let waiting = NEEDED.iter().map(|consumer| self.store.waiting(consumer)).max().unwrap_or(0);
        let reserved = if path == BATCHES { OF_BATCHES } else { 0 };
        (waiting <= self.waiting_max.saturating_sub(reserved)).then(|| hold(waiting))
    }
}

/// How long an order is held up while so many messages wait.
fn hold(waiting: u64) -> Duration {
    let beyond = u32::try_from(waiting.saturating_sub(UNHELD_MAX)).unwrap_or(u32::MAX);
    HOLD_FOR_EACH.saturating_mul(beyond).min(HOLD_MAX)
}

/// Holds orders up while the pressure is high, and refuses them while it is too high.
pub async fn relieve(State(pressure): State<Pressure>, request: Request, next: Next) -> Response {
    if request.method() == Method::POST {
        match pressure.hold(request.uri().path()) {
            None => return Problem::from(Fault::Busy { retry_after: RETRY_AFTER }).into_response(),
            Some(Duration::ZERO) => {}
            Some(hold) => tokio::time::sleep(hold).await,
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::{get, post};
    use serde_json::json;
    use tower::ServiceExt;

    use super::*;
    use crate::tests::bank::Bank;

    #[tokio::test]
    async fn orders_are_refused_while_too_many_wait_and_reads_are_not() {
        let mut bank = Bank::open().await;
        let ada = bank.person("ada").await;
        let account_id = bank.open_account(&ada, "Current account").await;
        let known = bank.get(format!("/balances/{account_id}?min_version=0")).by(&ada);
        known.send().await.must_be(200);
        bank.stop_consumers().await;

        let pressure = Pressure { store: bank.world.store.clone(), waiting_max: 2 };
        let router = Router::new()
            .route("/", get(async || "read").post(async || "ordered"))
            .route(BATCHES, post(async || "ordered"))
            .layer(from_fn_with_state(pressure, relieve));
        let answered = async |method: &Method, path: &str| {
            let request = Request::builder().method(method).uri(path);
            let request = request.body(axum::body::Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
        };
        for _ in 0..3 {
            assert_eq!(answered(&Method::POST, "/").await, (200, false));
            let deposit = bank.post("/deposit").by(&ada);
            deposit.json(&json!({"account_id": account_id, "amount": "1"})).send().await.must_be(200);
        }
        assert_eq!(answered(&Method::POST, "/").await, (503, true));
        assert_eq!(answered(&Method::POST, BATCHES).await, (503, true));
        assert_eq!(answered(&Method::GET, "/").await, (200, false));

        // Three wait. A batch is refused while those that are under way might bring too many.
        let pressure = |waiting_max| Pressure { store: bank.world.store.clone(), waiting_max };
        for (waiting_max, path, is_too_high) in
            [(OF_BATCHES + 2, "/", false), (OF_BATCHES + 2, BATCHES, true), (OF_BATCHES + 3, BATCHES, false)]
        {
            assert_eq!(pressure(waiting_max).hold(path).is_none(), is_too_high, "{waiting_max} {path}");
        }
    }

    #[test]
    fn the_more_wait_the_longer_an_order_is_held_up_within_a_bound() {
        for (waiting, micros) in [
            (0, 0),
            (UNHELD_MAX, 0),
            (UNHELD_MAX + 1, 10),
            (UNHELD_MAX + 100, 1_000),
            (UNHELD_MAX + 1_000, 10_000),
            (UNHELD_MAX + 1_001, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(hold(waiting), Duration::from_micros(micros), "{waiting}");
        }
    }
}
