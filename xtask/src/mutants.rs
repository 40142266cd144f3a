//! `cargo xtask mutants`: small faults in the rules, one at a time, each of which a test of its own package has to notice.
//!
//! What is changed, and which changes nobody could tell from the original, is in `.cargo/mutants.toml`. cargo-mutants
//! works in a copy of the tree, so the tree may be edited meanwhile; what it found is left in
//! `target/mutants/PACKAGE/mutants.out`. A mutant that makes a test run for ever counts as noticed.
//!
//! Absent on purpose: a part in `cargo xtask test`, since every mutant is a build.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::run;
use crate::report::{Report, Verdict};
use crate::tools::MUTANTS;
use crate::{Fault, Workspace};

/// Those with something to change, the quickest first.
pub(crate) const PACKAGES: [&str; 9] =
    ["kernel", "accounts", "banking", "ledger", "query", "notifications", "identity", "runtime", "embedded"];

/// How cargo-mutants ends where a test was stopped because it did not end.
const ENDED_WITH_STOPPED_TESTS: i32 = 3;

/// Tries one package, or all of them.
pub(crate) fn run_all(workspace: &Workspace, package: Option<&str>, report: &mut Report) {
    let program = match MUTANTS.locate(workspace) {
        Ok(program) => program,
        Err(fault) => {
            report.run("installation of cargo-mutants", || Verdict::from(Err(fault)));
            return;
        }
    };
    for name in PACKAGES.into_iter().filter(|name| package.is_none_or(|package| package == *name)) {
        report.run(name, || try_package(workspace, &program, name));
    }
}

fn try_package(workspace: &Workspace, program: &Path, package: &str) -> Verdict {
    let folder = workspace.target.join("mutants");
    let output = folder.join(package);
    if let Err(source) = fs::create_dir_all(&output) {
        return Verdict::from(Err(Fault::File { path: output, source }));
    }
    let mut command = Command::new(program);
    command
        .current_dir(&workspace.root)
        // Each copy of the tree has a place of its own; what it depends on is built once for all of them.
        .env("CARGO_TARGET_DIR", folder.join("build"))
        .args(["mutants", "--no-shuffle", "--package", package, "--output"])
        .arg(&output);
    let ended = run(&mut command);
    match read_outcomes(&output.join("mutants.out").join("outcomes.json")) {
        Ok(outcomes) => {
            let fault = ended.err().filter(|fault| !is_only_of_stopped_tests(fault, &outcomes));
            Verdict { note: Some(line(&outcomes)), fault, ..Verdict::default() }
        }
        // Without outcomes there was most likely a fault before there could be any.
        Err(unread) => Verdict { fault: Some(ended.err().unwrap_or(unread)), ..Verdict::default() },
    }
}

/// What cargo-mutants leaves behind.
fn read_outcomes(path: &Path) -> Result<Value, Fault> {
    let text = fs::read_to_string(path).map_err(Fault::file(path))?;
    serde_json::from_str(&text).map_err(|error| Fault::Output {
        command: "cargo mutants".to_owned(),
        reason: format!("{}: {error}", path.display()),
    })
}

/// Whether every mutant was noticed, some of them because a test had to be stopped. The status tells of those before it
/// tells of mutants that were missed.
fn is_only_of_stopped_tests(fault: &Fault, outcomes: &Value) -> bool {
    matches!(fault, Fault::Failed { status, .. } if status.code() == Some(ENDED_WITH_STOPPED_TESTS))
        && outcomes["missed"] == 0
}

fn line(outcomes: &Value) -> String {
    let count = |name: &str| outcomes[name].as_u64().unwrap_or_default();
    format!(
        "{} mutants: {} caught, {} stopped, {} missed, {} that do not compile",
        count("total_mutants"),
        count("caught"),
        count("timeout"),
        count("missed"),
        count("unviable")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_outcomes_are_told_in_a_line() {
        let outcomes = json!({
            "outcomes": [], "total_mutants": 10, "missed": 1, "caught": 5, "timeout": 1, "unviable": 3, "success": 0,
        });
        assert_eq!(line(&outcomes), "10 mutants: 5 caught, 1 stopped, 1 missed, 3 that do not compile");
    }

    #[cfg(unix)]
    #[test]
    fn a_stopped_test_does_not_hide_a_mutant_that_was_missed() {
        use std::os::unix::process::ExitStatusExt;
        let ended = |code: i32| Fault::Failed {
            command: "cargo-mutants".to_owned(),
            status: std::process::ExitStatus::from_raw(code << 8),
        };
        for (code, missed, is_well) in [(3, 0, true), (3, 1, false), (2, 1, false), (4, 0, false)] {
            let outcomes = json!({"timeout": 1, "missed": missed});
            assert_eq!(is_only_of_stopped_tests(&ended(code), &outcomes), is_well, "{code}, {missed} missed");
        }
        assert!(!is_only_of_stopped_tests(&ended(4), &json!({})), "nothing was tried");
        assert!(!is_only_of_stopped_tests(&ended(3), &json!({})), "nothing was tried");
    }

    #[test]
    fn every_package_is_one_of_the_workspace() {
        let workspace = Workspace::read().unwrap();
        for package in PACKAGES {
            assert!(workspace.crates.iter().any(|member| member.name == package), "{package}");
        }
    }
}
