//! Load, decide, commit: with every answer that a store may give.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use memory::Faults;
use ports::{
    CommitError, Cursor, Held, Item, Key, Page, Place, Range, Record, Store, Table, Transaction, Unavailable,
};
use runtime::{Committed, Decision, Fault, Trace, commit, decide_and_commit, envelope};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{NOTES_EVENTS, Note, World, world, world_with};

impl World {
    /// Adds one to the note's count and tells of it. `decisions` counts how often that was decided.
    async fn increase(&self, decisions: &AtomicU32) -> Result<u64, Fault> {
        let attempt = async || {
            decisions.fetch_add(1, Ordering::SeqCst);
            let held: Option<Held<Note>> = runtime::get(&self.store, Note::new("counter").key()).await?;
            let mut transaction = Transaction::new(self.sources.fresh_id());
            let mut note = held.as_ref().map_or_else(|| Note::new("counter"), |held| held.record.clone());
            note.count += 1;
            match held {
                Some(held) => transaction.replace(held.revision, &note)?,
                None => transaction.create(&note)?,
            }
            let trace = Trace::begin(&self.sources);
            let told = envelope(&crate::deliver::message(), "counter", &trace, self.now(), &self.sources);
            transaction.emit(NOTES_EVENTS, told)?;
            Ok(Decision::Commit(transaction, note.count))
        };
        decide_and_commit(&self.store, attempt).await
    }

    async fn count(&self) -> u64 {
        let held: Option<Held<Note>> = runtime::get(&self.store, Note::new("counter").key()).await.unwrap();
        held.map_or(0, |held| held.record.count)
    }

    fn records(&self) -> usize {
        self.store.outbox_records(NOTES_EVENTS).len()
    }
}

const fn faults(conflict_per_mille: u16, busy_per_mille: u16, unknown_per_mille: u16) -> Faults {
    Faults { conflict_per_mille, busy_per_mille, unknown_per_mille, ..Faults::NONE }
}

