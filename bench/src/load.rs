//! The closed loop: every worker does one step after the other until the time is over.
//!
//! A step counts if it ended within the measured window, so that neither the warm-up nor the last requests, which
//! end after the load has fallen off, flatter the figures.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::client::{ClientError, Connection, Server};
use crate::latencies::Latencies;
use crate::report::per_second;
use crate::settle;
use crate::setup::Account;
use crate::step::{Deposit, Step, Worker};

/// A worker gives up after so many failures: the run has no figures any more, and the bank may be gone.
const FAILURES_MAX: u64 = 10;
/// How many failures are shown.
const EXAMPLES_MAX: usize = 5;
/// The newest deposits of each worker, which the bank may still be working on when the load ends.
const RECENT_MAX: usize = 100;

/// What a scenario came to.
pub struct Measured {
    /// What it is called.
    pub name: String,
    /// How long it was measured.
    pub window: Duration,
    /// How many operations were done within the window.
    pub finished: u64,
    /// How long each step took.
    pub latencies: Latencies,
    /// How many steps failed, at any time.
    pub failures: u64,
    /// What the first failures were.
    pub examples: Vec<String>,
    /// For steps that leave the bank work: when it was done with all of it.
    pub settled: Option<Settled>,
}

/// How the bank worked off what it had accepted.
pub struct Settled {
    /// From the end of the load until the last operation was COMPLETED and no message waited.
    pub drain: Duration,
    /// Everything accepted, warm-up included.
    pub operations: u64,
    /// From the first request until then.
    pub elapsed: Duration,
}

impl Measured {
    /// What the bank does in a second, and keeps doing.
    pub fn rate(&self) -> u64 {
        let within = || per_second(self.finished, self.window);
        self.settled.as_ref().map_or_else(within, Settled::per_second)
    }
}

impl Settled {
    /// How many operations a second the bank sustained.
    pub fn per_second(&self) -> u64 {
        per_second(self.operations, self.elapsed)
    }
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
    latencies: Latencies,
    failures: u64,
    examples: Vec<String>,
    recent: VecDeque<Deposit>,
}

/// Takes a step again and again, on all connections at once.
pub async fn run(name: &str, step: Step, server: &Server, accounts: &[Account], extent: Extent) -> Measured {
    let begun = Instant::now();
    let start = begun + Duration::from_secs(extent.warmup_seconds.into());
    let window = Window { start, end: start + Duration::from_secs(extent.seconds.into()) };
    let workers = (0..extent.connections).map(|_| work(step, server, accounts, window));
    let mut total = Tally::default();
    for tally in join_all(workers).await {
        total.add(tally);
    }
    let load_end = Instant::now();
    let recent = newest(&mut total.recent);
    let settled_at = match total.failures {
        0 => settle::wait(server, accounts, &recent, extent.connections).await,
        _ => Ok(load_end),
    };
    let settled_at = settled_at.inspect_err(|error| total.fail(error)).ok();
    let settled = settled_at.filter(|_| step.leaves_work()).map(|settled_at| Settled {
        drain: settled_at - load_end,
        operations: total.steps * step.operations(),
        elapsed: settled_at - begun,
    });
    Measured {
        name: name.to_owned(),
        window: window.end - window.start,
        finished: total.latencies.count() * step.operations(),
        latencies: total.latencies,
        failures: total.failures,
        examples: total.examples,
        settled,
    }
}

fn newest(recent: &mut VecDeque<Deposit>) -> Vec<Deposit> {
    let mut newest: Vec<Deposit> = recent.drain(..).collect();
    newest.sort_by_key(|deposit| std::cmp::Reverse(deposit.accepted_at));
    newest
}

async fn work(step: Step, server: &Server, accounts: &[Account], window: Window) -> Tally {
    let mut tally = Tally::default();
    let mut worker = match Connection::open(server).await {
        Ok(connection) => Worker::new(connection, accounts),
        Err(error) => {
            tally.fail(&error);
            return tally;
        }
    };
    let mut begun = Instant::now();
    while begun < window.end && tally.failures < FAILURES_MAX {
        let outcome = worker.take(step).await;
        let ended = Instant::now();
        match outcome {
            Ok(deposit) => tally.succeed(ended - begun, (window.start..window.end).contains(&ended), deposit),
            Err(error) => tally.fail(&error),
        }
        begun = ended;
    }
    tally
}

impl Tally {
    fn succeed(&mut self, latency: Duration, is_measured: bool, deposit: Option<Deposit>) {
        self.steps += 1;
        if is_measured {
            self.latencies.record(latency);
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

    /// Adds what another worker did.
    fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.failures += other.failures;
        self.recent.extend(other.recent);
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
        self.latencies.add(&other.latencies);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_within_the_window_is_measured() {
        let mut tally = Tally::default();
        tally.succeed(Duration::from_millis(5), true, None);
        tally.succeed(Duration::from_millis(9), false, None);
        assert_eq!((tally.steps, tally.latencies.count()), (2, 1));
    }

    #[test]
    fn tallies_add_up() {
        let mut total = Tally::default();
        for millis in [1, 2, 3] {
            let mut tally = Tally::default();
            tally.succeed(Duration::from_millis(millis), true, None);
            tally.fail(&ClientError::TooSlow);
            total.add(tally);
        }
        assert_eq!((total.steps, total.failures, total.examples.len()), (3, 3, 3));
        assert_eq!(total.latencies.count(), 3);
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
