//! One consumer: its position in each outbox, what it has under way, and the cursor that follows from both.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use kernel::Timestamp;
use ports::{Delivery, Envelope, Receipt, Received, Table};

use crate::log::{LogRecord, Start, Tail};

/// Where a delivery came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// A record of an outbox.
    Log { outbox: Table, sequence: u64 },
    /// A row of the retries.
    Retry { retry_id: i64 },
}

/// A delivery that was handed out and is not settled.
#[derive(Clone)]
pub(crate) struct UnderWay {
    pub(crate) origin: Origin,
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) attempt: u32,
}

/// A retry as it is read from the store.
pub(crate) struct Deliverable {
    pub(crate) retry_id: i64,
    pub(crate) attempt: u32,
    pub(crate) envelope: Envelope,
}

/// What a consumer gets from the log.
pub(crate) enum Taken {
    /// At least one message.
    Messages(Vec<Received>),
    /// Its next records have left the tail: they are in the store, from the first sequence to the second.
    Behind { outbox: Table, from: u64, to: u64 },
    /// It is up to date.
    Nothing,
}

/// A cursor that is about to be saved.
pub(crate) struct CursorMove {
    pub(crate) consumer: &'static str,
    pub(crate) outbox: Table,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// How far a consumer is with one outbox.
struct Reading {
    outbox: Table,
    /// The record of the next message, and how many of its messages were taken already.
    next: u64,
    taken: usize,
    /// How many messages are under way of each record that has any.
    under_way: BTreeMap<u64, usize>,
    /// Records that were read from the store because the tail no longer holds them.
    fetched: VecDeque<Arc<LogRecord>>,
    /// The cursor as it was last saved.
    saved: u64,
}

impl Reading {
    /// The last record that this consumer is done with, like all before it.
    fn cursor(&self) -> u64 {
        let oldest =
            self.under_way.first_key_value().map_or(self.next, |(sequence, _)| self.next.min(*sequence));
        oldest - 1
    }

    /// The record to continue with, where it is in memory.
    fn record(&mut self, tail: &Tail) -> Option<Arc<LogRecord>> {
        while self.fetched.front().is_some_and(|record| record.sequence < self.next) {
            self.fetched.pop_front();
        }
        let Some(record) = self.fetched.front() else { return tail.record(self.next).cloned() };
        let record = Arc::clone(record);
        self.jump_to(record.sequence);
        Some(record)
    }

    fn jump_to(&mut self, sequence: u64) {
        if self.next < sequence {
            self.next = sequence;
            self.taken = 0;
        }
    }
}

/// Everything that is known of one consumer.
pub(crate) struct ConsumerState {
    pub(crate) name: &'static str,
    kinds: Vec<&'static str>,
    readings: Vec<Reading>,
    /// Which outbox is read first next time, so that a busy one does not starve the others.
    turn: usize,
    pub(crate) under_way: HashMap<Receipt, UnderWay>,
    /// When the first retry is due that is not under way.
    pub(crate) next_due: Option<Timestamp>,
    /// Messages that were never taken.
    pub(crate) waiting: u64,
}

impl ConsumerState {
    pub(crate) fn new(start: Start) -> Self {
        let reading = |outbox: &Table| {
            let saved = start.cursors.get(outbox).copied().unwrap_or(0);
            let (under_way, fetched) = (BTreeMap::new(), VecDeque::new());
            Reading { outbox: *outbox, next: saved + 1, taken: 0, under_way, fetched, saved }
        };
        Self {
            name: start.subscription.consumer,
            readings: start.subscription.outboxes.iter().map(reading).collect(),
            kinds: start.subscription.kinds,
            turn: 0,
            under_way: HashMap::new(),
            next_due: start.next_due,
            waiting: start.waiting,
        }
    }

    /// Learns of a new record: how many of its messages are for this consumer. None if it does not read the outbox.
    pub(crate) fn hear(&mut self, outbox: Table, record: &LogRecord) -> Option<u64> {
        let reading = self.readings.iter_mut().find(|reading| reading.outbox == outbox)?;
        let mut count = 0;
        for message in &record.messages {
            count += u64::from(self.kinds.contains(&message.kind.as_str()));
        }
        self.waiting += count;
        if count == 0 && reading.next == record.sequence {
            reading.next += 1;
        }
        Some(count)
    }

    /// Takes new messages, from each outbox in turn.
    pub(crate) fn take(
        &mut self,
        tails: &BTreeMap<Table, Tail>,
        limit: usize,
        receipts: &mut u64,
        has_moved: &mut bool,
    ) -> Taken {
        let mut messages = Vec::new();
        let mut behind = None;
        let count = self.readings.len();
        self.turn = self.turn.wrapping_add(1);
        for offset in 0..count {
            let index = self.turn.wrapping_add(offset) % count;
            let Some(tail) = tails.get(&self.readings[index].outbox) else { continue };
            self.take_from(index, tail, limit, receipts, &mut messages);
            let reading = &self.readings[index];
            *has_moved |= reading.cursor() > reading.saved;
            if reading.fetched.is_empty() && reading.next < tail.first() {
                behind =
                    Some(Taken::Behind { outbox: reading.outbox, from: reading.next, to: tail.next - 1 });
            }
        }
        if messages.is_empty() { behind.unwrap_or(Taken::Nothing) } else { Taken::Messages(messages) }
    }

