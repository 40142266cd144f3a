//! The open loop: requests begin when they are planned to, whether or not earlier ones were answered.
//!
//! Latency counts from the planned moment, so that a request which had to wait for a free connection is as late as
//! its sender would say it is. A request that could not even be sent within [`PATIENCE`] is given up and counted: it
//! bounds how far the loop falls behind a bank that does not answer.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::client::{Answer, ClientError, Connection, Server, TOO_MANY_REQUESTS, UNAVAILABLE};
use crate::latencies::Latencies;
use crate::load::Measured;
use crate::setup::Account;
use crate::step::{Step, Worker};

/// How long a request waits for a free connection.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many failures are shown.
const EXAMPLES_MAX: usize = 5;

/// A load with a plan: how many requests begin in each second, evenly spread over it.
pub struct Load {
    step: Step,
    begun: Instant,
    plan: Vec<u32>,
    /// The second and the place within it of the request that begins next.
    next: Cell<(usize, u32)>,
    seconds: RefCell<Vec<Second>>,
    examples: RefCell<Vec<String>>,
}

/// What became of the requests that were planned for one second.
#[derive(Clone, Default)]
pub struct Second {
    /// How long those took that were done, in microseconds.
    pub accepted: Vec<u64>,
    /// How long those took that were refused with 503 or 429 and told when to ask again, in microseconds.
    pub refused: Vec<u64>,
    /// How many were answered in any other way, or not at all.
    pub failed: u64,
    /// How many were given up because every connection was in use.
    pub unsent: u64,
}

impl Load {
    /// A load of such steps that begins now.
    pub fn begin(step: Step, plan: Vec<u32>) -> Self {
        let seconds = RefCell::new(vec![Second::default(); plan.len()]);
        let begun = Instant::now();
        Self { step, begun, plan, next: Cell::new((0, 0)), seconds, examples: RefCell::default() }
    }

    /// Sends everything that is planned, over so many connections at most, and waits for the answers.
    pub async fn run(&self, server: &Server, accounts: &[Account], connections: u32) {
        join_all((0..connections).map(|_| self.work(server, accounts))).await;
    }

    /// When a second of the plan begins.
    pub fn at(&self, second: usize) -> Instant {
        self.begun + Duration::from_secs(second as u64)
    }

    /// How many seconds have gone by.
    pub fn second_now(&self) -> usize {
        usize::try_from(self.begun.elapsed().as_secs()).unwrap_or(usize::MAX)
    }

    /// How many seconds are planned.
    pub fn length(&self) -> usize {
        self.plan.len()
    }

    /// What has become of every second so far.
    pub fn seconds(&self) -> Vec<Second> {
        self.seconds.borrow().clone()
    }

    /// What the first failures were.
    pub fn examples(&self) -> Vec<String> {
        self.examples.borrow().clone()
    }

    /// What became of the seconds after the first few, as one. Whatever was not done counts as a failure.
    pub fn measured(&self, name: String, warmup_seconds: usize) -> Measured {
        let measured = self.seconds.borrow();
        let measured = measured.get(warmup_seconds..).unwrap_or_default();
        let Second { accepted, refused, failed, unsent } = sum(measured);
        let mut latencies = Latencies::default();
        for micros in &accepted {
            latencies.record_micros(*micros);
        }
        let mut examples = self.examples();
        if !refused.is_empty() || unsent > 0 {
            examples
                .push(format!("{} requests were refused, {unsent} had no free connection", refused.len()));
        }
        Measured {
            name,
            window: Duration::from_secs(measured.len() as u64),
            finished: accepted.len() as u64,
            latencies,
            failures: failed + unsent + refused.len() as u64,
            examples,
            settled: None,
        }
    }

    async fn work(&self, server: &Server, accounts: &[Account]) {
        let mut worker = None;
        while let Some((second, planned)) = self.next() {
            tokio::time::sleep_until(planned.into()).await;
            if planned.elapsed() > PATIENCE {
                self.note(second, |second| second.unsent += 1);
                continue;
            }
            let answer = ask(&mut worker, self.step, server, accounts).await;
            let micros = u64::try_from(planned.elapsed().as_micros()).unwrap_or(u64::MAX);
            match answer {
                Ok(answer) if is_refusal(&answer) => {
                    self.note(second, |second| second.refused.push(micros));
                }
                Ok(answer) => match self.step.check(&answer) {
                    Ok(()) => self.note(second, |second| second.accepted.push(micros)),
                    Err(error) => self.fail(second, &error),
                },
                Err(error) => {
                    worker = None;
                    self.fail(second, &error);
                }
            }
        }
    }

