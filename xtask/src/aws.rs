//! The tests of the bank on AWS: the template as it is, the adapter against an emulator, and the template deployed
//! into another, where every request has to be allowed by a policy.
//!
//! The deployed bank passes the same black-box suite as the one process, but for what only that one has. Then what
//! lies behind the API is tried, a customer walks through its console, and at the end the books are audited.

use std::env;
use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use crate::deployment::{self, STAGE};
use crate::emulator::{Emulator, Policies};
use crate::nextest::Nextest;
use crate::process::run_at_most;
use crate::python::{EMULATOR, SAM};
use crate::report::{Report, Verdict};
use crate::server::{Folder, without_settings};
use crate::suites::Suite;
use crate::{Fault, Workspace, console};

/// How long the checks of the template, and the audit, may take.
const CHECK_LIMIT: Duration = Duration::from_secs(300);

/// How long the suite waits for anything. An invocation costs the emulator a tenth of a second, and an operation
/// takes five of them, so a crowd of tests waits for each other.
const PATIENCE_MS: &str = "60000";

/// Where DynamoDB Local listens, if somebody started it: its licence does not let a project bring it along.
const DYNAMODB_LOCAL_URL: &str = "DYNAMODB_LOCAL_URL";

const PROGRAMS: &str = "installation for AWS";
const TEMPLATE: &str = "template.yaml";
const ADAPTER: &str = "AWS adapter";
const SECOND_OPINION: &str = "AWS adapter on DynamoDB Local";
const FUNCTIONS: &str = "functions";
const DEPLOYMENT: &str = "deployment";
const BLACK_BOX: &str = "end to end on AWS";
const FAULTS: &str = "faults on AWS";
const OPERATIONS: &str = "operations on AWS";
const AUDIT: &str = "audit of the books on AWS";

/// Runs the parts that any wanted test is in.
pub(crate) fn run_all(nextest: &Nextest<'_>, report: &mut Report) {
    let wanted = nextest.wants(&[Suite::Adapter]).and_then(|adapter| {
        nextest.wants(&[Suite::Deployed, Suite::Faults, Suite::Operated]).map(|deployed| (adapter, deployed))
    });
    let (wants_adapter, wants_deployed) = match wanted {
        Ok((false, false)) => {
            report.leave_out([ADAPTER], "no test of it is wanted");
            return;
        }
        Ok(wanted) => wanted,
        Err(fault) => {
            report.run(ADAPTER, || Verdict::from(Err(fault)));
            return;
        }
    };
    let workspace = nextest.workspace;
    if !report.run(PROGRAMS, || EMULATOR.install(workspace).and_then(|()| SAM.install(workspace))) {
        report.leave_out([ADAPTER, DEPLOYMENT], "there is no emulator");
        return;
    }
    if nextest.is_whole() {
        report.run(TEMPLATE, || check_template(workspace));
    }
    if wants_adapter {
        run_adapter(nextest, report);
    }
    if wants_deployed {
        run_deployed(nextest, report);
    }
}

fn check_template(workspace: &Workspace) -> Result<(), Fault> {
    let mut validate = SAM.command(workspace, "sam");
    validate.args(["validate", "--lint", "--region", "us-east-1"]).env("SAM_CLI_TELEMETRY", "0");
    run_at_most(validate.current_dir(&workspace.root), CHECK_LIMIT)?;
    let mut lint = SAM.command(workspace, "cfn-lint");
    run_at_most(lint.arg("template.yaml").current_dir(&workspace.root), CHECK_LIMIT)
}

fn run_adapter(nextest: &Nextest<'_>, report: &mut Report) {
    let Some((folder, emulator)) = start(nextest.workspace, "adapter", Policies::Enforced, ADAPTER, report)
    else {
        return;
    };
    let is_clean = report.run(ADAPTER, || nextest.run(Suite::Adapter, &as_settings(&emulator)));
    if let Some(url) = env::var_os(DYNAMODB_LOCAL_URL) {
        let mut settings = as_settings(&emulator);
        settings.push(("AWS_ENDPOINT_URL", &url));
        report.run(SECOND_OPINION, || nextest.run(Suite::Store, &settings));
    }
    drop(emulator);
    folder.leave(is_clean);
}

fn run_deployed(nextest: &Nextest<'_>, report: &mut Report) {
    let workspace = nextest.workspace;
    if !report.run(FUNCTIONS, || deployment::build_functions(workspace)) {
        report.leave_out([DEPLOYMENT, BLACK_BOX, FAULTS, OPERATIONS, AUDIT], "there are no functions");
        return;
    }
    let Some((folder, emulator)) = start(workspace, "aws", Policies::Enforced, DEPLOYMENT, report) else {
        return;
    };
    let mut is_clean = false;
    let mut url = String::new();
    if report.run(DEPLOYMENT, || {
        deployment::deploy(workspace, &emulator, folder.path()).map(|deployed| url = deployed)
    }) {
        println!("the bank serves at {url}");
        is_clean = run_in(nextest, &emulator, &url, report);
    } else {
        report.leave_out([BLACK_BOX, FAULTS, OPERATIONS, AUDIT], "nothing is deployed");
    }
    drop(emulator);
    folder.leave(is_clean);
}

/// Runs what needs the deployed bank, and says whether all of it passed.
fn run_in(nextest: &Nextest<'_>, emulator: &Emulator, url: &str, report: &mut Report) -> bool {
    let mut settings = as_settings(emulator);
    settings.extend([("API_URL", url.as_ref()), ("E2E_PATIENCE_MS", PATIENCE_MS.as_ref())]);
    let mut is_clean = report.run(BLACK_BOX, || nextest.run(Suite::Deployed, &settings));
    is_clean &= report.run(FAULTS, || nextest.run(Suite::Faults, &settings));
    let bank = nextest.workspace.debug_binary("bank");
    settings.push(("BANK_BINARY", bank.as_ref()));
    is_clean &= report.run(OPERATIONS, || nextest.run(Suite::Operated, &settings));
    if nextest.is_whole() {
        is_clean &= console::walk_deployed(nextest.workspace, &bank, url, emulator.folder(), report);
    }
    is_clean &= report.run(AUDIT, || {
        let mut command = Command::new(&bank);
        command.args(["--stage", STAGE, "audit"]).envs(emulator.settings());
        run_at_most(without_settings(&mut command), CHECK_LIMIT)
    });
    is_clean
}

fn start(
    workspace: &Workspace,
    world: &str,
    policies: Policies,
    part: &'static str,
    report: &mut Report,
) -> Option<(Folder, Emulator)> {
    let started = Folder::make(workspace, world)
        .and_then(|folder| Emulator::start(workspace, folder.path(), policies).map(|it| (folder, it)));
    started.map_err(|fault| report.run(part, || Verdict::from(Err(fault)))).ok()
}

fn as_settings(emulator: &Emulator) -> Vec<(&str, &OsStr)> {
    emulator.settings().map(|(name, value)| (name, value.as_ref())).into()
}
