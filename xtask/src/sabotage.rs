//! `cargo xtask sabotage`: bugs that a bank may have, planted one at a time, each of which somebody has to catch.
//!
//! [`BUGS`] says what is planted where, and who has to catch it: the simulation within a number of seeds or, where a bug
//! is of an adapter that the simulation does not have, that adapter's own tests. It is planted in a copy of the tree in
//! `target/sabotage`, built and tried there. The simulation begins at several first seeds, so that one lucky seed is not
//! taken for its strength; and before any bug it runs the same seeds without one, since a guard that finds fault with
//! everything catches nothing.
//!
//! Absent on purpose: a part in `cargo xtask test`, as every bug is a build. What is there holds the table to the code.

mod bug;
mod bugs;
mod tree;

use std::collections::BTreeSet;

pub use bug::{Bug, Edit, Guard, Planted, planted};
pub use bugs::BUGS;
use tree::Tree;

use crate::{Fault, Workspace};

/// The seeds that the simulation begins at, one run each.
const FIRST_SEEDS: [u64; 5] = [1, 1_000_001, 2_000_001, 3_000_001, 4_000_001];

/// The longest text of what was found in the table, in characters.
const SAID_CHARACTERS_MAX: usize = 90;

/// What became of one bug.
enum Outcome {
    /// The how-manieth seed found it, for each first seed where one did, and what was said of it.
    Simulated { ordinals: Vec<Option<u64>>, said: String },
    /// The tests that failed.
    Tested { failed: Vec<String> },
    /// It could not be planted or built, or its guard did not come to an end.
    NotTried(Fault),
}

impl Outcome {
    /// Whether it was caught whenever it could be.
    fn is_caught(&self) -> bool {
        match self {
            Self::Simulated { ordinals, .. } => ordinals.iter().all(Option::is_some),
            Self::Tested { failed } => !failed.is_empty(),
            Self::NotTried(_) => false,
        }
    }
}

/// Plants all bugs, or the one of this name, and prints a table of what became of them.
pub(crate) fn run_all(workspace: &Workspace, name: Option<&str>, seeds: u64) -> Result<(), Fault> {
    let chosen: Vec<&Bug> = BUGS.iter().filter(|bug| name.is_none_or(|name| name == bug.name)).collect();
    if chosen.is_empty() {
        return Err(Fault::Sabotage(format!("no bug is named {}", name.unwrap_or_default())));
    }
    let tree = Tree::copy(workspace)?;
    let mut rows = Vec::with_capacity(chosen.len());
    let mut missed = Vec::new();
    let guards: BTreeSet<Guard> = chosen.iter().map(|bug| bug.guard).collect();
    for guard in guards {
        println!("── no bug, {guard}");
        try_without_bug(&tree, guard, seeds)?;
        for bug in chosen.iter().filter(|bug| bug.guard == guard) {
            println!("── {}", bug.name);
            let outcome = tree.with(bug, || try_guard(&tree, guard, seeds)).unwrap_or_else(Outcome::NotTried);
            let row = row(bug, &outcome);
            println!("{row}");
            rows.push(row);
            if !outcome.is_caught() {
                missed.push(bug.name);
            }
        }
    }
    println!("\n| bug | what it is | median seed | caught by |\n|---|---|--:|---|\n{}", rows.join("\n"));
    if missed.is_empty() {
        return Ok(());
    }
    Err(Fault::Sabotage(format!("not always caught: {}", missed.join(", "))))
}

/// Sees to it that the guard does not find fault with everything.
fn try_without_bug(tree: &Tree, guard: Guard, seeds: u64) -> Result<(), Fault> {
    let found = match try_guard(tree, guard, seeds)? {
        Outcome::Simulated { said, .. } => said,
        Outcome::Tested { failed } => failed.join(", "),
        Outcome::NotTried(fault) => return Err(fault),
    };
    if found.is_empty() {
        return Ok(());
    }
    Err(Fault::Sabotage(format!("{guard} find fault where there is no bug: {found}")))
}

fn try_guard(tree: &Tree, guard: Guard, seeds: u64) -> Result<Outcome, Fault> {
    match guard {
        Guard::Simulation => simulate(tree, seeds),
        Guard::Tests { package, filter } => {
            Ok(Outcome::Tested { failed: failed_tests(&tree.test(package, filter)?) })
        }
    }
}

