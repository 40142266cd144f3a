//! The project's own tasks, called as `cargo xtask TASK`.
//!
//! - `test`: every test there is, on a fresh clone too.
//! - `bench`: the load figures.
//! - `cold-start`: how fast the functions on AWS start and answer.
//! - `cost`: what the requests of customers cost on AWS.
//! - `openapi`: the committed API description, written or held against the code.
//! - `ci`: what has to pass before a change lands.
//!
//! A task installs what it needs, pinned, under `target/`, and stops what it started, also when it fails. The
//! rules of the architecture are here as well, as data and pure functions ([`architecture`]), so that
//! `tests/dependencies.rs` can hold the code against them. Absent on purpose: any task that publishes, or
//! deploys to anything but an emulator of its own.

pub mod architecture;
mod aws;
mod bench;
mod ci;
mod cold_start;
mod cost;
mod deployment;
mod emulator;
mod fault;
mod function;
mod nextest;
mod one_process;
mod openapi;
mod process;
mod python;
mod report;
mod server;
mod suites;
mod tally;
mod test;
mod tools;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use fault::Fault;
use report::Report;
pub use workspace::{Crate, Dependency, DependencyKind, Workspace};

/// The tasks of the Digital Banking Platform.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test: unit, integration, documentation, end to end on the release build, and kill -9
    Test {
        /// Run only the tests whose names contain one of these
        filters: Vec<String>,
    },
    /// Measure the release build under load; `cargo xtask bench -- --help` tells the options
    Bench {
        /// Handed on to the load generator
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure how fast the functions on AWS start and answer, on a stub of Lambda's runtime interface
    ColdStart,
    /// Count what the requests of customers take on AWS, and what that costs
    Cost,
    /// Write `openapi.json` from the code
    Openapi {
        /// Write nothing, and fail if the committed file is not what the code says
        #[arg(long)]
        check: bool,
    },
    /// Run everything a change has to pass
    Ci,
}

/// Runs the task that the command line names.
pub fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode, Fault> {
    let workspace = Workspace::read()?;
    match task {
        Task::Test { filters } => {
            let mut report = Report::default();
            test::run_all(&workspace, &filters, &mut report);
            Ok(report.conclude())
        }
        Task::Bench { arguments } => bench::run(&workspace, &arguments).map(|()| ExitCode::SUCCESS),
        Task::Cost => cost::run(&workspace).map(|()| ExitCode::SUCCESS),
        Task::ColdStart => cold_start::run(&workspace).map(|()| ExitCode::SUCCESS),
        Task::Openapi { check: true } => openapi::check(&workspace).map(|()| ExitCode::SUCCESS),
        Task::Openapi { check: false } => openapi::write(&workspace).map(|()| ExitCode::SUCCESS),
        Task::Ci => {
            let mut report = Report::default();
            ci::run_all(&workspace, &mut report);
            Ok(report.conclude())
        }
    }
}
