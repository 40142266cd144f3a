//! The soak: a steady mixed load for long, and a look at the bank every few seconds.
//!
//! The journal has to grow with what is posted. What must not grow without end is everything else: the memory, the log of
//! messages, what waits in it, the write-ahead log, and the rows that are kept for a time only. Whether one
//! grows is told by the second half of the run: its last quarter is held against the one before.
//!
//! First answers are kept for a day and notifications for ninety, and no soak is that long. So they are made to end
//! early, while the bank runs ([`Observer::age`]): that it then forgets them is its own doing.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::arguments::{Crowd, SoakOptions};
use crate::bank::Bank;
use crate::client::Server;
use crate::observe::{Observation, Observer};
use crate::open_loop::{Load, Second, quantile, sum};
use crate::plot::{self, Axis, Line, Panel};
use crate::report::Millis;
use crate::setup::{self, Account};
use crate::step::Step;
use crate::{BenchError, overload, require_none, write};

const CONNECTIONS: u32 = 256;
const CROWD: Crowd = Crowd { connections: 64, accounts: 2_000, people: 20 };
/// How often the bank is looked at: counting rows is work for the machine too.
const LOOK_SECONDS: usize = 5;
/// How often people sign in again: their tokens are good for a quarter of an hour.
const RENEWAL_SECONDS: usize = 5 * 60;
/// The tables with rows that are kept for a time, and how long that is.
const PASSING: [(&str, Duration); 2] = [
    ("operations", Duration::from_secs(24 * 60 * 60)),
    ("notifications", Duration::from_secs(90 * 24 * 60 * 60)),
];
/// How long they are kept in a soak, as a share of the whole.
const KEPT_SHARE: u32 = 6;

/// One second of a soak.
struct Sample {
    second: Second,
    seen: Observation,
}

/// Something that must not grow.
struct Bounded {
    what: &'static str,
    value: fn(&Observation) -> u64,
    /// How much of a difference between two quarters says nothing.
    slack: u64,
}

const BOUNDED: [Bounded; 5] = [
    Bounded { what: "the memory, in bytes,", value: |seen| seen.memory_bytes, slack: 16 << 20 },
    Bounded { what: "the write-ahead log, in bytes,", value: |seen| seen.wal_bytes, slack: 64 << 20 },
    Bounded { what: "the log of messages, in records,", value: |seen| seen.log_records, slack: 10_000 },
    Bounded { what: "what is kept for a time, in rows,", value: |seen| seen.passing_rows, slack: 5_000 },
    Bounded { what: "what waits, in messages,", value: |seen| seen.waiting.unwrap_or(0), slack: 1_000 },
];

/// Soaks the bank, and writes down how it lasted.
pub fn run(options: &SoakOptions, runtime: &Runtime) -> Result<(), BenchError> {
    let bank = Bank::start(&options.bank.bank, &options.bank.work_dir)?;
    let soaked = runtime.block_on(soak(options, &bank));
    let audit = bank.stop_and_audit();
    let (samples, examples) = soaked?;
    write(&options.csv, csv(&samples))?;
    write(&options.plot, plot::draw(&panels(&samples), &Axis::Minutes))?;
    print(&samples);
    println!("\nThe books were audited and are clean.\n{}", audit?);
    require_none(faults(&samples, &examples))
}

async fn soak(options: &SoakOptions, bank: &Bank) -> Result<(Vec<Sample>, Vec<String>), BenchError> {
    let server = Server::parse(bank.url()).map_err(BenchError::Setup)?;
    let observer = Observer::of(bank);
    let accounts = setup::accounts(&server, CROWD).await.map_err(BenchError::Setup)?;
    let rate = match options.rate {
        Some(rate) => rate,
        None => overload::capacity(&server, &accounts).await?.sustained / 2,
    };
    println!("{rate} requests a second for {} minutes", options.minutes);
    let kept = Duration::from_secs(60) * options.minutes / KEPT_SHARE;
    let load = Load::begin(Step::Anything, vec![rate; options.minutes as usize * 60]);
    let sending = async {
        load.run(&server, &accounts, CONNECTIONS).await;
        Ok(())
    };
    let (seen, (), ()) = tokio::try_join!(
        observe(&load, &observer, &server, kept),
        renew(&load, &server, &accounts),
        sending
    )?;
    let samples = load.seconds().into_iter().zip(seen);
    Ok((samples.map(|(second, seen)| Sample { second, seen }).collect(), load.examples()))
}

