//! The committer and its queue with no thread between them: what waits, what makes a group, and what is answered.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use kernel::Timestamp;
use metrics_exporter_prometheus::PrometheusBuilder;
use ports::{Record, Subscription, Table, Transaction};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;
use crate::fixture::{Directory, stopped_sources};
use crate::journal::Found;
use crate::log::{LogRecord, Start};

const ITEMS: Table = Table("items");
const OUTBOX: Table = Table("items_events");

#[derive(Serialize, Deserialize)]
struct Thing {
    name: String,
    text: String,
    #[serde(skip)]
    expires_at: Option<Timestamp>,
}

impl Record for Thing {
    fn key(&self) -> Key {
        Key::new(ITEMS, self.name.clone(), "thing")
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

/// A committer on an empty store with one consumer, and the front of it. Nobody settles.
fn committer(directory: &Directory) -> (Writer, Committer) {
    let subscription = Subscription { consumer: "reader", outboxes: vec![OUTBOX], kinds: vec!["KIND"] };
    let schema = Schema::new(&[ITEMS], std::slice::from_ref(&subscription));
    let reading = Connection::open_in_memory().unwrap();
    schema.create(&reading).unwrap();
    let start = Start { subscription, cursors: BTreeMap::new(), waiting: 0, next_due: None };
    let log = Arc::new(Log::new(&BTreeMap::from([(OUTBOX, 0)]), vec![start]));
    let (queue, works) = sync_channel(QUEUE_WORKS_MAX);
    let backlog = Arc::new(Backlog::default());
    let settled = watch::Sender::new(0).subscribe();
    let committer = Committer {
        journal: Journal::begin(&directory.0, &Found::default()).unwrap(),
        reading,
        schema: Arc::new(schema),
        overlay: Arc::default(),
        ends: Ends::default(),
        numbers: Numbers { sequences: log.next_sequences(), retry_id: 1 },
        log,
        sources: stopped_sources(),
        health: watch::Sender::new(Health::Serving),
        settled: settled.clone(),
        wake: sync_channel(1).0,
        works,
        backlog: Arc::clone(&backlog),
        save_at: None,
        has_ended: false,
    };
    let threads = Mutex::default();
    (Writer { queue: RwLock::new(Some(queue)), backlog, settled, threads }, committer)
}

type Answered = oneshot::Receiver<Result<(), CommitError>>;

fn commit(committer: &Committer, things: &[Thing]) -> (Work, Answered) {
    let mut transaction = Transaction::new(Uuid::nil());
    for thing in things {
        transaction.create(thing).unwrap();
    }
    let (answer, answered) = oneshot::channel();
    (Work::Commit { prepared: Prepared::new(&transaction, &committer.schema).unwrap(), answer }, answered)
}

fn thing(name: impl Into<String>) -> Thing {
    Thing { name: name.into(), text: String::new(), expires_at: None }
}

/// Work of exactly so many bytes, in items as large as they may be, or nearly.
fn work_of(committer: &Committer, bytes: usize) -> Work {
    let of_bytes = |(number, bytes): (usize, usize)| {
        let thing = thing(number.to_string());
        let around = 2 * thing.name.len() + thing.key().sort.len() + r#"{"name":"","text":""}"#.len();
        Thing { text: "x".repeat(bytes - around), ..thing }
    };
    let parts = bytes.div_ceil(256 * 1024);
    let sizes = (0..parts).map(|part| (bytes + part) / parts);
    let things: Vec<_> = sizes.enumerate().map(of_bytes).collect();
    let (work, _) = commit(committer, &things);
    assert_eq!(work.bytes(), bytes);
    work
}

fn retry_after(submitted: Result<(), CommitError>) -> Option<Duration> {
    submitted.err().and_then(|error| match error {
        CommitError::Busy { retry_after } => Some(retry_after),
        _ => None,
    })
}

#[test]
fn so_many_bytes_wait_and_no_more() {
    let directory = Directory::new("so_many_bytes_wait_and_no_more");
    let (writer, mut committer) = committer(&directory);
    writer.backlog.add(QUEUE_BYTES_MAX - 2_000);
    for _ in 0..2 {
        writer.submit(work_of(&committer, 1_000)).unwrap();
    }
    for _ in 0..3 {
        assert_eq!(retry_after(writer.submit(work_of(&committer, 100))), Some(QUEUE_RETRY_AFTER));
    }
    // What weighs nothing may wait still.
    writer.submit(Work::Moved).unwrap();
    assert_eq!(committer.gather().unwrap().len(), 2);
    assert_eq!(writer.backlog.bytes.load(Ordering::Relaxed), QUEUE_BYTES_MAX - 2_000);
    assert_eq!(writer.backlog.works.load(Ordering::Relaxed), 1, "the one that stands for the rest");
    writer.submit(work_of(&committer, 2_000)).unwrap();
}

#[test]
fn so_much_work_waits_and_none_after_the_end() {
    let directory = Directory::new("so_much_work_waits_and_none_after_the_end");
    let (writer, committer) = committer(&directory);
    for _ in 0..QUEUE_WORKS_MAX {
        writer.submit(Work::Moved).unwrap();
    }
    assert_eq!(retry_after(writer.submit(Work::Moved)), Some(QUEUE_RETRY_AFTER));
    drop(committer);
    assert_eq!(retry_after(writer.submit(Work::Moved)), Some(DISK_RETRY_AFTER));
    writer.stop();
    writer.stop();
    assert_eq!(retry_after(writer.submit(Work::Moved)), Some(DISK_RETRY_AFTER));
}

#[test]
fn the_front_ends_when_its_threads_have_ended() {
    let directory = Directory::new("the_front_ends_when_its_threads_have_ended");
    let (writer, committer) = committer(&directory);
    let has_ended = Arc::new(AtomicBool::new(false));
    let thread = std::thread::spawn({
        let has_ended = Arc::clone(&has_ended);
        move || {
            let works = committer.works.iter().count();
            std::thread::sleep(Duration::from_millis(50));
            has_ended.store(works == 1, Ordering::SeqCst);
        }
    });
    locked(&writer.threads).push(thread);
    writer.submit(Work::Moved).unwrap();
    drop(writer);
    assert!(has_ended.load(Ordering::SeqCst));
}

#[test]
fn nobody_goes_on_trusting_a_committer_that_has_panicked() {
    for (before, after) in [
        (Health::Serving, Health::Failed("the committer has panicked".to_owned())),
        (Health::Failed("the disk".to_owned()), Health::Failed("the disk".to_owned())),
        (Health::Closed, Health::Closed),
    ] {
        let directory = Directory::new("nobody_goes_on_trusting_a_committer_that_has_panicked");
        let (_writer, committer) = committer(&directory);
        let health = committer.health.clone();
        health.send_replace(before);
        drop(committer);
        assert_eq!(*health.borrow(), after);
    }
}

#[test]
fn the_settler_is_woken_when_there_is_enough_to_settle() {
    let directory = Directory::new("the_settler_is_woken_when_there_is_enough_to_settle");
    let (_writer, mut committer) = committer(&directory);
    let (wake, woken) = sync_channel(1);
    committer.wake = wake;
    let work = |name: &str| commit(&committer, &[thing(name)]).0;
    let works = ["a", "b", "c"].map(work);
    let steps = [(0, false), (WORTH_BYTES, true), (0, true)];
    for (work, (more_bytes, wakes)) in works.into_iter().zip(steps) {
        committer.overlay.add(0, Changes::default(), more_bytes);
        committer.group(vec![work]).unwrap();
        assert_eq!(woken.try_recv().is_ok(), wakes);
    }
}

#[test]
fn what_was_not_written_is_not_taken_for_written() {
    let directory = Directory::new("what_was_not_written_is_not_taken_for_written");
    let (_writer, mut committer) = committer(&directory);
    let file = directory.0.join("database");
    let other = Connection::open(&file).unwrap();
    committer.schema.create(&other).unwrap();
    committer.reading = Connection::open(&file).unwrap();
    committer.reading.busy_timeout(Duration::ZERO).unwrap();
    let mut group = |transactions: &[&[&str]]| {
        let of = |names: &&[&str]| commit(&committer, &names.iter().copied().map(thing).collect::<Vec<_>>());
        let (works, answers): (Vec<_>, Vec<_>) = transactions.iter().map(of).unzip();
        committer.group(works).unwrap();
        let told = |mut answer: Answered| match answer.try_recv().unwrap() {
            Ok(()) => "written",
            Err(CommitError::Conflict { .. }) => "conflict",
            Err(CommitError::Busy { .. }) => "busy",
            Err(_) => "something else",
        };
        answers.into_iter().map(told).collect::<Vec<_>>()
    };
    // Since then it is known that there is no "b".
    assert_eq!(group(&[&["a"], &["b", "a"]]), ["written", "conflict"]);
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(group(&[&["b"], &["c"]]), ["busy", "busy"]);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(group(&[&["b"]]), ["written"]);
}

#[tokio::test]
async fn the_end_has_its_reason_and_what_was_asked_for_is_unknown() {
    let directory = Directory::new("the_end_has_its_reason_and_what_was_asked_for_is_unknown");
    let (writer, mut committer) = committer(&directory);
    let file = directory.0.join("noise");
    std::fs::write(&file, [0xA5; 8_192]).unwrap();
    committer.reading = Connection::open(&file).unwrap();
    let (work, answered) = commit(&committer, &[thing("a")]);
    writer.submit(work).unwrap();
    let health = committer.health.clone();
    committer.run();
    assert_eq!(*health.borrow(), Health::Failed("file is not a database".to_owned()));
    let answer = answered.await.unwrap();
    assert!(matches!(answer, Err(CommitError::Unknown(reason)) if reason == "file is not a database"));
}

#[test]
fn a_group_is_what_waits_up_to_its_bounds() {
    let directory = Directory::new("a_group_is_what_waits_up_to_its_bounds");
    let (writer, mut committer) = committer(&directory);
    // It does not wait for work that does not come.
    committer.save_at = Some(Instant::now());
    let small: Vec<_> = (0..GROUP_WORKS_MAX + 6).map(|_| work_of(&committer, 100)).collect();
    let quarters: Vec<_> = (0..5).map(|_| work_of(&committer, GROUP_BYTES_MAX / 4)).collect();
    for (works, groups) in [(small, [GROUP_WORKS_MAX, 6]), (quarters, [4, 1])] {
        for work in works {
            writer.submit(work).unwrap();
        }
        assert_eq!(groups.map(|_| committer.gather().unwrap().len()), groups);
    }
    drop(writer);
    assert!(committer.gather().is_none());
}

#[test]
fn a_cursor_rides_with_a_group_or_waits_a_little() {
    let directory = Directory::new("a_cursor_rides_with_a_group_or_waits_a_little");
    let (writer, mut committer) = committer(&directory);
    let began = Instant::now();
    writer.submit(Work::Moved).unwrap();
    assert_eq!(committer.gather().unwrap().len(), 0);
    assert!(began.elapsed() >= CURSORS_DELAY);
    committer.group(Vec::new()).unwrap();
    assert_eq!(committer.save_at, None);
    writer.submit(Work::Moved).unwrap();
    writer.submit(work_of(&committer, 100)).unwrap();
    writer.submit(Work::Moved).unwrap();
    assert_eq!(committer.gather().unwrap().len(), 1);
}

#[test]
fn a_group_is_written_only_where_there_is_a_reason_and_is_measured() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let value = |name: &str| {
        let text = metrics.render();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
    };
    let directory = Directory::new("a_group_is_written_only_where_there_is_a_reason_and_is_measured");
    let (_writer, mut committer) = committer(&directory);
    committer.backlog.works.store(5, Ordering::Relaxed);
    metrics::with_local_recorder(&recorder, || {
        committer.group(Vec::new()).unwrap();
        assert_eq!(value("store_fsync_seconds_count"), 0, "there was no reason");
        // A record that is for nobody lets the cursor pass.
        committer.log.append(vec![(OUTBOX, Arc::new(LogRecord { sequence: 1, messages: Vec::new() }))]);
        committer.group(Vec::new()).unwrap();
        let cursors: Vec<u64> = committer.overlay.read().upper.cursors.values().copied().collect();
        assert_eq!(cursors, [1]);
        assert_eq!((value("store_fsync_seconds_count"), value("store_commit_batch_size_count")), (1, 0));
        let works = ["a", "b", "c"].map(|name| commit(&committer, &[thing(name)]).0);
        committer.group(works.into()).unwrap();
        let measured = ["store_commit_batch_size_count", "store_commit_batch_size_sum", "store_queue_depth"];
        assert_eq!(measured.map(value), [1, 3, 5]);
        assert_eq!(value("store_fsync_seconds_count"), 2);
    });
}