#[tokio::test(start_paused = true)]
async fn another_writer_leads_to_a_new_decision() {
    let world = Arc::new(world());
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let world = Arc::clone(&world);
        writers.spawn(async move {
            let decisions = AtomicU32::new(0);
            for _ in 0..10 {
                world.increase(&decisions).await.unwrap();
            }
            decisions.into_inner()
        });
    }
    let decisions: u32 = writers.join_all().await.iter().sum();
    assert!(decisions > 80, "there was no conflict");
    assert_eq!((world.count().await, world.records()), (80, 80));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_contended_is_given_up_as_busy() {
    let world = world_with(1, faults(1_000, 0, 0));
    let (began, decisions) = (Instant::now(), AtomicU32::new(0));
    assert!(matches!(world.increase(&decisions).await, Err(Fault::Busy { .. })));
    let decisions = decisions.into_inner();
    assert!((10..=100).contains(&decisions), "{decisions}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((world.count().await, world.records()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_busy_store_is_not_pressed() {
    let world = world_with(1, faults(0, 1_000, 0));
    let decisions = AtomicU32::new(0);
    assert!(matches!(world.increase(&decisions).await, Err(Fault::Busy { .. })));
    assert_eq!((decisions.into_inner(), world.count().await, world.records()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn after_an_unknown_outcome_the_same_transaction_is_tried_again() {
    let mut given_up = 0;
    for seed in 0..50 {
        let world = world_with(seed, faults(0, 0, 1_000));
        let decisions = AtomicU32::new(0);
        let increased = world.increase(&decisions).await;
        assert_eq!(decisions.into_inner(), 1, "seed {seed}: a new transaction might do it twice");
        match increased {
            Ok(count) => assert_eq!((count, world.count().await, world.records()), (1, 1, 1), "seed {seed}"),
            Err(fault) => {
                assert!(matches!(fault, Fault::Unavailable(_)), "seed {seed}: {fault}");
                given_up += 1;
            }
        }
    }
    assert!(given_up < 10, "{given_up} of 50");
}

#[tokio::test(start_paused = true)]
async fn with_every_fault_at_once_each_effect_happens_once() {
    for seed in 0..20 {
        let world = world_with(seed, faults(250, 250, 250));
        let mut done = 0;
        while done < 20 {
            match world.increase(&AtomicU32::new(0)).await {
                Ok(count) => {
                    done += 1;
                    assert_eq!(count, done, "seed {seed}");
                }
                // Only the answer that nothing was written may be followed by a new transaction.
                Err(Fault::Busy { .. }) => {}
                Err(fault) => panic!("seed {seed}: {fault}"),
            }
        }
        assert_eq!((world.count().await, world.records() as u64), (done, done), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_and_refusals_are_answered_as_they_are() {
    let world = world();
    let nothing =
        decide_and_commit(&world.store, async || Ok::<_, Fault>(Decision::Nothing("as before"))).await;
    assert_eq!(nothing.unwrap(), "as before");
    let refused: Result<(), Fault> =
        decide_and_commit(&world.store, async || Err(Fault::Internal("no".to_owned()))).await;
    assert!(matches!(refused, Err(Fault::Internal(_))));
    assert_eq!(world.count_notes().await, 0);
}

/// A store that answers commits from a list, the last answer for ever, and remembers which transactions it was given
/// and when.
#[derive(Clone)]
struct Scripted {
    answers: Arc<Mutex<VecDeque<Result<(), CommitError>>>>,
    given: Arc<Mutex<Vec<(Uuid, Instant)>>>,
}

impl Scripted {
    fn new(answers: Vec<Result<(), CommitError>>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into())), given: Arc::default() }
    }

    fn given(&self) -> Vec<Uuid> {
        self.given.lock().unwrap().iter().map(|(id, _)| *id).collect()
    }

    /// How long it was from each commit to the next, in milliseconds.
    fn pauses_ms(&self) -> Vec<u128> {
        let given = self.given.lock().unwrap();
        given.windows(2).map(|pair| (pair[1].1 - pair[0].1).as_millis()).collect()
    }
}

impl Store for Scripted {
    async fn get(&self, _: &[Key]) -> Result<Vec<Option<Item>>, Unavailable> {
        Err(Unavailable("it takes commits only".to_owned()))
    }

    async fn query(&self, _: &Range) -> Result<Page<Cursor>, Unavailable> {
        Err(Unavailable("it takes commits only".to_owned()))
    }

    async fn scan(&self, _: Table, _: Option<&Place>, _: usize) -> Result<Page<Place>, Unavailable> {
        Err(Unavailable("it takes commits only".to_owned()))
    }

    async fn commit(&self, transaction: &Transaction) -> Result<(), CommitError> {
        self.given.lock().unwrap().push((transaction.id(), Instant::now()));
        let mut answers = self.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_of_the_store_is_understood() {
    let unknown = || Err(CommitError::Unknown("the answer was lost".to_owned()));
    let busy = || Err(CommitError::Busy { retry_after: Duration::from_millis(5) });
    let conflict = || Err(CommitError::Conflict { key: Note::new("counter").key() });
    let refused = || Err(CommitError::Refused("it may not write".to_owned()));
    for (answers, commits, then) in [
        (vec![Ok(())], 1, "yes"),
        (vec![unknown(), Ok(())], 2, "yes"),
        (vec![unknown(), unknown(), busy(), Ok(())], 4, "yes"),
        (vec![conflict()], 1, "somebody was first"),
        (vec![unknown(), conflict()], 2, "somebody was first"),
        (vec![busy()], 1, "nothing was written"),
        (vec![refused()], 1, "nothing will be written"),
        // It may have been written the first time, so nobody may be told that nothing was.
        (vec![unknown(), busy()], 8, "it is not known"),
        (vec![unknown(), refused()], 8, "it is not known"),
        (vec![unknown()], 8, "it is not known"),
    ] {
        let store = Scripted::new(answers.clone());
        let transaction = Transaction::new(Uuid::from_u128(7));
        let committed = match commit(&store, &transaction).await {
            Ok(Committed::Yes) => "yes",
            Ok(Committed::SomebodyWasFirst) => "somebody was first",
            Err(Fault::Busy { .. }) => "nothing was written",
            Err(Fault::Unavailable(_)) => "it is not known",
            Err(Fault::Internal(_)) => "nothing will be written",
        };
        assert_eq!(committed, then, "{answers:?}");
        assert_eq!(store.given(), vec![transaction.id(); commits], "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_are_spread_by_the_random_bits_of_the_transaction() {
    for (random, pauses_ms) in [
        (0, [2, 4, 8, 16, 32, 64, 64]),
        (85, [2, 5, 10, 21, 42, 85, 85]),
        (255, [4, 8, 16, 32, 64, 128, 128]),
    ] {
        let store = Scripted::new(vec![Err(CommitError::Unknown("the answer was lost".to_owned()))]);
        let committed = commit(&store, &Transaction::new(Uuid::from_u128(random))).await;
        assert!(matches!(committed, Err(Fault::Unavailable(_))), "{committed:?}");
        assert_eq!(store.pauses_ms(), pauses_ms, "{random}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_new_decision_is_made_at_once_and_further_ones_ever_later() {
    let store = Scripted::new(vec![Err(CommitError::Conflict { key: Note::new("counter").key() })]);
    let decide = async || Ok::<_, Fault>(Decision::Commit(Transaction::new(Uuid::nil()), ()));
    assert!(matches!(decide_and_commit(&store, decide).await, Err(Fault::Busy { .. })));
    let pauses_ms = store.pauses_ms();
    assert_eq!(pauses_ms[..8], [0, 2, 4, 8, 16, 32, 64, 64]);
    assert!(pauses_ms[8..].iter().all(|pause_ms| *pause_ms == 64), "{pauses_ms:?}");
}
