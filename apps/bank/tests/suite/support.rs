//! A directory that goes with its test, the binary, and a bank that serves on the directory.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

pub const PASSWORD: &str = "two people and a month";

/// A directory that is removed at the end.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("bank-cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A directory with the demo in it, but for its dead letter, and no bank on it.
    pub fn with_demo() -> Self {
        let directory = Self::new();
        Serving::start(&directory, &["--demo"]).stop();
        assert_eq!(directory.tamper("DELETE FROM queue_dead_letters"), 1);
        directory
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Runs a command on the data directory until it ends.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = bank().args(arguments).arg("--data-dir").arg(self.data()).output().unwrap();
        Ran::new(&output)
    }

    /// What the banks on this directory have logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Changes the store as nobody should.
    pub fn tamper(&self, sql: &str) -> usize {
        Connection::open(self.data().join("bank.sqlite3")).unwrap().execute(sql, []).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The binary, deaf to the environment's own settings.
pub fn bank() -> Command {
    without_settings(Command::new(env!("CARGO_BIN_EXE_bank")))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if ["BANK_", "OTEL_"].iter().any(|ours| name.to_string_lossy().starts_with(ours)) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// The one line that it failed with.
    pub fn failure(&self) -> &str {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        self.stderr.trim_end().strip_prefix("bank: ").unwrap()
    }

    pub fn success(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        &self.stdout
    }
}

/// A bank that serves. Dropped, it is killed.
pub struct Serving {
    child: Child,
    pub address: String,
    pub greeting: Vec<String>,
}

impl Serving {
    pub fn start(directory: &Directory, options: &[&str]) -> Self {
        Self::start_with(directory, options, &[])
    }

    /// Starts it with these variables in its environment.
    pub fn start_with(directory: &Directory, options: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = bank();
        command.envs(environment.iter().copied());
        Self::start_by(directory, command, options)
    }

    /// Starts it by a shell, once that has run this.
    pub fn start_after(directory: &Directory, script: &str) -> Self {
        let mut shell = without_settings(Command::new("sh"));
        shell.args(["-c", &format!("{script}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_bank")]);
        Self::start_by(directory, shell, &[])
    }

    fn start_by(directory: &Directory, mut command: Command, options: &[&str]) -> Self {
        let log = File::options().create(true).append(true).open(directory.log_path()).unwrap();
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory.data())
            .args(options)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let greeting: Vec<String> = lines.take_while(|line| !line.starts_with("Ctrl-C")).collect();
        let address = greeting.iter().find_map(|line| line.trim().strip_prefix("API")).unwrap_or_default();
        Self { child, address: address.trim().to_owned(), greeting }
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
    }

    pub fn get(&self, token: &str, path: &str) -> (u16, Value) {
        let request = Self::agent().get(format!("{}{path}", self.address));
        read(request.header("Authorization", format!("Bearer {token}")).call().unwrap())
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(Self::agent().post(format!("{}{path}", self.address)).send_json(body).unwrap())
    }

    /// Posts as somebody who signed in, and waits until what is asked for has ended.
    pub fn post_as(&self, token: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = Self::agent().post(format!("{}{path}", self.address)).header("Prefer", "wait=10");
        read(request.header("Authorization", format!("Bearer {token}")).send_json(body).unwrap())
    }

    pub fn put_as(&self, token: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = Self::agent().put(format!("{}{path}", self.address));
        read(request.header("Authorization", format!("Bearer {token}")).send_json(body).unwrap())
    }

    pub fn sign_in(&self, email: &str) -> String {
        let (status, answer) = self.post("/auth/sign-in", &json!({"email": email, "password": PASSWORD}));
        assert_eq!(status, 200, "{answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status and the body of an answer; no body is null.
fn read(mut answer: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let text = answer.body_mut().read_to_string().unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    (answer.status().as_u16(), body)
}

/// Looks again and again until there is something to see, for a few seconds.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(seen) = look() {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} was waited for in vain")
}

/// The number behind the name of a line that an audit prints.
pub fn counted(stdout: &str, what: &str) -> u64 {
    let line = stdout.lines().find_map(|line| line.strip_prefix(what));
    line.unwrap_or_else(|| panic!("no line {what:?} in {stdout}")).trim().parse().unwrap()
}
