//! The trial of overload: what the bank accepts at most is measured, then a multiple of it is asked of it.
//!
//! What has to hold: the memory stays bounded; what is accepted is answered within a bound; the rest is refused with
//! 503 or 429 and told when to ask again, quickly; nothing is answered in any other way; and when the load falls to half
//! of what the bank sustains, answers are quick in the very next second, and from the one after it nothing is refused.
//! Afterwards the bank works off all it has accepted, and its books are audited.
//!
//! The bounds are generous: bank and load share a machine with whatever else runs there. The figures are printed.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::arguments::{Crowd, OverloadOptions};
use crate::bank::Bank;
use crate::client::Server;
use crate::load::{self, Extent};
use crate::observe::{Observation, Observer};
use crate::open_loop::{Load, Second, quantile, sum};
use crate::report::{Millis, per_second};
use crate::setup::Account;
use crate::step::Step;
use crate::{BenchError, require_none, require_success, setup};

/// The connections of those who ask too much: many more than the 768 requests that the bank works on at once.
const CONNECTIONS: u32 = 2_048;
const CROWD: Crowd = Crowd { connections: 64, accounts: 1_000, people: 20 };
/// How the bank is measured before it is overloaded.
const CAPACITY: Extent = Extent { connections: 256, seconds: 3, warmup_seconds: 1 };
/// How long half of that is asked before and after.
const CALM_SECONDS: usize = 3;
/// How long the bank may work on what it accepted.
const DRAIN_MAX: Duration = Duration::from_secs(120);
const DRAIN_PAUSE: Duration = Duration::from_millis(100);

/// What the process may take, whatever is asked of it.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// How long an answer may take: there are 2,048 connections, and even a slow machine answers a thousand a second.
const ACCEPTED_MICROS_MAX: u64 = 2_000_000;
/// The same for a refusal.
const REFUSED_MICROS_MAX: u64 = 2_000_000;
/// The same once the load has fallen.
const CALM_MICROS_MAX: u64 = 1_000_000;

/// How many deposits a second a bank can do.
#[derive(Clone, Copy)]
pub struct Capacity {
    /// Until they are accepted.
    pub accepted: u32,
    /// From the first request until all of them are COMPLETED.
    pub sustained: u32,
}

/// What a bank did under too much load.
struct Outcome {
    capacity: Capacity,
    seconds: Vec<Second>,
    observations: Vec<Observation>,
    /// From the end of the load until nothing waited any more; none if something did at the end.
    drain: Option<Duration>,
    examples: Vec<String>,
}

/// Overloads the bank, and prints what became of it.
pub fn run(options: &OverloadOptions, runtime: &Runtime) -> Result<(), BenchError> {
    let bank = Bank::start(&options.bank.bank, &options.bank.work_dir)?;
    let outcome = runtime.block_on(try_out(options, &bank));
    let audit = bank.stop_and_audit();
    let outcome = outcome?;
    print(options, &outcome);
    println!("\nThe books were audited and are clean.\n{}", audit?);
    let mut faults = faults(&outcome);
    if !options.untimed {
        faults.extend(faults_of_time(&outcome));
    }
    require_none(faults)
}

async fn try_out(options: &OverloadOptions, bank: &Bank) -> Result<Outcome, BenchError> {
    let server = Server::parse(bank.url()).map_err(BenchError::Setup)?;
    let observer = Observer::of(bank);
    let accounts = setup::accounts(&server, CROWD).await.map_err(BenchError::Setup)?;
    let capacity = capacity(&server, &accounts).await?;
    let Capacity { accepted, sustained } = capacity;
    println!("the bank accepts {accepted} deposits a second, and sustains {sustained}");

    let calm = [(sustained / 2).max(1); CALM_SECONDS];
    let too_much = vec![accepted.max(1).saturating_mul(options.times); options.seconds as usize];
    let load = Load::begin(Step::Anything, [&calm[..], &too_much, &calm].concat());
    let sending = async {
        load.run(&server, &accounts, CONNECTIONS).await;
        Ok(())
    };
    let (observations, ()) = tokio::try_join!(observe(&load, &observer, &server), sending)?;
    let drain = drained(&observer, &server).await?;
    Ok(Outcome { capacity, seconds: load.seconds(), observations, drain, examples: load.examples() })
}

