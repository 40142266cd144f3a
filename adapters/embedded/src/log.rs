//! The log in memory: the newest records of each outbox, and how far every consumer is with them.
//!
//! The committer appends what it has made durable; a consumer takes from its position, and settles. A record that
//! has left the tail is read from the store by the caller (see `queues`), since nothing here waits for a disk: the
//! one lock is held for moments only. What is kept is bounded: the tail of an outbox by [`TAIL_BYTES_MAX`], what
//! was read from the store by the page that was read, deliveries under way by the batches of the consumers.
//!
//! A consumer's cursor stands before the oldest record of which a message is still under way. It is saved now and
//! then, never waited for: after a crash a consumer hears a little twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use kernel::Timestamp;
use ports::{Envelope, Receipt, Received, Subscription, Table};
use tokio::sync::Notify;

use crate::consumer::{ConsumerState, CursorMove, Deliverable, Taken, UnderWay};
use crate::group::Records;
use crate::locked;

/// How many bytes of records one outbox keeps in memory for those who follow closely.
const TAIL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The messages of one transaction, as the log holds them.
pub(crate) struct LogRecord {
    pub(crate) sequence: u64,
    pub(crate) messages: Vec<Arc<Envelope>>,
}

impl LogRecord {
    fn bytes(&self) -> usize {
        self.messages.iter().map(|message| message.bytes()).sum()
    }
}

/// The newest records of one outbox, oldest first.
pub(crate) struct Tail {
    pub(crate) records: VecDeque<Arc<LogRecord>>,
    bytes: usize,
    /// The sequence of the next record that is appended.
    pub(crate) next: u64,
}

impl Tail {
    /// The oldest sequence that is in memory, or that of the next record where none is.
    pub(crate) fn first(&self) -> u64 {
        self.records.front().map_or(self.next, |record| record.sequence)
    }

    /// The record of this sequence; sequences have no gaps within the tail.
    pub(crate) fn record(&self, sequence: u64) -> Option<&Arc<LogRecord>> {
        let index = sequence.checked_sub(self.first())?;
        self.records.get(usize::try_from(index).ok()?)
    }

    fn append(&mut self, record: Arc<LogRecord>) {
        self.bytes += record.bytes();
        self.next = record.sequence + 1;
        self.records.push_back(record);
        while self.bytes > TAIL_BYTES_MAX {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
    }
}

/// Where a consumer stands when the store is opened.
pub(crate) struct Start {
    pub(crate) subscription: Subscription,
    /// The saved cursor of each of its outboxes.
    pub(crate) cursors: BTreeMap<Table, u64>,
    /// How many messages wait behind the cursors.
    pub(crate) waiting: u64,
    /// When the first of its retries is due.
    pub(crate) next_due: Option<Timestamp>,
}

struct State {
    tails: BTreeMap<Table, Tail>,
    consumers: Vec<ConsumerState>,
    receipts: u64,
    has_moved: bool,
}

/// The log, shared by the committer and the consumers.
pub(crate) struct Log {
    state: Mutex<State>,
    wakes: BTreeMap<&'static str, Notify>,
}

impl Log {
    /// A log with nothing in memory; `last` is the sequence of the newest record of each outbox.
    pub(crate) fn new(last: &BTreeMap<Table, u64>, starts: Vec<Start>) -> Self {
        let tail = |last: &u64| Tail { records: VecDeque::new(), bytes: 0, next: last + 1 };
        let wakes = starts.iter().map(|start| (start.subscription.consumer, Notify::new())).collect();
        let state = State {
            tails: last.iter().map(|(outbox, last)| (*outbox, tail(last))).collect(),
            consumers: starts.into_iter().map(ConsumerState::new).collect(),
            receipts: 0,
            has_moved: false,
        };
        Self { state: Mutex::new(state), wakes }
    }

    /// What wakes a consumer; none for a name that no subscription has.
    pub(crate) fn wake(&self, consumer: &str) -> Option<&Notify> {
        self.wakes.get(consumer)
    }

    /// The sequence of the next record of each outbox.
    pub(crate) fn next_sequences(&self) -> BTreeMap<Table, u64> {
        locked(&self.state).tails.iter().map(|(outbox, tail)| (*outbox, tail.next)).collect()
    }

    /// Appends records that are durable, and wakes whoever has something to do with them.
    ///
    /// A consumer that is up to date and is not concerned passes over the record here, so that it sleeps on.
    pub(crate) fn append(&self, records: Records) {
        if records.is_empty() {
            return;
        }
        let mut state = locked(&self.state);
        let State { tails, consumers, has_moved, .. } = &mut *state;
        let mut to_wake = vec![false; consumers.len()];
        for (outbox, record) in records {
            for (consumer, wake) in consumers.iter_mut().zip(&mut to_wake) {
                match consumer.hear(outbox, &record) {
                    Some(0) => *has_moved = true,
                    Some(_) => *wake = true,
                    None => {}
                }
            }
            if let Some(tail) = tails.get_mut(&outbox) {
                tail.append(record);
            }
        }
        let names: Vec<_> =
            consumers.iter().zip(to_wake).filter(|(_, wake)| *wake).map(|(c, _)| c.name).collect();
        drop(state);
        for name in names {
            self.notify(name);
        }
    }

