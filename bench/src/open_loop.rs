//! The open loop: requests begin when they are planned to, whether or not earlier ones were answered.
//!
//! Latency counts from the planned moment, so that a request which had to wait for a free connection is as late as
//! its sender would say it is. A request that could not even be sent within [`PATIENCE`] is given up and counted: it
//! bounds how far the loop falls behind a bank that does not answer.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures::future::join_all;
use hyper::StatusCode;

use crate::client::{Answer, ClientError, Connection, Server};
use crate::scenario::Worker;
use crate::setup::Account;

/// How long a request waits for a free connection.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many failures are shown.
const EXAMPLES_MAX: usize = 5;

/// A load with a plan: how many requests begin in each second, evenly spread over it.
pub struct Load {
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
    /// A load that begins now.
    pub fn begin(plan: Vec<u32>) -> Self {
        let seconds = RefCell::new(vec![Second::default(); plan.len()]);
        Self { begun: Instant::now(), plan, next: Cell::new((0, 0)), seconds, examples: RefCell::default() }
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

    async fn work(&self, server: &Server, accounts: &[Account]) {
        let mut worker = None;
        while let Some((second, planned)) = self.next() {
            tokio::time::sleep_until(planned.into()).await;
            if planned.elapsed() > PATIENCE {
                self.note(second, |second| second.unsent += 1);
                continue;
            }
            let answer = ask(&mut worker, server, accounts).await;
            let micros = u64::try_from(planned.elapsed().as_micros()).unwrap_or(u64::MAX);
            match answer {
                Ok(answer) if answer.status == StatusCode::OK => {
                    self.note(second, |second| second.accepted.push(micros));
                }
                Ok(answer) if is_refusal(&answer) => {
                    self.note(second, |second| second.refused.push(micros));
                }
                Ok(answer) => self.fail(second, &answer.unexpected("a request")),
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
    server: &Server,
    accounts: &'a [Account],
) -> Result<Answer, ClientError> {
    if let Some(asking) = worker
        && !asking.connection.is_closed()
    {
        let request = asking.any_request()?;
        match asking.connection.send(request).await {
            // The bank hung up just now, and nothing was sent.
            Err(ClientError::Broken(error)) if error.is_canceled() => {}
            answered => return answered,
        }
    }
    let asking = worker.insert(Worker::new(Connection::open(server).await?, accounts));
    let request = asking.any_request()?;
    asking.connection.send(request).await
}

/// Whether the bank says that it is at its limit, and when to ask again.
fn is_refusal(answer: &Answer) -> bool {
    let is_limit = matches!(answer.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    is_limit && answer.retry_after.is_some()
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
        let load = Load::begin(vec![2, 0, 4]);
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
        let answer = |status, retry_after: Option<&'static str>| Answer {
            status,
            retry_after: retry_after.map(hyper::header::HeaderValue::from_static),
            body: bytes::Bytes::new(),
        };
        assert!(is_refusal(&answer(StatusCode::SERVICE_UNAVAILABLE, Some("1"))));
        assert!(is_refusal(&answer(StatusCode::TOO_MANY_REQUESTS, Some("1"))));
        assert!(!is_refusal(&answer(StatusCode::SERVICE_UNAVAILABLE, None)));
        assert!(!is_refusal(&answer(StatusCode::INTERNAL_SERVER_ERROR, Some("1"))));
    }
}
