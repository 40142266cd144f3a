//! The bank on AWS as `template.yaml` has it, put into an emulator the way a person puts it into an account: by
//! `sam build` and `sam deploy`.
//!
//! One build makes all functions; `sam build` asks for each of them again and finds it made. They are not optimised,
//! as nobody measures them here and they would take twice as long to build, and they are built for this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::emulator::Emulator;
use crate::process::{output_of, run_at_most};
use crate::python::SAM;
use crate::{Fault, Workspace};

/// How long the functions may take to build where nothing is built yet.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// How long one step of SAM may take. All functions are copied, zipped and uploaded within a minute.
const STEP_LIMIT: Duration = Duration::from_secs(5 * 60);

/// The stage that is deployed: the one without a canary, which the emulator has no service for.
pub(crate) const STAGE: &str = "dev";

/// The stack of the stage.
const STACK: &str = "bank-dev";

/// What the template is told. People are confirmed at once, as nobody here reads the codes.
const PARAMETERS: [&str; 3] = ["Stage=dev", "Architecture=x86_64", "Confirmation=AT_ONCE"];

/// How the functions are built. Cargo reads the profile from its environment.
const BUILD_SETTINGS: [(&str, &str); 6] = [
    // The machine's own compiler and linker, as nothing is built for another machine.
    ("CARGO_LAMBDA_COMPILER", "cargo"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "none"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
];

/// Builds every function.
pub(crate) fn build_functions(workspace: &Workspace) -> Result<(), Fault> {
    let mut command = SAM.command(workspace, "cargo-lambda");
    command.current_dir(workspace.root.join("apps/lambda"));
    // Without the name of the package, cargo-lambda would not see there that it leaves the profile alone.
    command.args(["lambda", "build", "--release", "--locked", "--package", "lambda"]).envs(BUILD_SETTINGS);
    run_at_most(&mut command, BUILD_LIMIT)
}

/// Deploys the bank and says where its API is. `folder` takes what SAM builds.
pub(crate) fn deploy(workspace: &Workspace, emulator: &Emulator, folder: &Path) -> Result<String, Fault> {
    let built = folder.join("build");
    let mut build = sam(workspace, emulator, "build");
    build.args(["--parallel", "--build-dir"]).arg(&built).args(["--parameter-overrides"]).args(PARAMETERS);
    run_at_most(build.envs(BUILD_SETTINGS).env("PATH", path_with(&SAM.programs(workspace))), STEP_LIMIT)?;
    let mut deploy = sam(workspace, emulator, "deploy");
    deploy.arg("--template-file").arg(built.join("template.yaml"));
    deploy.args(["--stack-name", STACK, "--resolve-s3", "--no-confirm-changeset", "--no-progressbar"]);
    deploy.args(["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]);
    run_at_most(deploy.arg("--parameter-overrides").args(PARAMETERS), STEP_LIMIT)?;
    let mut list = sam(workspace, emulator, "list");
    let outputs = output_of(list.args(["stack-outputs", "--stack-name", STACK, "--output", "json"]))?;
    url_in_emulator(&outputs, &emulator.url).ok_or_else(|| Fault::Output {
        command: "sam list stack-outputs".to_owned(),
        reason: format!("there is no ApiUrl in {outputs}"),
    })
}

fn sam(workspace: &Workspace, emulator: &Emulator, verb: &str) -> Command {
    let mut command = SAM.command(workspace, "sam");
    command.current_dir(&workspace.root).arg(verb).envs(emulator.settings());
    // The template's loops are unrolled by SAM too; samconfig.toml says so, but is not read beside a built template.
    command.envs([("SAM_CLI_TELEMETRY", "0"), ("SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS", "1")]);
    command
}

/// SAM looks for cargo-lambda along the path.
fn path_with(programs: &Path) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(PathBuf::from(programs)).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}

/// Where the emulator serves the API that AWS would serve at the stack's `ApiUrl`, which is
/// `https://{api}.execute-api.{region}.amazonaws.com/{stage}`.
fn url_in_emulator(outputs: &str, emulator: &str) -> Option<String> {
    let outputs: Value = serde_json::from_str(outputs).ok()?;
    let output = outputs.as_array()?.iter().find(|output| output["OutputKey"] == "ApiUrl")?;
    let (host, stage) = output["OutputValue"].as_str()?.strip_prefix("https://")?.split_once('/')?;
    let (api, _) = host.split_once('.')?;
    Some(format!("{emulator}/_aws/execute-api/{api}/{}", stage.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_found_in_the_emulator() {
        let outputs = r#"[
            {"OutputKey": "UserPoolId", "OutputValue": "us-east-1_a"},
            {"OutputKey": "ApiUrl", "OutputValue": "https://abc123.execute-api.us-east-1.amazonaws.com/dev"}
        ]"#;
        let url = url_in_emulator(outputs, "http://127.0.0.1:40123");
        assert_eq!(url.as_deref(), Some("http://127.0.0.1:40123/_aws/execute-api/abc123/dev"));
        assert_eq!(url_in_emulator("[]", "http://127.0.0.1:40123"), None);
    }
}
