//! A bank of the test's own: the release binary on a data directory that outlives it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::{Api, wait_until};

const START_MAX: Duration = Duration::from_secs(30);

/// What a bank is started with, again and again.
#[derive(Clone)]
pub struct Setup {
    /// The binary.
    pub binary: PathBuf,
    /// Everything it keeps. It logs to a file beside it, `{data_dir}.log`.
    pub data_dir: PathBuf,
    /// What it finds in its environment beside the test's own.
    pub environment: Vec<(&'static str, OsString)>,
    /// The longest that a file may grow, in KiB, where there is such a limit.
    pub file_kib_max: Option<u64>,
}

/// A running bank. Dropped, it is killed, so that a failed test leaves no process behind.
pub struct Bank {
    process: Process,
    /// Where it listens.
    pub api: Api,
}

/// A bank that has been started, and may not listen yet. Dropped, it is killed.
pub struct Process {
    child: Child,
    address: Receiver<String>,
}

impl Setup {
    /// The binary named by `$BANK_BINARY`, on a data directory, with nothing special around it.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        let binary = match std::env::var_os("BANK_BINARY") {
            Some(binary) if !binary.is_empty() => binary.into(),
            _ => {
                panic!("BANK_BINARY is not set: it names the bank's binary, for example target/release/bank")
            }
        };
        Self { binary, data_dir: data_dir.to_owned(), environment: Vec::new(), file_kib_max: None }
    }

    /// Starts the bank, and does not wait for it.
    #[must_use]
    pub fn spawn(&self) -> Process {
        let mut command =
            self.command(&["serve", "--listen", "127.0.0.1:0", "--rate-limit", "off", "--data-dir"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(self.log());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{} does not start: {error}", self.binary.display()),
        };
        let (sender, address) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            // The thread reads on after the address was found: a bank must not block on a full pipe.
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Some(address) = address_in(&line) {
                        let _ = sender.send(address);
                    }
                }
            });
        }
        Process { child, address }
    }

    /// Starts the bank and waits until it says where it listens.
    #[must_use]
    pub fn start(&self) -> Bank {
        self.spawn().listening()
    }

    /// Runs the bank's own audit of the data directory.
    #[must_use]
    pub fn audit(&self) -> Output {
        match self.command(&["audit", "--data-dir"]).stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(error) => panic!("the audit does not start: {error}"),
        }
    }

    /// The last line that a bank wrote to its log: what it says when it ends by itself.
    #[must_use]
    pub fn last_line(&self) -> String {
        let log = std::fs::read_to_string(self.data_dir.with_extension("log")).unwrap_or_default();
        log.lines().last().unwrap_or_default().to_owned()
    }

    /// The command, with the data directory as its last argument.
    fn command(&self, arguments: &[&str]) -> Command {
        // The shell sets the limit, and a file that would grow past it is an error and no longer a signal: what is ignored
        // stays so in the program that takes the shell's place. It counts in blocks of 512 bytes.
        const LIMITED: &str = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
        let mut command = match self.file_kib_max {
            None => Command::new(&self.binary),
            Some(kib) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", LIMITED, "sh", &(kib * 2).to_string()]).arg(&self.binary);
                shell
            }
        };
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.args(arguments).arg(&self.data_dir).envs(environment);
        command
    }

    fn log(&self) -> File {
        let path = self.data_dir.with_extension("log");
        match File::options().create(true).append(true).open(&path) {
            Ok(log) => log,
            Err(error) => panic!("{} can not be written: {error}", path.display()),
        }
    }
}

impl Process {
    /// Waits until the bank says where it listens. That it does not fails the test.
    #[must_use]
    pub fn listening(self) -> Bank {
        match self.listening_or_ended() {
            Ok(bank) => bank,
            Err(status) => panic!("the bank ended with {status} and never said where it listens"),
        }
    }

    /// Waits until the bank says where it listens, or ends before.
    ///
    /// # Errors
    /// How it ended; a bank that does neither in time is killed.
    pub fn listening_or_ended(mut self) -> Result<Bank, ExitStatus> {
        match self.address.recv_timeout(START_MAX) {
            Ok(address) => Ok(Bank { process: self, api: Api::at(&address) }),
            // Its output was closed.
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => {
                let _ = self.child.kill();
                Err(self.ended())
            }
        }
    }

    /// Kills the bank as it is: SIGKILL, which it can not see coming. False if it had ended before.
    pub fn kill(mut self) -> bool {
        let was_running = matches!(self.child.try_wait(), Ok(None));
        let _ = self.child.kill();
        let _ = self.child.wait();
        was_running
    }

    /// Waits until the bank has ended by itself.
    #[must_use]
    pub fn ended(mut self) -> ExitStatus {
        wait_until("the bank stops", || self.child.try_wait().ok().flatten())
    }
}

impl Bank {
    /// The process behind it.
    #[must_use]
    pub fn process(self) -> Process {
        self.process
    }

    /// Asks the bank to stop (SIGTERM), and does not wait for it.
    pub fn ask_to_stop(&self) {
        let pid = self.process.child.id().to_string();
        let asked = Command::new("kill").args([OsStr::new("-TERM"), pid.as_ref()]).status();
        assert!(asked.is_ok_and(|status| status.success()), "SIGTERM could not be sent to {pid}");
    }

    /// Asks the bank to stop and waits until it has.
    #[must_use]
    pub fn terminate(self) -> ExitStatus {
        self.ask_to_stop();
        self.process.ended()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bank's own address in a line of its output.
fn address_in(line: &str) -> Option<String> {
    const LOCAL: &str = "http://127.0.0.1:";
    let address = &line[line.find(LOCAL)?..];
    let port_end = address[LOCAL.len()..]
        .find(|c: char| !c.is_ascii_digit())
        .map_or(address.len(), |end| LOCAL.len() + end);
    (port_end > LOCAL.len()).then(|| address[..port_end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_a_line() {
        for line in [
            "http://127.0.0.1:4711",
            "listening on http://127.0.0.1:4711/ now",
            "\u{1b}[1mhttp://127.0.0.1:4711\u{1b}[0m",
        ] {
            assert_eq!(address_in(line).as_deref(), Some("http://127.0.0.1:4711"), "{line}");
        }
        for line in ["", "http://127.0.0.1:", "http://localhost:80"] {
            assert_eq!(address_in(line), None, "{line}");
        }
    }
}
