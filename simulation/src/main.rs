//! `simulation --seeds N [--seed FIRST] [--minutes M]`: runs one seed after the other, on every core one at a time.
//!
//! It ends with 0 after N seeds or M minutes without a finding. At the first finding it prints `seed K failed:` with what
//! was found and the part of the trace that is about it, and ends with 1.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use simulation::auditor::Finding;
use simulation::{Ended, run};

/// How many findings are printed.
const FINDINGS_MAX: usize = 10;
/// How many lines of the trace are printed.
const LINES_MAX: usize = 60;
/// How often there is a line of progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// The simulation of the Digital Banking Platform.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run; without it and without a time, 100
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed; without it, one of the clock
    #[arg(long)]
    seed: Option<u64>,
    /// How many minutes to go on at most
    #[arg(long)]
    minutes: Option<u64>,
    /// Print the whole trace of each seed
    #[arg(long)]
    trace: bool,
}

/// What all runs came to.
#[derive(Default)]
struct Total {
    seeds: u64,
    exchanges: u64,
    messages: u64,
    faults: BTreeMap<String, u64>,
    failed: Option<u64>,
}

/// What the threads share.
struct Work {
    first: u64,
    seeds_max: u64,
    deadline: Option<Instant>,
    next: AtomicU64,
    is_over: AtomicBool,
    total: Mutex<Total>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let first = arguments.seed.unwrap_or_else(seed_of_the_clock);
    let seeds_max = match (arguments.seeds, arguments.minutes) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => u64::MAX,
        (None, None) => 100,
    };
    println!("first seed {first}");
    let began = Instant::now();
    let work = Work {
        first,
        seeds_max,
        deadline: arguments.minutes.map(|minutes| began + Duration::from_secs(60 * minutes)),
        next: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        total: Mutex::default(),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| work.run_seeds(arguments.trace))).collect();
        let mut shown = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            if shown.elapsed() >= PROGRESS {
                shown = Instant::now();
                work.show_progress(began.elapsed());
            }
        }
    });
    work.conclude(began.elapsed())
}

/// A seed that nobody has tried, as far as anybody knows.
#[expect(
    clippy::disallowed_methods,
    reason = "a fresh seed is the one thing that a run may not have of itself"
)]
fn seed_of_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() * 1_000_000
}

impl Work {
    fn run_seeds(&self, is_traced: bool) {
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.seeds_max || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return;
            }
            let seed = self.first.wrapping_add(number);
            match run(seed) {
                Ok(ended) => self.add(seed, &ended, is_traced),
                Err(error) => {
                    eprintln!("seed {seed} could not be run: {error}");
                    self.is_over.store(true, Ordering::Relaxed);
                    self.total().failed = Some(seed);
                }
            }
        }
    }

    fn add(&self, seed: u64, ended: &Ended, is_traced: bool) {
        let mut total = self.total();
        total.seeds += 1;
        total.exchanges += ended.record.exchanges.len() as u64;
        total.messages +=
            ended.record.outboxes.values().flatten().map(|record| record.len() as u64).sum::<u64>();
        for (fault, count) in &ended.faults {
            *total.faults.entry(fault.clone()).or_default() += count;
        }
        if is_traced {
            ended.record.trace.iter().for_each(|line| println!("{line}"));
        }
        if !ended.findings.is_empty() && total.failed.is_none() {
            total.failed = Some(seed);
            self.is_over.store(true, Ordering::Relaxed);
            explain(seed, ended);
        }
    }

    fn show_progress(&self, took: Duration) {
        let total = self.total();
        let seconds = took.as_secs().max(1);
        println!(
            "{} seeds, {} requests, {} messages; {} requests a second",
            total.seeds,
            total.exchanges,
            total.messages,
            total.exchanges / seconds
        );
    }

    fn conclude(&self, took: Duration) -> ExitCode {
        self.show_progress(took);
        let total = self.total();
        let faults: Vec<String> =
            total.faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        let sum: u64 = total.faults.values().sum();
        println!("{sum} faults in {} s: {}", took.as_secs(), faults.join(", "));
        if total.failed.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn total(&self) -> std::sync::MutexGuard<'_, Total> {
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what was found, and shows the lines of the trace that are about the first of it.
fn explain(seed: u64, ended: &Ended) {
    for Finding { what, .. } in ended.findings.iter().take(FINDINGS_MAX) {
        println!("seed {seed} failed: {what}");
    }
    if ended.findings.len() > FINDINGS_MAX {
        println!("and {} findings more", ended.findings.len() - FINDINGS_MAX);
    }
    let about = ended.findings.first().map_or(&[][..], |finding| finding.about.as_slice());
    let is_about =
        |line: &&String| line.contains(" -- ") || about.iter().any(|id| line.contains(id.as_str()));
    let lines: Vec<_> = ended.record.trace.iter().filter(is_about).collect();
    println!("the trace, as far as it is about {about:?}:");
    for line in lines.iter().skip(lines.len().saturating_sub(LINES_MAX)) {
        println!("  {line}");
    }
    for (outbox, records) in &ended.record.outboxes {
        for message in records.iter().flatten().map(ToString::to_string) {
            if about.iter().any(|id| message.contains(id.as_str())) {
                println!("  {outbox} {message}");
            }
        }
    }
    println!("run it again with --seeds 1 --seed {seed}");
}