    /// Passes over what is for others until the first message that there is no more room for, so that the cursor
    /// follows as soon as what was taken is settled.
    fn take_from(
        &mut self,
        index: usize,
        tail: &Tail,
        limit: usize,
        receipts: &mut u64,
        messages: &mut Vec<Received>,
    ) {
        let reading = &mut self.readings[index];
        while let Some(record) = reading.record(tail) {
            while let Some(envelope) = record.messages.get(reading.taken) {
                if self.kinds.contains(&envelope.kind.as_str()) {
                    if messages.len() == limit {
                        return;
                    }
                    *reading.under_way.entry(record.sequence).or_insert(0) += 1;
                    self.waiting = self.waiting.saturating_sub(1);
                    let origin = Origin::Log { outbox: reading.outbox, sequence: record.sequence };
                    let delivery = UnderWay { origin, envelope: Arc::clone(envelope), attempt: 1 };
                    messages.push(hand_out(&mut self.under_way, delivery, receipts));
                }
                reading.taken += 1;
            }
            reading.jump_to(record.sequence + 1);
        }
    }

    /// Keeps what was read from the store between two sequences; where nothing was, the log has been trimmed there.
    pub(crate) fn fetched(&mut self, outbox: Table, from: u64, to: u64, records: Vec<LogRecord>) {
        let Some(reading) = self.readings.iter_mut().find(|reading| reading.outbox == outbox) else { return };
        if reading.next != from {
            return;
        }
        if records.is_empty() {
            reading.jump_to(to + 1);
        }
        reading.fetched = records.into_iter().map(Arc::new).collect();
    }

    /// A retry is due at this time, perhaps before those known of.
    pub(crate) fn due(&mut self, at: Timestamp) {
        self.next_due = Some(self.next_due.map_or(at, |due| due.min(at)));
    }

    pub(crate) fn retries_under_way(&self) -> usize {
        self.under_way.values().filter(|delivery| matches!(delivery.origin, Origin::Retry { .. })).count()
    }

    pub(crate) fn take_retries(
        &mut self,
        due: Vec<Deliverable>,
        limit: usize,
        receipts: &mut u64,
    ) -> Vec<Received> {
        let mut messages = Vec::with_capacity(due.len().min(limit));
        for Deliverable { retry_id, attempt, envelope } in due {
            let origin = Origin::Retry { retry_id };
            if messages.len() < limit && self.under_way.values().all(|delivery| delivery.origin != origin) {
                let delivery = UnderWay { origin, envelope: Arc::new(envelope), attempt };
                messages.push(hand_out(&mut self.under_way, delivery, receipts));
            }
        }
        messages
    }

    /// The message is no longer under way. True if it came from the log, whose cursor may move by it.
    pub(crate) fn end(&mut self, delivery: &UnderWay) -> bool {
        let Origin::Log { outbox, sequence } = delivery.origin else { return false };
        let Some(reading) = self.readings.iter_mut().find(|reading| reading.outbox == outbox) else {
            return false;
        };
        let Some(count) = reading.under_way.get_mut(&sequence) else { return false };
        *count -= 1;
        if *count == 0 {
            reading.under_way.remove(&sequence);
        }
        true
    }

    /// Takes back [`Self::end`].
    pub(crate) fn resume(&mut self, delivery: &UnderWay) {
        let Origin::Log { outbox, sequence } = delivery.origin else { return };
        if let Some(reading) = self.readings.iter_mut().find(|reading| reading.outbox == outbox) {
            *reading.under_way.entry(sequence).or_insert(0) += 1;
        }
    }

    pub(crate) fn save_cursors(&mut self) -> impl Iterator<Item = CursorMove> {
        let consumer = self.name;
        self.readings.iter_mut().filter(|reading| reading.cursor() > reading.saved).map(move |reading| {
            let (from, to) = (reading.saved, reading.cursor());
            reading.saved = to;
            CursorMove { consumer, outbox: reading.outbox, from, to }
        })
    }

    pub(crate) fn unsave_cursor(&mut self, moved: &CursorMove) {
        if let Some(reading) = self.readings.iter_mut().find(|reading| reading.outbox == moved.outbox) {
            reading.saved = moved.from;
        }
    }

    pub(crate) fn positions(&self) -> Vec<(Table, u64, usize)> {
        self.readings.iter().map(|reading| (reading.outbox, reading.next, reading.taken)).collect()
    }
}

fn hand_out(under_way: &mut HashMap<Receipt, UnderWay>, delivery: UnderWay, receipts: &mut u64) -> Received {
    *receipts += 1;
    let receipt = Receipt(*receipts);
    let envelope = Arc::clone(&delivery.envelope);
    let received = Received { receipt, delivery: Delivery { envelope, attempt: delivery.attempt } };
    under_way.insert(receipt, delivery);
    received
}