    /// Takes at most `limit` new messages for a consumer.
    pub(crate) fn take(&self, consumer: &str, limit: usize) -> Taken {
        let mut state = locked(&self.state);
        let State { tails, consumers, receipts, has_moved } = &mut *state;
        let Some(consumer) = consumers.iter_mut().find(|state| state.name == consumer) else {
            return Taken::Nothing;
        };
        consumer.take(tails, limit, receipts, has_moved)
    }

    /// Keeps records that were read from the store for a consumer that is behind the tail.
    pub(crate) fn fetched(&self, consumer: &str, outbox: Table, from: u64, to: u64, records: Vec<LogRecord>) {
        self.with(consumer, |consumer| consumer.fetched(outbox, from, to, records));
    }

    /// When the first retry of a consumer is due that is not under way.
    pub(crate) fn next_due(&self, consumer: &str) -> Option<Timestamp> {
        self.with(consumer, |consumer| consumer.next_due).flatten()
    }

    /// Begins to read the retries of a consumer: how many of them are under way. What is due must be told again
    /// by [`Self::due`] afterwards, and what others tell in between is not forgotten.
    pub(crate) fn begin_retries(&self, consumer: &str) -> usize {
        let begin = |consumer: &mut ConsumerState| {
            consumer.next_due = None;
            consumer.retries_under_way()
        };
        self.with(consumer, begin).unwrap_or(0)
    }

    /// Hands out at most `limit` retries that were read from the store, unless they are under way already.
    pub(crate) fn take_retries(&self, consumer: &str, due: Vec<Deliverable>, limit: usize) -> Vec<Received> {
        let mut state = locked(&self.state);
        let State { consumers, receipts, .. } = &mut *state;
        let consumer = consumers.iter_mut().find(|state| state.name == consumer);
        consumer.map_or_else(Vec::new, |consumer| consumer.take_retries(due, limit, receipts))
    }

    /// A message of this consumer is due again at this time.
    pub(crate) fn due(&self, consumer: &str, at: Timestamp) {
        self.with(consumer, |consumer| consumer.due(at));
        self.notify(consumer);
    }

    /// Takes deliveries out of those under way, to be settled. A receipt that was settled before names none.
    pub(crate) fn lift(&self, consumer: &str, receipt: Receipt) -> Option<UnderWay> {
        self.with(consumer, |consumer| consumer.under_way.remove(&receipt)).flatten()
    }

    /// The cursor may pass these messages of the log. True if no other move was waiting to be saved.
    pub(crate) fn end<'a>(&self, consumer: &str, ended: impl Iterator<Item = &'a UnderWay>) -> bool {
        let mut state = locked(&self.state);
        let State { consumers, has_moved, .. } = &mut *state;
        let Some(consumer) = consumers.iter_mut().find(|state| state.name == consumer) else { return false };
        let has_ended = ended.filter(|delivery| consumer.end(delivery)).count() > 0;
        has_ended && !std::mem::replace(has_moved, true)
    }

    /// Takes back [`Self::end`]: what was to be saved with it was not.
    pub(crate) fn resume<'a>(&self, consumer: &str, ended: impl Iterator<Item = &'a UnderWay>) {
        self.with(consumer, |consumer| ended.for_each(|delivery| consumer.resume(delivery)));
    }

    /// Whether a cursor has moved since the cursors were last saved.
    pub(crate) fn has_moved(&self) -> bool {
        locked(&self.state).has_moved
    }

    /// The cursors that moved since they were last saved; they count as saved now.
    pub(crate) fn save_cursors(&self) -> Vec<CursorMove> {
        let mut state = locked(&self.state);
        if !std::mem::take(&mut state.has_moved) {
            return Vec::new();
        }
        state.consumers.iter_mut().flat_map(ConsumerState::save_cursors).collect()
    }

    /// Takes back [`Self::save_cursors`].
    pub(crate) fn unsave_cursors(&self, moves: &[CursorMove]) {
        let mut state = locked(&self.state);
        for moved in moves {
            if let Some(consumer) = state.consumers.iter_mut().find(|state| state.name == moved.consumer) {
                consumer.unsave_cursor(moved);
            }
        }
        state.has_moved |= !moves.is_empty();
    }

    /// How many messages of each consumer wait for their first delivery.
    pub(crate) fn waiting(&self) -> Vec<(&'static str, u64)> {
        locked(&self.state).consumers.iter().map(|consumer| (consumer.name, consumer.waiting)).collect()
    }

    /// The next message of a consumer in each outbox: its record, and how many of that record were taken.
    pub(crate) fn positions(&self, consumer: &str) -> Vec<(Table, u64, usize)> {
        self.with(consumer, |consumer| consumer.positions()).unwrap_or_default()
    }

    fn with<T>(&self, consumer: &str, f: impl FnOnce(&mut ConsumerState) -> T) -> Option<T> {
        let mut state = locked(&self.state);
        state.consumers.iter_mut().find(|state| state.name == consumer).map(f)
    }

    fn notify(&self, consumer: &str) {
        if let Some(wake) = self.wakes.get(consumer) {
            // Leaves a permit where nobody waits, so that no wake-up is lost.
            wake.notify_one();
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
