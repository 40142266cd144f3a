//! The programs written in Python that stand in for AWS, deploy to it, and fuzz the API, each set in a virtual
//! environment of its own under `target/`: they ask for different versions of the same packages.
//!
//! A set is a file that pins every package, the needed ones of the needed ones too, so that nothing is resolved and
//! a run today installs what it did last year. The environment keeps a copy of the file as its mark: without it, or
//! with another, it is made anew.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::run_at_most;
use crate::{Fault, Workspace};

/// How long the packages of one set may take to arrive: half a minute where the registry is near.
const INSTALLATION_LIMIT: Duration = Duration::from_secs(600);

/// The mark of a complete environment.
const MARK: &str = "installed.txt";

/// A set of Python packages.
pub(crate) struct Environment {
    /// Its folder under `target/`.
    folder: &'static str,
    /// Every package with its version.
    packages: &'static str,
}

/// The emulator of AWS and the fault proxy before it.
pub(crate) const EMULATOR: Environment =
    Environment { folder: "aws-emulator", packages: include_str!("../aws/emulator.txt") };

/// The SAM command line, with cfn-lint and cargo-lambda.
pub(crate) const SAM: Environment =
    Environment { folder: "aws-sam", packages: include_str!("../aws/sam.txt") };

/// The fuzzer of the API.
pub(crate) const SCHEMATHESIS: Environment =
    Environment { folder: "schemathesis", packages: include_str!("../schemathesis/packages.txt") };

impl Environment {
    /// Installs the set unless it is there.
    pub(crate) fn install(&self, workspace: &Workspace) -> Result<(), Fault> {
        let folder = workspace.target.join(self.folder);
        let mark = folder.join(MARK);
        if fs::read_to_string(&mark).is_ok_and(|installed| installed == self.packages) {
            return Ok(());
        }
        println!("the packages of target/{} are not installed: fetching them, once", self.folder);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Fault::file(&folder))?;
        }
        run_at_most(Command::new("python3").args(["-m", "venv"]).arg(&folder), INSTALLATION_LIMIT)?;
        let list = folder.join("packages.txt");
        fs::write(&list, self.packages).map_err(Fault::file(&list))?;
        let mut pip = self.command(workspace, "pip");
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"]);
        run_at_most(pip.arg(&list), INSTALLATION_LIMIT)?;
        fs::rename(&list, &mark).map_err(Fault::file(&mark))
    }

    /// A program of the set.
    pub(crate) fn command(&self, workspace: &Workspace, program: &str) -> Command {
        Command::new(self.programs(workspace).join(program))
    }

    /// The folder of the set's programs.
    pub(crate) fn programs(&self, workspace: &Workspace) -> PathBuf {
        workspace.target.join(self.folder).join("bin")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned() {
        for Environment { folder, packages } in [EMULATOR, SAM, SCHEMATHESIS] {
            let packages: Vec<_> = packages.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(packages.len() > 20, "{folder} has {} packages", packages.len());
            for package in packages {
                let is_pinned = package.split_once("==").is_some_and(|(name, version)| {
                    !name.is_empty() && version.starts_with(|first: char| first.is_ascii_digit())
                });
                assert!(is_pinned, "{package:?} of {folder}");
            }
        }
    }
}
