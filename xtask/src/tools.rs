//! The programs the tasks need beside cargo, pinned.
//!
//! A tool that is installed already and new enough is used: to compile one costs minutes. Otherwise it is built
//! from the package registry into `target/tools`, where it is found the next time. It is built without
//! optimisation and without what a debugger reads: that halves the wait, and none of them does work that anybody would notice.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{cargo, run};
use crate::{Fault, Workspace};

/// A subcommand of cargo that cargo does not bring along.
pub(crate) struct Tool {
    program: &'static str,
    /// What is installed where none is.
    pinned: &'static str,
    /// What is good enough where one is.
    oldest: (u64, u64, u64),
    /// Told to the installation: what the tasks do not use is not built.
    features: &'static [&'static str],
}

/// Runs tests, a process each.
pub(crate) const NEXTEST: Tool = Tool {
    program: "cargo-nextest",
    pinned: "0.9.143",
    oldest: (0, 9, 100),
    features: &["--no-default-features", "--features", "default-no-update"],
};

/// Checks the licences and the sources of everything the project depends on.
pub(crate) const DENY: Tool =
    Tool { program: "cargo-deny", pinned: "0.20.2", oldest: (0, 18, 0), features: &[] };

/// Puts small faults into the code, one at a time, and runs the tests. Its names for them are in `.cargo/mutants.toml`,
/// so an older one is not good enough.
pub(crate) const MUTANTS: Tool =
    Tool { program: "cargo-mutants", pinned: "27.1.0", oldest: (27, 1, 0), features: &[] };

impl Tool {
    /// Where the tool is, installed if it has to be.
    pub(crate) fn locate(&self, workspace: &Workspace) -> Result<PathBuf, Fault> {
        let folder = workspace.target.join("tools");
        let own = folder.join("bin").join(self.program).with_extension(std::env::consts::EXE_EXTENSION);
        for candidate in [own.as_path(), Path::new(self.program)] {
            if self.version_of(candidate).is_some_and(|version| version >= self.oldest) {
                return Ok(candidate.to_owned());
            }
        }
        println!("{} {} is not installed: building it into target/tools, once", self.program, self.pinned);
        let mut install = cargo(&["install", "--locked", "--debug", "--version", self.pinned, "--root"]);
        install.arg(&folder).args(self.features).arg(self.program).env("CARGO_PROFILE_DEV_DEBUG", "none");
        run(&mut install)?;
        Ok(own)
    }

    /// The version that a tool gives for itself, called as cargo calls it, such as
    /// `cargo-nextest 0.9.143 (60fa45f63 2026-08-04)`.
    fn version_of(&self, candidate: &Path) -> Option<(u64, u64, u64)> {
        let subcommand = self.program.trim_start_matches("cargo-");
        let output =
            Command::new(candidate).args([subcommand, "--version"]).stderr(Stdio::null()).output().ok()?;
        parse_version(&String::from_utf8_lossy(&output.stdout))
    }
}

fn parse_version(text: &str) -> Option<(u64, u64, u64)> {
    let word = text.split_whitespace().nth(1)?;
    let mut numbers = word.split(['.', '-', '+']).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_by_number() {
        let cases = [
            ("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143", Some((0, 9, 143))),
            ("cargo-deny 0.20.2", Some((0, 20, 2))),
            ("cargo-deny 1.0.0-rc.1", Some((1, 0, 0))),
            ("cargo-deny", None),
            ("error: unknown", None),
        ];
        for (text, version) in cases {
            assert_eq!(parse_version(text), version, "{text}");
        }
        assert!(parse_version("cargo-nextest 0.9.99") < Some(NEXTEST.oldest));
    }

    #[test]
    fn what_is_pinned_is_new_enough() {
        for tool in [NEXTEST, DENY, MUTANTS] {
            assert!(parse_version(&format!("{} {}", tool.program, tool.pinned)) >= Some(tool.oldest));
        }
    }
}
