//! What a deposit asks of the processor: a program to be run under Valgrind's callgrind, which counts instructions. What
//! it counts is the same however busy the machine is, so a test can hold it to a bound.
//!
//! - `bank`: the services of the bank on the memory adapter. Deposits come in by its routes; then each consumer takes what
//!   waits for it, in batches.
//! - `commits`: transactions of a deposit's shape on the embedded store, in batches that are made durable together.
//!
//! Each stage is a function of its own, by whose name callgrind tells it from the others (`xtask/src/counts.rs`). All are run
//! twice, and the second time counts: the first fills the caches, and takes measures into the registry.
//!
//! Absent on purpose: any measure of time, sockets, and the parsing of HTTP, whose instructions the kernel's outweigh.

mod bank;
mod commits;
mod fault;

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Runtime;

use bank::{Bank, Deposit};
use commits::Commits;
use fault::Fault;

/// The allocator of the bank as it is delivered: allocations are a good part of the work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often all stages are run.
const ROUNDS: usize = 2;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("counts: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every stage for as many operations as the first argument says; the store's files are made in the folder that the
/// second one names.
fn run() -> Result<(), Fault> {
    let mut arguments = std::env::args_os().skip(1);
    let operations = arguments.next().and_then(|text| text.to_str()?.parse().ok()).ok_or(Fault::Usage)?;
    let folder = arguments.next().map(PathBuf::from).ok_or(Fault::Usage)?;
    telemetry::init(telemetry::Format::Json, "info")?;
    telemetry::metrics()?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Runtime)?;
    let bank = runtime.block_on(Bank::open())?;
    for round in 0..ROUNDS {
        let deposits = bank.deposits(round, operations)?;
        accept(&runtime, &bank, deposits)?;
        judge(&runtime, &bank, operations)?;
        conclude(&runtime, &bank, operations)?;
        project(&runtime, &bank, operations)?;
        notify(&runtime, &bank, operations)?;
        let commits =
            runtime.block_on(async { Commits::open(folder.join(round.to_string()), operations) })?;
        commit(&runtime, &commits)?;
    }
    Ok(())
}

/// From the request's headers to the answer's body: the edge, the service and its transaction.
#[inline(never)]
fn accept(runtime: &Runtime, bank: &Bank, deposits: Vec<Deposit>) -> Result<(), Fault> {
    runtime.block_on(bank.accept(deposits))
}

/// The ledger's consumer.
#[inline(never)]
fn judge(runtime: &Runtime, bank: &Bank, messages: usize) -> Result<(), Fault> {
    runtime.block_on(bank.drain(&bank.ledger, messages))
}

/// Banking's consumer.
#[inline(never)]
fn conclude(runtime: &Runtime, bank: &Bank, messages: usize) -> Result<(), Fault> {
    runtime.block_on(bank.drain(&bank.banking, messages))
}

/// Query's consumer.
#[inline(never)]
fn project(runtime: &Runtime, bank: &Bank, messages: usize) -> Result<(), Fault> {
    runtime.block_on(bank.drain(&bank.query, messages))
}

/// The consumer that fills the inboxes.
#[inline(never)]
fn notify(runtime: &Runtime, bank: &Bank, messages: usize) -> Result<(), Fault> {
    runtime.block_on(bank.drain(&bank.notifications, messages))
}

/// The embedded store, until nothing of what was committed is left to be done.
#[inline(never)]
fn commit(runtime: &Runtime, commits: &Commits) -> Result<(), Fault> {
    runtime.block_on(commits.commit())
}
