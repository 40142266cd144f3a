//! The load figures, on the release build.

use std::ffi::OsString;
use std::process::Command;

use crate::process::{self, cargo};
use crate::{Fault, Workspace};

/// Builds the bank and the load generator, and hands the arguments on to the latter.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Fault> {
    // Two builds: one would unite the features of both, and the bank measured would not be the one delivered.
    for package in ["bank", "bench"] {
        process::run(cargo(&["build", "--release", "--package", package]).current_dir(&workspace.root))?;
    }
    let mut load = Command::new(workspace.release_binary("bench"));
    load.current_dir(&workspace.root).args(arguments);
    if !names_a_bank(arguments) {
        load.arg("--bank").arg(workspace.release_binary("bank"));
    }
    process::run(&mut load)
}

/// Whether the arguments tell which bank to measure.
fn names_a_bank(arguments: &[OsString]) -> bool {
    let options = ["--bank", "--url"];
    arguments.iter().map(|argument| argument.to_string_lossy()).any(|argument| {
        let name = argument.split('=').next().unwrap_or_default();
        options.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_named_by_the_caller_is_kept() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(names_a_bank(&words(&["--seconds", "5", "--url", "http://127.0.0.1:8080"])));
        assert!(names_a_bank(&words(&["--bank=./bank"])));
        assert!(!names_a_bank(&words(&["--seconds", "5"])));
    }
}
