//! The bank beside others on the same machine, in the same run and in turn. Ratios are the result: the rates themselves
//! move with the machine, and move together.
//!
//! Everybody is durable at every answer, shares the two cores with its callers, and does its own work: the bank all
//! that lies between an HTTP request and the last of its services, the others one double-entry transaction. Only one of
//! them does as services would, on PostgreSQL in five transactions. Each is measured once a round, and its figure is the
//! median of the rounds.

mod journal;
mod postgres;
mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::arguments::{Crowd, PeersOptions};
use crate::bank::Bank;
use crate::client::Server;
use crate::load::{self, Extent};
use crate::setup::{self, Account};
use crate::step::Step;
use crate::{BenchError, require_success, write};
use postgres::{Postgres, Script};
use report::{Comparison, Row};

const PEOPLE: u32 = 100;
const SETUP_CONNECTIONS: u32 = 64;
const WARMUP_SECONDS: u32 = 2;
/// After so long without callers the bank has moved everything into its database.
const REST: Duration = Duration::from_secs(2);
/// The callers of batches, and what they send at once.
const BATCH_CALLERS: u32 = 8;
const BATCH: u32 = 128;

/// Why a peer could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("PostgreSQL is not here: postgres, initdb, psql and pgbench are needed (Debian: postgresql)")]
    NoPostgres,
    #[error("PostgreSQL does not run as root, and there is no other user to run it")]
    NobodyElse,
    #[error("{program} does not start: {source}")]
    Start { program: &'static str, source: std::io::Error },
    #[error("{program} cannot be run: {source}")]
    Run { program: String, source: std::io::Error },
    #[error("{program} ended with {status}: {told}")]
    Ended { program: String, status: ExitStatus, told: String },
    #[error("{program} told no rate: {told}")]
    Unreadable { program: &'static str, told: String },
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
}

impl PeerError {
    /// Names the file that could not be used.
    fn file(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { path: path.clone(), source }
    }
}

/// Somebody who is measured, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Contest {
    /// The bank: this step by so many callers.
    Bank(Step, u32),
    /// PostgreSQL: this script by so many clients.
    Postgres(Script, u32),
    /// The crate cala-ledger on the same PostgreSQL: from one account or from all, by so many callers, so many
    /// transactions a call.
    Cala(&'static str, u32, u32),
    /// The ledger of the bank alone, in batches.
    Ledger,
    /// A plain journal.
    Journal,
}

/// One line of the comparison.
struct Entry {
    peer: &'static str,
    what: &'static str,
    contest: Contest,
    /// What of the bank it is held against: the same number of callers, and the same spread.
    against: Contest,
}

const BANK: &str = "this bank";
const POSTGRES: &str = "PostgreSQL";
const CALA: &str = "cala-ledger";
const JOURNAL: &str = "plain journal";
const LEDGER: &str = "the ledger alone";

const SPREAD_16: Contest = Contest::Bank(Step::Complete, 16);
const SPREAD_64: Contest = Contest::Bank(Step::Complete, 64);
const HOT_16: Contest = Contest::Bank(Step::CompleteOnOne, 16);
const HOT_64: Contest = Contest::Bank(Step::CompleteOnOne, 64);
const ACCEPTED: Contest = Contest::Bank(Step::Accept, 64);
const BATCHES: Contest = Contest::Bank(Step::AcceptBatch, BATCH_CALLERS);

const ENTRIES: [Entry; 22] = {
    const fn ours(what: &'static str, contest: Contest) -> Entry {
        Entry { peer: BANK, what, contest, against: contest }
    }
    const fn postgres(what: &'static str, script: Script, clients: u32, against: Contest) -> Entry {
        Entry { peer: POSTGRES, what, contest: Contest::Postgres(script, clients), against }
    }
    const fn cala(
        what: &'static str,
        from: &'static str,
        callers: u32,
        batch: u32,
        against: Contest,
    ) -> Entry {
        Entry { peer: CALA, what, contest: Contest::Cala(from, callers, batch), against }
    }
    [
        ours("deposits until COMPLETED, 16 callers", SPREAD_16),
        ours("deposits until COMPLETED, 64 callers", SPREAD_64),
        ours("all on one account, 16 callers", HOT_16),
        ours("all on one account, 64 callers", HOT_64),
        ours("deposits accepted, until all are done", ACCEPTED),
        ours("batches of 128, until all are done", BATCHES),
        ours("the ledger alone, batches of 128", Contest::Ledger),
        postgres("double entry, 16 clients", Script::Spread, 16, SPREAD_16),
        postgres("double entry, 64 clients", Script::Spread, 64, SPREAD_64),
        postgres("statement by statement, 16 clients", Script::Statements, 16, SPREAD_16),
        postgres("statement by statement, 64 clients", Script::Statements, 64, SPREAD_64),
        postgres("with a settlement row, 16 clients", Script::Settlement, 16, HOT_16),
        postgres("with a settlement row, 64 clients", Script::Settlement, 64, HOT_64),
        postgres("in five transactions, 16 clients", Script::Services, 16, SPREAD_16),
        postgres("in five transactions, 64 clients", Script::Services, 64, SPREAD_64),
        postgres("TPC-B of pgbench, 16 clients", Script::TpcB, 16, SPREAD_16),
        postgres("TPC-B of pgbench, 64 clients", Script::TpcB, 64, SPREAD_64),
        cala("a transaction a call, 16 callers", "spread", 16, 1, SPREAD_16),
        cala("a transaction a call, 64 callers", "spread", 64, 1, SPREAD_64),
        cala("from one account, 16 callers", "settlement", 16, 1, HOT_16),
        cala("batches of 128", "spread", BATCH_CALLERS, BATCH, BATCHES),
        Entry { peer: JOURNAL, what: "128 transactions a sync", contest: Contest::Journal, against: BATCHES },
    ]
};

/// Everybody, ready to be measured.
struct Arena<'a> {
    options: &'a PeersOptions,
    runtime: &'a Runtime,
    server: Server,
    accounts: Vec<Account>,
    postgres: Postgres,
    cala: Option<(PathBuf, String)>,
}

