//! Messages by the delivery policy: one bad message does not take others along, and ends with the dead letters.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use contracts::Message;
use contracts::banking::MoveCmd;
use kernel::{AccountId, OperationId, Timestamp, UserId};
use ports::{Consumer, Delivery, Outcome, QueueAdmin, Sources, Store, Transaction};
use runtime::{Policy, SPANS, Trace, Traceparent, consume, deliver, envelope};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{NOTES_EVENTS, READER, World, world};

/// Any message.
pub fn message() -> Message {
    Message::DepositCmd(MoveCmd {
        operation_id: OperationId::new(Uuid::nil()),
        account_id: AccountId::new(Uuid::nil()),
        owner: UserId::new(Uuid::nil()),
        amount: "1.00 EUR".parse().unwrap(),
        description: None,
    })
}

/// Does with a message what its group says, and keeps a record of every call.
struct Obedient {
    sources: Sources,
    calls: Mutex<Vec<Vec<(String, u32, Timestamp)>>>,
}

impl Obedient {
    fn new(sources: &Sources) -> Arc<Self> {
        Arc::new(Self { sources: sources.clone(), calls: Mutex::default() })
    }

    /// How many messages each call had.
    fn batches(&self) -> Vec<usize> {
        self.calls.lock().unwrap().iter().map(Vec::len).collect()
    }

    /// When the messages of this group were delivered, by attempt.
    fn attempts(&self, group: &str) -> Vec<(u32, Timestamp)> {
        let calls = self.calls.lock().unwrap();
        let of_group = calls.iter().flatten().filter(|(other, ..)| other == group);
        of_group.map(|(_, attempt, at)| (*attempt, *at)).collect()
    }
}

impl Consumer for Obedient {
    const NAME: &'static str = READER;

    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let now = self.sources.now();
        let call = batch.iter().map(|delivery| (delivery.envelope.group.clone(), delivery.attempt, now));
        self.calls.lock().unwrap().push(call.collect());
        let mut outcomes = Vec::new();
        for delivery in batch {
            let reason = delivery.envelope.group.clone();
            outcomes.push(match reason.as_str() {
                "panic" => panic!("it was told to"),
                "retry" => Outcome::Retry { after: Duration::ZERO, reason },
                "retry in a minute" => Outcome::Retry { after: Duration::from_secs(60), reason },
                "retry once" if delivery.attempt == 1 => Outcome::Retry { after: Duration::ZERO, reason },
                "reject" => Outcome::Reject { reason },
                "forget" => continue,
                _ => Outcome::Done,
            });
        }
        outcomes
    }
}

impl World {
    pub fn deliveries(&self, groups: &[&str]) -> Vec<Delivery> {
        let trace = Trace::begin(&self.sources);
        let delivery = |group: &&str| {
            let envelope = envelope(&message(), *group, &trace, self.now(), &self.sources);
            Delivery { envelope: Arc::new(envelope), attempt: 1 }
        };
        groups.iter().map(delivery).collect()
    }

    async fn send(&self, groups: &[&str]) {
        let mut transaction = Transaction::new(self.sources.fresh_id());
        for delivery in self.deliveries(groups) {
            transaction.emit(NOTES_EVENTS, delivery.envelope.as_ref().clone()).unwrap();
        }
        self.store.commit(&transaction).await.unwrap();
    }

    /// Consumes what was sent until it is done or dead, and answers the dead letters: group, reason and attempts.
    async fn consume(&self, consumer: &Arc<Obedient>, policy: Policy) -> Vec<(String, String, u32)> {
        let (shutdown, is_over) = watch::channel(false);
        let consumer = Arc::clone(consumer);
        let consuming =
            tokio::spawn(consume(self.store.clone(), consumer, policy, self.sources.clone(), is_over));
        // In paused time a day is as long as all timers within it.
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        let depths = self.store.depths().await.unwrap();
        assert_eq!((depths[0].waiting, depths[0].retrying), (0, 0));
        shutdown.send(true).unwrap();
        consuming.await.unwrap();
        let dead = self.store.dead_letters(None, 100).await.unwrap();
        dead.into_iter().map(|letter| (letter.envelope.group, letter.reason, letter.attempts)).collect()
    }
}

fn is_retry(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retry { .. })
}

