//! The copy of the tree that bugs are planted in, and what is built and run there.
//!
//! Only what has changed since the last time is copied and built. What a run that was broken off left planted is put
//! right by the next copying, which compares contents.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::bug::{Bug, planted};
use crate::process::{cargo, name_of, output_of, run, wait_at_most};
use crate::{Fault, Workspace};

/// How long one run of the simulation, or of a package's tests, may take.
const RUN_LIMIT: Duration = Duration::from_secs(600);

/// A copy of the tree, with a place of its own to build.
pub(super) struct Tree {
    folder: PathBuf,
    target: PathBuf,
    /// What the last guard printed.
    output: PathBuf,
}

impl Tree {
    /// Copies all that git knows or would come to know.
    pub(super) fn copy(workspace: &Workspace) -> Result<Self, Fault> {
        let sabotage = workspace.target.join("sabotage");
        let (folder, target) = (sabotage.join("tree"), sabotage.join("target"));
        fs::create_dir_all(&folder).map_err(Fault::file(&folder))?;
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&workspace.root);
        let names = output_of(&mut list)?;
        // A file that was deleted and not committed is still listed.
        let files: BTreeSet<&str> =
            names.split_terminator('\0').filter(|name| workspace.root.join(name).is_file()).collect();
        for name in &files {
            let source = workspace.root.join(name);
            write_if_changed(&folder.join(name), &fs::read(&source).map_err(Fault::file(&source))?)?;
        }
        remove_others(&folder, &folder, &files)?;
        Ok(Self { folder, target, output: sabotage.join("output.txt") })
    }

    /// Plants the bug for as long as the work takes.
    pub(super) fn with<T>(&self, bug: &Bug, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        let files = planted(bug, &self.folder)?;
        let worked = files
            .iter()
            .try_for_each(|file| write_if_changed(&file.path, file.with_bug.as_bytes()))
            .and_then(|()| work());
        for file in &files {
            write_if_changed(&file.path, file.without.as_bytes())?;
        }
        worked
    }

    /// Builds the simulation, fast enough to be run and to be built again with every bug.
    pub(super) fn build_simulation(&self) -> Result<PathBuf, Fault> {
        run(&mut self.cargo(&["build", "--quiet", "--package", "simulation"]))?;
        Ok(self.target.join("debug").join("simulation").with_extension(std::env::consts::EXE_EXTENSION))
    }

    /// What the simulation prints about so many seeds, and whether it failed.
    pub(super) fn simulate(&self, program: &Path, first: u64, seeds: u64) -> Result<(String, bool), Fault> {
        let mut command = Command::new(program);
        command.args(["--seeds", &seeds.to_string(), "--seed", &first.to_string()]);
        self.read(&mut command)
    }

    /// What those tests of a package print that have this in their names.
    pub(super) fn test(&self, package: &str, filter: &str) -> Result<String, Fault> {
        run(&mut self.cargo(&["test", "--quiet", "--no-run", "--tests", "--package", package]))?;
        let mut tests = self.cargo(&["test", "--no-fail-fast", "--tests", "--package", package, filter]);
        self.read(&mut tests).map(|(output, _)| output)
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo(arguments);
        command.current_dir(&self.folder).env("CARGO_TARGET_DIR", &self.target);
        let settings = [("OPT_LEVEL", "1"), ("DEBUG", "none"), ("INCREMENTAL", "true")];
        for (profile, (name, value)) in
            ["DEV", "TEST"].iter().flat_map(|profile| settings.map(|pair| (profile, pair)))
        {
            command.env(format!("CARGO_PROFILE_{profile}_{name}"), value);
        }
        command
    }

    /// Runs the program to its end, whichever it is: what it prints, and whether it failed.
    fn read(&self, command: &mut Command) -> Result<(String, bool), Fault> {
        let output = File::create(&self.output).map_err(Fault::file(&self.output))?;
        let started = command.stdout(output).spawn();
        let mut child = started.map_err(|source| Fault::Start { command: name_of(command), source })?;
        let status = wait_at_most(&mut child, RUN_LIMIT)
            .ok_or_else(|| Fault::TooLong { command: name_of(command), limit: RUN_LIMIT })?;
        let output = fs::read(&self.output).map_err(Fault::file(&self.output))?;
        Ok((String::from_utf8_lossy(&output).into_owned(), !status.success()))
    }
}

/// What has not changed keeps its time, so that it is not built again.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), Fault> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Fault::file(folder))?;
    }
    fs::write(path, content).map_err(Fault::file(path))
}

/// Removes what is in the copy and no longer in the tree: cargo would take a source that nobody has for a test or a crate.
fn remove_others(root: &Path, folder: &Path, files: &BTreeSet<&str>) -> Result<(), Fault> {
    for entry in fs::read_dir(folder).map_err(Fault::file(folder))? {
        let path = entry.map_err(Fault::file(folder))?.path();
        let name =
            path.strip_prefix(root).ok().map(Path::as_os_str).and_then(OsStr::to_str).unwrap_or_default();
        if path.is_dir() {
            remove_others(root, &path, files)?;
        } else if !files.contains(name) {
            fs::remove_file(&path).map_err(Fault::file(&path))?;
        }
    }
    Ok(())
}
