//! The console in a real browser: customers and operators walk through the release build as people do, by what they read,
//! on a bank with the people of the demonstration in it; and customers again on the bank as it is deployed on AWS, through a
//! console that knows no more than where that bank's API is.
//!
//! Every page is looked at on a telephone and on a desk, by day and by night: no error in the browser, no violation of the
//! content security policy, no request to another host, nothing that axe-core finds to be a serious barrier. A picture of
//! each is left to be looked at. The journeys are in `xtask/console`; the browser, and what drives it, are packages of npm.
//! Deliberately absent: a comparison of pictures, which differ with the day they were taken on, and other browsers.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::one_process::{audit, build_bank};
use crate::process::{Stream, run, run_at_most, run_reading};
use crate::report::{Report, Verdict};
use crate::server::{Folder, Server, without_settings};
use crate::tally::Tally;
use crate::{Fault, Workspace};

const RELEASE: &str = "release build";
const JOURNEYS: &str = "the console in a browser";
const DEPLOYED_JOURNEYS: &str = "the console of the bank on AWS";

/// How the files end that hold journeys: those of a bank of this machine, and those of one that is deployed.
const FILES: &str = ".test.mjs";
const DEPLOYED_FILES: &str = "deployed.mjs";

/// Names a browser of the system, where the one that npm has does not run.
const SYSTEM_BROWSER: &str = "CONSOLE_BROWSER";

/// How long the packages may take to arrive: ten seconds where the registry is near.
const INSTALLATION_LIMIT: Duration = Duration::from_secs(600);

/// How long the journeys of one file may take, told to their runner in milliseconds.
const FILE_LIMIT: &str = "--test-timeout=300000";

/// What an installation is made of.
const INSTALLED: [(&str, &str); 3] = [
    ("package.json", include_str!("../console/package.json")),
    ("package-lock.json", include_str!("../console/package-lock.json")),
    ("unpack.mjs", include_str!("../console/unpack.mjs")),
];

/// The mark of a complete installation.
const MARK: &str = "installed.txt";

/// Builds the bank and walks through its console. The pictures are left in this folder, or under `target/`.
pub(crate) fn run_alone(workspace: &Workspace, pictures: Option<&Path>, report: &mut Report) {
    if report.run(RELEASE, || run(&mut build_bank(workspace))) {
        walk(workspace, &workspace.release_binary("bank"), pictures, report);
    } else {
        report.leave_out([JOURNEYS], "there is no release build");
    }
}

/// Walks through the console of this build.
pub(crate) fn run_part(workspace: &Workspace, binary: &Path, report: &mut Report) {
    walk(workspace, binary, None, report);
}

/// Walks through a console of this build whose bank is the deployed one, with its API there, and says whether all was well.
/// The folder is for what a console may have to leave.
pub(crate) fn walk_deployed(
    workspace: &Workspace,
    binary: &Path,
    api_url: &str,
    folder: &Path,
    report: &mut Report,
) -> bool {
    if !has_browser(DEPLOYED_JOURNEYS, report) {
        return true;
    }
    report.run(DEPLOYED_JOURNEYS, || {
        let mut tally = Tally::default();
        let result = install(workspace).and_then(|()| {
            let mut journeys = journeys(workspace, DEPLOYED_FILES)?;
            journeys.env("CONSOLE_URL", api_url).env("CONSOLE_BANK", binary);
            journeys
                .env("CONSOLE_DATA", folder)
                .env("CONSOLE_PICTURES", home(workspace).join("pictures-deployed"));
            run_journeys(&mut journeys, &mut tally)
        });
        Verdict { tally, note: None, fault: result.err() }
    })
}

/// Whether there is a browser for this machine; without one the report says why its part is left out.
fn has_browser(part: &'static str, report: &mut Report) -> bool {
    let is_packaged_for_this_machine = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    let has_browser = is_packaged_for_this_machine || env::var_os(SYSTEM_BROWSER).is_some();
    if !has_browser {
        report.leave_out([part], "npm has no browser for this machine: name one in CONSOLE_BROWSER");
    }
    has_browser
}

fn run_journeys(journeys: &mut Command, tally: &mut Tally) -> Result<(), Fault> {
    run_reading(journeys, Stream::Output, |line| *tally += Tally::of_node(line).unwrap_or_default())
}

