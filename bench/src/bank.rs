//! The bank under test: started on a fresh data directory, stopped, audited, and tidied away.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const START_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Why the bank could not be started, stopped or audited.
#[derive(Debug, thiserror::Error)]
pub enum BankError {
    #[error("{path} does not start: {source}; is it built? (cargo build --release -p bank)")]
    Spawn { path: String, source: io::Error },
    #[error("the working directory {path} can not be used: {source}")]
    WorkDir { path: String, source: io::Error },
    #[error("the bank did not say within {START_MAX:?} where it listens; its messages are in {log}")]
    Silent { log: String },
    #[error("the bank could not be stopped: {0}")]
    Stop(#[source] io::Error),
    #[error("the bank did not stop within {STOP_MAX:?} of being asked to")]
    Stuck,
    #[error("the bank ended with {status}; its messages are in {log}")]
    Ended { status: ExitStatus, log: String },
    #[error("the audit ended with {status}; the data is kept in {data_dir}\n{told}")]
    Audit { status: ExitStatus, data_dir: String, told: String },
}

/// How a bank that is started again had ended.
#[derive(Clone, Copy)]
pub enum Ending {
    /// It was asked to stop, and did.
    Stopped,
    /// It was killed.
    Killed,
}

/// A running bank. Dropped, it is killed, so that a failed run leaves no process behind.
pub struct Bank {
    binary: PathBuf,
    run_dir: PathBuf,
    child: Child,
    url: String,
}

impl Bank {
    /// Starts the bank without rate limits and waits until it says where it listens.
    pub fn start(binary: &Path, work_dir: &Path) -> Result<Self, BankError> {
        let run_dir = work_dir.join(format!("run-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&run_dir)
            .map_err(|source| BankError::WorkDir { path: run_dir.display().to_string(), source })?;
        let child = spawn(binary, &run_dir).inspect_err(|_| {
            // There is nothing in it that anybody would look for.
            let _ = std::fs::remove_dir_all(&run_dir);
        })?;
        let mut bank = Self { binary: binary.to_owned(), run_dir, child, url: String::new() };
        bank.url = bank.listening().ok_or_else(|| BankError::Silent { log: bank.log() })?;
        Ok(bank)
    }

    /// Ends the bank, and starts it on the same data. Gives back when that was.
    pub fn start_again(&mut self, ending: Ending) -> Result<Instant, BankError> {
        match ending {
            Ending::Stopped => self.stop()?,
            Ending::Killed => {
                self.child.kill().map_err(BankError::Stop)?;
                self.ended()?;
            }
        }
        let started_at = Instant::now();
        self.child = spawn(&self.binary, &self.run_dir)?;
        self.url = self.listening().ok_or_else(|| BankError::Silent { log: self.log() })?;
        Ok(started_at)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps everything.
    pub fn data_dir(&self) -> PathBuf {
        self.run_dir.join("data")
    }

    /// Stops the bank (SIGTERM), audits its books and removes its data. What the audit said is given back.
    pub fn stop_and_audit(mut self) -> Result<String, BankError> {
        self.stop()?;
        let data_dir = self.data_dir();
        let audit = Command::new(&self.binary)
            .arg("audit")
            .arg("--data-dir")
            .arg(&data_dir)
            .stdin(Stdio::null())
            .output();
        let audit =
            audit.map_err(|source| BankError::Spawn { path: self.binary.display().to_string(), source })?;
        let told = String::from_utf8_lossy(&audit.stdout).trim().to_owned();
        if !audit.status.success() {
            let told = format!("{told}\n{}", String::from_utf8_lossy(&audit.stderr));
            return Err(BankError::Audit {
                status: audit.status,
                data_dir: data_dir.display().to_string(),
                told,
            });
        }
        let unusable = |source| BankError::WorkDir { path: self.run_dir.display().to_string(), source };
        std::fs::remove_dir_all(&self.run_dir).map_err(unusable)?;
        Ok(told)
    }

    fn stop(&mut self) -> Result<(), BankError> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().map_err(BankError::Stop)?;
        let status = self.ended()?;
        if status.success() { Ok(()) } else { Err(BankError::Ended { status, log: self.log() }) }
    }

    /// The address in what the bank prints, if it comes in time.
    fn listening(&mut self) -> Option<String> {
        let stdout = self.child.stdout.take()?;
        let (sender, receiver) = mpsc::channel();
        // The thread reads on after the address was found: a bank must not block on a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line) {
                    let _ = sender.send(address);
                }
            }
        });
        receiver.recv_timeout(START_MAX).ok()
    }

    fn ended(&mut self) -> Result<ExitStatus, BankError> {
        let deadline = Instant::now() + STOP_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().map_err(BankError::Stop)? {
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
        Err(BankError::Stuck)
    }

    fn log(&self) -> String {
        self.run_dir.join("bank.log").display().to_string()
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(binary: &Path, run_dir: &Path) -> Result<Child, BankError> {
    let log = File::options().create(true).append(true).open(run_dir.join("bank.log"));
    let log = log.map_err(|source| BankError::WorkDir { path: run_dir.display().to_string(), source })?;
    let mut command = Command::new(binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limit", "off", "--data-dir"]);
    command.arg(run_dir.join("data")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    command.spawn().map_err(|source| BankError::Spawn { path: binary.display().to_string(), source })
}

/// The bank's own address in a line of its output.
fn address_in(line: &str) -> Option<String> {
    const LOCAL: &str = "http://127.0.0.1:";
    let rest = &line[line.find(LOCAL)? + LOCAL.len()..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| format!("{LOCAL}{}", &rest[..digits]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_a_line() {
        for line in ["http://127.0.0.1:4711", "listening on http://127.0.0.1:4711/, docs at /docs"] {
            assert_eq!(address_in(line).as_deref(), Some("http://127.0.0.1:4711"), "{line}");
        }
        for line in ["", "http://127.0.0.1:", "http://localhost:80"] {
            assert_eq!(address_in(line), None, "{line}");
        }
    }
}
