//! `cargo xtask test`: every test there is.
//!
//! First what runs in process, then the release build: the black-box suite against a bank that is started for
//! it, an audit of the books that the suite leaves behind, and the tests that kill the bank. A part that fails
//! does not keep the others from running, unless they need what it builds.
//!
//! The whole workspace is named in every test build and nextest's filtersets choose among it, because a build
//! of fewer packages has other features and would compile the dependencies again.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{Stream, cargo, output_of, run, run_at_most, run_reading};
use crate::report::{Report, Verdict};
use crate::server::{Folder, Server, without_settings};
use crate::suites::{EndToEnd, has_doc_tests};
use crate::tally::Tally;
use crate::tools::NEXTEST;
use crate::{Fault, Workspace};

/// How long the audit of what one run of the suite leaves behind may take.
const AUDIT_LIMIT: Duration = Duration::from_secs(120);

const IN_PROCESS: &str = "unit and integration tests";
const DOCUMENTATION: &str = "documentation tests";
const RELEASE: &str = "release build";
const BLACK_BOX: &str = "end to end";
const STOP: &str = "graceful stop";
const AUDIT: &str = "audit of the books";
const CRASH: &str = "kill -9 and restart";

/// Runs every part whose tests the filters want; without filters, all.
pub(crate) fn run_all(workspace: &Workspace, filters: &[String], report: &mut Report) {
    let nextest = match NEXTEST.locate(workspace) {
        Ok(program) => Nextest { workspace, program: program.into_os_string(), filters },
        Err(fault) => {
            report.run("installation of nextest", || Verdict::from(Err(fault)));
            return;
        }
    };
    report.run(IN_PROCESS, || nextest.run("not package(e2e)", &[]));
    match has_doc_tests(workspace) {
        Ok(false) => report.leave_out(DOCUMENTATION, "there are none"),
        _ if !filters.is_empty() => report.leave_out(DOCUMENTATION, "they have no names to filter by"),
        Ok(true) => _ = report.run(DOCUMENTATION, || run_documentation(workspace)),
        Err(fault) => _ = report.run(DOCUMENTATION, || Verdict::from(Err(fault))),
    }
    match nextest.end_to_end() {
        Ok(wanted) => run_end_to_end(&nextest, &wanted, report),
        Err(fault) => _ = report.run(BLACK_BOX, || Verdict::from(Err(fault))),
    }
    if report.tally() == Tally::default() {
        report.run("choice of tests", || Verdict::from(Err(Fault::NoTest)));
    }
}

/// The build of the bank as it is delivered.
pub(crate) fn build_bank(workspace: &Workspace) -> Command {
    let mut command = cargo(&["build", "--release", "--package", "bank"]);
    command.current_dir(&workspace.root);
    command
}

fn run_end_to_end(nextest: &Nextest<'_>, wanted: &EndToEnd, report: &mut Report) {
    if wanted.is_empty() {
        report.leave_out(BLACK_BOX, "no test of it is wanted");
        return;
    }
    let workspace = nextest.workspace;
    if !report.run(RELEASE, || run(&mut build_bank(workspace))) {
        report.leave_out(BLACK_BOX, "there is no release build");
        report.leave_out(CRASH, "there is no release build");
        return;
    }
    let binary = workspace.release_binary("bank");
    if let Some(filterset) = &wanted.black_box {
        run_black_box(nextest, filterset, &binary, report);
    }
    if let Some(filterset) = &wanted.crash {
        report.run(CRASH, || nextest.run(filterset, &[("BANK_BINARY", &binary)]));
    }
}

fn run_black_box(nextest: &Nextest<'_>, filterset: &str, binary: &Path, report: &mut Report) {
    let started = Folder::make(nextest.workspace)
        .and_then(|folder| Server::start(binary, &folder).map(|server| (folder, server)));
    let (folder, server) = match started {
        Ok(started) => started,
        Err(fault) => {
            report.run(BLACK_BOX, || Verdict::from(Err(fault)));
            return;
        }
    };
    let mut is_clean = report.run(BLACK_BOX, || {
        println!("the bank serves at {}", server.url);
        nextest.run(filterset, &[("API_URL", Path::new(&server.url)), ("BANK_BINARY", binary)])
    });
    is_clean &= report.run(STOP, || server.stop());
    is_clean &= report.run(AUDIT, || {
        let mut command = Command::new(binary);
        command.arg("audit").arg("--data-dir").arg(folder.data());
        run_at_most(without_settings(&mut command), AUDIT_LIMIT)
    });
    if is_clean {
        if let Err(fault) = folder.remove() {
            eprintln!("the folder of the test is left behind: {fault}");
        }
    } else {
        println!("the bank's data and log are kept in {}", folder.path().display());
    }
}

fn run_documentation(workspace: &Workspace) -> Verdict {
    let mut tally = Tally::default();
    let mut command = cargo(&["test", "--doc", "--workspace", "--no-fail-fast", "--quiet"]);
    let result = run_reading(command.current_dir(&workspace.root), Stream::Output, |line| {
        tally += Tally::of_harness(line).unwrap_or_default();
    });
    Verdict { tally, note: None, fault: result.err() }
}

/// Nextest, on the whole workspace.
struct Nextest<'run> {
    workspace: &'run Workspace,
    program: std::ffi::OsString,
    filters: &'run [String],
}

impl Nextest<'_> {
    /// Runs the tests that are in the filterset and, by name, among the filters.
    fn run(&self, filterset: &str, settings: &[(&str, &Path)]) -> Verdict {
        let mut tally = Tally::default();
        let mut command = self.command("run", filterset);
        command.args(["--no-fail-fast", "--color", colour()]);
        // With filters, the tests that are wanted may all be in another part.
        command.args(["--no-tests", if self.filters.is_empty() { "fail" } else { "pass" }]);
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

    fn end_to_end(&self) -> Result<EndToEnd, Fault> {
        let mut command = self.command("list", "package(e2e)");
        EndToEnd::of_list(&output_of(command.args(["--message-format", "json"]))?)
    }

    fn command(&self, verb: &str, filterset: &str) -> Command {
        let mut command = Command::new(&self.program);
        without_settings(&mut command);
        command.current_dir(&self.workspace.root);
        command.args(["nextest", verb, "--workspace", "--filterset", filterset]).args(self.filters);
        command
    }
}

/// Nextest's lines pass through this task, so it cannot see for itself whether a terminal is at the end.
fn colour() -> &'static str {
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) { "always" } else { "never" }
}
