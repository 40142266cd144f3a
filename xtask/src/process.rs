//! Programs run to their end, with their output passed on as it comes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Fault;

/// How often a program that must end in time is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Which of a program's two streams is read.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Output,
    Error,
}

/// A cargo command: the cargo that runs this task, so that both use one toolchain.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs the command to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), Fault> {
    let status = command.status().map_err(|source| Fault::Start { command: name_of(command), source })?;
    judge(command, status)
}

/// Runs the command to its end and shows each line of one stream to `read` on its way past.
pub(crate) fn run_reading(
    command: &mut Command,
    stream: Stream,
    read: impl FnMut(&str),
) -> Result<(), Fault> {
    match stream {
        Stream::Output => command.stdout(Stdio::piped()),
        Stream::Error => command.stderr(Stdio::piped()),
    };
    let mut child = command.spawn().map_err(|source| Fault::Start { command: name_of(command), source })?;
    let passed_on = match (child.stdout.take(), child.stderr.take()) {
        (Some(output), _) => pass_on(output, std::io::stdout(), read),
        (None, Some(error)) => pass_on(error, std::io::stderr(), read),
        (None, None) => Ok(()),
    };
    let status = child.wait().map_err(|source| Fault::Start { command: name_of(command), source })?;
    judge(command, status)?;
    passed_on.map_err(|error| Fault::Output { command: name_of(command), reason: error.to_string() })
}

/// Runs the command to its end and returns what it wrote to standard output.
pub(crate) fn output_of(command: &mut Command) -> Result<String, Fault> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Fault::Start { command: name_of(command), source })?;
    judge(command, output.status)?;
    String::from_utf8(output.stdout)
        .map_err(|error| Fault::Output { command: name_of(command), reason: error.to_string() })
}

/// Runs the command, and stops it when it has not ended in time.
pub(crate) fn run_at_most(command: &mut Command, limit: Duration) -> Result<(), Fault> {
    let mut child = command.spawn().map_err(|source| Fault::Start { command: name_of(command), source })?;
    match wait_at_most(&mut child, limit) {
        Some(status) => judge(command, status),
        None => Err(Fault::TooLong { command: name_of(command), limit }),
    }
}

/// Waits for the program to end; one that has not ended in time is killed, and there is no status.
pub(crate) fn wait_at_most(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < limit {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => thread::sleep(POLL_INTERVAL),
            Err(_) => break,
        }
    }
    // Both fail only for a program that has ended meanwhile.
    let _ended = child.kill();
    let _ended = child.wait();
    None
}

fn judge(command: &Command, status: ExitStatus) -> Result<(), Fault> {
    if status.success() { Ok(()) } else { Err(Fault::Failed { command: name_of(command), status }) }
}

/// The command as one would type it, without the folder of the program.
pub(crate) fn name_of(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn pass_on(from: impl Read, mut to: impl Write, mut read: impl FnMut(&str)) -> std::io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}
