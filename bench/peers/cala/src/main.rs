//! Double-entry transactions posted by the crate cala-ledger, in a closed loop, on a PostgreSQL that is already there.
//!
//! The first run makes the tables, the template and the accounts; each run prints how many transactions a second were
//! durable. A transaction moves an amount between two accounts; it is one call, and one transaction of the database,
//! unless a batch is asked for. No limit on balances is configured, and the job that rolls up sets of accounts is not
//! polled: both would cost cala-ledger time for what the comparison does not need.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cala_ledger::account::NewAccount;
use cala_ledger::job::{JobSvcConfig, Jobs};
use cala_ledger::journal::NewJournal;
use cala_ledger::posting::PostingInput;
use cala_ledger::tx_template::{
    NewParamDefinition, NewTxTemplate, NewTxTemplateEntry, NewTxTemplateTransaction, ParamDataType, Params,
};
use cala_ledger::{AccountId, CalaLedger, CalaLedgerConfig, JournalId, TransactionId};
use clap::{Parser, ValueEnum};
use futures::future::try_join_all;
use rust_decimal::Decimal;
use uuid::Uuid;

const TEMPLATE: &str = "MOVEMENT";
const JOURNAL: Uuid = Uuid::from_u128(1);
/// The account that every transaction takes from where it is shared.
const SETTLEMENT: Uuid = Uuid::from_u128(2);
/// The ids of the others follow.
const FIRST_ACCOUNT: u128 = 1_000;
/// How many accounts are made at once.
const CREATION_MAX: u128 = 500;
const AMOUNT_MINOR_MAX: i64 = 100_000;

/// Posts transactions, and prints how many a second.
#[derive(Parser)]
struct Arguments {
    /// The database, such as postgres://bench@localhost/cala
    #[arg(long)]
    database: String,
    /// What the transactions take from
    #[arg(long, value_enum)]
    from: From,
    /// Callers, each with one call at a time
    #[arg(long)]
    callers: u32,
    /// Transactions a call
    #[arg(long, default_value_t = 1)]
    batch: u32,
    /// How long it is measured
    #[arg(long)]
    seconds: u64,
    /// Accounts that the transactions are spread over
    #[arg(long)]
    accounts: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum From {
    /// A random account
    Spread,
    /// One account that all share
    Settlement,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(arguments.callers)
        .connect(&arguments.database)
        .await?;
    let mut jobs = Jobs::init(JobSvcConfig::builder().pool(pool.clone()).build()?).await?;
    let config = CalaLedgerConfig::builder().pool(pool).exec_migrations(true).build()?;
    let cala = CalaLedger::init(config, &mut jobs).await?;
    if cala.journals().find(JournalId::from(JOURNAL)).await.is_err() {
        prepare(&cala, arguments.accounts).await?;
    }

    let posted = AtomicU64::new(0);
    let begun = Instant::now();
    let end = begun + Duration::from_secs(arguments.seconds);
    try_join_all((0..arguments.callers).map(|_| call(&cala, &arguments, &posted, end))).await?;
    let rate = u128::from(posted.into_inner()) * 1_000 / begun.elapsed().as_millis().max(1);
    println!("{rate}");
    Ok(())
}

async fn call(
    cala: &CalaLedger,
    arguments: &Arguments,
    posted: &AtomicU64,
    end: Instant,
) -> anyhow::Result<()> {
    while Instant::now() < end {
        if arguments.batch == 1 {
            let params = movement(arguments);
            cala.post_transaction(TransactionId::new(), TEMPLATE, params).await.context("a transaction")?;
        } else {
            let batch = (0..arguments.batch)
                .map(|_| PostingInput::new(TransactionId::new(), TEMPLATE, movement(arguments)))
                .collect();
            cala.post_transactions(batch).await.context("a batch")?;
        }
        posted.fetch_add(u64::from(arguments.batch), Ordering::Relaxed);
    }
    Ok(())
}

fn movement(arguments: &Arguments) -> Params {
    let to = rand::random_range(0..arguments.accounts);
    let from = match arguments.from {
        From::Settlement => AccountId::from(SETTLEMENT),
        From::Spread => {
            let away = rand::random_range(1..arguments.accounts.max(2));
            account((to + away) % arguments.accounts)
        }
    };
    let mut params = Params::new();
    params.insert("from", from);
    params.insert("to", account(to));
    params.insert("amount", Decimal::new(rand::random_range(1..=AMOUNT_MINOR_MAX), 2));
    params
}

fn account(number: u32) -> AccountId {
    AccountId::from(Uuid::from_u128(FIRST_ACCOUNT + u128::from(number)))
}

/// Makes the journal last of all, so that it tells whether everything is there.
async fn prepare(cala: &CalaLedger, accounts: u32) -> anyhow::Result<()> {
    let ids = (0..u128::from(accounts)).map(|number| FIRST_ACCOUNT + number).chain([SETTLEMENT.as_u128()]);
    let accounts: Vec<NewAccount> = ids
        .map(|id| {
            let name = format!("bench-{id}");
            NewAccount::builder().id(Uuid::from_u128(id)).name(name.clone()).code(name).build()
        })
        .collect();
    for some in accounts.chunks(CREATION_MAX as usize) {
        cala.accounts().create_all(some.to_vec()).await?;
    }
    let param = |name: &str, kind| NewParamDefinition::builder().name(name).r#type(kind).build();
    let entry = |kind: &str, account: &str, direction: &str| {
        NewTxTemplateEntry::builder()
            .entry_type(kind)
            .account_id(account)
            .layer("SETTLED")
            .direction(direction)
            .units("params.amount")
            .currency("'EUR'")
            .build()
    };
    let template = NewTxTemplate::builder()
        .id(Uuid::from_u128(3))
        .code(TEMPLATE)
        .params(vec![
            param("from", ParamDataType::Uuid)?,
            param("to", ParamDataType::Uuid)?,
            param("amount", ParamDataType::Decimal)?,
        ])
        .transaction(
            NewTxTemplateTransaction::builder()
                .effective("date()")
                .journal_id(format!("uuid('{JOURNAL}')"))
                .build()?,
        )
        .entries(vec![
            entry("'MOVEMENT_DR'", "params.from", "DEBIT")?,
            entry("'MOVEMENT_CR'", "params.to", "CREDIT")?,
        ])
        .build();
    cala.tx_templates().create(template).await?;
    let journal = NewJournal::builder().id(JournalId::from(JOURNAL)).name("Bench").build();
    cala.journals().create(journal).await?;
    Ok(())
}
