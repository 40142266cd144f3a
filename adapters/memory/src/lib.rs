//! A store and its queues in memory, for tests and for the simulation.
//!
//! Everything is kept in ordered maps behind one lock, and nothing is drawn by chance but from one seeded
//! generator, so that a run in one thread can be replayed exactly. [`Faults`] says how often the world misbehaves
//! in the ways that the ports allow: messages twice, late or in another order, commits that end in Conflict, Busy or
//! Unknown, of which an independent one leaves a part behind, and anything else that is not answered, or only after a
//! while. [`MemoryStore::crash`] forgets who had received what, and [`MemoryStore::release`] what one consumer had.
//!
//! Absent on purpose: durability, and any deletion of what has expired, since the weakest store may delete as late
//! as it likes. Nothing that was written is ever dropped, so a run is as long as its memory lasts.
#![warn(missing_docs)]

mod broker;
mod clock;
mod faults;
mod items;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::Timestamp;
use ports::{
    CommitError, Cursor, DeadLetter, Envelope, Item, Key, Page, Place, QueueAdmin, QueueDepth, Queues, Range,
    Received, Settled, Sources, Store, Subscription, Table, Transaction, Unavailable,
};
use tokio::sync::Notify;
use uuid::Uuid;

pub use clock::{SteppedIds, TestClock, sources};
pub use faults::Faults;

use broker::{Broker, Taken};
use faults::Chance;
use items::Items;

/// How many transactions are remembered, so that the same one is not written twice. DynamoDB remembers its
/// ClientRequestToken for ten minutes.
const COMMITTED_MAX: usize = 1_000_000;

/// How long to wait after a commit that ended in Busy.
const RETRY_AFTER: Duration = Duration::from_millis(5);

/// The longest wait for a message that is due later. A [`TestClock`] may be moved by hand, which no timer sees.
const CLOCK_CHECK: Duration = Duration::from_millis(200);

/// A store and queues in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    sources: Sources,
    state: Mutex<State>,
    arrival: Notify,
}

struct State {
    items: Items,
    broker: Broker,
    chance: Chance,
    committed: BTreeSet<Uuid>,
    outbox_records: BTreeMap<Table, Vec<Vec<Arc<Envelope>>>>,
}

impl MemoryStore {
    /// An empty world that does only what it is asked.
    pub fn new(subscriptions: Vec<Subscription>, sources: Sources) -> Self {
        Self::with_faults(subscriptions, sources, 0, Faults::NONE)
    }

    /// An empty world that misbehaves, in the same way for the same seed and the same calls.
    pub fn with_faults(
        subscriptions: Vec<Subscription>,
        sources: Sources,
        seed: u64,
        faults: Faults,
    ) -> Self {
        let state = State {
            items: Items::default(),
            broker: Broker::new(subscriptions),
            chance: Chance::new(seed, faults),
            committed: BTreeSet::new(),
            outbox_records: BTreeMap::new(),
        };
        Self { shared: Arc::new(Shared { sources, state: Mutex::new(state), arrival: Notify::new() }) }
    }

    /// From now on the world misbehaves this often: with [`Faults::NONE`] a run can come to its end.
    pub fn set_faults(&self, faults: Faults) {
        self.state().chance.faults = faults;
    }

    /// What a crash of the process leaves behind: all that was received and not settled is delivered again.
    pub fn crash(&self) {
        let now = self.shared.sources.now();
        self.state().broker.forget_receipts(now);
        self.shared.arrival.notify_waiters();
    }

    /// What the crash of one consumer leaves behind: all that it received and did not settle is delivered again.
    pub fn release(&self, consumer: &str) {
        let now = self.shared.sources.now();
        self.state().broker.forget_receipts_of(consumer, now);
        self.shared.arrival.notify_waiters();
    }

    /// Whether every message has come to its end, among the dead letters or settled.
    pub fn is_idle(&self) -> bool {
        self.state().broker.is_idle()
    }

