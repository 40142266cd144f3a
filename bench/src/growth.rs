//! A store that grows: how fast the bank takes batches while it does, what an operation takes on disk, and how long the
//! bank takes to start on it.
//!
//! It grows in ten parts of equal size, each to its end: until no message waits. So the rate of the last part beside that
//! of the first tells what the size costs, and the slowest batch of all tells of any stall.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::arguments::{Crowd, SpeedOptions};
use crate::bank::{Bank, Ending};
use crate::client::{ClientError, Connection, Outgoing, Server};
use crate::latencies::Latencies;
use crate::observe::bytes_in;
use crate::report::per_second;
use crate::setup::{self, Account};
use crate::step::{BATCH_OPERATIONS, Deposit, Step, Worker};
use crate::{BenchError, settle};

const PARTS: u64 = 10;
const CONNECTIONS: u32 = 8;
/// How long a bank may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(60);
const READY_PAUSE: Duration = Duration::from_millis(1);
const READY: u16 = 204;

/// What became of a bank whose store grew.
#[derive(Serialize, Debug)]
pub struct Growth {
    /// Each part, in turn.
    pub parts: Vec<Part>,
    /// What an operation took on disk, with everything that is kept of it.
    pub bytes_per_operation: u64,
    /// How long the bank took until it was ready, after it had been stopped.
    pub start_after_stop_ms: u64,
    /// The same after it had been killed.
    pub start_after_kill_ms: u64,
}

/// A part of the growth.
#[derive(Serialize, Debug)]
pub struct Part {
    /// How many operations there were at its end.
    pub operations: u64,
    /// How many of it the bank was done with in a second.
    pub per_second: u64,
    /// How long a batch took at most until it was accepted.
    pub slowest_batch_micros: u64,
    /// What the data directory took at its end.
    pub store_bytes: u64,
}

/// Lets the store of a bank grow, and starts the bank on it again.
pub fn run(options: &SpeedOptions, runtime: &Runtime) -> Result<Growth, BenchError> {
    let mut bank = Bank::start(&options.bank.bank, &options.bank.work_dir)?;
    let growth = runtime.block_on(grow(options, &mut bank));
    let audit = bank.stop_and_audit();
    let growth = growth?;
    audit?;
    Ok(growth)
}

async fn grow(options: &SpeedOptions, bank: &mut Bank) -> Result<Growth, BenchError> {
    let server = Server::parse(bank.url()).map_err(BenchError::Setup)?;
    let &SpeedOptions { connections, accounts, people, operations, .. } = options;
    let crowd = Crowd { connections, accounts, people };
    let accounts = setup::accounts(&server, crowd).await.map_err(BenchError::Setup)?;
    let batches = (operations / PARTS).div_ceil(BATCH_OPERATIONS);
    let bytes_before = bytes_in(&bank.data_dir());
    let mut parts: Vec<Part> = Vec::new();
    for number in 1..=PARTS {
        setup::renew(&server, &accounts).await.map_err(BenchError::Setup)?;
        let begun = Instant::now();
        let latencies = post(&server, &accounts, batches).await.map_err(BenchError::Grow)?;
        let part = Part {
            operations: number * batches * BATCH_OPERATIONS,
            per_second: per_second(batches * BATCH_OPERATIONS, begun.elapsed()),
            slowest_batch_micros: latencies.max_micros(),
            store_bytes: bytes_in(&bank.data_dir()),
        };
        println!(
            "{} operations: {} a second, store {} MiB",
            part.operations,
            part.per_second,
            part.store_bytes >> 20
        );
        parts.push(part);
    }
    let operations = parts.last().map_or(1, |part| part.operations);
    // Killed first: what the bank had still to write where it belongs is then there to be recovered.
    let start_after_kill_ms = ready_after(bank, Ending::Killed).await?;
    let start_after_stop_ms = ready_after(bank, Ending::Stopped).await?;
    let bytes = bytes_in(&bank.data_dir()).saturating_sub(bytes_before);
    Ok(Growth { parts, bytes_per_operation: bytes / operations, start_after_stop_ms, start_after_kill_ms })
}

/// Posts so many batches, and waits until the bank is done with them. Gives back how long each took to be accepted.
async fn post(server: &Server, accounts: &[Account], batches: u64) -> Result<Latencies, ClientError> {
    let left = Cell::new(batches);
    let work = async || {
        let mut worker = Worker::new(Connection::open(server).await?, accounts);
        let (mut latencies, mut newest) = (Latencies::default(), None);
        while left.get() > 0 {
            left.set(left.get() - 1);
            let begun = Instant::now();
            newest = worker.take(Step::AcceptBatch).await?;
            latencies.record(begun.elapsed());
        }
        Ok::<_, ClientError>((latencies, newest))
    };
    let mut all = Latencies::default();
    let mut recent: Vec<Deposit> = Vec::new();
    for (latencies, newest) in try_join_all((0..CONNECTIONS).map(|_| work())).await? {
        all.add(&latencies);
        recent.extend(newest);
    }
    settle::wait(server, accounts, &recent, CONNECTIONS).await?;
    Ok(all)
}

/// How long the bank takes until it is ready again, in milliseconds.
async fn ready_after(bank: &mut Bank, ending: Ending) -> Result<u64, BenchError> {
    let started_at = bank.start_again(ending)?;
    let server = Server::parse(bank.url()).map_err(BenchError::Setup)?;
    let mut connection = Connection::open(&server).await.map_err(BenchError::Setup)?;
    loop {
        let answer = connection.send(Outgoing::get("/readyz")).await.map_err(BenchError::Setup)?;
        if answer.status == READY {
            return Ok(u64::try_from(started_at.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
        if started_at.elapsed() > READY_MAX {
            return Err(BenchError::Setup(answer.unexpected("GET /readyz")));
        }
        tokio::time::sleep(READY_PAUSE).await;
    }
}
