//! The tests of the bank in one process: the release build under the black-box suite, an audit of the books that the
//! suite leaves behind, and the tests that kill the bank and let its disk fail.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::nextest::Nextest;
use crate::process::{cargo, run, run_at_most};
use crate::report::{Report, Verdict};
use crate::server::{Folder, Server, without_settings};
use crate::suites::Suite;
use crate::{Fault, Workspace, bench, console, counts, schemathesis};

/// How long the audit of what one run of the suite leaves behind may take.
const AUDIT_LIMIT: Duration = Duration::from_secs(120);

const RELEASE: &str = "release build";
const BLACK_BOX: &str = "end to end";
const STOP: &str = "graceful stop";
const AUDIT: &str = "audit of the books";
const CRASH: &str = "kill -9 and failing disks";

/// The build of the bank as it is delivered.
pub(crate) fn build_bank(workspace: &Workspace) -> Command {
    let mut command = cargo(&["build", "--release", "--package", "bank"]);
    command.current_dir(&workspace.root);
    command
}

/// Runs the parts that any wanted test is in.
pub(crate) fn run_all(nextest: &Nextest<'_>, report: &mut Report) {
    let wanted = nextest
        .wants(&[Suite::OneProcess])
        .and_then(|black_box| nextest.wants(&[Suite::Crash]).map(|crash| (black_box, crash)));
    let (wants_black_box, wants_crash) = match wanted {
        Ok((false, false)) => {
            report.leave_out([BLACK_BOX], "no test of it is wanted");
            return;
        }
        Ok(wanted) => wanted,
        Err(fault) => {
            report.run(BLACK_BOX, || Verdict::from(Err(fault)));
            return;
        }
    };
    let workspace = nextest.workspace;
    if !report.run(RELEASE, || run(&mut build_bank(workspace))) {
        report.leave_out([BLACK_BOX, CRASH], "there is no release build");
        return;
    }
    let binary = workspace.release_binary("bank");
    if wants_black_box {
        run_black_box(nextest, &binary, report);
    }
    if nextest.is_whole() {
        schemathesis::run_part(workspace, &binary, report);
        console::run_part(workspace, &binary, report);
        bench::run_parts(workspace, &binary, report);
        counts::run_part(workspace, report);
    }
    if wants_crash {
        report.run(CRASH, || nextest.run(Suite::Crash, &[("BANK_BINARY", binary.as_ref())]));
    }
}

fn run_black_box(nextest: &Nextest<'_>, binary: &Path, report: &mut Report) {
    let started = Folder::make(nextest.workspace, "one-process")
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
        let settings = [("API_URL", server.url.as_ref()), ("BANK_BINARY", binary.as_ref())];
        nextest.run(Suite::OneProcess, &settings)
    });
    is_clean &= report.run(STOP, || server.stop());
    is_clean &= report.run(AUDIT, || audit(binary, &folder));
    folder.leave(is_clean);
}

/// Audits the books that were left in the folder.
pub(crate) fn audit(binary: &Path, folder: &Folder) -> Result<(), Fault> {
    let mut command = Command::new(binary);
    command.arg("audit").arg("--data-dir").arg(folder.data());
    run_at_most(without_settings(&mut command), AUDIT_LIMIT)
}
