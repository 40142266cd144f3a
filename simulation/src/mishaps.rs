//! What befalls the process, its consumers and its clock while customers ask, and the poison that somebody sends.
//!
//! The clock is moved by less than a day in all, since a key is kept for a day.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use contracts::topology::{ROUTES, Route, consumers};
use kernel::{CorrelationId, MessageId};
use ports::{Envelope, Store, Table, Transaction};
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::sync::watch;

use crate::counter::Counter;
use crate::dice::Dice;
use crate::plan::{Mishap, Plan};
use crate::world::{World, pause};

/// Whose draws these are among all of a run.
const DRAWS: u64 = 1_000_002;
/// The most mishaps of a run, so that the bank gets on between them.
const MISHAPS_MAX: u32 = 400;
/// The most poison of a run.
const POISON_MAX: usize = 40;
/// How far the clock is moved forward in all, give or take an hour.
const FORWARD_MAX: Duration = Duration::from_secs(20 * 60 * 60);

/// Lets things go wrong.
pub struct Mishaps {
    plan: Arc<Plan>,
    world: World,
    counter: Counter,
    dice: Dice,
    forward: Duration,
    poison: BTreeSet<(String, String)>,
    /// How often each mishap came.
    counts: Vec<(Mishap, u64)>,
}

/// What there was of it.
pub struct Suffered {
    /// Each poisoned message with a consumer who hears its kind.
    pub poison: BTreeSet<(String, String)>,
    /// How often each mishap came.
    pub counts: Vec<(Mishap, u64)>,
}

impl Mishaps {
    /// Nothing has happened yet.
    pub fn new(plan: Arc<Plan>, world: World, counter: Counter) -> Self {
        let dice = Dice::new(plan.seed, DRAWS);
        let counts = plan.mishaps.iter().map(|(mishap, _)| (*mishap, 0)).collect();
        Self { plan, world, counter, dice, forward: Duration::ZERO, poison: BTreeSet::new(), counts }
    }

    /// Goes on until it is told that it is over. What died may still be dead then.
    pub async fn happen(mut self, mut over: watch::Receiver<bool>) -> Suffered {
        for _ in 0..MISHAPS_MAX {
            let wait = pause(self.dice.between(0, self.plan.mishap_ms_max));
            tokio::select! {
                biased;
                _ = over.wait_for(|is_over| *is_over) => break,
                () = wait => {}
            }
            let Some(mishap) = self.dice.weighed(&self.plan.mishaps) else { break };
            let is_enough = match mishap {
                Mishap::Poison => self.poison.len() >= POISON_MAX,
                Mishap::ClockForward => self.forward >= FORWARD_MAX,
                _ => false,
            };
            if is_enough {
                continue;
            }
            self.counts.iter_mut().filter(|(kind, _)| *kind == mishap).for_each(|(_, count)| *count += 1);
            match mishap {
                Mishap::ProcessDies => self.kill().await,
                Mishap::ConsumerDies => self.kill_consumer(50),
                Mishap::ConsumerStalls => self.kill_consumer(30_000),
                Mishap::Poison => self.poison().await,
                Mishap::ClockForward => self.move_forward(),
                Mishap::ClockBack => self.move_back(),
            }
        }
        Suffered { poison: self.poison, counts: self.counts }
    }

    async fn kill(&mut self) {
        self.counter.note("the process dies");
        self.world.kill();
        pause(self.dice.between(0, 2_000)).await;
        self.world.start();
        self.counter.note("the process runs again");
    }

    fn kill_consumer(&mut self, away_ms_max: u64) {
        let consumer = *self.dice.pick(consumers::ALL).unwrap_or(&consumers::LEDGER_COMMANDS);
        let away_ms = self.dice.between(0, away_ms_max);
        self.counter.note(&format!("{consumer} dies and is away for {away_ms} ms"));
        self.world.kill_consumer(consumer);
        let world = self.world.clone();
        tokio::spawn(async move {
            pause(away_ms).await;
            world.start_consumer(consumer);
        });
    }

    fn move_forward(&mut self) {
        let by = Duration::from_millis(self.dice.between(1, 4_000_000));
        self.forward += by;
        self.world.clock.advance(by);
        self.counter.note(&format!("the clock was moved forward by {by:?}"));
    }

    fn move_back(&mut self) {
        let by = Duration::from_millis(self.dice.between(1, 5_000));
        self.world.clock.turn_back(by);
        self.counter.note(&format!("the clock was moved back by {by:?}"));
    }

    /// Sends a message that nobody can read: of an unknown version, or with a body that is none of its kind.
    async fn poison(&mut self) {
        let Some(Route { kind, sender, receivers }) = self.dice.pick(ROUTES) else { return };
        let (sources, is_of_the_future) = (&self.world.sources, self.dice.percent(50));
        let Ok(body) = to_raw_value(&json!({"poison": true, "operation_id": 7})) else { return };
        let message_id = MessageId::new(sources.fresh_id());
        let envelope = Envelope {
            message_id,
            kind: kind.name().to_owned(),
            version: if is_of_the_future { 99 } else { 1 },
            group: "poison".to_owned(),
            correlation_id: CorrelationId::new(sources.fresh_id()),
            causation_id: None,
            traceparent: String::new(),
            occurred_at: sources.now(),
            body,
        };
        let mut transaction = Transaction::new(sources.fresh_id());
        let is_sent = transaction.emit(Table(sender.outbox()), envelope).is_ok();
        let committed = self.world.store.commit(&transaction).await;
        // Where the store did not take it, or it is not known whether it did, the same one is not sent again: whether
        // it was sent is seen in the outbox.
        let answer = committed.err().map_or_else(|| "sent".to_owned(), |error| error.to_string());
        self.counter.note(&format!("poison of kind {}, {message_id}: {is_sent}, {answer}", kind.name()));
        let hearers = receivers.iter().map(|receiver| (message_id.to_string(), (*receiver).to_owned()));
        self.poison.extend(hearers);
    }
}