/// Runs the simulation from each first seed on, until a seed fails.
fn simulate(tree: &Tree, seeds: u64) -> Result<Outcome, Fault> {
    let program = tree.build_simulation()?;
    let mut ordinals = Vec::with_capacity(FIRST_SEEDS.len());
    let mut first_said = String::new();
    for first in FIRST_SEEDS {
        let (output, has_failed) = tree.simulate(&program, first, seeds)?;
        match failed_seed(&output) {
            Some((seed, said)) => {
                if first_said.is_empty() {
                    said.clone_into(&mut first_said);
                }
                ordinals.push(Some(seed.saturating_sub(first) + 1));
            }
            None if has_failed => {
                let reason = format!("it failed and names no seed:\n{}", crate::server::last_lines(&output));
                return Err(Fault::Output { command: "simulation".to_owned(), reason });
            }
            None => ordinals.push(None),
        }
    }
    Ok(Outcome::Simulated { ordinals, said: first_said })
}

/// Reads the first line such as `seed 12345 failed: account 7 is overdrawn`.
fn failed_seed(output: &str) -> Option<(u64, &str)> {
    output.lines().find_map(|line| {
        let (seed, said) = line.strip_prefix("seed ")?.split_once(" failed: ")?;
        Some((seed.parse().ok()?, said))
    })
}

/// Reads the lines of the standard harness such as `test delivery::a_record ... FAILED`.
fn failed_tests(output: &str) -> Vec<String> {
    let failed = |line: &str| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_owned());
    output.lines().filter_map(failed).collect()
}

/// The bug's row of the table.
fn row(bug: &Bug, outcome: &Outcome) -> String {
    let (median, caught_by) = match outcome {
        Outcome::Simulated { ordinals, said } => (median(ordinals), said.clone()),
        Outcome::Tested { failed } if failed.is_empty() => ("missed".to_owned(), String::new()),
        Outcome::Tested { failed } => ("tests".to_owned(), failed.join(", ")),
        Outcome::NotTried(fault) => ("not tried".to_owned(), fault.to_string()),
    };
    format!("| {} | {} | {median} | {} |", bug.name, bug.story, shortened(&caught_by))
}

/// The median of the runs that caught it, and how many those were where it was not all.
fn median(ordinals: &[Option<u64>]) -> String {
    let mut caught: Vec<u64> = ordinals.iter().flatten().copied().collect();
    caught.sort_unstable();
    match caught.get(caught.len() / 2) {
        None => "missed".to_owned(),
        Some(median) if caught.len() == ordinals.len() => median.to_string(),
        Some(median) => format!("{median}, in {} runs of {}", caught.len(), ordinals.len()),
    }
}

/// As much as fits into a cell, on one line and without what ends a cell.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().replace('|', "/");
    match line.char_indices().nth(SAID_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guard_prints_is_read() {
        let output = "first seed 7\nseed 9 failed: it was lost | twice\nseed 9 failed: something else\n";
        assert_eq!(failed_seed(output), Some((9, "it was lost | twice")));
        assert_eq!(failed_seed("seed x failed: no\n10 seeds\n"), None);
        let output = "test a::b ... ok\ntest a::c ... FAILED\n\nfailures:\n    a::c\n";
        assert_eq!(failed_tests(output), ["a::c"]);
    }

    #[test]
    fn a_bug_is_caught_if_every_run_catches_it() {
        let simulated = |ordinals: &[Option<u64>]| {
            let outcome = Outcome::Simulated { ordinals: ordinals.to_vec(), said: "lost | it".to_owned() };
            (outcome.is_caught(), row(&BUGS[0], &outcome))
        };
        let (is_caught, line) = simulated(&[Some(9), Some(1), Some(3)]);
        assert!(is_caught && line.ends_with("| 3 | lost / it |"), "{line}");
        let (is_caught, line) = simulated(&[Some(9), None, Some(3)]);
        assert!(!is_caught && line.contains("| 9, in 2 runs of 3 |"), "{line}");
        let (is_caught, line) = simulated(&[None]);
        assert!(!is_caught && line.contains("| missed |"), "{line}");
        assert!(!Outcome::Tested { failed: Vec::new() }.is_caught());
    }
}
