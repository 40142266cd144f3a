//! Waiting for what comes eventually.

use std::thread;
use std::time::{Duration, Instant};

const PATIENCE_DEFAULT_MS: u64 = 10_000;
const PAUSE_FIRST_MS: u64 = 5;
const PAUSE_MAX_MS: u64 = 250;

/// How long the suite waits for anything: `E2E_PATIENCE_MS`, 10 seconds by default.
#[must_use]
pub fn patience() -> Duration {
    let configured = std::env::var("E2E_PATIENCE_MS").ok();
    let patience_ms = configured.map_or(PATIENCE_DEFAULT_MS, |text| match text.parse() {
        Ok(patience_ms) => patience_ms,
        Err(_) => panic!("E2E_PATIENCE_MS is {text:?}, which is not a number of milliseconds"),
    });
    Duration::from_millis(patience_ms)
}

/// Asks again and again until there is an answer; it panics with `what` when the patience is over.
#[track_caller]
pub fn wait_until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience();
    let mut pause_ms = PAUSE_FIRST_MS;
    loop {
        if let Some(answer) = attempt() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {:?} in vain until {what}", patience());
        thread::sleep(Duration::from_millis(pause_ms));
        pause_ms = (pause_ms * 2).min(PAUSE_MAX_MS);
    }
}