/// How many deposits a second the bank accepts and sustains.
pub async fn capacity(server: &Server, accounts: &[Account]) -> Result<Capacity, BenchError> {
    let measured = load::run("capacity", Step::Accept, server, accounts, CAPACITY).await;
    require_success(&measured)?;
    let sustained = measured.settled.map_or(0, |settled| settled.per_second());
    let rate = |rate| u32::try_from(rate).unwrap_or(u32::MAX);
    Ok(Capacity {
        accepted: rate(per_second(measured.finished, measured.window)),
        sustained: rate(sustained),
    })
}

/// Looks at the bank at the end of every second of the load.
async fn observe(load: &Load, observer: &Observer, server: &Server) -> Result<Vec<Observation>, BenchError> {
    let mut observations = Vec::new();
    while observations.len() < load.length() {
        tokio::time::sleep_until(load.at(observations.len() + 1).into()).await;
        let seen = observer.observe(server).await?;
        // A look may take longer than a second; it stands for all of them.
        let second = load.second_now().max(observations.len() + 1);
        observations.resize(second.min(load.length()), seen);
    }
    Ok(observations)
}

/// Waits until no message waits for any consumer.
async fn drained(observer: &Observer, server: &Server) -> Result<Option<Duration>, BenchError> {
    let started = Instant::now();
    while started.elapsed() < DRAIN_MAX {
        if observer.observe(server).await?.waiting == Some(0) {
            return Ok(Some(started.elapsed()));
        }
        tokio::time::sleep(DRAIN_PAUSE).await;
    }
    Ok(None)
}

