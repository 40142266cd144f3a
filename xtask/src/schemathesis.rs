//! Fuzzing of the API: requests made from `openapi.json`, what it allows and what it does not, one by one and in chains,
//! against the release build on a bank with two people in it.
//!
//! Every answer is held to the document: its status, media type and shape; no answer is 5xx; what the document allows
//! is taken and what it does not allow is refused; no route is open that is not said to be; and neither person sees what
//! the other made. A run is made from one seed, which it tells; how the fuzzer is set up is in `xtask/schemathesis`.
//! Deliberately absent: speed, which is measured elsewhere, and what no client of HTTP can be made to send, which is
//! tried over bare connections in `apps/bank/tests/suite/wire.rs`.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::one_process::{audit, build_bank};
use crate::process::{run, run_at_most};
use crate::python::SCHEMATHESIS;
use crate::report::{Report, Verdict};
use crate::server::{Folder, Server, without_settings};
use crate::{Fault, Workspace};

const RELEASE: &str = "release build";
const FUZZING: &str = "fuzzing the API";

/// How long beyond its time a run may take to make a failure smaller and to tell it.
const CONCLUSION_LIMIT: Duration = Duration::from_secs(120);

/// How long it may take to name an operator.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// The person of the demonstration who is made an operator: one of the two in `people.json`.
const OPERATOR: &str = "grace@example.com";

/// What the fuzzer writes for this task to read.
const OUTCOME: &str = "outcome.json";

/// What the fuzzer looks for in its folder.
const SETTINGS: [(&str, &str); 3] = [
    ("schemathesis.toml", include_str!("../schemathesis/schemathesis.toml")),
    ("people.json", include_str!("../schemathesis/people.json")),
    ("hooks.py", include_str!("../schemathesis/hooks.py")),
];

/// How a run is made.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Plan {
    /// For how many minutes requests are sent, at most a day
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=24 * 60))]
    minutes: u64,
    /// What the requests are made from: the same seed makes the same ones, as far as the answers are the same
    #[arg(long)]
    seed: Option<u32>,
}

/// Builds the bank and fuzzes its API.
pub(crate) fn run_alone(workspace: &Workspace, plan: Plan, report: &mut Report) {
    if report.run(RELEASE, || run(&mut build_bank(workspace))) {
        fuzz(workspace, &workspace.release_binary("bank"), plan, report);
    } else {
        report.leave_out([FUZZING], "there is no release build");
    }
}

/// Fuzzes the API of this build for a minute, from a fresh seed.
pub(crate) fn run_part(workspace: &Workspace, binary: &Path, report: &mut Report) {
    fuzz(workspace, binary, Plan { minutes: 1, seed: None }, report);
}

fn fuzz(workspace: &Workspace, binary: &Path, plan: Plan, report: &mut Report) {
    let seed = plan.seed.unwrap_or_else(fresh_seed);
    let mut folder = None;
    let is_clean = report.run(FUZZING, || {
        let fault = Folder::make(workspace, "fuzzing").and_then(|made| {
            let folder = folder.insert(made);
            let server = start(workspace, binary, folder)?;
            send(workspace, folder, &server.url, plan.minutes, seed)?;
            server.stop()?;
            audit(binary, folder)
        });
        let cases = folder.as_ref().and_then(|folder| cases_in(folder.path()));
        let note = format!("{} cases, seed {seed}", cases.unwrap_or_default());
        Verdict { note: Some(note), fault: fault.err(), ..Verdict::default() }
    });
    if let Some(folder) = folder {
        folder.leave(is_clean);
    }
}

/// Starts a bank with two people, one of them an operator.
fn start(workspace: &Workspace, binary: &Path, folder: &Folder) -> Result<Server, Fault> {
    SCHEMATHESIS.install(workspace)?;
    for (name, text) in SETTINGS {
        let path = folder.path().join(name);
        fs::write(&path, text).map_err(Fault::file(&path))?;
    }
    let server = Server::start_with(binary, folder, &["--demo"])?;
    let mut command = Command::new(binary);
    command.args(["operators", "add", OPERATOR, "--data-dir"]).arg(folder.data());
    run_at_most(without_settings(&mut command), COMMAND_LIMIT)?;
    Ok(server)
}

fn send(workspace: &Workspace, folder: &Folder, url: &str, minutes: u64, seed: u32) -> Result<(), Fault> {
    println!("the same again: cargo xtask schemathesis --minutes {minutes} --seed {seed}");
    let duration = Duration::from_mins(minutes);
    let mut command = SCHEMATHESIS.command(workspace, "schemathesis");
    command.arg("run").arg(format!("{url}/openapi.json"));
    command.args(["--seed", &seed.to_string(), "--max-time", &duration.as_secs().to_string()]);
    command.args(["--report", "json", "--report-json-path", OUTCOME]);
    // It looks for its hooks and its settings in its own folder.
    command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONDONTWRITEBYTECODE", "1");
    run_at_most(command.current_dir(folder.path()), duration + CONCLUSION_LIMIT)
}

/// How many cases there were, as far as the fuzzer told.
fn cases_in(folder: &Path) -> Option<u64> {
    let text = fs::read_to_string(folder.join(OUTCOME)).ok()?;
    serde_json::from_str::<Value>(&text).ok()?["test_cases"]["generated"].as_u64()
}

/// A hasher of the standard library has random keys.
fn fresh_seed() -> u32 {
    let [first, second, third, fourth, ..] = RandomState::new().hash_one(()).to_le_bytes();
    u32::from_le_bytes([first, second, third, fourth])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_one_of_those_who_sign_in() {
        let [_, (name, people), _] = SETTINGS;
        let people: Value = serde_json::from_str(people).unwrap();
        let credentials = people["auth"].as_array().unwrap().iter().map(|person| {
            let sent = person["loginEndpointAuth"]["payloadRaw"].as_str().unwrap();
            serde_json::from_str::<Value>(sent).unwrap()
        });
        assert!(credentials.into_iter().any(|sent| sent["email"] == OPERATOR), "{name}");
    }
}
