//! `cargo xtask crash`: the release build is killed under load, and started again, for as many rounds as are asked for.
//! What it answered must be there each time, once.
//!
//! The rounds are those of `e2e/tests/crash`, of which `cargo xtask test` runs a few. Here they have no time limit, and
//! every round is printed as it ends.

use crate::process::{cargo, run};
use crate::server::without_settings;
use crate::{Fault, Workspace, one_process};

/// What kills the bank: the signal alone, or the machine under it, which forgets what was not synced.
const TESTS: [&str; 2] =
    ["what_was_answered_survives_being_killed", "what_was_answered_survives_a_power_cut"];

/// Builds the bank and kills it, `rounds` times in each way.
pub(crate) fn run_rounds(workspace: &Workspace, rounds: u32, seed: Option<u64>) -> Result<(), Fault> {
    run(&mut one_process::build_bank(workspace))?;
    let mut command = cargo(&["test", "--package", "e2e", "--test", "crash", "--"]);
    command.args(["--exact", "--nocapture", "--test-threads", "1"]).args(TESTS);
    without_settings(&mut command)
        .current_dir(&workspace.root)
        .env("BANK_BINARY", workspace.release_binary("bank"))
        .env("CRASH_ROUNDS", rounds.to_string())
        .envs(seed.map(|seed| ("CRASH_SEED", seed.to_string())));
    run(&mut command)
}
