//! How many deposits a second the ledger alone takes, in batches: its consumer on the embedded store, every batch durable
//! when it comes and when it is judged.
//!
//! It is what to hold against a database for accounting: there is no HTTP, nobody asks who may do what, and none of the
//! other services works. Deposits come as commands, a batch a transaction; what the ledger tells is heard by one
//! consumer that does nothing with it. Prints a whole number, once all that came was judged.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use contracts::Message;
use contracts::banking::MoveCmd;
use contracts::topology::consumers::{LEDGER_COMMANDS, QUERY_EVENTS};
use contracts::topology::{Sender, kinds_for, outboxes_for};
use embedded::{Access, EmbeddedStore, OpenError, Options};
use kernel::{AccountId, Currency, Money, OperationId, UserId};
use ledger::{Commands, Ledger};
use ports::{
    CommitError, Consumer, Delivery, Limit, Outcome, Sources, Store as _, Subscription, Table, Transaction,
};
use runtime::{Caching, Policy, Trace, consume, envelope};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The allocator of the bank as it is delivered.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The most deposits that wait to be judged: enough for the ledger never to wait for them.
const WAITING_MAX: u64 = 8_192;
/// Between two looks at how many wait.
const PAUSE: Duration = Duration::from_micros(500);
/// As many heads as the bank in one process keeps in memory.
const CACHED: Caching = Caching::heard(100_000);

/// Has the ledger judge deposits in batches.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The directory of the store, which must not be there yet
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// How many commit batches at the same time
    #[arg(long, default_value_t = 8)]
    callers: u32,
    /// Deposits a batch
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    batch: u32,
    /// How long batches come
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Accounts that the deposits are spread over
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    accounts: u32,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Limit(#[from] Limit),
    #[error("the currency is unknown")]
    Currency,
    #[error("a caller broke off: {0}")]
    BrokenOff(#[from] tokio::task::JoinError),
}

/// Counts what the ledger has judged.
struct Counted {
    ledger: Commands<EmbeddedStore>,
    judged: Arc<AtomicU64>,
}

impl Consumer for Counted {
    const NAME: &'static str = LEDGER_COMMANDS;

    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let outcomes = self.ledger.handle(batch).await;
        let done = outcomes.iter().filter(|outcome| **outcome == Outcome::Done).count();
        self.judged.fetch_add(done as u64, Ordering::Relaxed);
        outcomes
    }
}

/// Hears what the ledger tells.
struct Listener;

impl Consumer for Listener {
    const NAME: &'static str = QUERY_EVENTS;

    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        batch.iter().map(|_| Outcome::Done).collect()
    }
}

/// What all callers share.
struct Load {
    store: EmbeddedStore,
    sources: Sources,
    accounts: Vec<(AccountId, UserId)>,
    euro: Currency,
    sent: AtomicU64,
    judged: Arc<AtomicU64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(per_second) => {
            println!("{per_second}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("ledger-bench: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<u128, Fault> {
    let sources = system::sources();
    let store = open(arguments, &sources)?;
    let judged = Arc::new(AtomicU64::new(0));
    let commands = Ledger::new(store.clone(), sources.clone(), CACHED).commands();
    let (stop, stopped) = watch::channel(false);
    let mut consumers = JoinSet::new();
    let counted = Arc::new(Counted { ledger: commands, judged: Arc::clone(&judged) });
    consumers.spawn(consume(store.clone(), counted, Policy::INSIDE, sources.clone(), stopped.clone()));
    consumers.spawn(consume(store.clone(), Arc::new(Listener), Policy::INSIDE, sources.clone(), stopped));

    let account = |_| (AccountId::new(sources.fresh_id()), UserId::new(sources.fresh_id()));
    let load = Arc::new(Load {
        accounts: (0..arguments.accounts).map(account).collect(),
        euro: "EUR".parse().map_err(|_| Fault::Currency)?,
        sent: AtomicU64::new(0),
        store: store.clone(),
        sources,
        judged,
    });
    let began = Instant::now();
    let until = began + Duration::from_secs(arguments.seconds.into());
    let mut callers = JoinSet::new();
    for _ in 0..arguments.callers {
        callers.spawn(Arc::clone(&load).call(u64::from(arguments.batch), until));
    }
    while let Some(called) = callers.join_next().await {
        called??;
    }
    let sent = load.sent.load(Ordering::Relaxed);
    while load.judged.load(Ordering::Relaxed) < sent {
        tokio::time::sleep(PAUSE).await;
    }
    let per_second = u128::from(sent) * 1_000 / began.elapsed().as_millis().max(1);
    stop.send_replace(true);
    while let Some(consumer) = consumers.join_next().await {
        consumer?;
    }
    store.close().await;
    Ok(per_second)
}

fn open(arguments: &Arguments, sources: &Sources) -> Result<EmbeddedStore, OpenError> {
    let subscription = |consumer| Subscription {
        consumer,
        outboxes: outboxes_for(consumer).into_iter().map(Table).collect(),
        kinds: kinds_for(consumer),
    };
    EmbeddedStore::open(Options {
        data_dir: arguments.data_dir.clone(),
        tables: ledger::records::TABLES.to_vec(),
        subscriptions: [LEDGER_COMMANDS, QUERY_EVENTS].map(subscription).to_vec(),
        sources: sources.clone(),
        access: Access::Exclusive,
    })
}

impl Load {
    /// Commits batch after batch, as long as the ledger follows.
    async fn call(self: Arc<Self>, batch: u64, until: Instant) -> Result<(), Fault> {
        while Instant::now() < until {
            let sent = self.sent.load(Ordering::Relaxed);
            if sent - self.judged.load(Ordering::Relaxed).min(sent) > WAITING_MAX {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let first = self.sent.fetch_add(batch, Ordering::Relaxed);
            let mut transaction = Transaction::new(self.sources.fresh_id());
            for number in first..first + batch {
                self.deposit(&mut transaction, number)?;
            }
            self.store.commit(&transaction).await?;
        }
        Ok(())
    }

    fn deposit(&self, transaction: &mut Transaction, number: u64) -> Result<(), Limit> {
        // Neighbours in a batch are on accounts far from each other, as those of many customers are.
        let index = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.accounts.len() as u64;
        let (account_id, owner) = self.accounts[index as usize];
        let command = Message::DepositCmd(MoveCmd {
            operation_id: OperationId::new(self.sources.fresh_id()),
            account_id,
            owner,
            amount: Money::from_minor(1_250, self.euro),
            description: None,
        });
        let (trace, now) = (Trace::begin(&self.sources), self.sources.now());
        let message = envelope(&command, account_id.to_string(), &trace, now, &self.sources);
        transaction.emit(Table(Sender::Banking.outbox()), message)
    }
}
