//! `bank audit`: the books against their journal, and everything that is derived from them against the books.
//!
//! It reads one moment of the store, so it can run beside a bank that is serving. What is derived is compared only with
//! books that are right: a journal that was altered says nothing of the rest.

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
#[derive(Default)]
struct Audit {
    books: Books,
    transactions: Comparison,
    balances: Comparison,
    operations: Comparison,
    /// What follows from the comparisons and the queues together.
    conclusions: Comparison,
    queues: Vec<QueueDepth>,
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
    println!("{:<14}{:.1} s", "took", began.elapsed().as_secs_f64());
    match audit.findings_count() {
        0 => {
            println!("The books are right.");
            Ok(())
        }
        1 => Err(Failure::new("the books are wrong: 1 finding")),
        count => Err(Failure::new(format!("the books are wrong: {count} findings"))),
    }
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
        let mut audit = Self { books, queues: world.store.depths().await?, ..Self::default() };
        if audit.books.findings_count == 0 {
            audit.compare(world).await?;
        }
        Ok(audit)
    }

    async fn compare(&mut self, world: &World) -> Result<(), Failure> {
        let progress = Progress::begin("events against projections");
        let mut after = None;
        loop {
            let (events, next) = world.ledger.events(after.as_ref()).await?;
            self.transactions.add(world.query.compare_transactions(&events).await?);
            self.operations.add(world.banking.compare(&events).await?);
            progress.advance(events.len() as u64);
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        progress.end();

        let heads: Vec<(AccountId, Money, u64)> =
            self.books.heads.values().map(|head| (head.account_id, head.balance, head.version)).collect();
        for page in heads.chunks(HEADS_A_PAGE) {
            self.balances.add(world.query.compare_balances(page).await?);
        }
        let shown = world.query.count_transactions().await?;
        self.conclude(shown);
        Ok(())
    }

    /// What is behind is in order only while a message is on its way to it.
    fn conclude(&mut self, transactions_shown: u64) {
        for (consumer, comparison) in [
            (QUERY_EVENTS, &self.transactions),
            (QUERY_EVENTS, &self.balances),
            (BANKING_EVENTS, &self.operations),
        ] {
            if !self.queues.iter().any(|queue| queue.consumer == consumer && is_on_its_way(queue)) {
                self.conclusions.add(Comparison {
                    findings_count: comparison.behind,
                    findings: comparison.behind_named.clone(),
                    ..Comparison::default()
                });
            }
        }
        let expected = self.transactions.compared - self.transactions.behind;
        if transactions_shown > expected {
            let surplus = transactions_shown - expected;
            self.conclusions
                .find(format!("the histories show {surplus} transactions that the ledger never judged"));
        }
    }

    fn comparisons(&self) -> [&Comparison; 4] {
        [&self.transactions, &self.balances, &self.operations, &self.conclusions]
    }

    fn findings_count(&self) -> u64 {
        let compared: u64 = self.comparisons().iter().map(|comparison| comparison.findings_count).sum();
        self.books.findings_count + compared
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
            ("not yet shown", self.transactions.behind + self.balances.behind + self.operations.behind),
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
        for queue in self.queues.iter().filter(|queue| queue.dead > 0) {
            println!("WARNING: {} has {} dead letters: bank dead-letters list", queue.consumer, queue.dead);
        }
        if self.books.findings_count > 0 {
            println!(
                "WARNING: histories, balances and operations were not compared with books that are wrong"
            );
        }
        let compared = self.comparisons().into_iter().flat_map(|comparison| &comparison.findings);
        for finding in self.books.findings.iter().chain(compared).take(FINDINGS_PRINTED) {
            println!("WRONG: {finding}");
        }
    }
}
