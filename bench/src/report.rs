//! The figures: a table for people, JSON for machines, and pictures of the same. Rates are whole numbers and latencies
//! microseconds, so that all say the same.

use std::fmt;
use std::num::NonZero;
use std::time::Duration;

use serde::Serialize;

use crate::arguments::SpeedOptions;
use crate::growth::{Growth, Part};
use crate::latencies::PERCENTILES;
use crate::load::{Measured, Settled};
use crate::plot::{self, Axis, Bar, Line, Panel};
use crate::scenario::Scenario;

/// The latencies that are drawn together, by the names of what was measured.
const PANELS: [(&str, &[&str]); 3] = [
    ("Deposits without a pause, microseconds", &["accepted", "end-to-end", "seen"]),
    ("Deposits at a constant rate, microseconds", &["steady, accepted", "steady, end to end"]),
    ("Reads, microseconds", &["balance", "history", "sign-in, balances"]),
];

/// Everything that was measured in one run.
#[derive(Serialize, Debug)]
pub struct Report {
    cores: usize,
    connections: u32,
    accounts: u32,
    people: u32,
    scenarios: Vec<Figures>,
    /// What a bank without callers took in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_memory_bytes: Option<u64>,
    /// What became of a store that grew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
    /// What the audit said afterwards; none if the bank was somebody else's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<String>,
}

/// The figures of one scenario.
#[derive(Serialize, Debug)]
struct Figures {
    name: String,
    seconds: u64,
    finished: u64,
    per_second: u64,
    p50_micros: u64,
    p99_micros: u64,
    p999_micros: u64,
    max_micros: u64,
    /// At each of [`PERCENTILES`].
    percentile_micros: Vec<u64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    sustained: Option<Sustained>,
}

/// What the bank did with operations that it had only accepted.
#[derive(Serialize, Debug)]
struct Sustained {
    drain_ms: u64,
    operations: u64,
    sustained_per_second: u64,
}

impl Report {
    /// A report without figures.
    pub fn new(options: &SpeedOptions) -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, NonZero::get),
            connections: options.connections,
            accounts: options.accounts,
            people: options.people,
            scenarios: Vec::new(),
            idle_memory_bytes: None,
            growth: None,
            audit: None,
        }
    }

    /// Adds what was measured without failures.
    pub fn add(&mut self, measured: &[Measured]) {
        self.scenarios.extend(measured.iter().map(Figures::new));
    }

    /// Pictures of the rates and of the latencies, by the names of their files.
    pub fn pictures(&self) -> Vec<(&'static str, String)> {
        let mut bars = Vec::new();
        for figures in &self.scenarios {
            bars.push(Bar { name: &figures.name, value: figures.rate(), is_ours: true });
        }
        let mut panels = Vec::new();
        for (title, names) in PANELS {
            let mut lines = Vec::new();
            for Figures { name, percentile_micros, .. } in &self.scenarios {
                if names.contains(&name.as_str()) {
                    lines.push(Line { name, values: percentile_micros.clone() });
                }
            }
            if !lines.is_empty() {
                panels.push(Panel { title, lines });
            }
        }
        let mut pictures = Vec::new();
        if !bars.is_empty() {
            pictures.push(("rates.svg", plot::draw_bars("Operations a second", &bars)));
        }
        if !panels.is_empty() {
            let names = PERCENTILES.map(|(_, name)| name);
            pictures.push(("latencies.svg", plot::draw(&panels, &Axis::Names(&names))));
        }
        pictures
    }

    /// The rate of one hot account, in hundredths of the rate of all accounts.
    fn hot_account_percent(&self) -> Option<u64> {
        let rate = |scenario: Scenario| {
            let name = scenario.name();
            self.scenarios.iter().find(|figures| figures.name == name).map(Figures::rate)
        };
        let spread = rate(Scenario::EndToEnd).filter(|rate| *rate > 0)?;
        rate(Scenario::HotAccount).map(|hot| hot * 100 / spread)
    }
}

impl Figures {
    fn new(measured: &Measured) -> Self {
        let quantile = |millionths| measured.latencies.quantile_micros(millionths);
        Self {
            name: measured.name.clone(),
            seconds: measured.window.as_secs(),
            finished: measured.finished,
            per_second: per_second(measured.finished, measured.window),
            p50_micros: quantile(500_000),
            p99_micros: quantile(990_000),
            p999_micros: quantile(999_000),
            max_micros: measured.latencies.max_micros(),
            percentile_micros: PERCENTILES.iter().map(|(millionths, _)| quantile(*millionths)).collect(),
            sustained: measured.settled.as_ref().map(Sustained::new),
        }
    }

    /// What the bank does in a second, and keeps doing.
    fn rate(&self) -> u64 {
        self.sustained.as_ref().map_or(self.per_second, |sustained| sustained.sustained_per_second)
    }
}

