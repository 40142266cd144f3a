//! Lambda on this machine, for one function: its real binary, and the interface by which Lambda hands it events and
//! takes its answers (AWS Lambda Developer Guide: using the Lambda runtime API for custom runtimes).
//!
//! As in one of Lambda's environments there is one event at a time. The times are those that Lambda would see: from the
//! start of the process to its first question for an event, and from an event to its answer. Absent on purpose:
//! deadlines, freezing, extensions, and everything a function does not need to believe that Lambda runs it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Fault;
use crate::process::name_of;
use crate::server::last_lines;

/// How long a function may take to start, and to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What Lambda tells every function, as far as somebody reads it.
const SETTINGS: [(&str, &str); 4] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
];

/// A function that waits for an event.
pub(crate) struct Function {
    child: Child,
    log: PathBuf,
    requests: Receiver<Request>,
    /// The connection on which it has asked for the next event.
    asking: TcpStream,
    events: u64,
    /// From the start of the process to its first question for an event.
    pub(crate) initialisation: Duration,
}

/// What a function made of an event.
pub(crate) struct Answer {
    /// JSON, or what Lambda's error is made of.
    pub(crate) body: String,
    /// From the event to the answer.
    pub(crate) took: Duration,
}

/// A request of the function to Lambda.
struct Request {
    path: String,
    body: String,
    read_at: Instant,
    connection: TcpStream,
}

impl Function {
    /// Starts a function and waits until it asks for an event. It has these settings and no others; what it writes goes
    /// to the end of the file `log`.
    pub(crate) fn start(binary: &Path, settings: &[(String, String)], log: &Path) -> Result<Self, Fault> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Fault::file("a free port"))?;
        let address = listener.local_addr().map_err(Fault::file("a free port"))?;
        let (sender, requests) = channel();
        thread::spawn(move || listen(&listener, &sender));
        let output = File::options().append(true).create(true).open(log).map_err(Fault::file(log))?;
        let errors = output.try_clone().map_err(Fault::file(log))?;
        let mut command = Command::new(binary);
        command.env_clear().envs(SETTINGS).env("AWS_LAMBDA_RUNTIME_API", address.to_string());
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let started = Instant::now();
        let mut child =
            command.spawn().map_err(|source| Fault::Start { command: name_of(&command), source })?;
        let first = receive(&requests, &mut child, log, "/next")?;
        Ok(Self {
            child,
            log: log.to_owned(),
            requests,
            asking: first.connection,
            events: 0,
            initialisation: first.read_at - started,
        })
    }

    /// Hands the function an event, and waits for its answer and its next question.
    pub(crate) fn handle(&mut self, event: &str) -> Result<Answer, Fault> {
        self.events += 1;
        let number = self.events;
        let response = format!(
            "HTTP/1.1 200 OK\r\n\
             content-type: application/json\r\n\
             content-length: {}\r\n\
             lambda-runtime-aws-request-id: 00000000-0000-4000-8000-{number:012}\r\n\
             lambda-runtime-deadline-ms: 4102444800000\r\n\
             lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:000000000000:function:measured\r\n\
             \r\n{event}",
            event.len()
        );
        let began = Instant::now();
        self.asking.write_all(response.as_bytes()).map_err(Fault::file("the event"))?;
        let mut answer = receive(&self.requests, &mut self.child, &self.log, "")?;
        let took = answer.read_at - began;
        answer
            .connection
            .write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            .map_err(Fault::file("the answer"))?;
        if !answer.path.ends_with("/response") {
            return Err(self.fault(&answer.body));
        }
        self.asking = receive(&self.requests, &mut self.child, &self.log, "/next")?.connection;
        Ok(Answer { body: answer.body, took })
    }

    /// The most memory it has had so far, in bytes.
    pub(crate) fn memory(&self) -> Result<u64, Fault> {
        let path = PathBuf::from(format!("/proc/{}/status", self.child.id()));
        let status = fs::read_to_string(&path).map_err(Fault::file(&path))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        kib.map(|kib| kib * 1_024).ok_or_else(|| self.fault("its memory is unknown"))
    }

    /// The time that the processor has spent on it so far.
    pub(crate) fn processor_time(&self) -> Result<Duration, Fault> {
        let path = PathBuf::from(format!("/proc/{}/task", self.child.id()));
        let mut sum = 0;
        for task in fs::read_dir(&path).map_err(Fault::file(&path))? {
            let path = task.map_err(Fault::file(&path))?.path().join("schedstat");
            let text = fs::read_to_string(&path).map_err(Fault::file(&path))?;
            let nanoseconds = text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok());
            sum += nanoseconds.ok_or_else(|| self.fault("its time on the processor is unknown"))?;
        }
        Ok(Duration::from_nanos(sum))
    }

    fn fault(&self, reason: &str) -> Fault {
        fault(&self.log, reason)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // Both fail only for a process that has ended, which is what is wanted.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn fault(log: &Path, reason: &str) -> Fault {
    let output = fs::read_to_string(log).unwrap_or_default();
    Fault::NoAnswer { program: "the function", reason: reason.to_owned(), output: last_lines(&output) }
}

/// The next request, whose path must end so.
fn receive(
    requests: &Receiver<Request>,
    child: &mut Child,
    log: &Path,
    path_end: &str,
) -> Result<Request, Fault> {
    const POLL_INTERVAL: Duration = Duration::from_millis(200);
    let began = Instant::now();
    while began.elapsed() < ANSWER_LIMIT {
        match requests.recv_timeout(POLL_INTERVAL) {
            Ok(request) if request.path.ends_with(path_end) => return Ok(request),
            Ok(request) => return Err(fault(log, &format!("it sent {}: {}", request.path, request.body))),
            Err(_) => {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(fault(log, &format!("it ended ({status})")));
                }
            }
        }
    }
    Err(fault(log, &format!("{} s have passed", ANSWER_LIMIT.as_secs())))
}

/// Reads the requests of every connection, each on a thread of its own: the function keeps more than one. The threads end
/// with the process that they serve, or with the task.
fn listen(listener: &TcpListener, requests: &Sender<Request>) {
    for connection in listener.incoming().flatten() {
        let requests = requests.clone();
        thread::spawn(move || while read_request(&connection, &requests).is_some() {});
    }
}

fn read_request(connection: &TcpStream, requests: &Sender<Request>) -> Option<()> {
    // Nothing of the next request can be lost with this reader: it comes only when this one is answered.
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let read_at = Instant::now();
    let body = String::from_utf8_lossy(&body).into_owned();
    connection.set_nodelay(true).ok()?;
    requests.send(Request { path, body, read_at, connection: connection.try_clone().ok()? }).ok()
}
