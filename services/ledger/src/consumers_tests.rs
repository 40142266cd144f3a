//! Commands in, on the store in memory: each is judged once, whatever the delivery and the store do.

use std::sync::Arc;

use contracts::ledger::FailureReason;
use memory::{Faults, MemoryStore};
use ports::{Envelope, Revision, Sources};
use runtime::{Caching, Traceparent};
use serde_json::value::RawValue;

use super::*;
use crate::Ledger;
use crate::fixture::*;

struct World {
    store: MemoryStore,
    sources: Sources,
    ledger: Ledger<MemoryStore>,
}

fn world() -> World {
    let (sources, _) = memory::sources();
    let store = MemoryStore::new(Vec::new(), sources.clone());
    World { ledger: Ledger::new(store.clone(), sources.clone(), Caching::heard(100)), store, sources }
}

impl World {
    /// A delivery of the command in a message of its own.
    fn deliver(&self, command: &Command) -> Delivery {
        let trace = Trace::begin(&self.sources);
        let group = command.accounts().next().unwrap().to_string();
        let envelope = envelope(&message(command.clone()), group, &trace, NOW, &self.sources);
        Delivery { envelope: Arc::new(envelope), attempt: 1 }
    }

    async fn handle(&self, commands: &[Command]) -> Vec<Outcome> {
        let batch: Vec<Delivery> = commands.iter().map(|command| self.deliver(command)).collect();
        self.ledger.commands().handle(&batch).await
    }

    /// Handles commands that are all taken.
    async fn take(&self, commands: &[Command]) {
        assert_eq!(self.handle(commands).await, vec![Outcome::Done; commands.len()]);
    }

    /// What an account holds, after how many entries, and how often its head was written.
    async fn head(&self, number: u128) -> (String, u64, Revision) {
        let head: Held<Head> = runtime::get(&self.store, head_key(account(number))).await.unwrap().unwrap();
        (head.record.balance.to_string(), head.record.version, head.revision)
    }

    async fn reason(&self, number: u128) -> Option<FailureReason> {
        match self.ledger.verdict(operation(number)).await.unwrap().unwrap().verdict {
            Verdict::Refused(refusal) => Some(refusal.reason),
            Verdict::Posted(_) | Verdict::Closed(_) => None,
        }
    }

    /// The kinds of the events of each outbox record.
    fn events(&self) -> Vec<Vec<String>> {
        let records = self.store.outbox_records(LEDGER_EVENTS);
        records.iter().map(|record| record.iter().map(|envelope| envelope.kind.clone()).collect()).collect()
    }

    /// The books are good, and the journal tells of the same events as the outbox.
    async fn check_books(&self) {
        let books = self.ledger.audit(|_| {}).await.unwrap();
        assert_eq!(books.findings, [""; 0]);
        let (events, next) = self.ledger.events(None).await.unwrap();
        assert_eq!(next, None, "the tests are smaller than a page");
        let bodies = events.iter().map(|event| event.body().get().to_owned());
        let sent = self.store.outbox_records(LEDGER_EVENTS);
        let sent = sent.iter().flatten().map(|envelope| envelope.body.get().to_owned());
        assert_eq!(sorted(bodies), sorted(sent));
    }
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts
}