/// Measures everybody in turn, prints the ratios and draws the rates.
pub fn run(options: &PeersOptions, runtime: &Runtime) -> Result<(), BenchError> {
    let postgres = Postgres::start(&options.bank.work_dir, options.accounts)?;
    let cala = match &options.cala {
        Some(binary) => Some((binary.clone(), postgres.database("cala")?)),
        None => {
            println!("cala-ledger is left out: --cala does not say where its binary is");
            None
        }
    };
    let bank = Bank::start(&options.bank.bank, &options.bank.work_dir)?;
    let measured = Server::parse(bank.url()).map_err(BenchError::Setup).and_then(|server| {
        let crowd = Crowd { connections: SETUP_CONNECTIONS, accounts: options.accounts, people: PEOPLE };
        let accounts = runtime.block_on(setup::accounts(&server, crowd)).map_err(BenchError::Setup)?;
        Arena { options, runtime, server, accounts, postgres, cala }.measure()
    });
    let audit = bank.stop_and_audit();
    let rows = measured?;
    let comparison = Comparison::new(rows, audit?);
    println!("{comparison}");
    if let Some(path) = &options.output.json {
        write(path, serde_json::to_vec_pretty(&comparison).unwrap_or_default())?;
    }
    write(&options.output.pictures.join("peers.svg"), comparison.picture())
}

