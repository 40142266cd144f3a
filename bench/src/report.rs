//! The figures: a table for people, JSON for machines. Rates are whole numbers and latencies microseconds, so that
//! both say the same.

use std::fmt;
use std::num::NonZero;
use std::time::Duration;

use serde::Serialize;

use crate::arguments::SpeedOptions;
use crate::load::{Measured, Settled};

/// Everything that was measured in one run.
#[derive(Serialize, Debug)]
pub struct Report {
    cores: usize,
    connections: u32,
    accounts: u32,
    people: u32,
    scenarios: Vec<Figures>,
    /// What the audit said afterwards; none if the bank was somebody else's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<String>,
}

/// The figures of one scenario.
#[derive(Serialize, Debug)]
struct Figures {
    name: &'static str,
    seconds: u64,
    finished: u64,
    per_second: u64,
    p50_micros: u64,
    p99_micros: u64,
    p999_micros: u64,
    max_micros: u64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    sustained: Option<Sustained>,
}

/// What the bank did with deposits that it had only accepted.
#[derive(Serialize, Debug)]
struct Sustained {
    drain_ms: u64,
    deposits: u64,
    sustained_per_second: u64,
}

impl Report {
    /// Sums up a run without failures.
    pub fn new(options: &SpeedOptions, measured: &[Measured]) -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, NonZero::get),
            connections: options.connections,
            accounts: options.accounts,
            people: options.people,
            scenarios: measured.iter().map(Figures::new).collect(),
            audit: None,
        }
    }
}

impl Figures {
    fn new(measured: &Measured) -> Self {
        let quantile =
            |quantile| measured.latencies.as_ref().map_or(0, |all| all.value_at_quantile(quantile));
        Self {
            name: measured.scenario.name(),
            seconds: measured.window.as_secs(),
            finished: measured.finished,
            per_second: per_second(measured.finished, measured.window),
            p50_micros: quantile(0.5),
            p99_micros: quantile(0.99),
            p999_micros: quantile(0.999),
            max_micros: measured.latencies.as_ref().map_or(0, hdrhistogram::Histogram::max),
            sustained: measured.settled.as_ref().map(Sustained::new),
        }
    }
}

impl Sustained {
    fn new(settled: &Settled) -> Self {
        Self {
            drain_ms: u64::try_from(settled.drain.as_millis()).unwrap_or(u64::MAX),
            deposits: settled.deposits,
            sustained_per_second: per_second(settled.deposits, settled.elapsed),
        }
    }
}

/// How many in a second, rounded down.
pub fn per_second(count: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000 / elapsed.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// Microseconds as milliseconds with two decimals.
pub struct Millis(pub u64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 1_000, self.0 % 1_000 / 10))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, connections, accounts, people, .. } = self;
        writeln!(f)?;
        writeln!(
            f,
            "{connections} connections, {accounts} accounts of {people} people, {cores} cores for bank and load"
        )?;
        writeln!(f)?;
        let columns = ["scenario", "per second", "p50 ms", "p99 ms", "p99.9 ms", "max ms"];
        let [name, rate, p50, p99, p999, max] = columns;
        writeln!(f, "{name:<12}{rate:>12}{p50:>10}{p99:>10}{p999:>10}{max:>10}")?;
        for figures in &self.scenarios {
            let Figures { name, per_second, .. } = figures;
            let [p50, p99, p999, max] =
                [figures.p50_micros, figures.p99_micros, figures.p999_micros, figures.max_micros].map(Millis);
            writeln!(f, "{name:<12}{per_second:>12}{p50:>10}{p99:>10}{p999:>10}{max:>10}")?;
        }
        for Sustained { drain_ms, deposits, sustained_per_second } in
            self.scenarios.iter().filter_map(|figures| figures.sustained.as_ref())
        {
            writeln!(f)?;
            writeln!(
                f,
                "accepted: all {deposits} deposits were COMPLETED {drain_ms} ms after the load ended,"
            )?;
            writeln!(
                f,
                "          {sustained_per_second} a second from the first request to the last completion"
            )?;
        }
        match &self.audit {
            Some(audit) => write!(f, "\nThe books were audited and are clean.\n{audit}"),
            None => write!(f, "\nThe books were not audited: the bank was not started here."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact() {
        assert_eq!(per_second(60_000, Duration::from_secs(20)), 3_000);
        assert_eq!(per_second(1, Duration::from_millis(300)), 3);
        assert_eq!(per_second(0, Duration::ZERO), 0);
    }

    #[test]
    fn latencies_are_aligned() {
        assert_eq!(format!("{:>10}", Millis(12_345)), "     12.34");
        assert_eq!(Millis(999).to_string(), "0.99");
    }
}
