//! `cargo xtask ci`: what has to pass before a change lands.
//!
//! The cheap parts come first, and the first that fails ends the run: what a formatter says in a second should
//! not wait for the tests. All parts share one target directory and two profiles, so nothing is compiled twice.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::nextest::WITH_AWS;
use crate::process::{cargo, run, run_at_most};
use crate::report::{Report, Verdict};
use crate::tools::DENY;
use crate::{Fault, Workspace, openapi, test};

/// How long the database of known vulnerabilities may take to arrive.
const ADVISORIES_FETCH_LIMIT: Duration = Duration::from_secs(60);

type Check = fn(&Workspace) -> Verdict;

/// The parts before the tests, in order.
const CHECKS: [(&str, Check); 5] = [
    ("format", |workspace| run(cargo(&["fmt", "--all", "--check"]).current_dir(&workspace.root)).into()),
    ("lints", lint),
    ("documentation", document),
    ("licences, bans, sources", dependencies),
    ("openapi.json", |workspace| openapi::check(workspace).into()),
];

const TESTS: &str = "tests";

/// Runs the checks, and the tests if every check passed.
pub(crate) fn run_all(workspace: &Workspace, report: &mut Report) {
    for (position, (name, check)) in CHECKS.iter().enumerate() {
        if !report.run(name, || check(workspace)) {
            let left = CHECKS[position + 1..].iter().map(|(name, _)| *name);
            report.leave_out(left.chain([TESTS]), "a part before it failed");
            return;
        }
    }
    test::run_all(workspace, &[], report);
}

fn lint(workspace: &Workspace) -> Verdict {
    let mut command = cargo(&["clippy", "--workspace", "--all-targets", "--locked"]);
    run(command.args(WITH_AWS).args(["--", "--deny", "warnings"]).current_dir(&workspace.root)).into()
}

fn document(workspace: &Workspace) -> Verdict {
    let mut command = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    run(command.args(WITH_AWS).env("RUSTDOCFLAGS", "--deny warnings").current_dir(&workspace.root)).into()
}

/// Holds the dependencies against `deny.toml`. The database of known vulnerabilities is not a package: where it
/// cannot be fetched, such as on a machine that sees the package registry alone, the summary says that it was
/// not asked.
fn dependencies(workspace: &Workspace) -> Verdict {
    let program = match DENY.locate(workspace) {
        Ok(program) => program,
        Err(fault) => return Verdict::from(Err(fault)),
    };
    let held = run(deny(&program, workspace).args([
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]));
    if held.is_err() {
        return held.into();
    }
    let fetched = run_at_most(deny(&program, workspace).args(["fetch", "db"]), ADVISORIES_FETCH_LIMIT);
    match fetched {
        Ok(()) => {
            Verdict { note: Some("advisories too".to_owned()), ..advisories(&program, workspace).into() }
        }
        Err(_) => Verdict {
            note: Some("advisories not checked: their database cannot be fetched here".to_owned()),
            ..Verdict::default()
        },
    }
}

/// Asks the database of known vulnerabilities, as it is now, about what the bank depends on. Here a database that cannot be
/// fetched is a fault.
pub(crate) fn ask_for_advisories(workspace: &Workspace) -> Result<(), Fault> {
    advisories(&DENY.locate(workspace)?, workspace)
}

fn advisories(program: &PathBuf, workspace: &Workspace) -> Result<(), Fault> {
    run(deny(program, workspace).args(["check", "--hide-inclusion-graph", "advisories"]))
}

fn deny(program: &PathBuf, workspace: &Workspace) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&workspace.root).arg("--locked");
    command
}
