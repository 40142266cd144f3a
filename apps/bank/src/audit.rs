//! `bank audit`: the books against their journal, and everything that is derived from them against the books.
//!
//! It reads one moment of the store, so it can run beside a bank that is serving.

use std::time::Instant;

use contracts::topology::consumers::{BANKING_EVENTS, QUERY_EVENTS};
use embedded::Access;
use kernel::{AccountId, Money};
use ledger::{Books, TrialBalance};
use ports::{QueueDepth, Queues};
use runtime::Comparison;

use crate::cli::DataOptions;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::sources::sources;
use crate::world::{World, open_store};

/// How many heads are compared with their projected balances at once.
const HEADS_A_PAGE: usize = 1_000;
/// The most findings that are printed; the rest is only counted.
const FINDINGS_PRINTED: usize = 100;

/// What an audit looked at and found.
struct Audit {
    books: Books,
    transactions: Comparison,
    balances: Comparison,
    operations: Comparison,
    queues: Vec<QueueDepth>,
    findings: Vec<String>,
}

pub async fn audit(options: &DataOptions) -> Result<(), Failure> {
    let began = Instant::now();
    let sources = sources();
    let store = open_store(&options.data_dir, Access::ReadOnly, &sources)?;
    let world = World::at_rest(store.clone(), sources)?;
    let audit = Audit::run(&world).await;
    store.close().await;
    let audit = audit?;
    audit.print();
    let count = audit.findings.len() as u64 + audit.books.findings_count - audit.books.findings.len() as u64;
    println!("{:<14}{:.1} s", "took", began.elapsed().as_secs_f64());
    if count > 0 {
        return Err(Failure::new(format!("the books are wrong: {count} findings")));
    }
    println!("The books are right.");
    Ok(())
}

/// Whether a message may still come to a consumer; a dead letter comes once somebody redrives it.
fn is_on_its_way(queue: &QueueDepth) -> bool {
    queue.waiting + queue.retrying + queue.dead > 0
}

impl Audit {
    async fn run(world: &World) -> Result<Self, Failure> {
        let progress = Progress::begin("items of the ledger");
        let books = world.ledger.audit(|items| progress.advance(items)).await?;
        progress.end();

        let progress = Progress::begin("events against projections");
        let (mut transactions, mut operations) = (Comparison::default(), Comparison::default());
        let mut after = None;
        loop {
            let (events, next) = world.ledger.events(after.as_ref()).await?;
            transactions.add(world.query.compare_transactions(&events).await?);
            operations.add(world.banking.compare(&events).await?);
            progress.advance(events.len() as u64);
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        progress.end();

        let heads: Vec<(AccountId, Money, u64)> =
            books.heads.values().map(|head| (head.account_id, head.balance, head.version)).collect();
        let mut balances = Comparison::default();
        for page in heads.chunks(HEADS_A_PAGE) {
            balances.add(world.query.compare_balances(page).await?);
        }
        let shown = world.query.count_transactions().await?;
        let queues = world.store.depths().await?;
        let mut audit = Self { books, transactions, balances, operations, queues, findings: Vec::new() };
        audit.conclude(shown);
        Ok(audit)
    }

    /// Gathers the findings, among them that something is behind though no message is on its way to it.
    fn conclude(&mut self, transactions_shown: u64) {
        self.findings.clone_from(&self.books.findings);
        for comparison in [&self.transactions, &self.balances, &self.operations] {
            self.findings.extend(comparison.findings.iter().cloned());
        }
        let expected = self.transactions.compared - self.transactions.behind;
        if transactions_shown > expected {
            let surplus = transactions_shown - expected;
            self.findings.push(format!("the histories show {surplus} transactions that the ledger never judged"));
        }
        for (what, consumer, behind) in [
            ("transactions", QUERY_EVENTS, self.transactions.behind),
            ("balances", QUERY_EVENTS, self.balances.behind),
            ("operations", BANKING_EVENTS, self.operations.behind),
        ] {
            if behind > 0 && !self.queues.iter().any(|queue| queue.consumer == consumer && is_on_its_way(queue)) {
                self.findings.push(format!("{behind} {what} lack the ledger's verdict, and no message is on its way"));
            }
        }
    }

    fn behind(&self) -> u64 {
        self.transactions.behind + self.balances.behind + self.operations.behind
    }

    fn print(&self) {
        for (what, count) in [
            ("accounts", self.books.heads.len() as u64),
            ("entries", self.books.entries),
            ("links", self.books.links),
            ("refusals", self.books.refusals),
            ("transactions", self.transactions.compared),
            ("balances", self.balances.compared),
            ("operations", self.operations.compared),
            ("not yet shown", self.behind()),
            ("dead letters", self.queues.iter().map(|queue| queue.dead).sum()),
        ] {
            println!("{what:<14}{count}");
        }
        for trial in &self.books.trial_balances {
            let TrialBalance { currency, customers_minor, cash_in_minor, cash_out_minor } = trial;
            let sum = trial.sum_minor();
            println!(
                "{:<14}{sum} = customers {customers_minor} + cash in {cash_in_minor} + cash out {cash_out_minor}, in minor units",
                format!("sum of {currency}"),
            );
        }
        for finding in self.findings.iter().take(FINDINGS_PRINTED) {
            println!("WRONG: {finding}");
        }
    }
}