impl Arena<'_> {
    /// What everybody comes to, as far as she is here.
    fn measure(&self) -> Result<Vec<Row>, BenchError> {
        let is_here = |entry: &&Entry| match entry.contest {
            Contest::Cala(..) => self.cala.is_some(),
            Contest::Ledger => self.options.ledger.is_some(),
            Contest::Bank(..) | Contest::Postgres(..) | Contest::Journal => true,
        };
        let entries: Vec<&Entry> = ENTRIES.iter().filter(is_here).collect();
        let mut rates = vec![Vec::new(); entries.len()];
        for round in 1..=self.options.rounds {
            self.runtime.block_on(setup::renew(&self.server, &self.accounts)).map_err(BenchError::Setup)?;
            for (entry, rates) in entries.iter().zip(&mut rates) {
                rest()?;
                let rate = self.rate(entry.contest)?;
                println!("round {round}: {}, {}: {rate} a second", entry.peer, entry.what);
                rates.push(rate);
            }
        }
        let medians: Vec<u64> = rates.iter().map(|rates| median(rates)).collect();
        let rows = entries.iter().zip(rates).zip(&medians).map(|((entry, rounds), per_second)| {
            let ours = entries.iter().position(|other| other.contest == entry.against);
            let ours = ours.filter(|_| entry.peer != BANK).map(|index| medians[index]);
            Row::new(entry.peer, entry.what, *per_second, rounds, ours)
        });
        Ok(rows.collect())
    }

    /// How many deposits or transactions a second it does.
    fn rate(&self, contest: Contest) -> Result<u64, BenchError> {
        let PeersOptions { seconds, accounts, bank, .. } = self.options;
        match contest {
            Contest::Bank(step, connections) => {
                let extent = Extent { connections, seconds: *seconds, warmup_seconds: WARMUP_SECONDS };
                let name = format!("{step:?}");
                let figures = load::run(&name, step, &self.server, &self.accounts, extent);
                let figures = self.runtime.block_on(figures);
                require_success(&figures)?;
                Ok(figures.rate())
            }
            Contest::Postgres(script, clients) => Ok(self.postgres.measure(script, clients, *seconds)?),
            Contest::Cala(from, callers, batch) => {
                let Some((binary, database)) = &self.cala else { return Ok(0) };
                Ok(cala(binary, database, from, [callers, batch, *seconds, *accounts])?)
            }
            Contest::Ledger => {
                let Some(binary) = &self.options.ledger else { return Ok(0) };
                Ok(ledger(binary, &bank.work_dir, [BATCH_CALLERS, BATCH, *seconds, *accounts])?)
            }
            Contest::Journal => Ok(journal::measure(&bank.work_dir, *seconds)?),
        }
    }
}

/// What those before have left to do is done, and on the disk: it is theirs.
fn rest() -> Result<(), PeerError> {
    std::thread::sleep(REST);
    postgres::told(&mut Command::new("sync")).map(drop)
}

/// Has cala-ledger post transactions, and reads how many a second.
fn cala(binary: &Path, database: &str, from: &str, numbers: [u32; 4]) -> Result<u64, PeerError> {
    let mut command = Command::new(binary);
    rate(CALA, command.args(["--database", database, "--from", from]), numbers)
}

/// Has the ledger of the bank judge deposits on a store of its own, and reads how many a second.
fn ledger(binary: &Path, work_dir: &Path, numbers: [u32; 4]) -> Result<u64, PeerError> {
    let folder = work_dir.join(format!("ledger-{:08x}", rand::random::<u32>()));
    let rate = rate(LEDGER, Command::new(binary).arg("--data-dir").arg(&folder), numbers);
    std::fs::remove_dir_all(&folder).map_err(PeerError::file(&folder))?;
    rate
}

/// Runs a program that prints a rate, with so many callers, so many of them a batch, for so many seconds, on so many accounts.
fn rate(program: &'static str, command: &mut Command, numbers: [u32; 4]) -> Result<u64, PeerError> {
    for (option, number) in ["--callers", "--batch", "--seconds", "--accounts"].iter().zip(numbers) {
        command.arg(option).arg(number.to_string());
    }
    let told = postgres::told(command)?;
    told.trim().parse().map_err(|_| PeerError::Unreadable { program, told })
}

/// The value in the middle; of an even number, the lower of the two.
fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_held_against_what_the_bank_does() {
        for Entry { what, against, .. } in &ENTRIES {
            let ours = ENTRIES.iter().find(|other| other.contest == *against);
            assert!(ours.is_some_and(|ours| ours.peer == BANK), "{what}");
        }
    }

    #[test]
    fn the_median_is_a_value_that_was_measured() {
        assert_eq!([&[][..], &[7], &[9, 3], &[5, 900, 7]].map(median), [0, 7, 3, 7]);
    }
}
