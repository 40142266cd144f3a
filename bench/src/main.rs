//! The bank's load generator, over HTTP: how fast it is, what becomes of too much load, and how it lasts.
//!
//! It shares the machine with the bank it tries, so it is kept cheap: one thread, kept-alive connections, and answers
//! that are searched for a field instead of parsed. It starts the release binary on a fresh data directory, tries it,
//! stops it, has the books audited, and tidies up.
//!
//! - [`speed`]: mostly a closed loop, one request at a time on each connection. Its latencies are those of a busy bank
//!   whose callers wait for their answers, and a run in which any request failed has no figures.
//! - [`peers`]: the same beside others on the same machine, in turn: what counts are the ratios.
//! - [`overload`] and [`soak`]: an open loop with a fixed rate, whose callers do not wait for one another.
//!
//! A trial that finds a fault says what it is and ends with an error.

mod arguments;
mod bank;
mod client;
mod growth;
mod latencies;
mod load;
mod observe;
mod open_loop;
mod overload;
mod peers;
mod plot;
mod report;
mod scan;
mod scenario;
mod settle;
mod setup;
mod soak;
mod speed;
mod step;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Trial};
use crate::bank::BankError;
use crate::client::ClientError;
use crate::load::Measured;
use crate::observe::ObserveError;
use crate::peers::PeerError;

/// Why a trial gave no figures, or found fault.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Bank(#[from] BankError),
    #[error("could not prepare the load: {0}")]
    Setup(#[source] ClientError),
    #[error("the store did not grow: {0}")]
    Grow(#[source] ClientError),
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("could not start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("{name}: {failures} requests failed, so there are no figures{examples}")]
    Failed { name: String, failures: u64, examples: String },
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error("the bank did not stand the trial:\n  {}", .0.join("\n  "))]
    Faults(Vec<String>),
    #[error("could not write {path}: {source}")]
    Write { path: String, source: std::io::Error },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), BenchError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BenchError::Runtime)?;
    match &arguments.trial {
        Trial::Speed(options) => speed::run(options, &runtime),
        Trial::Peers(options) => peers::run(options, &runtime),
        Trial::Overload(options) => overload::run(options, &runtime),
        Trial::Soak(options) => soak::run(options, &runtime),
    }
}

fn require_success(figures: &Measured) -> Result<(), BenchError> {
    if figures.failures == 0 && figures.finished > 0 {
        return Ok(());
    }
    let examples = figures.examples.iter().map(|example| format!("\n  {example}")).collect();
    Err(BenchError::Failed { name: figures.name.clone(), failures: figures.failures, examples })
}

fn require_none(faults: Vec<String>) -> Result<(), BenchError> {
    if faults.is_empty() { Ok(()) } else { Err(BenchError::Faults(faults)) }
}

/// Writes a file, and makes its folder if there is none.
fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), BenchError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|source| BenchError::Write { path: path.display().to_string(), source })
}
