//! Thousands of messages, verdicts at random, and crashes: every message ends, and none is lost.
//!
//! These properties expect messages more than once, late and in any order, and so run on every world.

use std::collections::BTreeSet;
use std::time::Duration;

use kernel::MessageId;
use ports::{Envelope, QueueAdmin, Queues, Received, Settled, Sources, Table, Verdict};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::fixture::{PATIENCE, depth, depth_becomes, message, must, receive, receive_if_any, send_all};
use crate::{MessageWorld, OTHERS_EVENTS, PLACED, RARE, TAKEN, THINGS_EVENTS, UNHEARD, subscriptions};

/// The attempt at which a message is always done.
const ATTEMPTS_MAX: u32 = 4;

/// What leaves in one transaction.
type Sending = (Table, Vec<Envelope>);

fn sendings(sources: &Sources, seed: u64, count: usize) -> Vec<Sending> {
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut one = || {
        let outbox = if chance.random_bool(0.7) { THINGS_EVENTS } else { OTHERS_EVENTS };
        let size = chance.random_range(1..=20);
        let kinds = [PLACED, PLACED, TAKEN, TAKEN, UNHEARD, RARE];
        (outbox, (0..size).map(|_| message(sources, kinds[chance.random_range(0..kinds.len())])).collect())
    };
    (0..count).map(|_| one()).collect()
}

/// One consumer's part: what it must be delivered, and what it made of it.
struct Part {
    consumer: &'static str,
    expected: BTreeSet<MessageId>,
    done: BTreeSet<MessageId>,
    dead: Vec<MessageId>,
    chance: Xoshiro256PlusPlus,
}

impl Part {
    /// A part for every consumer.
    fn all(sendings: &[Sending]) -> Vec<Self> {
        let part = |subscription: ports::Subscription| {
            let heard = sendings.iter().filter(|(outbox, _)| subscription.outboxes.contains(outbox));
            let heard = heard.flat_map(|(_, messages)| messages);
            let heard = heard.filter(|message| subscription.kinds.contains(&message.kind.as_str()));
            Self {
                consumer: subscription.consumer,
                expected: heard.map(|message| message.message_id).collect(),
                done: BTreeSet::new(),
                dead: Vec::new(),
                chance: Xoshiro256PlusPlus::seed_from_u64(7),
            }
        };
        subscriptions().into_iter().map(part).collect()
    }

    fn is_complete(&self) -> bool {
        self.expected.iter().all(|id| self.done.contains(id) || self.dead.contains(id))
    }

    /// Gives each delivery a verdict by chance, and settles them in one or two calls.
    async fn settle<Q: Queues>(&mut self, queues: &Q, sources: &Sources, received: &[Received]) {
        let mut settled = Vec::new();
        for one in received {
            let id = one.delivery.envelope.message_id;
            assert!(
                self.expected.contains(&id),
                "{} is not for {}",
                one.delivery.envelope.kind,
                self.consumer
            );
            let reason = "by chance".to_owned();
            let verdict = match self.chance.random_range(0..100) {
                _ if one.delivery.attempt >= ATTEMPTS_MAX => Verdict::Done,
                0..75 => Verdict::Done,
                75..95 => Verdict::Again {
                    at: sources.now() + Duration::from_millis(self.chance.random_range(0..30)),
                    reason,
                },
                _ => Verdict::Dead { reason },
            };
            match verdict {
                Verdict::Done => _ = self.done.insert(id),
                Verdict::Dead { .. } => self.dead.push(id),
                Verdict::Again { .. } => {}
            }
            settled.push(Settled { receipt: one.receipt, verdict });
        }
        let rest = settled.split_off(self.chance.random_range(0..=settled.len()));
        for part in [settled, rest] {
            must(queues.settle(self.consumer, part).await);
        }
    }

    /// Takes messages until all that is expected has ended.
    async fn run<Q: Queues>(mut self, queues: Q, sources: Sources) -> Self {
        while !self.is_complete() {
            let limit = self.chance.random_range(1..=64);
            let received = receive(&queues, self.consumer, limit).await;
            self.settle(&queues, &sources, &received).await;
        }
        self
    }

