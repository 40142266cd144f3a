//! Nextest, on the whole workspace.
//!
//! The whole workspace is named in every build of tests and the suites choose among it, because a build of fewer
//! packages has other features and would compile the dependencies again. For the same reason the command line's part for AWS
//! is in all of them, though only some tests ask for it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use crate::process::{Stream, output_of, run_reading};
use crate::report::Verdict;
use crate::server::without_settings;
use crate::suites::{Suite, holds_a_test};
use crate::tally::Tally;
use crate::tools::NEXTEST;
use crate::{Fault, Workspace};

/// What every build of the tests has, so that AWS's SDK is compiled once.
pub(crate) const WITH_AWS: [&str; 2] = ["--features", "bank/aws"];

/// The runner of one task.
pub(crate) struct Nextest<'run> {
    /// What it runs the tests of.
    pub(crate) workspace: &'run Workspace,
    program: PathBuf,
    filters: &'run [String],
}

impl<'run> Nextest<'run> {
    /// The runner, installed if it has to be. Where there are filters, a test is run if its name contains one.
    pub(crate) fn locate(workspace: &'run Workspace, filters: &'run [String]) -> Result<Self, Fault> {
        Ok(Self { workspace, program: NEXTEST.locate(workspace)?, filters })
    }

    /// Whether everything is run.
    pub(crate) fn is_whole(&self) -> bool {
        self.filters.is_empty()
    }

    /// Whether any test of the suites is run.
    pub(crate) fn wants(&self, suites: &[Suite]) -> Result<bool, Fault> {
        for suite in suites {
            let mut command = self.command("list", *suite);
            if self.is_whole() || holds_a_test(&output_of(command.args(["--message-format", "json"]))?)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs the tests that are in the suite and, by name, among the filters.
    pub(crate) fn run(&self, suite: Suite, settings: &[(&str, &OsStr)]) -> Verdict {
        let mut tally = Tally::default();
        let mut command = self.command("run", suite);
        command.args(["--no-fail-fast", "--color", colour()]);
        // With filters, the tests that are wanted may all be in another part.
        command.args(["--no-tests", if self.is_whole() { "fail" } else { "pass" }]);
        command.envs(settings.iter().copied());
        let result = run_reading(&mut command, Stream::Error, |line| {
            if let Some(sum) = Tally::of_nextest(line) {
                tally = sum;
            }
        });
        // What a filterset leaves out is another part's, not skipped.
        tally.skipped = 0;
        Verdict { tally, note: None, fault: result.err() }
    }

    fn command(&self, verb: &str, suite: Suite) -> Command {
        let mut command = Command::new(&self.program);
        without_settings(&mut command);
        command.current_dir(&self.workspace.root);
        command.args(["nextest", verb, "--workspace"]).args(WITH_AWS);
        command.args(["--filterset", suite.filterset()]).args(self.filters);
        command
    }
}

/// Nextest's lines pass through this task, so it cannot see for itself whether a terminal is at the end.
fn colour() -> &'static str {
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) { "always" } else { "never" }
}
