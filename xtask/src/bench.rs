//! The trials of the release build under load: how fast it is, also beside others, what becomes of too much, and how it
//! lasts.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{self, cargo};
use crate::report::Report;
use crate::{Fault, Workspace};

const PEERS: &str = "peers";
const CALA_MANIFEST: &str = "bench/peers/cala/Cargo.toml";
const CALA_BINARY: &str = "cala-peer";
const LEDGER: &str = "ledger-bench";
/// The parts of all tests: what they are called, which trial each makes, and with what.
const PARTS: [(&str, &str, &[&str]); 2] = [
    (
        "load of every kind",
        "speed",
        &[
            "--seconds=1",
            "--warmup-seconds=0",
            "--accounts=200",
            "--people=4",
            "--scenario=hot-account",
            "--scenario=mixed",
            "--scenario=batch",
            "--scenario=growth",
            "--operations=10000",
        ],
    ),
    ("overload", "overload", &["--untimed", "--times=4", "--seconds=2"]),
];
/// How long a part may take. Each needs a quarter of a minute.
const PART_LIMIT: Duration = Duration::from_secs(120);

/// Builds the bank and the load generator, and has it make a trial with these arguments.
pub(crate) fn run(workspace: &Workspace, trial: &str, arguments: &[OsString]) -> Result<(), Fault> {
    // Two builds: one would unite the features of both, and the bank measured would not be the one delivered.
    process::run(&mut build(workspace, &["bank"]))?;
    build_tools(workspace)?;
    let mut load = load(workspace, trial, arguments);
    if !names_a_bank(arguments) {
        load.arg("--bank").arg(workspace.release_binary("bank"));
    }
    process::run(&mut load)
}

/// Builds the ledger alone too, and cala-ledger, which is no part of the workspace, and has the bank measured beside others.
pub(crate) fn run_peers(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Fault> {
    process::run(&mut build(workspace, &[LEDGER]))?;
    let mut arguments = arguments.to_vec();
    arguments.extend(["--ledger".into(), workspace.release_binary(LEDGER).into()]);
    let folder = workspace.root.join("target").join(PEERS);
    let mut cala =
        cargo(&["build", "--release", "--locked", "--manifest-path", CALA_MANIFEST, "--target-dir"]);
    match process::run(cala.arg(&folder).current_dir(&workspace.root)) {
        Ok(()) => arguments.extend(["--cala".into(), folder.join("release").join(CALA_BINARY).into()]),
        // The others are worth a look without it.
        Err(fault) => println!("cala-ledger is left out: {fault}"),
    }
    run(workspace, PEERS, &arguments)
}

/// Puts load on this bank for a moment, as parts of all tests: for what it does under it, not for how fast.
pub(crate) fn run_parts(workspace: &Workspace, binary: &Path, report: &mut Report) {
    for (part, trial, arguments) in PARTS {
        report.run(part, || {
            build_tools(workspace)?;
            process::run_at_most(load(workspace, trial, arguments).arg("--bank").arg(binary), PART_LIMIT)
        });
    }
}

/// Builds the load generator and the program whose instructions are counted: together, since they share most of what they
/// are built from.
pub(crate) fn build_tools(workspace: &Workspace) -> Result<(), Fault> {
    process::run(&mut build(workspace, &["bench", "counts"]))
}

fn build(workspace: &Workspace, packages: &[&str]) -> Command {
    let mut command = cargo(&["build", "--release"]);
    command.args(packages.iter().flat_map(|package| ["--package", package])).current_dir(&workspace.root);
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
