//! The faults of the memory adapter: they happen, as often as they are asked for, and in the same way each time.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::collections::BTreeMap;
use std::time::Duration;

use kernel::{CorrelationId, MessageId};
use memory::{Faults, MemoryStore};
use ports::{
    CommitError, Envelope, Key, Queues, Record, Settled, Sources, Store, Subscription, Table, Transaction,
    Verdict,
};

const TABLE: Table = Table("notes");
const OUTBOX: Table = Table("notes_events");
const READER: &str = "reader";
const COMMITS: usize = 1_000;

#[derive(serde::Serialize, serde::Deserialize)]
struct Note {
    name: String,
}

impl Record for Note {
    fn key(&self) -> Key {
        Key::new(TABLE, self.name.as_str(), "note")
    }
}

fn world(seed: u64, faults: Faults) -> (MemoryStore, Sources, memory::TestClock) {
    let subscription = Subscription { consumer: READER, outboxes: vec![OUTBOX], kinds: vec!["NOTED_EVENT"] };
    let (sources, clock) = memory::sources();
    (MemoryStore::with_faults(vec![subscription], sources.clone(), seed, faults), sources, clock)
}

fn noted(sources: &Sources, name: &str) -> Transaction {
    let mut transaction = Transaction::new(sources.fresh_id());
    transaction.create(&Note { name: name.to_owned() }).unwrap();
    let envelope = Envelope {
        message_id: MessageId::new(sources.fresh_id()),
        kind: "NOTED_EVENT".to_owned(),
        version: 1,
        group: name.to_owned(),
        correlation_id: CorrelationId::new(sources.fresh_id()),
        causation_id: None,
        traceparent: String::new(),
        occurred_at: sources.now(),
        body: serde_json::value::to_raw_value(&()).unwrap(),
    };
    transaction.emit(OUTBOX, envelope).unwrap();
    transaction
}

/// Commits as many notes and answers how each ended, and whether it was written.
async fn outcomes(store: &MemoryStore, sources: &Sources) -> Vec<(&'static str, bool)> {
    let mut outcomes = Vec::new();
    for number in 0..COMMITS {
        let note = Note { name: number.to_string() };
        let outcome = match store.commit(&noted(sources, &note.name)).await {
            Ok(()) => "done",
            Err(CommitError::Conflict { key }) => {
                assert_eq!(key, note.key());
                "conflict"
            }
            Err(CommitError::Busy { .. }) => "busy",
            Err(CommitError::Unknown(_)) => "unknown",
            Err(CommitError::Refused(_)) => "refused",
        };
        outcomes.push((outcome, store.get(&[note.key()]).await.unwrap()[0].is_some()));
    }
    outcomes
}

/// Receives until the queue is silent; answers the groups in the order of their arrival.
async fn arrivals(store: &MemoryStore) -> Vec<String> {
    let mut arrivals = Vec::new();
    while let Ok(received) = tokio::time::timeout(Duration::from_secs(10), store.receive(READER, 7)).await {
        let received = received.unwrap();
        arrivals.extend(received.iter().map(|one| one.delivery.envelope.group.clone()));
        let done = received.iter().map(|one| Settled { receipt: one.receipt, verdict: Verdict::Done });
        store.settle(READER, done.collect()).await.unwrap();
    }
    arrivals
}

const COMMIT_FAULTS: Faults =
    Faults { conflict_per_mille: 100, busy_per_mille: 100, unknown_per_mille: 200, ..Faults::NONE };

