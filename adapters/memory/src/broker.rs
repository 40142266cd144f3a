//! The consumers' queues, like those of a broker: a copy of every message for each who hears it, what is due
//! later, what was received and not settled, and the dead letters.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use kernel::Timestamp;
use ports::{
    DeadLetter, Delivery, Envelope, QueueDepth, Receipt, Received, Settled, Subscription, Table, Unavailable,
    Verdict,
};

use crate::faults::Chance;

/// One consumer's copy of a message.
struct Copy {
    envelope: Arc<Envelope>,
    /// How often it was delivered.
    attempts: u32,
}

struct Queue {
    subscription: Subscription,
    ready: VecDeque<Copy>,
    /// By the time it is due, and in the order it was put there.
    later: BTreeMap<(Timestamp, u64), Copy>,
    received: BTreeMap<Receipt, Copy>,
}

/// What a receiver finds.
pub enum Taken {
    Deliveries(Vec<Received>),
    NothingUntil(Timestamp),
    Nothing,
}

pub struct Broker {
    queues: Vec<Queue>,
    dead: BTreeMap<String, DeadLetter>,
    /// Numbers receipts, dead letters and what is due at the same time.
    serial: u64,
}

impl Broker {
    pub fn new(subscriptions: Vec<Subscription>) -> Self {
        let queue = |subscription| Queue {
            subscription,
            ready: VecDeque::new(),
            later: BTreeMap::new(),
            received: BTreeMap::new(),
        };
        Self { queues: subscriptions.into_iter().map(queue).collect(), dead: BTreeMap::new(), serial: 0 }
    }

    /// Puts a message into the queue of everybody who hears it.
    pub fn send(&mut self, outbox: Table, envelope: &Arc<Envelope>, chance: &mut Chance, now: Timestamp) {
        for queue in self.queues.iter_mut().filter(|queue| queue.hears(outbox, &envelope.kind)) {
            for _ in 0..chance.copies() {
                let copy = Copy { envelope: Arc::clone(envelope), attempts: 0 };
                if let Some(delay) = chance.delay() {
                    queue.later.insert((now + delay, next(&mut self.serial)), copy);
                } else {
                    let position = chance.position(queue.ready.len());
                    queue.ready.insert(position, copy);
                }
            }
        }
    }

    pub fn receive(&mut self, consumer: &str, limit: usize, now: Timestamp) -> Result<Taken, Unavailable> {
        let serial = &mut self.serial;
        let queue = queue_of(&mut self.queues, consumer)?;
        let mut received = Vec::new();
        while received.len() < limit.max(1) {
            let Some(mut copy) = queue.take(now) else { break };
            copy.attempts += 1;
            let delivery = Delivery { envelope: Arc::clone(&copy.envelope), attempt: copy.attempts };
            let receipt = Receipt(next(serial));
            queue.received.insert(receipt, copy);
            received.push(Received { receipt, delivery });
        }
        Ok(match queue.later.first_key_value() {
            _ if !received.is_empty() => Taken::Deliveries(received),
            Some(((due_at, _), _)) => Taken::NothingUntil(*due_at),
            None => Taken::Nothing,
        })
    }

    /// Ends deliveries. A receipt from before a crash names nothing any more and is passed over.
    pub fn settle(
        &mut self,
        consumer: &str,
        settled: Vec<Settled>,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let serial = &mut self.serial;
        let queue = queue_of(&mut self.queues, consumer)?;
        for Settled { receipt, verdict } in settled {
            let Some(copy) = queue.received.remove(&receipt) else { continue };
            match verdict {
                Verdict::Done => {}
                Verdict::Again { at, reason: _ } => {
                    queue.later.insert((at, next(serial)), copy);
                }
                Verdict::Dead { reason } => {
                    // As many digits as there can be, so that the order of the texts is that of the numbers.
                    let dead_letter_id = format!("{:020}", next(serial));
                    let dead_letter = DeadLetter {
                        dead_letter_id: dead_letter_id.clone(),
                        consumer: consumer.to_owned(),
                        reason,
                        attempts: copy.attempts,
                        died_at: now,
                        envelope: Envelope::clone(&copy.envelope),
                    };
                    self.dead.insert(dead_letter_id, dead_letter);
                }
            }
        }
        Ok(())
    }

    pub fn forget_receipts(&mut self, now: Timestamp) {
        self.queues.iter_mut().for_each(|queue| queue.forget_receipts(&mut self.serial, now));
    }

    pub fn forget_receipts_of(&mut self, consumer: &str, now: Timestamp) {
        let queue = self.queues.iter_mut().filter(|queue| queue.subscription.consumer == consumer);
        queue.for_each(|queue| queue.forget_receipts(&mut self.serial, now));
    }

    pub fn is_idle(&self) -> bool {
        self.queues
            .iter()
            .all(|queue| queue.ready.is_empty() && queue.later.is_empty() && queue.received.is_empty())
    }

    pub fn depths(&self) -> Vec<QueueDepth> {
        self.queues.iter().map(|queue| queue.depth(&self.dead)).collect()
    }

    pub fn dead_letters(&self, after: Option<&str>, limit: usize) -> Vec<DeadLetter> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.dead
            .range::<str, _>((behind, Bound::Unbounded))
            .take(limit)
            .map(|(_, letter)| letter.clone())
            .collect()
    }

    pub fn dead_letter(&self, dead_letter_id: &str) -> Option<DeadLetter> {
        self.dead.get(dead_letter_id).cloned()
    }

    /// Sends a dead letter to its consumer again. False if there is none.
    pub fn redrive(&mut self, dead_letter_id: &str) -> bool {
        let Some(letter) = self.dead.remove(dead_letter_id) else { return false };
        if let Ok(queue) = queue_of(&mut self.queues, &letter.consumer) {
            queue.ready.push_back(Copy { envelope: Arc::new(letter.envelope), attempts: 0 });
        }
        true
    }
}

impl Queue {
    fn hears(&self, outbox: Table, kind: &str) -> bool {
        self.subscription.outboxes.contains(&outbox) && self.subscription.kinds.contains(&kind)
    }

    fn forget_receipts(&mut self, serial: &mut u64, now: Timestamp) {
        for copy in std::mem::take(&mut self.received).into_values() {
            self.later.insert((now, next(serial)), copy);
        }
    }

    /// What is due again goes first.
    fn take(&mut self, now: Timestamp) -> Option<Copy> {
        let due = self.later.first_entry().filter(|entry| entry.key().0 <= now);
        due.map(|entry| entry.remove()).or_else(|| self.ready.pop_front())
    }

    fn depth(&self, dead: &BTreeMap<String, DeadLetter>) -> QueueDepth {
        let consumer = self.subscription.consumer;
        let copies = || self.ready.iter().chain(self.later.values());
        QueueDepth {
            consumer: consumer.to_owned(),
            waiting: count(copies().filter(|copy| copy.attempts == 0)),
            retrying: count(copies().filter(|copy| copy.attempts > 0)),
            dead: count(dead.values().filter(|letter| letter.consumer == consumer)),
            oldest_at: copies().map(|copy| copy.envelope.occurred_at).min(),
        }
    }
}

fn queue_of<'a>(queues: &'a mut [Queue], consumer: &str) -> Result<&'a mut Queue, Unavailable> {
    let queue = queues.iter_mut().find(|queue| queue.subscription.consumer == consumer);
    queue.ok_or_else(|| Unavailable(format!("nobody is subscribed as {consumer:?}")))
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    items.fold(0, |sum, _| sum + 1)
}

fn next(serial: &mut u64) -> u64 {
    *serial += 1;
    *serial
}