    /// The second and the moment of the request that begins next.
    fn next(&self) -> Option<(usize, Instant)> {
        let (mut second, mut place) = self.next.get();
        while place >= *self.plan.get(second)? {
            (second, place) = (second + 1, 0);
        }
        self.next.set((second, place + 1));
        Some((second, self.at(second) + Duration::from_secs(1) * place / self.plan[second]))
    }

    fn note(&self, second: usize, note: impl FnOnce(&mut Second)) {
        if let Some(second) = self.seconds.borrow_mut().get_mut(second) {
            note(second);
        }
    }

    fn fail(&self, second: usize, error: &ClientError) {
        self.note(second, |second| second.failed += 1);
        let mut examples = self.examples.borrow_mut();
        if examples.len() < EXAMPLES_MAX {
            examples.push(error.to_string());
        }
    }
}

/// Sends one request, on a new connection where there is none or the bank has hung up an idle one.
async fn ask<'a>(
    worker: &mut Option<Worker<'a>>,
    step: Step,
    server: &Server,
    accounts: &'a [Account],
) -> Result<Answer, ClientError> {
    let asking = match worker {
        Some(asking) if !asking.connection.is_closed() => asking,
        _ => worker.insert(Worker::new(Connection::open(server).await?, accounts)),
    };
    let (_, request) = asking.request(step);
    asking.connection.send(request).await
}

/// Whether the bank says that it is at its limit, and when to ask again.
fn is_refusal(answer: &Answer) -> bool {
    matches!(answer.status, UNAVAILABLE | TOO_MANY_REQUESTS) && answer.says_when_again
}

/// Several seconds as one.
pub fn sum(seconds: &[Second]) -> Second {
    let mut sum = Second::default();
    for second in seconds {
        sum.accepted.extend_from_slice(&second.accepted);
        sum.refused.extend_from_slice(&second.refused);
        sum.failed += second.failed;
        sum.unsent += second.unsent;
    }
    sum
}

/// The latency that so many of a thousand do not exceed; none of none is zero.
pub fn quantile(latencies: &[u64], per_mille: usize) -> u64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * per_mille).div_ceil(1_000).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spread_over_the_seconds_they_are_planned_for() {
        let load = Load::begin(Step::Anything, vec![2, 0, 4]);
        let planned: Vec<(usize, u128)> = std::iter::from_fn(|| load.next())
            .map(|(second, at)| (second, (at - load.at(0)).as_millis()))
            .collect();
        assert_eq!(planned, [(0, 0), (0, 500), (2, 2_000), (2, 2_250), (2, 2_500), (2, 2_750)]);
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let latencies: Vec<u64> = (1..=1_000).rev().collect();
        assert_eq!([500, 990, 1_000].map(|per_mille| quantile(&latencies, per_mille)), [500, 990, 1_000]);
        assert_eq!((quantile(&[7], 1), quantile(&[], 990)), (7, 0));
    }

    #[test]
    fn a_refusal_says_when_to_ask_again() {
        let answer = |status, says_when_again| Answer { status, says_when_again, body: Vec::new() };
        assert!(is_refusal(&answer(UNAVAILABLE, true)));
        assert!(is_refusal(&answer(TOO_MANY_REQUESTS, true)));
        assert!(!is_refusal(&answer(UNAVAILABLE, false)));
        assert!(!is_refusal(&answer(500, true)));
    }

    #[test]
    fn what_was_not_done_is_a_failure() {
        let load = Load::begin(Step::Complete, vec![10; 3]);
        load.note(0, |second| second.failed = 9);
        load.note(1, |second| second.accepted = vec![1_000; 4]);
        load.note(2, |second| {
            second.accepted = vec![3_000; 4];
            second.unsent = 1;
            second.refused = vec![5];
        });
        let measured = load.measured("steady".to_owned(), 1);
        assert_eq!((measured.finished, measured.failures, measured.window.as_secs()), (8, 2, 2));
        assert!((2_900..=3_100).contains(&measured.latencies.quantile_micros(990_000)));
        assert_eq!(load.measured("none".to_owned(), 9).finished, 0);
    }
}
