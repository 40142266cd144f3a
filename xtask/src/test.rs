//! `cargo xtask test`: every test there is.
//!
//! First what runs in process and the simulation, then the two worlds: the bank in one process ([`one_process`]) and the bank on AWS
//! ([`aws`]), each started for its tests and stopped behind them. A part that fails does not keep the others from
//! running, unless they need what it makes.

use crate::nextest::{Nextest, WITH_AWS};
use crate::process::{Stream, cargo, run_reading};
use crate::report::{Report, Verdict};
use crate::suites::{Suite, has_doc_tests};
use crate::tally::Tally;
use crate::{Fault, Workspace, aws, one_process, simulate};

const IN_PROCESS: &str = "unit and integration tests";
const DOCUMENTATION: &str = "documentation tests";

/// Runs every part whose tests the filters want; without filters, all.
pub(crate) fn run_all(workspace: &Workspace, filters: &[String], report: &mut Report) {
    let nextest = match Nextest::locate(workspace, filters) {
        Ok(nextest) => nextest,
        Err(fault) => {
            report.run("installation of nextest", || Verdict::from(Err(fault)));
            return;
        }
    };
    report.run(IN_PROCESS, || nextest.run(Suite::InProcess, &[]));
    match has_doc_tests(workspace) {
        Ok(false) => report.leave_out([DOCUMENTATION], "there are none"),
        _ if !nextest.is_whole() => report.leave_out([DOCUMENTATION], "they have no names to filter by"),
        Ok(true) => _ = report.run(DOCUMENTATION, || run_documentation(workspace)),
        Err(fault) => _ = report.run(DOCUMENTATION, || Verdict::from(Err(fault))),
    }
    if nextest.is_whole() {
        simulate::run_part(workspace, report);
    }
    one_process::run_all(&nextest, report);
    aws::run_all(&nextest, report);
    if report.tally() == Tally::default() {
        report.run("choice of tests", || Verdict::from(Err(Fault::NoTest)));
    }
}

fn run_documentation(workspace: &Workspace) -> Verdict {
    let mut tally = Tally::default();
    let mut command = cargo(&["test", "--doc", "--workspace", "--no-fail-fast", "--quiet"]);
    let result = run_reading(command.args(WITH_AWS).current_dir(&workspace.root), Stream::Output, |line| {
        tally += Tally::of_harness(line).unwrap_or_default();
    });
    Verdict { tally, note: None, fault: result.err() }
}