#[tokio::test(start_paused = true)]
async fn after_a_panic_or_a_missing_outcome_each_message_is_tried_alone() {
    for bad in ["panic", "forget"] {
        let world = world();
        let consumer = Obedient::new(&world.sources);
        let outcomes = deliver(consumer.as_ref(), &world.deliveries(&["done", bad, "reject", "done"])).await;
        assert_eq!(consumer.batches(), [4, 1, 1, 1, 1], "{bad}");
        assert_eq!((&outcomes[0], &outcomes[3]), (&Outcome::Done, &Outcome::Done), "{bad}");
        assert!(is_retry(&outcomes[1]), "{bad}: {outcomes:?}");
        assert_eq!(outcomes[2], Outcome::Reject { reason: "reject".to_owned() }, "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_batch_is_handled_whole() {
    let world = world();
    let consumer = Obedient::new(&world.sources);
    let outcomes = deliver(consumer.as_ref(), &world.deliveries(&["done", "retry", "done"])).await;
    assert_eq!(consumer.batches(), [3]);
    let expected =
        [Outcome::Done, Outcome::Retry { after: Duration::ZERO, reason: "retry".to_owned() }, Outcome::Done];
    assert_eq!(outcomes, expected);
}

#[tokio::test(start_paused = true)]
async fn a_bad_message_is_dead_after_its_attempts_and_holds_up_nobody() {
    for (bad, reason) in [("retry", "retry"), ("panic", "the consumer failed on this message")] {
        let world = world();
        let consumer = Obedient::new(&world.sources);
        let sent_at = world.now();
        world.send(&["done", bad, "retry once", "done"]).await;
        let dead = world.consume(&consumer, Policy::INSIDE).await;
        assert_eq!(dead, [(bad.to_owned(), reason.to_owned(), Policy::INSIDE.attempts_max)]);
        assert!(consumer.attempts("done").iter().all(|(attempt, at)| (*attempt, *at) == (1, sent_at)));
        assert_eq!(consumer.attempts("retry once").last().unwrap().0, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_is_dead_at_once() {
    let world = world();
    let consumer = Obedient::new(&world.sources);
    world.send(&["reject", "done"]).await;
    let dead = world.consume(&consumer, Policy::INSIDE).await;
    assert_eq!(dead, [("reject".to_owned(), "reject".to_owned(), 1)]);
    assert_eq!(consumer.batches(), [2]);
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_within_their_bounds() {
    // The clock of the store is looked at this often.
    let tick = Duration::from_millis(20);
    for policy in [Policy::INSIDE, Policy::OUTSIDE] {
        let world = world();
        let consumer = Obedient::new(&world.sources);
        world.send(&["retry"; 20]).await;
        world.consume(&consumer, policy).await;
        let attempts = consumer.attempts("retry");
        assert_eq!(attempts.len(), 20 * policy.attempts_max as usize);
        let mut backoff = policy.backoff_first;
        for attempt in 2..=policy.attempts_max {
            let at = |wanted: u32| {
                attempts.iter().filter(move |(attempt, _)| *attempt == wanted).map(|(_, at)| *at)
            };
            let (earliest, latest) = (at(attempt).min().unwrap(), at(attempt).max().unwrap());
            let (began, ended) = (at(attempt - 1).min().unwrap(), at(attempt - 1).max().unwrap());
            assert!(earliest.since(began) >= backoff / 2, "attempt {attempt} came too early");
            assert!(latest.since(ended) <= backoff + tick, "attempt {attempt} came too late");
            backoff = (backoff * 4).min(policy.backoff_max);
        }
        let second: Vec<_> = attempts.iter().filter(|(attempt, _)| *attempt == 2).map(|(_, at)| at).collect();
        assert!(second.iter().any(|at| *at != second[0]), "there is no jitter");
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_may_ask_for_a_longer_pause() {
    let world = world();
    let consumer = Obedient::new(&world.sources);
    world.send(&["retry in a minute"]).await;
    let dead = world.consume(&consumer, Policy::INSIDE).await;
    assert_eq!(dead.len(), 1);
    let attempts = consumer.attempts("retry in a minute");
    assert_eq!(attempts.len(), Policy::INSIDE.attempts_max as usize);
    let is_a_minute = |pair: &[(u32, Timestamp)]| pair[1].1.since(pair[0].1) >= Duration::from_secs(60);
    assert!(attempts.windows(2).all(is_a_minute), "{attempts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_no_larger_than_the_policy_says() {
    let world = world();
    let consumer = Obedient::new(&world.sources);
    world.send(&["done"; 70]).await;
    assert_eq!(world.consume(&consumer, Policy::OUTSIDE).await, []);
    assert_eq!(consumer.batches(), [32, 32, 6]);
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn each_message_of_a_recorded_trace_is_told_with_what_became_of_it() {
    let (log, world) = (Log::default(), world());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let mut batch = world.deliveries(&["done", "retry", "reject", "done"]);
    for delivery in &mut batch[..3] {
        let envelope = Arc::make_mut(&mut delivery.envelope);
        let sampled = Traceparent::read(&envelope.traceparent).unwrap().sampled().to_string();
        envelope.traceparent = sampled;
    }
    deliver(Obedient::new(&world.sources).as_ref(), &batch).await;
    drop(guard);

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let spans: Vec<Value> =
        lines.filter(|line| line["target"] == SPANS).map(|line| line["fields"].clone()).collect();
    assert_eq!(spans.len(), 3, "of the one that is not recorded nothing is told: {text}");
    for ((span, delivery), failure) in spans.iter().zip(&batch).zip([None, Some("retry"), Some("reject")]) {
        assert_eq!(span["error.type"].as_str(), failure);
        assert_eq!(span["otel.name"], format!("process {READER}"));
        assert_eq!(span["traceparent"], Trace::caused_by(READER, delivery).traceparent);
        let sender = Traceparent::read(&delivery.envelope.traceparent).unwrap();
        assert_eq!(span["parent_span_id"], sender.span_id);
        assert_eq!(span["messaging.message.id"], delivery.envelope.message_id.to_string());
        assert_eq!(span["messaging.batch.message_count"], 4);
    }
}
