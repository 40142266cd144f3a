//! The bank's load generator: a closed loop over HTTP, one request at a time on each of many connections.
//!
//! It shares the machine with the bank it measures, so it is kept cheap: one thread, one kept-alive connection a
//! worker, and answers that are searched for a field instead of parsed. It starts the release binary on a fresh data
//! directory, measures, stops it, has the books audited, and tidies up; with `--url` it only measures.
//!
//! A run in which any request failed has no figures: it says what failed and ends with an error. Absent on purpose:
//! an open loop with a fixed rate. With as many callers as connections the latencies are those of a busy bank whose
//! callers wait for their answers.

mod arguments;
mod bank;
mod client;
mod load;
mod report;
mod scan;
mod scenario;
mod settle;
mod setup;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::bank::{Bank, BankError};
use crate::client::{ClientError, Server};
use crate::load::Measured;
use crate::report::Report;
use crate::scenario::Scenario;

/// Why a run gave no figures.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Bank(#[from] BankError),
    #[error("could not prepare the load: {0}")]
    Setup(#[source] ClientError),
    #[error("could not start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("{failures} requests failed, so there are no figures{examples}")]
    Failed { failures: u64, examples: String },
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
    let report = match &arguments.url {
        Some(url) => runtime.block_on(measure(arguments, url))?,
        None => {
            let bank = Bank::start(&arguments.bank, &arguments.work_dir)?;
            let measured = runtime.block_on(measure(arguments, bank.url()));
            // The books are looked at even if a request failed: they say more about it than the request does.
            let audit = bank.stop_and_audit();
            let mut report = measured?;
            report.audit = Some(audit?);
            report
        }
    };
    println!("{report}");
    match &arguments.json {
        Some(path) => write_json(&report, path),
        None => Ok(()),
    }
}

async fn measure(arguments: &Arguments, url: &str) -> Result<Report, BenchError> {
    let server = Server::parse(url).map_err(BenchError::Setup)?;
    let accounts = setup::accounts(&server, arguments).await.map_err(BenchError::Setup)?;
    let mut measured = Vec::new();
    for scenario in Scenario::ALL {
        println!(
            "measuring {}: {} s after {} s",
            scenario.name(),
            arguments.seconds,
            arguments.warmup_seconds
        );
        let figures = load::run(*scenario, &server, &accounts, arguments).await;
        require_success(&figures)?;
        measured.push(figures);
    }
    Ok(Report::new(arguments, &measured))
}

fn require_success(figures: &Measured) -> Result<(), BenchError> {
    if figures.failures == 0 && figures.finished > 0 {
        return Ok(());
    }
    let examples = figures.examples.iter().map(|example| format!("\n  {example}")).collect();
    Err(BenchError::Failed { failures: figures.failures, examples })
}

fn write_json(report: &Report, path: &Path) -> Result<(), BenchError> {
    let written = serde_json::to_vec_pretty(report)
        .map_err(std::io::Error::from)
        .and_then(|json| std::fs::write(path, json));
    written.map_err(|source| BenchError::Write { path: path.display().to_string(), source })
}