/// Looks at the bank every few seconds, lets rows end that are old enough, and tells every minute how it goes.
async fn observe(
    load: &Load,
    observer: &Observer,
    server: &Server,
    kept: Duration,
) -> Result<Vec<Observation>, BenchError> {
    let mut observations = Vec::new();
    while observations.len() < load.length() {
        tokio::time::sleep_until(load.at(observations.len() + LOOK_SECONDS).into()).await;
        for (table, lifetime) in PASSING {
            observer.age(table, lifetime, kept).await?;
        }
        let seen = observer.observe(server).await?;
        let second = load.second_now().max(observations.len() + LOOK_SECONDS);
        if second / 60 > observations.len() / 60 {
            let Observation { memory_bytes, store_bytes, log_records, passing_rows, .. } = seen;
            println!(
                "minute {}: memory {} MiB, store {} MiB, log {log_records} records, kept for a time {passing_rows} rows",
                second / 60,
                memory_bytes >> 20,
                store_bytes >> 20
            );
        }
        observations.resize(second.min(load.length()), seen);
    }
    Ok(observations)
}

async fn renew(load: &Load, server: &Server, accounts: &[Account]) -> Result<(), BenchError> {
    for second in (RENEWAL_SECONDS..load.length()).step_by(RENEWAL_SECONDS) {
        tokio::time::sleep_until(load.at(second).into()).await;
        setup::renew(server, accounts).await.map_err(BenchError::Setup)?;
    }
    Ok(())
}

fn csv(samples: &[Sample]) -> String {
    let mut csv =
        "second,accepted,refused,failed,unsent,p50_micros,p99_micros,memory_bytes,store_bytes,wal_bytes,\
                   log_records,passing_rows,waiting_messages\n"
            .to_owned();
    for (number, Sample { second, seen }) in samples.iter().enumerate() {
        let figures = [
            number as u64,
            second.accepted.len() as u64,
            second.refused.len() as u64,
            second.failed,
            second.unsent,
            quantile(&second.accepted, 500),
            quantile(&second.accepted, 990),
            seen.memory_bytes,
            seen.store_bytes,
            seen.wal_bytes,
            seen.log_records,
            seen.passing_rows,
            seen.waiting.unwrap_or(0),
        ];
        // Writing to a text cannot fail.
        let _ = writeln!(csv, "{}", figures.map(|figure| figure.to_string()).join(","));
    }
    csv
}

fn panels(samples: &[Sample]) -> [Panel<'static>; 5] {
    let seen = |name, value: fn(&Observation) -> u64| Line {
        name,
        values: samples.iter().map(|sample| value(&sample.seen)).collect(),
    };
    let latency = |name, per_mille| Line {
        name,
        values: samples.iter().map(|sample| quantile(&sample.second.accepted, per_mille) / 1_000).collect(),
    };
    let answered = Line {
        name: "accepted",
        values: samples.iter().map(|sample| sample.second.accepted.len() as u64).collect(),
    };
    [
        Panel { title: "Requests a second", lines: vec![answered] },
        Panel { title: "Latency, ms", lines: vec![latency("p99", 990), latency("p50", 500)] },
        Panel { title: "Memory, MiB", lines: vec![seen("resident", |seen| seen.memory_bytes >> 20)] },
        Panel {
            title: "Disk, MiB",
            lines: vec![
                seen("the store with its journal", |seen| seen.store_bytes >> 20),
                seen("write-ahead log", |seen| seen.wal_bytes >> 20),
            ],
        },
        Panel {
            title: "Rows that must not pile up",
            lines: vec![
                seen("first answers and notifications", |seen| seen.passing_rows),
                seen("log of messages", |seen| seen.log_records),
                seen("messages that wait", |seen| seen.waiting.unwrap_or(0)),
            ],
        },
    ]
}