#[tokio::test(start_paused = true)]
async fn commits_fail_as_often_as_asked_and_only_the_unknown_may_be_written() {
    let (store, sources, _) = world(1, COMMIT_FAULTS);
    let mut counts = BTreeMap::new();
    for outcome in outcomes(&store, &sources).await {
        *counts.entry(outcome).or_insert(0_usize) += 1;
    }
    let kinds: Vec<_> = counts.keys().copied().collect();
    assert_eq!(
        kinds,
        [("busy", false), ("conflict", false), ("done", true), ("unknown", false), ("unknown", true)]
    );
    for (outcome, range) in [
        (("busy", false), 60..140),
        (("conflict", false), 60..140),
        (("unknown", false), 50..110),
        (("unknown", true), 50..110),
    ] {
        assert!(range.contains(&counts[&outcome]), "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_transaction_again_is_written_once() {
    let (store, sources, _) = world(2, Faults { unknown_per_mille: 500, ..Faults::NONE });
    for number in 0..100 {
        let transaction = noted(&sources, &number.to_string());
        let mut tries = 0;
        while let Err(error) = store.commit(&transaction).await {
            assert!(matches!(error, CommitError::Unknown(_)), "{error}");
            tries += 1;
            assert!(tries < 50, "it never ends");
        }
        store.commit(&transaction).await.unwrap();
    }
    assert_eq!(store.outbox_records(OUTBOX).len(), 100);
    assert_eq!(arrivals(&store).await.len(), 100);
}

/// Commits notes by threes as independent transactions; answers how each ended, and how many of its notes were written.
async fn independent_outcomes(store: &MemoryStore, sources: &Sources) -> Vec<(&'static str, usize)> {
    let mut outcomes = Vec::new();
    for number in 0..COMMITS {
        let notes = ["a", "b", "c"].map(|letter| Note { name: format!("{number}-{letter}") });
        let mut transaction = Transaction::independent(sources.fresh_id());
        notes.iter().for_each(|note| transaction.create(note).unwrap());
        let outcome = match store.commit(&transaction).await {
            Ok(()) => "done",
            Err(CommitError::Conflict { .. }) => "conflict",
            Err(CommitError::Busy { .. }) => "busy",
            Err(CommitError::Unknown(_)) => "unknown",
            Err(CommitError::Refused(_)) => "refused",
        };
        let found = store.get(&notes.each_ref().map(Record::key)).await.unwrap();
        outcomes.push((outcome, found.iter().flatten().count()));
    }
    outcomes
}

#[tokio::test(start_paused = true)]
async fn an_independent_transaction_that_fails_leaves_any_part_behind() {
    let (store, sources, _) = world(10, COMMIT_FAULTS);
    let mut kinds = independent_outcomes(&store, &sources).await;
    kinds.sort_unstable();
    kinds.dedup();
    let parts = |outcome| (0..=3).map(move |written| (outcome, written));
    let mut expected: Vec<_> = ["busy", "conflict", "unknown"].into_iter().flat_map(parts).collect();
    expected.insert(8, ("done", 3));
    assert_eq!(kinds, expected);
}

#[tokio::test(start_paused = true)]
async fn an_independent_transaction_again_finds_its_own_writes() {
    let (store, sources, _) = world(11, Faults::NONE);
    let note = Note { name: "a".to_owned() };
    let mut transaction = Transaction::independent(sources.fresh_id());
    transaction.create(&note).unwrap();
    store.commit(&transaction).await.unwrap();
    let again = store.commit(&transaction).await;
    assert!(matches!(again, Err(CommitError::Conflict { key }) if key == note.key()));
}

#[tokio::test(start_paused = true)]
async fn messages_come_twice_late_and_in_another_order() {
    let in_order: Vec<String> = (0..COMMITS).map(|number| number.to_string()).collect();

    let (store, sources, _) = world(3, Faults::NONE);
    outcomes(&store, &sources).await;
    assert_eq!(arrivals(&store).await, in_order);

    let (store, sources, _) = world(3, Faults { duplicated_per_mille: 100, ..Faults::NONE });
    outcomes(&store, &sources).await;
    let mut duplicated = arrivals(&store).await;
    assert!((COMMITS + 60..COMMITS + 140).contains(&duplicated.len()), "{}", duplicated.len());
    duplicated.dedup();
    assert_eq!(duplicated, in_order);

    let (store, sources, _) = world(3, Faults { reordered_per_mille: 100, ..Faults::NONE });
    outcomes(&store, &sources).await;
    let mut reordered = arrivals(&store).await;
    assert_ne!(reordered, in_order);
    reordered.sort_by_key(|name| name.parse::<usize>().unwrap());
    assert_eq!(reordered, in_order);

    let (store, sources, _) =
        world(3, Faults { delayed_per_mille: 100, delay_ms_max: 5_000, ..Faults::NONE });
    outcomes(&store, &sources).await;
    let prompt = store.receive(READER, COMMITS).await.unwrap();
    assert!((COMMITS - 140..COMMITS - 60).contains(&prompt.len()), "{}", prompt.len());
    assert_eq!(prompt.len() + arrivals(&store).await.len(), COMMITS);
}

#[tokio::test(start_paused = true)]
async fn one_seed_is_one_run_and_another_seed_another() {
    let everything = Faults {
        duplicated_per_mille: 100,
        reordered_per_mille: 100,
        delayed_per_mille: 100,
        delay_ms_max: 1_000,
        ..COMMIT_FAULTS
    };
    let mut runs = Vec::new();
    for seed in [5, 5, 6] {
        let (store, sources, _) = world(seed, everything);
        runs.push((outcomes(&store, &sources).await, arrivals(&store).await));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test(start_paused = true)]
async fn faults_end_when_they_are_told_to() {
    let (store, sources, _) = world(7, Faults { busy_per_mille: 1_000, ..Faults::NONE });
    assert!(matches!(store.commit(&noted(&sources, "a")).await, Err(CommitError::Busy { .. })));
    store.set_faults(Faults::NONE);
    store.commit(&noted(&sources, "a")).await.unwrap();
}

/// In real time, since a clock that is moved by hand is for tests that cannot pause it.
#[tokio::test]
async fn a_receiver_notices_that_the_clock_was_moved() {
    let (store, sources, clock) = world(8, Faults::NONE);
    store.commit(&noted(&sources, "a")).await.unwrap();
    let received = store.receive(READER, 1).await.unwrap();
    let in_a_day = sources.now() + Duration::from_secs(86_400);
    let verdict = Verdict::Again { at: in_a_day, reason: "not today".to_owned() };
    store.settle(READER, vec![Settled { receipt: received[0].receipt, verdict }]).await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.receive(READER, 1).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(!waiting.is_finished(), "it came before its day");
    clock.advance(Duration::from_secs(86_400));
    let received = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert_eq!(received[0].delivery.attempt, 2);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_from_before_a_crash_settles_nothing() {
    let (store, sources, _) = world(9, Faults::NONE);
    store.commit(&noted(&sources, "a")).await.unwrap();
    let stale = store.receive(READER, 1).await.unwrap();
    store.crash();
    store.settle(READER, vec![Settled { receipt: stale[0].receipt, verdict: Verdict::Done }]).await.unwrap();
    let received = store.receive(READER, 1).await.unwrap();
    assert_eq!(received[0].delivery.attempt, 2);
    assert!(store.receive("nobody", 1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_is_not_answered_as_often_as_told_or_only_after_a_while() {
    let (store, sources, _) = world(12, Faults { unavailable_per_mille: 500, ..Faults::NONE });
    let mut unanswered = 0;
    for number in 0..COMMITS {
        let key = Note { name: number.to_string() }.key();
        unanswered += usize::from(store.get(&[key]).await.is_err());
    }
    assert!((400..600).contains(&unanswered), "{unanswered}");
    assert_eq!(store.faults_drawn().get("unavailable"), Some(&(unanswered as u64)));

    store.set_faults(Faults { latency_ms_max: 40, ..Faults::NONE });
    let began = sources.now();
    store.commit(&noted(&sources, "a")).await.unwrap();
    assert!(sources.now() > began, "it took no time");
    // Whoever gives up while the answer is on its way does not undo what was done.
    let mut written = 0;
    for number in 0..100 {
        let transaction = noted(&sources, &format!("given up {number}"));
        let answered = tokio::time::timeout(Duration::from_millis(20), store.commit(&transaction)).await;
        let key = Note { name: format!("given up {number}") }.key();
        let is_written = store.get(&[key]).await.unwrap()[0].is_some();
        written += usize::from(answered.is_err() && is_written);
    }
    assert!((10..90).contains(&written), "{written}");
}

#[tokio::test(start_paused = true)]
async fn what_one_consumer_had_comes_again_and_the_world_is_idle_once_all_is_settled() {
    let (store, sources, _) = world(13, Faults::NONE);
    assert!(store.is_idle());
    store.commit(&noted(&sources, "a")).await.unwrap();
    assert!(!store.is_idle());
    store.receive(READER, 1).await.unwrap();
    assert!(!store.is_idle(), "it was received and not settled");
    store.release("another");
    store.release(READER);
    let received = store.receive(READER, 1).await.unwrap();
    assert_eq!(received[0].delivery.attempt, 2);
    store
        .settle(READER, vec![Settled { receipt: received[0].receipt, verdict: Verdict::Done }])
        .await
        .unwrap();
    assert!(store.is_idle());
}
