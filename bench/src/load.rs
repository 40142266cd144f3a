//! The closed loop: every worker does one step after the other until the time is over.
//!
//! A step counts if it ended within the measured window, so that neither the warm-up nor the last requests, which
//! end after the load has fallen off, flatter the figures.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures::future::join_all;
use hdrhistogram::Histogram;

use crate::client::{ClientError, Connection, Server};
use crate::scenario::{Deposit, Scenario, Worker};
use crate::settle;
use crate::setup::Account;

/// A worker gives up after so many failures: the run has no figures any more, and the bank may be gone.
const FAILURES_MAX: u64 = 10;
/// How many failures are shown.
const EXAMPLES_MAX: usize = 5;
/// The newest deposits of each worker, which the bank may still be working on when the load ends.
const RECENT_MAX: usize = 100;
/// Latencies are kept in microseconds with two significant digits, up to a minute.
const LATENCY_MAX_MICROS: u64 = 60_000_000;
const LATENCY_DIGITS: u8 = 2;

/// What a scenario came to.
pub struct Measured {
    /// Which one it was.
    pub scenario: Scenario,
    /// How long it was measured.
    pub window: Duration,
    /// How many steps ended within the window.
    pub finished: u64,
    /// How long they took, in microseconds.
    pub latencies: Option<Histogram<u64>>,
    /// How many steps failed, at any time.
    pub failures: u64,
    /// What the first failures were.
    pub examples: Vec<String>,
    /// For deposits that are only accepted: when the bank was done with all of them.
    pub settled: Option<Settled>,
}

/// How the bank worked off what it had accepted.
pub struct Settled {
    /// From the end of the load until the last deposit was COMPLETED.
    pub drain: Duration,
    /// Everything accepted, warm-up included.
    pub deposits: u64,
    /// From the first request until the last deposit was COMPLETED.
    pub elapsed: Duration,
}

/// How many call, and for how long.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Connections, each with one request at a time.
    pub connections: u32,
    /// How long it is measured.
    pub seconds: u32,
    /// How long it runs before it is measured.
    pub warmup_seconds: u32,
}

#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    end: Instant,
}

#[derive(Default)]
struct Tally {
    steps: u64,
    latencies: Option<Histogram<u64>>,
    failures: u64,
    examples: Vec<String>,
    recent: VecDeque<Deposit>,
}

/// Runs a scenario on all connections at once.
pub async fn run(scenario: Scenario, server: &Server, accounts: &[Account], extent: Extent) -> Measured {
    let begun = Instant::now();
    let start = begun + Duration::from_secs(extent.warmup_seconds.into());
    let window = Window { start, end: start + Duration::from_secs(extent.seconds.into()) };
    let workers = (0..extent.connections).map(|_| work(scenario, server, accounts, window));
    let mut total = Tally::default();
    for tally in join_all(workers).await {
        total.add(tally);
    }
    let settled = match (scenario, total.failures) {
        (Scenario::Accepted, 0) => settle_all(server, accounts, &mut total, begun, extent.connections).await,
        _ => None,
    };
    Measured {
        scenario,
        window: window.end - window.start,
        finished: total.latencies.as_ref().map_or(0, Histogram::len),
        latencies: total.latencies,
        failures: total.failures,
        examples: total.examples,
        settled,
    }
}

async fn work(scenario: Scenario, server: &Server, accounts: &[Account], window: Window) -> Tally {
    let mut tally = Tally { latencies: latencies(), ..Tally::default() };
    let mut worker = match Connection::open(server).await {
        Ok(connection) => Worker::new(connection, accounts),
        Err(error) => {
            tally.fail(&error);
            return tally;
        }
    };
    let mut begun = Instant::now();
    while begun < window.end && tally.failures < FAILURES_MAX {
        let outcome = worker.step(scenario).await;
        let ended = Instant::now();
        match outcome {
            Ok(deposit) => tally.succeed(ended - begun, (window.start..window.end).contains(&ended), deposit),
            Err(error) => tally.fail(&error),
        }
        begun = ended;
    }
    tally
}

/// Waits until the bank has worked off what it accepted, and measures how long that takes.
async fn settle_all(
    server: &Server,
    accounts: &[Account],
    total: &mut Tally,
    begun: Instant,
    connections: u32,
) -> Option<Settled> {
    let load_end = Instant::now();
    let mut recent: Vec<Deposit> = total.recent.drain(..).collect();
    recent.sort_by_key(|deposit| std::cmp::Reverse(deposit.accepted_at));
    match settle::wait(server, accounts, &recent, connections).await {
        Ok(settled_at) => {
            Some(Settled { drain: settled_at - load_end, deposits: total.steps, elapsed: settled_at - begun })
        }
        Err(error) => {
            total.fail(&error);
            None
        }
    }
}

fn latencies() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1, LATENCY_MAX_MICROS, LATENCY_DIGITS).ok()
}

impl Tally {
    fn succeed(&mut self, latency: Duration, is_measured: bool, deposit: Option<Deposit>) {
        self.steps += 1;
        if is_measured && let Some(latencies) = &mut self.latencies {
            latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LATENCY_MAX_MICROS));
        }
        if let Some(deposit) = deposit {
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(deposit);
        }
    }

    fn fail(&mut self, error: &ClientError) {
        self.failures += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(error.to_string());
        }
    }

    /// Adds what another worker did. All histograms have the same bounds, so they add up.
    fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.failures += other.failures;
        self.recent.extend(other.recent);
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
        match (&mut self.latencies, other.latencies) {
            (Some(all), Some(latencies)) => all.add(latencies).unwrap_or_default(),
            (all @ None, latencies) => *all = latencies,
            (Some(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_within_the_window_is_measured() {
        let mut tally = Tally { latencies: latencies(), ..Tally::default() };
        tally.succeed(Duration::from_millis(5), true, None);
        tally.succeed(Duration::from_millis(9), false, None);
        assert_eq!((tally.steps, tally.latencies.map(|all| all.len())), (2, Some(1)));
    }

    #[test]
    fn tallies_add_up() {
        let mut total = Tally::default();
        for millis in [1, 2, 3] {
            let mut tally = Tally { latencies: latencies(), ..Tally::default() };
            tally.succeed(Duration::from_millis(millis), true, None);
            tally.fail(&ClientError::TooSlow);
            total.add(tally);
        }
        let latencies = total.latencies.unwrap();
        assert_eq!((total.steps, total.failures, total.examples.len()), (3, 3, 3));
        assert_eq!(latencies.len(), 3);
        assert!((1_900..=2_100).contains(&latencies.value_at_quantile(0.5)));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut tally = Tally::default();
        for number in 0..RECENT_MAX + 7 {
            let deposit =
                Deposit { account: number, operation_id: String::new(), accepted_at: Instant::now() };
            tally.succeed(Duration::ZERO, false, Some(deposit));
            tally.fail(&ClientError::TooSlow);
        }
        assert_eq!((tally.recent.len(), tally.examples.len()), (RECENT_MAX, EXAMPLES_MAX));
        assert_eq!(tally.recent[0].account, 7);
    }
}
