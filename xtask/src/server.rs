//! The release binary as a running bank, on a port of its own choice and a fresh data directory.
//!
//! Whatever happens to the task, the process does not outlive this value: it is asked to stop, or killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{name_of, run, wait_at_most};
use crate::{Fault, Workspace};

/// How long the bank may take to say where it listens.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long the bank may take to finish what it began: requests wait ten seconds at most.
const STOP_LIMIT: Duration = Duration::from_secs(20);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Lines of the bank's output that are shown when it did not come up.
const SHOWN_LINES_MAX: usize = 20;

/// A bank that serves.
pub(crate) struct Server {
    child: Child,
    command: String,
    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub(crate) url: String,
}

/// The folder of one run in one world, removed with everything in it once nobody needs it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder: the process id sets two runs at the same time apart.
    pub(crate) fn make(workspace: &Workspace, world: &str) -> Result<Self, Fault> {
        let path = workspace.target.join("e2e").join(format!("{world}-{}", std::process::id()));
        if path.exists() {
            fs::remove_dir_all(&path).map_err(Fault::file(&path))?;
        }
        fs::create_dir_all(&path).map_err(Fault::file(&path))?;
        Ok(Self(path))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn log(&self) -> PathBuf {
        self.0.join("bank.log")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes the folder, unless somebody has to look into it.
    pub(crate) fn leave(&self, is_clean: bool) {
        if !is_clean {
            println!("what the bank wrote, and its log, are kept in {}", self.0.display());
        } else if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("the folder of the test is left behind: {}: {error}", self.0.display());
        }
    }
}

impl Server {
    /// Starts the bank and waits until it says where it listens.
    pub(crate) fn start(binary: &Path, folder: &Folder) -> Result<Self, Fault> {
        Self::start_with(binary, folder, &[])
    }

    /// Starts the bank with these options too.
    ///
    /// Its rate limits are off: the suite is one address and signs up more people than a person ever would.
    pub(crate) fn start_with(binary: &Path, folder: &Folder, options: &[&str]) -> Result<Self, Fault> {
        let log = folder.log();
        let output = File::create(&log).map_err(Fault::file(&log))?;
        let errors = output.try_clone().map_err(Fault::file(&log))?;
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--rate-limit", "off", "--data-dir"])
            .arg(folder.data())
            .args(options);
        without_settings(&mut command);
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| Fault::Start { command: name_of(&command), source })?;
        let mut server = Self { child, command: name_of(&command), url: String::new() };
        server.url = server.wait_for_address(&log)?;
        Ok(server)
    }

    fn wait_for_address(&mut self, log: &Path) -> Result<String, Fault> {
        let started = Instant::now();
        loop {
            let output = fs::read_to_string(log).map_err(Fault::file(log))?;
            if let Some(url) = address_in(&output) {
                return Ok(url);
            }
            let reason = match self.child.try_wait() {
                Ok(Some(status)) => format!("it ended ({status})"),
                Ok(None) if started.elapsed() > START_LIMIT => {
                    format!("{} s have passed", START_LIMIT.as_secs())
                }
                Ok(None) => {
                    thread::sleep(POLL_INTERVAL);
                    continue;
                }
                Err(error) => error.to_string(),
            };
            return Err(Fault::NoAnswer { program: "the bank", reason, output: last_lines(&output) });
        }
    }

    /// Asks the bank to stop, as an operator would. It has to finish its work, and end well.
    pub(crate) fn stop(mut self) -> Result<(), Fault> {
        run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        match wait_at_most(&mut self.child, STOP_LIMIT) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Fault::Failed { command: self.command.clone(), status }),
            None => Err(Fault::TooLong { command: self.command.clone(), limit: STOP_LIMIT }),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended, which is what is wanted.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Takes the settings of the developer's own bank out of the command's environment.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BANK_")) {
        command.env_remove(name);
    }
    command
}

/// The first complete address on the loopback interface: what follows the port shows that it is complete.
fn address_in(output: &str) -> Option<String> {
    const PREFIX: &str = "http://127.0.0.1:";
    let start = output.find(PREFIX)?;
    let rest = &output[start + PREFIX.len()..];
    let end = rest.find(|character: char| !character.is_ascii_digit())?;
    rest[..end].parse::<u16>().ok().map(|port| format!("{PREFIX}{port}"))
}

/// As much of a long output as helps its reader.
pub(crate) fn last_lines(output: &str) -> String {
    let lines: Vec<_> = output.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES_MAX)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_once_it_is_complete() {
        assert_eq!(address_in("The bank is open at http://127.0.0.1:4012"), None, "digits may follow");
        let found = Some("http://127.0.0.1:40123".to_owned());
        assert_eq!(address_in("starting\nlistening on http://127.0.0.1:40123\n"), found);
        assert_eq!(address_in("docs: http://127.0.0.1:40123/docs"), found);
        assert_eq!(address_in("http://127.0.0.1:99999\n"), None, "no such port");
    }

    #[test]
    fn the_end_of_a_long_output_is_shown() {
        let output: Vec<_> = (1..=30).map(|line| line.to_string()).collect();
        let shown = last_lines(&output.join("\n"));
        assert!(shown.starts_with("11\n") && shown.ends_with("\n30"), "{shown}");
    }
}
