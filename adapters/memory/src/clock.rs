//! A clock and identifiers that a test can foresee.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use kernel::Timestamp;
use ports::{Clock, Ids, Sources};
use tokio::time::Instant;
use uuid::{Builder, Uuid};

/// Where every test clock begins: 2026-01-01T00:00:00Z.
const BEGINNING: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A clock that begins at 2026-01-01T00:00:00Z and runs with tokio's time.
///
/// In a runtime whose time is paused it stands still until every task sleeps, so that a run is the same each time;
/// elsewhere it runs like any clock. [`TestClock::advance`] moves it forward by hand, and [`TestClock::turn_back`] back
/// as a time server may. Clones are the same clock.
#[derive(Clone)]
pub struct TestClock {
    began: Instant,
    advanced_ms: Arc<AtomicI64>,
}

impl TestClock {
    /// Moves the clock forward, whole milliseconds. Timers of tokio do not see it.
    pub fn advance(&self, duration: Duration) {
        self.advanced_ms.fetch_add(millis(duration), Ordering::SeqCst);
    }

    /// Moves the clock back, whole milliseconds. Timers of tokio do not see it.
    pub fn turn_back(&self, duration: Duration) {
        self.advanced_ms.fetch_sub(millis(duration), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let advanced_ms = self.advanced_ms.load(Ordering::SeqCst);
        let elapsed_ms = millis(self.began.elapsed());
        Timestamp::from_millis(BEGINNING.as_millis() + elapsed_ms + advanced_ms)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Identifiers of version 7 with the clock's time and a counter where others have chance.
///
/// They are unique and ascending within one [`Sources`]; two of them make the same ones.
pub struct SteppedIds {
    clock: TestClock,
    made: AtomicU64,
}

impl Ids for SteppedIds {
    fn fresh(&self) -> Uuid {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let millis = u64::try_from(self.clock.now().as_millis()).unwrap_or(0);
        let mut counter = [0; 10];
        counter[2..].copy_from_slice(&number.to_be_bytes());
        Builder::from_unix_timestamp_millis(millis, &counter).into_uuid()
    }
}

/// A test's time and identifiers, and the clock to move the time by.
pub fn sources() -> (Sources, TestClock) {
    let clock = TestClock { began: Instant::now(), advanced_ms: Arc::new(AtomicI64::new(0)) };
    let ids = SteppedIds { clock: clock.clone(), made: AtomicU64::new(0) };
    (Sources::new(clock.clone(), ids), clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_stands_still_until_somebody_waits_or_moves_it() {
        let (sources, clock) = sources();
        assert_eq!(sources.now().to_string(), "2026-01-01T00:00:00.000Z");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(sources.now().to_string(), "2026-01-01T00:00:01.500Z");
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(sources.now().to_string(), "2026-01-02T00:00:01.500Z");
        clock.turn_back(Duration::from_millis(2_500));
        assert_eq!(sources.now().to_string(), "2026-01-01T23:59:59.000Z");
    }

    #[tokio::test(start_paused = true)]
    async fn identifiers_carry_the_time_ascend_and_are_the_same_each_run() {
        let (first, _) = sources();
        let (second, _) = sources();
        let mut last = Uuid::nil();
        for _ in 0..1_000 {
            let id = first.fresh_id();
            assert_eq!(id, second.fresh_id());
            assert!(id > last, "{id} is not behind {last}");
            assert_eq!(kernel::MessageId::new(id).made_at(), Some(first.now()));
            last = id;
        }
    }
}