impl Outcome {
    /// The parts of the trial by their names: where each begins and ends.
    fn phases(&self) -> [(&'static str, std::ops::Range<usize>); 4] {
        let end = self.seconds.len();
        let relief = end.saturating_sub(CALM_SECONDS);
        [
            ("half the load", 0..CALM_SECONDS),
            ("too much", CALM_SECONDS..relief),
            ("the next second", relief..relief + 1),
            ("half the load", relief + 1..end),
        ]
    }

    fn memory_bytes_max(&self) -> u64 {
        self.observations.iter().map(|seen| seen.memory_bytes).max().unwrap_or(0)
    }
}

fn print(options: &OverloadOptions, outcome: &Outcome) {
    let [columns, units] = [
        [
            "", "seconds", "asked", "accepted", "p50", "p99", "refused", "p99", "failed", "unsent", "memory",
            "waiting",
        ],
        ["", "", "a second", "a second", "ms", "ms", "a second", "ms", "", "", "MiB", "messages"],
    ];
    println!();
    for row in [columns, units] {
        let [name, rest @ ..] = row;
        println!("{name:<16}{}", rest.map(|cell| format!("{cell:>10}")).concat());
    }
    for (name, range) in outcome.phases() {
        let seconds = range.len().max(1) as u64;
        let Second { accepted, refused, failed, unsent } = sum(&outcome.seconds[range.clone()]);
        let asked = accepted.len() as u64 + refused.len() as u64 + failed + unsent;
        let seen = &outcome.observations[range];
        let memory = seen.iter().map(|seen| seen.memory_bytes >> 20).max().unwrap_or(0);
        let waiting = seen.iter().filter_map(|seen| seen.waiting).max();
        let cells = [
            seconds.to_string(),
            (asked / seconds).to_string(),
            (accepted.len() as u64 / seconds).to_string(),
            Millis(quantile(&accepted, 500)).to_string(),
            Millis(quantile(&accepted, 990)).to_string(),
            (refused.len() as u64 / seconds).to_string(),
            Millis(quantile(&refused, 990)).to_string(),
            failed.to_string(),
            unsent.to_string(),
            memory.to_string(),
            waiting.map_or_else(|| "-".to_owned(), |waiting| waiting.to_string()),
        ];
        println!("{name:<16}{}", cells.map(|cell| format!("{cell:>10}")).concat());
    }
    if let Some(drain) = outcome.drain {
        println!(
            "\n{} times {} a second for {} s; nothing waited {} ms after the load ended",
            options.times,
            outcome.capacity.accepted,
            options.seconds,
            drain.as_millis()
        );
    }
}

/// What did not hold, whatever the machine.
fn faults(outcome: &Outcome) -> Vec<String> {
    let [_, too_much, ..] = outcome.phases().map(|(_, range)| sum(&outcome.seconds[range]));
    let all = sum(&outcome.seconds);
    let memory = outcome.memory_bytes_max();
    let mut faults = Vec::new();
    let mut require = |holds: bool, fault: String| {
        if !holds {
            faults.push(fault);
        }
    };
    require(
        all.failed == 0,
        format!("{} requests had no proper answer, such as: {}", all.failed, outcome.examples.join("; ")),
    );
    require(memory <= MEMORY_BYTES_MAX, format!("it took {} MiB of memory", memory >> 20));
    require(!too_much.accepted.is_empty(), "nothing was accepted while it was too much".to_owned());
    require(!too_much.refused.is_empty(), "nothing was refused: it was not too much".to_owned());
    require(outcome.drain.is_some(), format!("messages still waited {DRAIN_MAX:?} after the load"));
    faults
}

/// What took too long, or did not recover at once, on a machine that does little else.
fn faults_of_time(outcome: &Outcome) -> Vec<String> {
    let [_, too_much, next_second, after] = outcome.phases().map(|(_, range)| sum(&outcome.seconds[range]));
    let mut faults = Vec::new();
    for (what, latencies, bound) in [
        ("an accepted request", &too_much.accepted, ACCEPTED_MICROS_MAX),
        ("a refusal", &too_much.refused, REFUSED_MICROS_MAX),
        ("a request of the second after it", &next_second.accepted, CALM_MICROS_MAX),
        ("a request after the load had fallen", &after.accepted, CALM_MICROS_MAX),
    ] {
        let p99 = quantile(latencies, 990);
        if p99 > bound {
            faults.push(format!("{what} took {} ms (p99), not {} at most", Millis(p99), Millis(bound)));
        }
    }
    // In the very next second the queue of orders may still be as long as it may be.
    let missed = after.refused.len() as u64 + after.unsent;
    if missed > 0 {
        faults.push(format!("{missed} requests were refused or not sent after the load had fallen"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERLOADED: usize = 4;
    /// Seconds of the overload, of the moment after, and of the end.
    const MIDDLE: usize = CALM_SECONDS;
    const NEXT: usize = CALM_SECONDS + OVERLOADED;
    const LAST: usize = 2 * CALM_SECONDS + OVERLOADED - 1;

    /// A bank that stood the trial.
    fn sound() -> Outcome {
        let calm = Second { accepted: vec![2_000; 100], ..Second::default() };
        let too_much = Second {
            accepted: vec![300_000; 200],
            refused: vec![9_000; 400],
            unsent: 7,
            ..Second::default()
        };
        let calm = vec![calm; CALM_SECONDS];
        let seconds = [&calm[..], &vec![too_much; OVERLOADED], &calm].concat();
        let seen = Observation { memory_bytes: 200 << 20, waiting: Some(0), ..Observation::default() };
        let observations = vec![seen; seconds.len()];
        let capacity = Capacity { accepted: 300, sustained: 200 };
        Outcome { capacity, seconds, observations, drain: Some(Duration::ZERO), examples: Vec::new() }
    }

    fn told(outcome: &Outcome) -> String {
        [faults(outcome), faults_of_time(outcome)].concat().join("; ")
    }

    #[test]
    fn a_bank_that_refuses_in_time_and_recovers_is_sound() {
        assert_eq!(told(&sound()), "");
    }

    #[test]
    fn everything_that_does_not_hold_is_told() {
        type Spoil = fn(&mut Outcome);
        let spoilt = |spoil: Spoil| {
            let mut outcome = sound();
            spoil(&mut outcome);
            told(&outcome)
        };
        let cases: [(&str, Spoil); 8] = [
            ("had no proper answer", |it| it.seconds[0].failed = 1),
            ("MiB of memory", |it| it.observations[MIDDLE].memory_bytes = 2 << 30),
            ("messages still waited", |it| it.drain = None),
            ("refused or not sent after the load", |it| it.seconds[LAST].unsent = 1),
            ("a request of the second after it took", |it| it.seconds[NEXT].accepted = vec![3_000_000]),
            ("an accepted request took", |it| it.seconds[MIDDLE].accepted = vec![9_000_000; 50]),
            ("a refusal took", |it| it.seconds[MIDDLE].refused = vec![9_000_000; 50]),
            ("it was not too much", |it| it.seconds.iter_mut().for_each(|second| second.refused.clear())),
        ];
        for (fault, spoil) in cases {
            let told = spoilt(spoil);
            assert!(told.contains(fault), "{fault}: {told:?}");
        }
    }
}
