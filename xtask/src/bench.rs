//! The trials of the release build under load: how fast it is, what becomes of too much, and how it lasts.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{self, cargo};
use crate::report::Report;
use crate::{Fault, Workspace};

const OVERLOAD: &str = "overload";
/// How long there is too much to do, where it is one part of all tests.
const PART_SECONDS: &str = "2";
/// How long that part may take. It needs a quarter of a minute.
const PART_LIMIT: Duration = Duration::from_secs(120);

/// Builds the bank and the load generator, and has it make a trial with these arguments.
pub(crate) fn run(workspace: &Workspace, trial: &str, arguments: &[OsString]) -> Result<(), Fault> {
    // Two builds: one would unite the features of both, and the bank measured would not be the one delivered.
    process::run(&mut build(workspace, "bank"))?;
    process::run(&mut build(workspace, "bench"))?;
    let mut load = load(workspace, trial, arguments);
    if !names_a_bank(arguments) {
        load.arg("--bank").arg(workspace.release_binary("bank"));
    }
    process::run(&mut load)
}

/// Asks too much of this bank for a moment, as a part of all tests.
pub(crate) fn run_part(workspace: &Workspace, binary: &Path, report: &mut Report) {
    report.run(OVERLOAD, || {
        process::run(&mut build(workspace, "bench"))?;
        let arguments = ["--untimed", "--times", "4", "--seconds", PART_SECONDS];
        process::run_at_most(load(workspace, OVERLOAD, &arguments).arg("--bank").arg(binary), PART_LIMIT)
    });
}

fn build(workspace: &Workspace, package: &str) -> Command {
    let mut command = cargo(&["build", "--release", "--package", package]);
    command.current_dir(&workspace.root);
    command
}

fn load(workspace: &Workspace, trial: &str, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(workspace.release_binary("bench"));
    command.current_dir(&workspace.root).arg(trial).args(arguments);
    command
}

/// Whether the arguments tell which bank to measure.
fn names_a_bank(arguments: &[OsString]) -> bool {
    let options = ["--bank", "--url"];
    arguments.iter().map(|argument| argument.to_string_lossy()).any(|argument| {
        let name = argument.split('=').next().unwrap_or_default();
        options.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_named_by_the_caller_is_kept() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(names_a_bank(&words(&["--seconds", "5", "--url", "http://127.0.0.1:8080"])));
        assert!(names_a_bank(&words(&["--bank=./bank"])));
        assert!(!names_a_bank(&words(&["--seconds", "5"])));
    }
}