fn print(samples: &[Sample]) {
    let all: Vec<Second> = samples.iter().map(|sample| sample.second.clone()).collect();
    let Second { accepted, refused, failed, unsent } = sum(&all);
    println!(
        "\n{} requests in {} s were accepted, p50 {} ms, p99 {} ms, p99.9 {} ms; {} refused, {failed} failed, {unsent} not sent",
        accepted.len(),
        samples.len(),
        Millis(quantile(&accepted, 500)),
        Millis(quantile(&accepted, 990)),
        Millis(quantile(&accepted, 999)),
        refused.len(),
    );
    for Bounded { what, value, .. } in BOUNDED {
        let (third, last) = quarters(samples, value);
        let most = samples.iter().map(|sample| value(&sample.seen)).max().unwrap_or(0);
        println!(
            "{what} had a median of {third} in the third quarter and of {last} in the last; at most {most}"
        );
    }
}

/// What did not hold.
fn faults(samples: &[Sample], examples: &[String]) -> Vec<String> {
    let failed: u64 = samples.iter().map(|sample| sample.second.failed).sum();
    let mut faults = Vec::new();
    if failed > 0 {
        faults.push(format!("{failed} requests had no proper answer, such as: {}", examples.join("; ")));
    }
    for Bounded { what, value, slack } in BOUNDED {
        let (third, last) = quarters(samples, value);
        if grows(third, last, slack) {
            faults.push(format!("{what} grew from {third} to {last} between the last two quarters"));
        }
    }
    faults
}

/// The medians of the third and the last quarter: a burst that is worked off is no growth.
fn quarters(samples: &[Sample], value: fn(&Observation) -> u64) -> (u64, u64) {
    let median = |samples: &[Sample]| {
        let mut values: Vec<u64> = samples.iter().map(|sample| value(&sample.seen)).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or(0)
    };
    let second_half = &samples[samples.len() / 2..];
    let (third, last) = second_half.split_at(second_half.len() / 2);
    (median(third), median(last))
}

/// Whether the last quarter is above the third by more than a tenth, and by more than what says nothing. Something that
/// grows evenly from the start is above it by two fifths.
fn grows(third: u64, last: u64, slack: u64) -> bool {
    last > third.saturating_add(slack.max(third / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of a bank whose memory and log are as these say of each second.
    fn samples(count: u64, memory_bytes: fn(u64) -> u64, log_records: fn(u64) -> u64) -> Vec<Sample> {
        let seen = |second| Observation {
            memory_bytes: memory_bytes(second),
            log_records: log_records(second),
            ..Observation::default()
        };
        (0..count).map(|second| Sample { second: Second::default(), seen: seen(second) }).collect()
    }

    #[test]
    fn what_stays_flat_or_comes_and_goes_is_bounded() {
        let samples = samples(1_800, |_| 100 << 20, |second| second % 60 * 1_000);
        assert_eq!(faults(&samples, &[]), Vec::<String>::new());
    }

    #[test]
    fn what_grows_without_end_is_found() {
        let samples = samples(1_800, |second| (100 << 20) + second * 60_000, |second| second * 300);
        let faults = faults(&samples, &[]);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("the memory") && faults[1].starts_with("the log of messages"));
    }

    #[test]
    fn a_sample_is_a_line() {
        let lines = csv(&samples(2, |_| 7, |second| second));
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines[1..], ["0,0,0,0,0,0,0,7,0,0,0,0,0", "1,0,0,0,0,0,0,7,0,0,1,0,0"]);
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
    }
}