impl Sustained {
    fn new(settled: &Settled) -> Self {
        Self {
            drain_ms: u64::try_from(settled.drain.as_millis()).unwrap_or(u64::MAX),
            operations: settled.operations,
            sustained_per_second: settled.per_second(),
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
        writeln!(
            f,
            "\n{connections} connections, {accounts} accounts of {people} people, {cores} cores for bank and load"
        )?;
        if !self.scenarios.is_empty() {
            write_scenarios(f, &self.scenarios)?;
        }
        if let Some(percent) = self.hot_account_percent() {
            writeln!(f, "\none hot account: {percent} % of the rate of all accounts")?;
        }
        if let Some(bytes) = self.idle_memory_bytes {
            writeln!(f, "\nwithout callers: {} MiB of memory", bytes >> 20)?;
        }
        if let Some(growth) = &self.growth {
            write_growth(f, growth)?;
        }
        match &self.audit {
            Some(audit) => write!(f, "\nThe books were audited and are clean.\n{audit}"),
            None if self.scenarios.is_empty() => Ok(()),
            None => write!(f, "\nThe books were not audited: the bank was not started here."),
        }
    }
}

fn write_scenarios(f: &mut fmt::Formatter<'_>, scenarios: &[Figures]) -> fmt::Result {
    let [name, rate, p50, p99, p999, max, sustained, drain] =
        ["scenario", "per second", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "sustained", "drain ms"];
    writeln!(f, "\n{name:<22}{rate:>12}{p50:>10}{p99:>10}{p999:>10}{max:>10}{sustained:>12}{drain:>10}")?;
    for figures in scenarios {
        let Figures { name, per_second, .. } = figures;
        let [p50, p99, p999, max] =
            [figures.p50_micros, figures.p99_micros, figures.p999_micros, figures.max_micros].map(Millis);
        write!(f, "{name:<22}{per_second:>12}{p50:>10}{p99:>10}{p999:>10}{max:>10}")?;
        match &figures.sustained {
            Some(Sustained { drain_ms, sustained_per_second, .. }) => {
                writeln!(f, "{sustained_per_second:>12}{drain_ms:>10}")?;
            }
            None => writeln!(f)?,
        }
    }
    writeln!(f, "\nsustained: from the first request until all were COMPLETED and no message waited,")?;
    writeln!(f, "which took the drain after the load had ended")
}

fn write_growth(f: &mut fmt::Formatter<'_>, growth: &Growth) -> fmt::Result {
    let [operations, rate, slowest, store] = ["operations", "per second", "slowest batch ms", "store MiB"];
    writeln!(f, "\n{operations:>12}{rate:>12}{slowest:>18}{store:>12}")?;
    for Part { operations, per_second, slowest_batch_micros, store_bytes } in &growth.parts {
        let slowest = Millis(*slowest_batch_micros);
        writeln!(f, "{operations:>12}{per_second:>12}{slowest:>18}{:>12}", store_bytes >> 20)?;
    }
    let Growth { bytes_per_operation, start_after_stop_ms, start_after_kill_ms, .. } = growth;
    writeln!(
        f,
        "\n{bytes_per_operation} bytes an operation; ready {start_after_stop_ms} ms after a stop, \
         {start_after_kill_ms} ms after a kill"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(name: &str, rate: u64) -> Figures {
        Figures {
            name: name.to_owned(),
            seconds: 1,
            finished: rate,
            per_second: rate,
            p50_micros: 1,
            p99_micros: 2,
            p999_micros: 3,
            max_micros: 4,
            percentile_micros: vec![1; PERCENTILES.len()],
            sustained: None,
        }
    }

    fn report(scenarios: Vec<Figures>) -> Report {
        let (idle_memory_bytes, growth, audit) = (None, None, None);
        Report {
            cores: 2,
            connections: 64,
            accounts: 9,
            people: 3,
            scenarios,
            idle_memory_bytes,
            growth,
            audit,
        }
    }

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

    #[test]
    fn a_hot_account_is_held_against_all_accounts() {
        let both = report(vec![figures("end-to-end", 4_000), figures("hot-account", 3_700)]);
        assert_eq!(both.hot_account_percent(), Some(92));
        assert_eq!(report(vec![figures("end-to-end", 4_000)]).hot_account_percent(), None);
        assert!(both.to_string().contains("one hot account: 92 %"), "{both}");
    }

    #[test]
    fn what_is_sustained_is_the_rate() {
        let mut accepted = figures("accepted", 6_000);
        accepted.sustained =
            Some(Sustained { drain_ms: 900, operations: 5_000, sustained_per_second: 4_600 });
        assert_eq!(accepted.rate(), 4_600);
        let [(rates, picture), (latencies, _)] = &report(vec![accepted]).pictures()[..] else {
            panic!("there are two pictures");
        };
        assert_eq!((*rates, *latencies), ("rates.svg", "latencies.svg"));
        assert!(picture.contains(">accepted<") && picture.contains(">4,600<"), "{picture}");
    }
}
