//! A bank of the test's own: the release binary on a data directory that outlives it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::{Api, wait_until};

const START_MAX: Duration = Duration::from_secs(30);

/// A running bank. Dropped, it is killed, so that a failed test leaves no process behind.
pub struct Bank {
    child: Child,
    /// Where it listens.
    pub api: Api,
}

impl Bank {
    /// The binary named by `$BANK_BINARY`.
    #[must_use]
    pub fn binary() -> PathBuf {
        match std::env::var_os("BANK_BINARY") {
            Some(binary) if !binary.is_empty() => binary.into(),
            _ => {
                panic!("BANK_BINARY is not set: it names the bank's binary, for example target/release/bank")
            }
        }
    }

    /// Starts the bank and waits until it says where it listens. It logs to a file beside its data, `{data_dir}.log`.
    pub fn start(binary: &Path, data_dir: &Path) -> Self {
        let arguments: [&OsStr; 7] = [
            "serve".as_ref(),
            "--listen".as_ref(),
            "127.0.0.1:0".as_ref(),
            "--rate-limit".as_ref(),
            "off".as_ref(),
            "--data-dir".as_ref(),
            data_dir.as_ref(),
        ];
        let mut command = Command::new(binary);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_of(data_dir));
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{} does not start: {error}", binary.display()),
        };
        let (sender, receiver) = mpsc::channel();
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
        match receiver.recv_timeout(START_MAX) {
            Ok(address) => Self { child, api: Api::at(&address) },
            Err(_) => {
                let _ = child.kill();
                panic!("the bank did not say within {START_MAX:?} where it listens: {:?}", child.wait());
            }
        }
    }

    /// Kills the bank as a power cut would: SIGKILL, which it can not see coming.
    pub fn kill(mut self) {
        assert!(self.child.kill().is_ok(), "the bank was gone before it was killed");
        let _ = self.child.wait();
    }

    /// Asks the bank to stop (SIGTERM) and waits until it has.
    #[must_use]
    pub fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(asked.is_ok_and(|status| status.success()), "SIGTERM could not be sent to {pid}");
        wait_until("the bank stops", || self.child.try_wait().ok().flatten())
    }

    /// Runs the bank's own audit of a data directory.
    #[must_use]
    pub fn audit(binary: &Path, data_dir: &Path) -> Output {
        match Command::new(binary).arg("audit").arg("--data-dir").arg(data_dir).stdin(Stdio::null()).output()
        {
            Ok(output) => output,
            Err(error) => panic!("the audit does not start: {error}"),
        }
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(data_dir: &Path) -> File {
    let path = data_dir.with_extension("log");
    match File::options().create(true).append(true).open(&path) {
        Ok(log) => log,
        Err(error) => panic!("{} can not be written: {error}", path.display()),
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