    /// How often each fault happened, by its name.
    pub fn faults_drawn(&self) -> BTreeMap<&'static str, u64> {
        self.state().chance.drawn.clone()
    }

    /// Every record that ever left through an outbox, in the order of their commits, for an auditor.
    pub fn outbox_records(&self, outbox: Table) -> Vec<Vec<Arc<Envelope>>> {
        self.state().outbox_records.get(&outbox).cloned().unwrap_or_default()
    }

    /// The way to the store, or back from it. It gives way once in any case, as a call over a network would: so tasks
    /// interleave between their reads and their commits even in one thread.
    async fn travel(&self) {
        let latency = self.state().chance.latency();
        match latency {
            Some(latency) => tokio::time::sleep(latency).await,
            None => tokio::task::yield_now().await,
        }
    }

    /// The way back; where nothing takes time there is none, so that what was done is known at once.
    async fn travel_back(&self) {
        let latency = self.state().chance.latency();
        if let Some(latency) = latency {
            tokio::time::sleep(latency).await;
        }
    }

    fn answerable(&self) -> Result<(), Unavailable> {
        let is_unavailable = self.state().chance.is_unavailable();
        if is_unavailable { Err(Unavailable("it was told to be".to_owned())) } else { Ok(()) }
    }

    /// The state behind the lock. It is whole even where a thread panicked with it, as every change to it is.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn commit(&mut self, transaction: &Transaction, now: Timestamp) -> Result<(), CommitError> {
        if transaction.is_empty() || self.committed.contains(&transaction.id()) {
            return Ok(());
        }
        if transaction.is_independent() {
            return self.commit_each(transaction);
        }
        if self.chance.is_busy() {
            return Err(CommitError::Busy { retry_after: RETRY_AFTER });
        }
        if let Some(write) = self.chance.conflict_among(transaction.writes()) {
            return Err(CommitError::Conflict { key: write.key.clone() });
        }
        let is_unanswered = self.chance.is_unknown();
        if is_unanswered && self.chance.coin() {
            return Err(CommitError::Unknown("the request was lost".to_owned()));
        }
        self.items.write(transaction.writes())?;
        self.send(transaction, now);
        self.remember(transaction.id());
        if is_unanswered {
            return Err(CommitError::Unknown("the answer was lost".to_owned()));
        }
        Ok(())
    }

    /// Commits the writes of an independent transaction, or, where it is to fail, a part of them. It is not remembered,
    /// so the same one again finds its own writes.
    fn commit_each(&mut self, transaction: &Transaction) -> Result<(), CommitError> {
        let writes = transaction.writes();
        let failure = if self.chance.is_busy() {
            CommitError::Busy { retry_after: RETRY_AFTER }
        } else if let Some(write) = self.chance.conflict_among(writes) {
            CommitError::Conflict { key: write.key.clone() }
        } else if self.chance.is_unknown() {
            CommitError::Unknown("some answers were lost".to_owned())
        } else {
            return self.items.write_each(writes);
        };
        let part = self.chance.part_of(writes);
        // The failure that was drawn is told, whatever else is not as expected.
        let _ = self.items.write_each(part);
        Err(failure)
    }

    fn send(&mut self, transaction: &Transaction, now: Timestamp) {
        let Some((outbox, messages)) = transaction.outbox() else { return };
        let record: Vec<Arc<Envelope>> = messages.iter().cloned().map(Arc::new).collect();
        for envelope in &record {
            self.broker.send(outbox, envelope, &mut self.chance, now);
        }
        self.outbox_records.entry(outbox).or_default().push(record);
    }

    /// The ids are of version 7, so the smallest is the oldest.
    fn remember(&mut self, transaction_id: Uuid) {
        self.committed.insert(transaction_id);
        if self.committed.len() > COMMITTED_MAX {
            self.committed.pop_first();
        }
    }
}

impl Store for MemoryStore {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Unavailable> {
        self.travel().await;
        self.answerable()?;
        let items = {
            let state = self.state();
            keys.iter().map(|key| state.items.get(key)).collect()
        };
        self.travel_back().await;
        Ok(items)
    }

    async fn query(&self, range: &Range) -> Result<Page<Cursor>, Unavailable> {
        self.travel().await;
        self.answerable()?;
        let page = self.state().items.query(range);
        self.travel_back().await;
        Ok(page)
    }

    async fn scan(
        &self,
        table: Table,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Page<Place>, Unavailable> {
        self.travel().await;
        self.answerable()?;
        let page = self.state().items.scan(table, after, limit);
        self.travel_back().await;
        Ok(page)
    }

    async fn commit(&self, transaction: &Transaction) -> Result<(), CommitError> {
        self.travel().await;
        let committed = self.state().commit(transaction, self.shared.sources.now());
        if transaction.outbox().is_some() {
            self.shared.arrival.notify_waiters();
        }
        self.travel_back().await;
        committed
    }
}

impl Queues for MemoryStore {
    async fn receive(&self, consumer: &'static str, limit: usize) -> Result<Vec<Received>, Unavailable> {
        self.travel().await;
        self.answerable()?;
        loop {
            // Listens before it looks, so that what arrives between the two is not slept through.
            let mut arrival = pin!(self.shared.arrival.notified());
            arrival.as_mut().enable();
            let now = self.shared.sources.now();
            let taken = self.state().broker.receive(consumer, limit, now)?;
            match taken {
                Taken::Deliveries(received) => return Ok(received),
                Taken::NothingUntil(due_at) => {
                    let wait = due_at.since(now).min(CLOCK_CHECK);
                    // Whether it was the timer or an arrival, the queue is looked at again.
                    let _ = tokio::time::timeout(wait, arrival).await;
                }
                Taken::Nothing => arrival.await,
            }
        }
    }

    async fn settle(&self, consumer: &'static str, settled: Vec<Settled>) -> Result<(), Unavailable> {
        self.travel().await;
        self.answerable()?;
        let now = self.shared.sources.now();
        self.state().broker.settle(consumer, settled, now)?;
        self.shared.arrival.notify_waiters();
        Ok(())
    }
}

impl QueueAdmin for MemoryStore {
    async fn depths(&self) -> Result<Vec<QueueDepth>, Unavailable> {
        tokio::task::yield_now().await;
        Ok(self.state().broker.depths())
    }

    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, Unavailable> {
        tokio::task::yield_now().await;
        Ok(self.state().broker.dead_letters(after, limit))
    }

    async fn dead_letter(&self, dead_letter_id: &str) -> Result<Option<DeadLetter>, Unavailable> {
        tokio::task::yield_now().await;
        Ok(self.state().broker.dead_letter(dead_letter_id))
    }

    async fn redrive(&self, dead_letter_id: &str) -> Result<bool, Unavailable> {
        tokio::task::yield_now().await;
        let is_there = self.state().broker.redrive(dead_letter_id);
        self.shared.arrival.notify_waiters();
        Ok(is_there)
    }
}