fn walk(workspace: &Workspace, binary: &Path, pictures: Option<&Path>, report: &mut Report) {
    if !has_browser(JOURNEYS, report) {
        return;
    }
    let mut folder = None;
    let is_clean = report.run(JOURNEYS, || {
        let mut tally = Tally::default();
        let fault = Folder::make(workspace, "console").and_then(|made| {
            let folder = folder.insert(made);
            install(workspace)?;
            let pictures = pictures_folder(workspace, pictures)?;
            println!("the pictures are left in {}", pictures.display());
            let server = Server::start_with(binary, folder, &["--demo"])?;
            let mut journeys = journeys(workspace, FILES)?;
            journeys.env("CONSOLE_URL", &server.url).env("CONSOLE_BANK", binary);
            journeys.env("CONSOLE_DATA", folder.path()).env("CONSOLE_PICTURES", pictures);
            run_journeys(&mut journeys, &mut tally)?;
            server.stop()?;
            audit(binary, folder)
        });
        Verdict { tally, note: None, fault: fault.err() }
    });
    if let Some(folder) = folder {
        folder.leave(is_clean);
    }
}

/// Installs the browser and what drives it, unless they are there.
fn install(workspace: &Workspace) -> Result<(), Fault> {
    let folder = home(workspace);
    let mark = folder.join(MARK);
    let wanted = INSTALLED.map(|(_, text)| text).concat();
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("the packages of target/console are not installed: fetching them, once");
    make_anew(&folder)?;
    for (name, text) in INSTALLED {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Fault::file(&path))?;
    }
    let mut npm = Command::new("npm");
    // No package runs anything on its way in.
    npm.args(["ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error"]);
    run_at_most(npm.current_dir(&folder), INSTALLATION_LIMIT)?;
    run_at_most(Command::new("node").arg("unpack.mjs").current_dir(&folder), INSTALLATION_LIMIT)?;
    fs::write(&mark, wanted).map_err(Fault::file(&mark))
}

/// The runner of the journeys in files whose names end so, laid out beside the packages: node looks for those in the
/// folders above.
fn journeys(workspace: &Workspace, ending: &str) -> Result<Command, Fault> {
    let (source, tests) = (workspace.root.join("xtask/console"), home(workspace).join("tests"));
    make_anew(&tests)?;
    let mut command = Command::new("node");
    without_settings(&mut command);
    command.args(["--test", "--test-concurrency=2", "--test-reporter=spec", FILE_LIMIT]);
    let mut files = Vec::new();
    for entry in fs::read_dir(&source).map_err(Fault::file(&source))? {
        let path = entry.map_err(Fault::file(&source))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.ends_with(".mjs") {
            fs::copy(&path, tests.join(name)).map_err(Fault::file(&path))?;
        }
        if name.ends_with(ending) {
            files.push(format!("tests/{name}"));
        }
    }
    // A folder is listed in any order: the journeys begin in the same one everywhere.
    files.sort();
    command.args(files).current_dir(home(workspace));
    Ok(command)
}

/// The folder that was asked for as it is, or else one under `target/`, without what an earlier run left there.
fn pictures_folder(workspace: &Workspace, wanted: Option<&Path>) -> Result<PathBuf, Fault> {
    if let Some(wanted) = wanted {
        return std::path::absolute(wanted).map_err(Fault::file(wanted));
    }
    let folder = home(workspace).join("pictures");
    make_anew(&folder)?;
    Ok(folder)
}

fn home(workspace: &Workspace) -> PathBuf {
    workspace.target.join("console")
}

fn make_anew(folder: &Path) -> Result<(), Fault> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Fault::file(folder))?;
    }
    fs::create_dir_all(folder).map_err(Fault::file(folder))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_package_is_pinned_and_comes_from_whichever_registry_the_machine_has() {
        let [(_, manifest), (_, lock), _] = INSTALLED;
        let manifest: Value = serde_json::from_str(manifest).unwrap();
        for (name, version) in manifest["dependencies"].as_object().unwrap() {
            let version = version.as_str().unwrap();
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{name} {version}");
        }
        let lock: Value = serde_json::from_str(lock).unwrap();
        for (name, package) in
            lock["packages"].as_object().unwrap().iter().filter(|(name, _)| !name.is_empty())
        {
            assert!(package["integrity"].is_string() && package.get("resolved").is_none(), "{name}");
        }
    }
}
