//! The project's own tasks, called as `cargo xtask TASK`.
//!
//! - `test`: every test there is, on a fresh clone too.
//! - `bench`: the load figures.
//! - `overload`: what becomes of more load than the bank can take.
//! - `soak`: how the bank lasts under a steady load.
//! - `cold-start`: how fast the functions on AWS start and answer.
//! - `cost`: what the requests of customers cost on AWS.
//! - `counts`: how many instructions a deposit takes.
//! - `crash`: the release build, killed under load again and again.
//! - `mutants`: faults in the rules, each of which a test has to notice.
//! - `simulate`: the whole bank in a world of faults, one seed after the other.
//! - `schemathesis`: the API, fuzzed from its description.
//! - `console`: the web console, in a real browser.
//! - `sabotage`: bugs that are planted, each of which the simulation or a test has to catch.
//! - `openapi`: the committed API description, written or held against the code.
//! - `ci`: what has to pass before a change lands.
//! - `advisories`: what has become known to be vulnerable since.
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
mod console;
mod cost;
mod counts;
mod crash;
mod deployment;
mod emulator;
mod fault;
mod function;
mod mutants;
mod nextest;
mod one_process;
mod openapi;
mod process;
mod python;
mod report;
pub mod sabotage;
mod schemathesis;
mod server;
mod simulate;
mod suites;
mod tally;
mod test;
mod tools;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
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
        /// Measure it beside PostgreSQL, cala-ledger and a plain journal instead, and tell the ratios
        #[arg(long)]
        peers: bool,
        /// Handed on to the load generator
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Ask more of the release build than it can do; `cargo xtask overload -- --help` tells the options
    Overload {
        /// Handed on to the load generator
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Load the release build evenly for long; `cargo xtask soak -- --help` tells the options
    Soak {
        /// Handed on to the load generator
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure how fast the functions on AWS start and answer, on a stub of Lambda's runtime interface
    ColdStart,
    /// Count what the requests of customers take on AWS, and what that costs
    Cost,
    /// Count the instructions of a deposit under Valgrind, and hold them against `xtask/counts.toml`
    Counts {
        /// Write what is counted into the file
        #[arg(long)]
        settle: bool,
    },
    /// Kill the release build under load, and its power, and see whether everything is there that it answered
    Crash {
        /// How often in each way
        #[arg(long, default_value_t = 200)]
        rounds: u32,
        /// What the load and the moments are drawn from; a fresh one otherwise, which is printed
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Change the rules in small ways, one at a time, and see whether a test notices
    Mutants {
        /// Change this one alone
        #[arg(long, value_parser = mutants::PACKAGES)]
        package: Option<String>,
    },
    /// Plant bugs, one at a time, and see whether the simulation or a test catches them
    Sabotage {
        /// Plant this one alone
        #[arg(long)]
        bug: Option<String>,
        /// How many seeds the simulation has to catch it in
        #[arg(long, default_value_t = 400)]
        seeds: u64,
    },
    /// Run the simulation; `cargo xtask simulate -- --help` tells the options
    Simulate {
        /// Handed on to the simulation
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Fuzz the API of the release build from its description
    Schemathesis(schemathesis::Plan),
    /// Walk through the console of the release build in a real browser, and take a picture of every page
    Console {
        /// Where the pictures are left; `target/console/pictures` otherwise
        #[arg(long, value_name = "FOLDER")]
        pictures: Option<PathBuf>,
    },
    /// Write `openapi.json` from the code
    Openapi {
        /// Write nothing, and fail if the committed file is not what the code says
        #[arg(long)]
        check: bool,
    },
    /// Run everything a change has to pass
    Ci,
    /// Ask the database of known vulnerabilities about what the bank depends on
    Advisories,
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
        Task::Bench { peers: false, arguments } => {
            bench::run(&workspace, "speed", &arguments).map(|()| ExitCode::SUCCESS)
        }
        Task::Bench { peers: true, arguments } => {
            bench::run_peers(&workspace, &arguments).map(|()| ExitCode::SUCCESS)
        }
        Task::Overload { arguments } => {
            bench::run(&workspace, "overload", &arguments).map(|()| ExitCode::SUCCESS)
        }
        Task::Soak { arguments } => bench::run(&workspace, "soak", &arguments).map(|()| ExitCode::SUCCESS),
        Task::Cost => cost::run(&workspace).map(|()| ExitCode::SUCCESS),
        Task::Counts { settle } => counts::run_alone(&workspace, settle).map(|()| ExitCode::SUCCESS),
        Task::Crash { rounds, seed } => {
            crash::run_rounds(&workspace, rounds, seed).map(|()| ExitCode::SUCCESS)
        }
        Task::ColdStart => cold_start::run(&workspace).map(|()| ExitCode::SUCCESS),
        Task::Mutants { package } => {
            let mut report = Report::default();
            mutants::run_all(&workspace, package.as_deref(), &mut report);
            Ok(report.conclude())
        }
        Task::Sabotage { bug, seeds } => {
            sabotage::run_all(&workspace, bug.as_deref(), seeds).map(|()| ExitCode::SUCCESS)
        }
        Task::Simulate { arguments } => {
            simulate::run_seeds(&workspace, &arguments).map(|()| ExitCode::SUCCESS)
        }
        Task::Schemathesis(plan) => {
            let mut report = Report::default();
            schemathesis::run_alone(&workspace, plan, &mut report);
            Ok(report.conclude())
        }
        Task::Console { pictures } => {
            let mut report = Report::default();
            console::run_alone(&workspace, pictures.as_deref(), &mut report);
            Ok(report.conclude())
        }
        Task::Openapi { check: true } => openapi::check(&workspace).map(|()| ExitCode::SUCCESS),
        Task::Openapi { check: false } => openapi::write(&workspace).map(|()| ExitCode::SUCCESS),
        Task::Ci => {
            let mut report = Report::default();
            ci::run_all(&workspace, &mut report);
            Ok(report.conclude())
        }
        Task::Advisories => ci::ask_for_advisories(&workspace).map(|()| ExitCode::SUCCESS),
    }
}
