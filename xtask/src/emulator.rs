//! AWS on this machine: the emulator, and a proxy before it that breaks requests on demand (`xtask/aws/emulator.py`).
//!
//! Everything listens on the loopback interface, and lasts as long as this value: the programs end when their input
//! does, so a task that is killed leaves none behind either. Two emulators may run side by side.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::name_of;
use crate::python::EMULATOR;
use crate::server::last_lines;
use crate::{Fault, Workspace};

/// How long the emulator may take to answer: half a second where nothing else runs.
const START_LIMIT: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long one answer about its health may take.
const HEALTH_LIMIT: Duration = Duration::from_secs(5);

/// Whether requests have to be allowed by a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policies {
    /// Each request is held against the policies of who signed it. [`KEY`] may do everything.
    Enforced,
    /// Whoever signs may do everything.
    Ignored,
}

/// The account's own key, which the emulator knows.
const KEY: &str = "test";

/// The region that everything is in.
const REGION: &str = "us-east-1";

/// A running emulator.
pub(crate) struct Emulator {
    child: Child,
    folder: PathBuf,
    /// Where AWS is, such as `http://127.0.0.1:40123`.
    pub(crate) url: String,
    /// Where the same AWS is, behind the proxy.
    pub(crate) faults_url: String,
}

impl Emulator {
    /// Starts the emulator and waits until it answers. It writes a log into `folder`, and what it needs for itself.
    pub(crate) fn start(workspace: &Workspace, folder: &Path, policies: Policies) -> Result<Self, Fault> {
        fs::create_dir_all(folder).map_err(Fault::file(folder))?;
        let [port, faults_port] = free_ports()?;
        let log = folder.join("emulator.log");
        let output = File::create(&log).map_err(Fault::file(&log))?;
        let errors = output.try_clone().map_err(Fault::file(&log))?;
        let mut command = EMULATOR.command(workspace, "python3");
        command.arg(workspace.root.join("xtask/aws/emulator.py"));
        command.args([port.to_string(), faults_port.to_string()]);
        command.env("AUTH", if policies == Policies::Enforced { "true" } else { "false" });
        // Its caches and the functions' code are removed with the folder.
        command.env("TMPDIR", folder);
        let child = command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| Fault::Start { command: name_of(&command), source })?;
        let mut emulator = Self {
            child,
            folder: folder.to_owned(),
            url: format!("http://{}:{port}", Ipv4Addr::LOCALHOST),
            faults_url: format!("http://{}:{faults_port}", Ipv4Addr::LOCALHOST),
        };
        emulator.wait_for(port, "/_ministack/health", &log)?;
        emulator.wait_for(faults_port, "/_microburst/health", &log)?;
        Ok(emulator)
    }

    /// What a program has to be told to find this AWS instead of the real one.
    pub(crate) fn settings(&self) -> [(&'static str, &str); 7] {
        [
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_FAULTS_URL", &self.faults_url),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", KEY),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            // Without it an SDK asks the network for an instance's role.
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }

    /// Where its log and its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn wait_for(&mut self, port: u16, path: &str, log: &Path) -> Result<(), Fault> {
        let started = Instant::now();
        while !is_healthy(port, path) {
            let reason = match self.child.try_wait() {
                Ok(None) if started.elapsed() < START_LIMIT => {
                    thread::sleep(POLL_INTERVAL);
                    continue;
                }
                Ok(None) => format!("{} s have passed", START_LIMIT.as_secs()),
                Ok(Some(status)) => format!("it ended ({status})"),
                Err(error) => error.to_string(),
            };
            let output = fs::read_to_string(log).map_err(Fault::file(log))?;
            return Err(Fault::NoAnswer { program: "the emulator", reason, output: last_lines(&output) });
        }
        Ok(())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The end of its input is the end of the emulator and of all that it started.
        drop(self.child.stdin.take());
        // It fails only for a process that has ended, which is what is wanted.
        let _ended = self.child.wait();
    }
}

/// Two ports that nobody listens on. The emulator has to be told its port, so somebody else may take one meanwhile:
/// then it does not start, and says why.
fn free_ports() -> Result<[u16; 2], Fault> {
    let take = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Fault::file("a free port"));
    let listeners = [take()?, take()?];
    let [first, second] = listeners.each_ref().map(TcpListener::local_addr);
    Ok([
        first.map_err(Fault::file("a free port"))?.port(),
        second.map_err(Fault::file("a free port"))?.port(),
    ])
}

/// Asks over plain HTTP: one request and the first line of its answer are no reason for a library.
fn is_healthy(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let mut stream = TcpStream::connect_timeout(&address.into(), HEALTH_LIMIT)?;
        stream.set_read_timeout(Some(HEALTH_LIMIT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
