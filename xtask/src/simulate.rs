//! The simulation: seeds, each a run of the whole bank in the worst of all worlds.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use crate::process::{cargo, run, run_at_most};
use crate::report::Report;
use crate::{Fault, Workspace};

const SEEDS: &str = "simulation of fresh seeds";

/// How many fresh seeds a test run tries: half a minute in the build that the tests are of.
const SEEDS_IN_TEST: &str = "200";
/// How long they may take.
const LIMIT: Duration = Duration::from_secs(240);

/// Builds the simulation and hands the arguments on to it.
pub(crate) fn run_seeds(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Fault> {
    run(cargo(&["build", "--release", "--package", "simulation"]).current_dir(&workspace.root))?;
    run(Command::new(workspace.release_binary("simulation")).args(arguments))
}

/// The part of a test run, with seeds of the clock, so that no two runs try the same ones. The binary was built for the
/// simulation's own tests: a release build would take longer than it saves.
pub(crate) fn run_part(workspace: &Workspace, report: &mut Report) {
    let mut simulation = Command::new(workspace.debug_binary("simulation"));
    report.run(SEEDS, || run_at_most(simulation.args(["--seeds", SEEDS_IN_TEST]), LIMIT));
}