fn deposits(count: u128, target: impl Fn(u128) -> u128) -> Vec<Command> {
    (1..=count).map(|number| deposit(number, target(number), "1.00 EUR")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_command_twice_in_a_batch_has_one_verdict() {
    let world = world();
    let command = deposit(1, 1, "10.00 EUR");
    world.take(&[command.clone(), command.clone(), deposit(2, 1, "1.00 EUR"), command]).await;
    assert_eq!(world.head(1).await, ("11.00 EUR".to_owned(), 2, Revision(1)));
    assert_eq!(world.events(), [["DEPOSIT_EVENT", "DEPOSIT_EVENT"]]);
    world.check_books().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_in_two_batches_has_one_verdict() {
    let world = world();
    let command = deposit(1, 1, "10.00 EUR");
    world.take(std::slice::from_ref(&command)).await;
    world.take(&[command.clone(), deposit(2, 1, "1.00 EUR")]).await;
    world.take(&[command]).await;
    assert_eq!(world.head(1).await, ("11.00 EUR".to_owned(), 2, Revision(2)));
    assert_eq!(world.events(), [["DEPOSIT_EVENT"], ["DEPOSIT_EVENT"]]);
    world.check_books().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_folded_in_its_order_and_writes_a_head_once() {
    let world = world();
    world
        .take(&[
            withdraw(1, 1, "1.00 EUR"),
            deposit(2, 1, "10.00 EUR"),
            withdraw(3, 1, "10.00 EUR"),
            withdraw(4, 1, "0.01 EUR"),
            deposit(5, 1, "3.00 EUR"),
        ])
        .await;
    assert_eq!(world.head(1).await, ("3.00 EUR".to_owned(), 3, Revision(1)));
    world.take(&[withdraw(6, 1, "1.00 EUR"), withdraw(7, 1, "1.00 EUR")]).await;
    assert_eq!(world.head(1).await, ("1.00 EUR".to_owned(), 5, Revision(2)));
    let first = [
        "WITHDRAW_FAILED_EVENT",
        "DEPOSIT_EVENT",
        "WITHDRAW_EVENT",
        "WITHDRAW_FAILED_EVENT",
        "DEPOSIT_EVENT",
    ];
    assert_eq!(world.events(), [first.to_vec(), vec!["WITHDRAW_EVENT", "WITHDRAW_EVENT"]]);
    world.check_books().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_a_transaction_is_split() {
    // A verdict a command and a head an account, 99 of them beside the outbox record.
    for (accounts, parts) in [(1, vec![98, 98, 98, 6]), (300, vec![49, 49, 49, 49, 49, 49, 6])] {
        let world = world();
        world.take(&deposits(300, |number| number % accounts)).await;
        let sizes: Vec<usize> = world.events().iter().map(Vec::len).collect();
        assert_eq!(sizes, parts);
        let writes = Revision(if accounts == 1 { 4 } else { 1 });
        assert_eq!(world.head(0).await.2, writes);
        world.check_books().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_is_one_posting_between_two_heads() {
    let world = world();
    world
        .take(&[deposit(1, 1, "10.00 EUR"), transfer(2, 1, 2, "4.00 EUR"), transfer(3, 2, 3, "1.00 EUR")])
        .await;
    world.take(&[transfer(4, 2, 1, "3.01 EUR"), transfer(5, 2, 1, "3.00 EUR")]).await;
    assert_eq!(world.head(1).await, ("9.00 EUR".to_owned(), 3, Revision(2)));
    assert_eq!(world.head(2).await, ("0.00 EUR".to_owned(), 3, Revision(2)));
    assert_eq!(world.head(3).await, ("1.00 EUR".to_owned(), 1, Revision(1)));
    assert_eq!(world.reason(4).await, Some(FailureReason::InsufficientFunds));
    world.check_books().await;
}

#[tokio::test(start_paused = true)]
async fn closing_is_judged_with_what_came_before_it_in_the_batch() {
    let world = world();
    world
        .take(&[
            deposit(1, 1, "10.00 EUR"),
            close(2, 1, "EUR"),
            withdraw(3, 1, "10.00 EUR"),
            close(4, 1, "EUR"),
            deposit(5, 1, "1.00 EUR"),
            close(6, 2, "EUR"),
        ])
        .await;
    let events = [
        "DEPOSIT_EVENT",
        "CLOSE_REJECTED_EVENT",
        "WITHDRAW_EVENT",
        "ACCOUNT_CLOSED_EVENT",
        "DEPOSIT_FAILED_EVENT",
        "ACCOUNT_CLOSED_EVENT",
    ];
    assert_eq!(world.events(), [events]);
    assert_eq!(world.head(2).await, ("0.00 EUR".to_owned(), 0, Revision(1)));
    world.check_books().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_judged_is_rejected_alone() {
    let world = world();
    let good = world.deliver(&deposit(1, 1, "1.00 EUR"));
    let spoilt = |spoil: fn(&mut Envelope)| {
        let mut envelope = Envelope::clone(&good.envelope);
        spoil(&mut envelope);
        Delivery { envelope: Arc::new(envelope), attempt: 1 }
    };
    let body = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let mut other_body = Envelope::clone(&good.envelope);
    other_body.body = body("{\"operation_id\": 1}");
    let batch = [
        spoilt(|envelope| envelope.kind = "REFUND_CMD".to_owned()),
        spoilt(|envelope| envelope.version = 2),
        Delivery { envelope: Arc::new(other_body), attempt: 1 },
        good.clone(),
        world.deliver(&transfer(2, 1, 1, "1.00 EUR")),
        spoilt(|envelope| envelope.kind = "DEPOSIT_EVENT".to_owned()),
        world.deliver(&deposit(3, 1, "1.00 EUR")),
    ];
    let outcomes = world.ledger.commands().handle(&batch).await;
    let rejected: Vec<bool> =
        outcomes.iter().map(|outcome| matches!(outcome, Outcome::Reject { .. })).collect();
    assert_eq!(rejected, [true, true, true, false, true, true, false], "{outcomes:?}");
    assert_eq!((&outcomes[3], &outcomes[6]), (&Outcome::Done, &Outcome::Done));
    assert_eq!(world.head(1).await.0, "2.00 EUR");
    assert_eq!(world.events(), [["DEPOSIT_EVENT", "DEPOSIT_EVENT"]]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stays_one_when_funds_have_come_since() {
    let world = world();
    let refused = withdraw(1, 1, "5.00 EUR");
    world.take(std::slice::from_ref(&refused)).await;
    world.take(&[deposit(2, 1, "10.00 EUR")]).await;
    world.take(&[refused]).await;
    assert_eq!(world.reason(1).await, Some(FailureReason::InsufficientFunds));
    assert_eq!(world.head(1).await.0, "10.00 EUR");
    assert_eq!(world.events(), [["WITHDRAW_FAILED_EVENT"], ["DEPOSIT_EVENT"]]);
    world.check_books().await;
}

#[tokio::test(start_paused = true)]
async fn no_verdict_rests_on_a_head_that_is_other_than_it_was_left() {
    let here = world();
    let (store, sources) = (here.store.clone(), here.sources.clone());
    let ledger = Ledger::new(store.clone(), sources.clone(), Caching::heard(100));
    let there = World { ledger, store, sources };
    here.take(&[deposit(1, 1, "1.00 EUR")]).await;
    there.take(&[deposit(2, 1, "10.00 EUR")]).await;
    // What was left here would not be enough.
    here.take(&[withdraw(3, 1, "5.00 EUR")]).await;
    assert_eq!(here.reason(3).await, None);
    // What was left there would be.
    there.take(&[withdraw(4, 1, "8.00 EUR")]).await;
    assert_eq!(here.reason(4).await, Some(FailureReason::InsufficientFunds));
    assert_eq!(here.head(1).await.0, "6.00 EUR");
    here.check_books().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_continues_the_trace_of_its_command() {
    let world = world();
    let mut batch =
        [world.deliver(&deposit(1, 1, "1.00 EUR")), world.deliver(&transfer(2, 1, 2, "1.00 EUR"))];
    let recorded = Traceparent::read(&batch[1].envelope.traceparent).unwrap().sampled().to_string();
    Arc::make_mut(&mut batch[1].envelope).traceparent = recorded;
    assert_eq!(world.ledger.commands().handle(&batch).await, [Outcome::Done, Outcome::Done]);
    let record = &world.store.outbox_records(LEDGER_EVENTS)[0];
    for (event, delivery) in record.iter().zip(&batch) {
        let command = &delivery.envelope;
        assert_eq!(event.causation_id, Some(command.message_id));
        assert_eq!(event.correlation_id, command.correlation_id);
        assert_eq!(event.traceparent, Trace::caused_by(LEDGER_COMMANDS, delivery).traceparent);
        assert_eq!(event.group, command.group);
        assert_ne!(event.message_id, command.message_id);
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_writers_of_an_account_lose_nothing() {
    let world = Arc::new(world());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let world = Arc::clone(&world);
        // Two writers are sent the same commands, as after a lost acknowledgement.
        let first = writer / 2 * 1_000;
        writers.spawn(async move {
            for number in 1..=10 {
                world
                    .take(&[
                        deposit(first + number, 1, "1.00 EUR"),
                        transfer(first + 500 + number, 1, 2, "0.25 EUR"),
                    ])
                    .await;
            }
        });
    }
    writers.join_all().await;
    assert_eq!(world.head(1).await.0, "30.00 EUR");
    assert_eq!(world.head(1).await.1, 80);
    assert_eq!(world.head(2).await.0, "10.00 EUR");
    assert_eq!(world.events().concat().len(), 80);
    world.check_books().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_misbehaves_changes_no_verdict() {
    for seed in 0..10 {
        let (sources, _) = memory::sources();
        let faults =
            Faults { conflict_per_mille: 200, busy_per_mille: 200, unknown_per_mille: 300, ..Faults::NONE };
        let store = MemoryStore::with_faults(Vec::new(), sources.clone(), seed, faults);
        let world = World {
            ledger: Ledger::new(store.clone(), sources.clone(), Caching::heard(100)),
            store,
            sources,
        };
        let mut waiting = deposits(250, |number| number % 7);
        let mut deliveries = 0;
        while !waiting.is_empty() {
            let outcomes = world.handle(&waiting).await;
            let is_not_done = |outcome: &Outcome| matches!(outcome, Outcome::Retry { .. });
            let again = waiting.into_iter().zip(&outcomes).filter(|(_, outcome)| is_not_done(outcome));
            waiting = again.map(|(command, _)| command).collect();
            deliveries += 1;
            assert!(deliveries < 50, "it never ends with seed {seed}");
        }
        assert_eq!(world.events().concat().len(), 250, "seed {seed}");
        world.check_books().await;
    }
}
