//! `bank audit`: the books against their journal, and everything that is derived from them against the books.
//!
//! It can run beside a bank that serves. In a data directory it reads one moment of the store; on AWS the bank moves while
//! it is read, and [`derived`] tells what is late from what is wrong. What is derived is compared only with books that
//! are right: a journal that was altered says nothing of the rest.

mod derived;

use std::time::{Duration, Instant};

use contracts::topology::consumers::{BANKING_EVENTS, QUERY_EVENTS};
use embedded::{Access, EmbeddedStore};
use ledger::{Books, TrialBalance};
use ports::{QueueAdmin, QueueDepth, Sources, Store};
use runtime::Comparison;
use serde::Serialize;
use system::sources;
use utoipa::ToSchema;

use crate::cli::DataOptions;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::world::open_store;
use derived::{Derived, Services};

/// The most findings that are shown; the rest is only counted.
const FINDINGS_SHOWN: usize = 100;

/// What an audit looked at and found.
#[derive(Default)]
pub struct Audit {
    books: Books,
    derived: Derived,
    /// What follows from the comparisons and the queues together.
    conclusions: Comparison,
    queues: Vec<QueueDepth>,
}

/// What was counted on the way.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct Counted {
    pub accounts: u64,
    /// Of the journal.
    pub entries: u64,
    /// From an entry to the one before it on an account.
    pub links: u64,
    /// Commands that the ledger refused.
    pub refusals: u64,
    /// Rows of histories that were compared.
    pub transactions: u64,
    pub balances: u64,
    pub operations: u64,
    /// What has not heard of its event yet, which is on its way.
    pub not_yet_shown: u64,
    pub dead_letters: u64,
}

pub async fn audit(options: &DataOptions) -> Result<(), Failure> {
    let sources = sources();
    let store = open_store(&options.data_dir, Access::ReadOnly, &sources)?;
    let checked = check(store.clone(), &store, sources, Duration::ZERO).await;
    store.close().await;
    checked
}

/// Audits a store and prints what was found. What is derived may take `shown_within` to follow the ledger while no queue
/// holds a message: no time where one moment is read.
pub async fn check<S: Store>(
    store: S,
    queues: &impl QueueAdmin,
    sources: Sources,
    shown_within: Duration,
) -> Result<(), Failure> {
    let began = Instant::now();
    let audit = Audit::run(&Services::new(store, sources, Progress::begin), queues, shown_within).await?;
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
    /// Audits a store that was opened for reading one moment, so that nothing of it is late. Nobody waits for it at a
    /// terminal.
    pub async fn of_moment(store: &EmbeddedStore, sources: Sources) -> Result<Self, Failure> {
        Self::run(&Services::new(store.clone(), sources, Progress::unseen), store, Duration::ZERO).await
    }

    async fn run<S: Store>(
        services: &Services<S>,
        queues: &impl QueueAdmin,
        shown_within: Duration,
    ) -> Result<Self, Failure> {
        let progress = (services.progress)("items of the ledger");
        let books = services.ledger.audit(|items| progress.advance(items)).await?;
        progress.end();
        let mut audit = Self { books, ..Self::default() };
        if audit.books.findings_count == 0 {
            // Counted before the events are read, so that each row that is counted has its event among them.
            let transactions_shown = services.query.count_transactions().await?;
            let accounts = audit.books.heads.keys().copied();
            audit.derived = services.compare(accounts, shown_within).await?;
            audit.queues = queues.depths().await?;
            audit.conclude(transactions_shown);
        } else {
            audit.queues = queues.depths().await?;
        }
        Ok(audit)
    }

    /// What is behind is in order only while a message is on its way to it.
    fn conclude(&mut self, transactions_shown: u64) {
        let Derived { transactions, balances, operations } = &self.derived;
        for (consumer, comparison) in
            [(QUERY_EVENTS, transactions), (QUERY_EVENTS, balances), (BANKING_EVENTS, operations)]
        {
            if !self.queues.iter().any(|queue| queue.consumer == consumer && is_on_its_way(queue)) {
                self.conclusions.add(Comparison {
                    findings_count: comparison.behind,
                    findings: comparison.behind_named.clone(),
                    ..Comparison::default()
                });
            }
        }
        let expected = transactions.compared - transactions.behind;
        if transactions_shown > expected {
            let surplus = transactions_shown - expected;
            self.conclusions
                .find(format!("the histories show {surplus} transactions that the ledger never judged"));
        }
    }

    fn comparisons(&self) -> impl Iterator<Item = &Comparison> {
        self.derived.all().into_iter().chain([&self.conclusions])
    }

    pub fn counted(&self) -> Counted {
        Counted {
            accounts: self.books.heads.len() as u64,
            entries: self.books.entries,
            links: self.books.links,
            refusals: self.books.refusals,
            transactions: self.derived.transactions.compared,
            balances: self.derived.balances.compared,
            operations: self.derived.operations.compared,
            not_yet_shown: self.derived.behind(),
            dead_letters: self.queues.iter().map(|queue| queue.dead).sum(),
        }
    }

    pub fn trial_balances(&self) -> &[TrialBalance] {
        &self.books.trial_balances
    }

    /// The first findings; the rest is only counted.
    pub fn findings(&self) -> impl Iterator<Item = &str> {
        let compared = self.comparisons().flat_map(|comparison| &comparison.findings);
        self.books.findings.iter().chain(compared).take(FINDINGS_SHOWN).map(String::as_str)
    }

    pub fn findings_count(&self) -> u64 {
        let compared: u64 = self.comparisons().map(|comparison| comparison.findings_count).sum();
        self.books.findings_count + compared
    }

    fn print(&self) {
        let counted = self.counted();
        for (what, count) in [
            ("accounts", counted.accounts),
            ("entries", counted.entries),
            ("links", counted.links),
            ("refusals", counted.refusals),
            ("transactions", counted.transactions),
            ("balances", counted.balances),
            ("operations", counted.operations),
            ("not yet shown", counted.not_yet_shown),
            ("dead letters", counted.dead_letters),
        ] {
            println!("{what:<14}{count}");
        }
        for trial in self.trial_balances() {
            let TrialBalance { currency, customers_minor, cash_in_minor, cash_out_minor } = trial;
            let sum = trial.sum_minor();
            println!(
                "{:<14}{sum} = customers {customers_minor} + cash in {cash_in_minor} + cash out {cash_out_minor}, in minor units",
                format!("sum of {currency}"),
            );
        }
        for queue in self.queues.iter().filter(|queue| queue.dead > 0) {
            println!(
                "WARNING: {} has {} dead letters: `dead-letters list` shows them",
                queue.consumer, queue.dead
            );
        }
        if self.books.findings_count > 0 {
            println!(
                "WARNING: histories, balances and operations were not compared with books that are wrong"
            );
        }
        for finding in self.findings() {
            println!("WRONG: {finding}");
        }
    }
}
