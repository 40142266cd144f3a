//! The comparison: a table for people, JSON for machines, and a picture.

use std::fmt;
use std::num::NonZero;

use serde::Serialize;

use crate::plot::{self, Bar, grouped};

/// Everybody's figures.
#[derive(Serialize, Debug)]
pub struct Comparison {
    cores: usize,
    rows: Vec<Row>,
    audit: String,
}

/// The figures of one.
#[derive(Serialize, Debug)]
pub struct Row {
    peer: &'static str,
    what: &'static str,
    per_second: u64,
    /// What each round came to.
    rounds: Vec<u64>,
    /// How many times as much the bank does in what it is held against, in hundredths; none for the bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    ours_percent: Option<u64>,
}

impl Row {
    /// One whose rate is held against one of the bank's; the bank itself against itself.
    pub fn new(
        peer: &'static str,
        what: &'static str,
        per_second: u64,
        rounds: Vec<u64>,
        ours: Option<u64>,
    ) -> Self {
        let ours_percent = ours.map(|ours| ours * 100 / per_second.max(1));
        Self { peer, what, per_second, rounds, ours_percent }
    }
}

impl Comparison {
    /// Everybody's figures, and what the audit of the bank's books said.
    pub fn new(rows: Vec<Row>, audit: String) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { cores, rows, audit }
    }

    /// The rates as bars. The journal is left out: beside it nothing else would be seen.
    pub fn picture(&self) -> String {
        let names: Vec<String> = self.rows.iter().map(|row| format!("{}: {}", row.peer, row.what)).collect();
        let rows = self.rows.iter().zip(&names).filter(|(row, _)| row.peer != super::JOURNAL);
        let bars: Vec<Bar<'_>> = rows
            .map(|(row, name)| Bar { name, value: row.per_second, is_ours: row.ours_percent.is_none() })
            .collect();
        plot::draw_bars("Durable a second", &bars)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [peer, what, rate, ratio] = ["peer", "what", "per second", "ratio"];
        writeln!(f, "\n{peer:<14} | {what:<40} | {rate:>10} | {ratio:>8}")?;
        for Row { peer, what, per_second, ours_percent, .. } in &self.rows {
            let ratio = ours_percent.map_or_else(String::new, |percent| Times(percent).to_string());
            writeln!(f, "{peer:<14} | {what:<40} | {:>10} | {ratio:>8}", grouped(*per_second))?;
        }
        writeln!(
            f,
            "\nratio: deposits that the bank takes through all its services, for one transaction of the peer,"
        )?;
        writeln!(
            f,
            "with as many callers and the same spread; in five transactions, for all five. {} cores for all.",
            self.cores
        )?;
        write!(f, "\nThe books were audited and are clean.\n{}", self.audit)
    }
}

/// Hundredths as a factor with two decimals.
struct Times(u64);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}×", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_what_the_bank_does() {
        let row = |peer, rate, ours| Row::new(peer, "deposits", rate, vec![rate], ours);
        let rows =
            vec![row("this bank", 4_000, None), row("peer", 3_000, Some(4_000)), row("dead", 0, Some(5))];
        assert_eq!(rows[1].ours_percent, Some(133));
        let comparison = Comparison::new(rows, "clean".to_owned());
        let told = comparison.to_string();
        assert!(told.contains("1.33×") && told.contains("4,000") && told.contains("5.00×"), "{told}");
        assert!(comparison.picture().contains("this bank: deposits"));
    }
}
