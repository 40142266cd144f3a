//! What can go wrong in a task.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a task could not be carried out, or what it found.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A program is not there, or may not be run.
    #[error("`{command}` cannot be started: {source}")]
    Start { command: String, source: io::Error },
    /// A program ended, and not well.
    #[error("`{command}` failed ({status})")]
    Failed { command: String, status: ExitStatus },
    /// A program did not end.
    #[error("`{command}` was stopped after {} s", limit.as_secs())]
    TooLong { command: String, limit: Duration },
    /// A program printed something else than it should.
    #[error("`{command}` printed what cannot be read: {reason}")]
    Output { command: String, reason: String },
    /// A file or folder cannot be used.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A program that serves did not come up.
    #[error("{program} did not come up: {reason}; its output:\n{output}")]
    NoAnswer { program: &'static str, reason: String, output: String },
    /// A bug cannot be planted, or was not caught.
    #[error("{0}")]
    Sabotage(String),
    /// A stage of a deposit takes more instructions than it may.
    #[error("{0}; if it has to, `cargo xtask counts --settle`")]
    Grown(String),
    /// A filter that finds nothing is most likely misspelt.
    #[error("no test is named so")]
    NoTest,
    /// The committed API description is not what the code says.
    #[error(
        "openapi.json is not what the code says; the first difference is in line {line}:\n  committed: {committed}\n  \
         the code: {generated}\nrun `cargo xtask openapi` and commit the file"
    )]
    Drift { line: usize, committed: String, generated: String },
}

impl Fault {
    /// Names the file that could not be used.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