    /// Takes whatever still comes, repetitions and late copies included, until the queue is empty.
    async fn drain<Q: Queues + QueueAdmin>(mut self, queues: &Q, sources: &Sources) -> Self {
        loop {
            let received = receive_if_any(queues, self.consumer, 64).await;
            self.settle(queues, sources, &received).await;
            let depth = depth(queues, self.consumer).await;
            if received.is_empty() && depth.waiting + depth.retrying == 0 {
                return self;
            }
        }
    }
}

async fn end_all<Q: Queues>(queues: &Q, consumer: &'static str, received: &[Received]) {
    let done = received.iter().map(|one| Settled { receipt: one.receipt, verdict: Verdict::Done });
    must(queues.settle(consumer, done.collect()).await);
}

/// Redrives every dead letter and sees each one delivered to its consumer.
async fn redrive_all<Q: Queues + QueueAdmin>(queues: &Q, parts: &[Part]) {
    let dead: usize = parts.iter().map(|part| part.dead.len()).sum();
    for _ in 0..dead {
        let Some(letter) = must(queues.dead_letters(None, 1).await).pop() else { break };
        assert!(must(queues.redrive(&letter.dead_letter_id).await));
    }
    assert!(must(queues.dead_letters(None, 1).await).is_empty(), "more dead letters than verdicts");
    for part in parts {
        let mut missing: BTreeSet<MessageId> = part.dead.iter().copied().collect();
        while !missing.is_empty() {
            let received = receive(queues, part.consumer, 20).await;
            for one in &received {
                missing.remove(&one.delivery.envelope.message_id);
            }
            end_all(queues, part.consumer, &received).await;
        }
        // What came twice may have died twice, and then it comes twice again.
        loop {
            let received = receive_if_any(queues, part.consumer, 20).await;
            if received.is_empty() {
                break;
            }
            end_all(queues, part.consumer, &received).await;
        }
        depth_becomes(queues, part.consumer, (0, 0, 0)).await;
    }
}

/// Senders and consumers side by side: each message ends at each of its consumers, the dead ones in the dead letters.
pub async fn no_message_is_lost<W: MessageWorld>() {
    let world = W::open().await;
    let (store, queues, sources) = (world.store(), world.queues(), world.sources());
    let sendings = sendings(&sources, 1, 400);
    let parts = Part::all(&sendings);
    assert!(parts.iter().map(|part| part.expected.len()).sum::<usize>() > 3_000);

    let mut senders = JoinSet::new();
    for part in sendings.chunks(100).map(<[Sending]>::to_vec) {
        let (store, sources) = (store.clone(), sources.clone());
        senders.spawn(async move {
            for (outbox, messages) in part {
                send_all(&store, &sources, outbox, &messages).await;
            }
        });
    }
    let mut consumers = JoinSet::new();
    for part in parts {
        consumers.spawn(part.run(queues.clone(), sources.clone()));
    }
    senders.join_all().await;
    let parts = must(timeout(PATIENCE * 3, consumers.join_all()).await);

    let mut ended = Vec::new();
    for part in parts {
        let part = part.drain(&queues, &sources).await;
        let expected = u64::try_from(part.dead.len()).unwrap_or(u64::MAX);
        depth_becomes(&queues, part.consumer, (0, 0, expected)).await;
        ended.push(part);
    }
    redrive_all(&queues, &ended).await;
}

/// The same with a crash in the middle of every round: some deliveries settled, some received, some neither.
pub async fn no_message_is_lost_in_crashes<W: MessageWorld>() {
    let mut world = W::open().await;
    let sources = world.sources();
    let sendings = sendings(&sources, 2, 60);
    let mut parts = Part::all(&sendings);
    for round in sendings.chunks(12) {
        for (outbox, messages) in round {
            send_all(&world.store(), &sources, *outbox, messages).await;
        }
        for part in &mut parts {
            let queues = world.queues();
            for is_settled in [true, true, false] {
                let received = receive_if_any(&queues, part.consumer, 30).await;
                if is_settled {
                    part.settle(&queues, &sources, &received).await;
                }
            }
        }
        world = world.crash().await;
    }
    let queues = world.queues();
    let mut ended = Vec::new();
    for part in parts {
        let part = part.drain(&queues, &sources).await;
        assert!(part.is_complete(), "{} has lost messages", part.consumer);
        ended.push(part);
    }
    redrive_all(&queues, &ended).await;
}
