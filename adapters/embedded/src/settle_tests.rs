//! The settler with no thread around it: what it writes, what it leaves out, and what it does where it cannot write.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;

use kernel::Timestamp;
use ports::Key;

use super::*;
use crate::changes::{Record, Row};
use crate::fixture::{Directory, NOW, stopped_sources};
use crate::log::Log;
use crate::open;

const ITEMS: Table = Table("items");
const OUTBOX: Table = Table("items_events");

/// A settler with two consumers of one outbox.
fn settler(directory: &Directory) -> Settler {
    let subscription = |consumer| Subscription { consumer, outboxes: vec![OUTBOX], kinds: vec!["KIND"] };
    let subscriptions = vec![subscription("fast"), subscription("slow")];
    let schema = Schema::new(&[ITEMS], &subscriptions);
    let _lock = open::Lock::take(&directory.0).unwrap();
    let connection = open::writing(&directory.0).unwrap();
    schema.create(&connection).unwrap();
    Settler {
        connection,
        schema: Arc::new(schema),
        subscriptions,
        overlay: Arc::default(),
        log: Arc::new(Log::new(&BTreeMap::from([(OUTBOX, 0)]), Vec::new())),
        sources: stopped_sources(),
        health: watch::Sender::new(Health::Serving),
        settled: watch::Sender::new(0),
        woken: sync_channel(1).1,
    }
}

fn key(name: &str) -> Key {
    Key::new(ITEMS, name, "item")
}

fn row(revision: u64, expires_at: Option<Timestamp>) -> Option<Row> {
    Some(Row { revision, expires_at_ms: expires_at.map(Timestamp::as_millis), body: "{}".to_owned() })
}

impl Settler {
    /// A durable group.
    fn group(&self, number: u64, change: impl FnOnce(&mut Changes)) {
        let mut changes = Changes::default();
        change(&mut changes);
        self.overlay.add(number, changes, 1);
    }

    fn column(&self, sql: &str) -> Vec<i64> {
        let mut statement = self.connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }
}

#[test]
fn what_was_changed_several_times_is_written_as_it_is_now() {
    let directory = Directory::new("settle-twice");
    let settler = settler(&directory);
    settler.group(1, |changes| {
        changes.items.insert(key("a"), row(1, None));
        changes.items.insert(key("b"), row(1, None));
    });
    settler.group(2, |changes| {
        changes.items.insert(key("a"), row(2, None));
        changes.items.insert(key("b"), None);
    });
    assert_eq!(settler.settle(&mut None).unwrap(), INTERVAL);
    assert_eq!(settler.column("SELECT revision FROM items"), [2]);
    assert_eq!((*settler.settled.borrow(), settled(&settler.connection).unwrap()), (2, 2));
    assert!(settler.overlay.read().item(&key("a")).is_none(), "the database has the last word");

    settler.group(3, |changes| {
        changes.items.insert(key("a"), None);
        changes.items.insert(key("c"), row(7, None));
    });
    settler.settle(&mut None).unwrap();
    assert_eq!(settler.column("SELECT revision FROM items"), [7]);
}

#[test]
fn a_record_that_everybody_has_passed_is_not_written_and_goes_if_it_was() {
    let directory = Directory::new("settle-passed");
    let settler = settler(&directory);
    let record = |changes: &mut Changes, sequence| {
        let record = Record { transaction_id: String::new(), committed_at_ms: 0, messages: "[]".to_owned() };
        changes.records.insert((OUTBOX, sequence), record);
    };
    let cursor = |changes: &mut Changes, consumer: &str, sequence| {
        changes.cursors.insert((consumer.to_owned(), OUTBOX), sequence);
    };
    let sequences = |settler: &Settler| settler.column("SELECT sequence FROM items_events ORDER BY sequence");
    settler.group(1, |changes| {
        (1..=4).for_each(|sequence| record(changes, sequence));
        cursor(changes, "fast", 4);
    });
    settler.settle(&mut None).unwrap();
    assert_eq!(sequences(&settler), [1, 2, 3, 4], "one of two has passed none");
    settler.group(2, |changes| {
        (5..=6).for_each(|sequence| record(changes, sequence));
        cursor(changes, "fast", 6);
        cursor(changes, "slow", 5);
    });
    settler.settle(&mut None).unwrap();
    assert_eq!(sequences(&settler), [6]);
}

#[test]
fn what_has_expired_goes_and_soon_where_there_is_more() {
    let directory = Directory::new("settle-expired");
    let settler = settler(&directory);
    settler.group(1, |changes| {
        for number in 0..7_000 {
            changes.items.insert(key(&number.to_string()), row(1, Some(NOW)));
        }
        changes.items.insert(key("later"), row(1, Some(Timestamp::from_millis(NOW.as_millis() + 1))));
        changes.items.insert(key("never"), row(1, None));
    });
    for (left, next) in [(2_002, INTERVAL_BEHIND), (2, INTERVAL), (2, INTERVAL)] {
        assert_eq!(settler.settle(&mut None).unwrap(), next);
        assert_eq!(settler.column("SELECT count(*) FROM items"), [left]);
    }
}

#[test]
fn where_there_is_no_room_nothing_is_lost_and_it_is_tried_again() {
    let directory = Directory::new("settle-room");
    let settler = settler(&directory);
    settler.group(1, |changes| {
        let body = "x".repeat(1_000_000);
        changes.items.insert(key("large"), Some(Row { revision: 1, expires_at_ms: None, body }));
    });
    settler.connection.pragma_update(None, "max_page_count", 60).unwrap();
    let mut unsettled = None;
    let error = settler.settle(&mut unsettled).unwrap_err();
    assert!(!ends_the_store(&error), "{error}");
    settler.group(2, |changes| {
        changes.items.insert(key("small"), row(1, None));
    });
    assert!(settler.settle(&mut unsettled).is_err());
    assert!(settler.overlay.read().item(&key("large")).is_some());
    assert_eq!((*settler.settled.borrow(), settled(&settler.connection).unwrap()), (0, 0));

    settler.connection.pragma_update(None, "max_page_count", 1_000_000).unwrap();
    assert_eq!(settler.settle(&mut unsettled).unwrap(), Duration::ZERO, "there is more");
    assert_eq!(*settler.settled.borrow(), 1);
    settler.settle(&mut unsettled).unwrap();
    assert_eq!(settler.column("SELECT count(*) FROM items"), [2]);
    assert_eq!(*settler.settled.borrow(), 2);
}

#[test]
fn what_was_moved_halfway_counts_once_all_of_it_is() {
    let directory = Directory::new("settle-portions");
    let settler = settler(&directory);
    let items = |revision| (0..2_500).map(move |number| (key(&format!("{number:04}")), row(revision, None)));
    settler.group(1, |changes| changes.items.extend(items(1)));
    settler.settle(&mut None).unwrap();
    settler.group(2, |changes| {
        changes.items.extend(items(2));
        changes.items.insert(key("0007"), None);
        let body = "x".repeat(10_000_000);
        changes.items.insert(key("2300"), Some(Row { revision: 2, expires_at_ms: None, body }));
    });
    settler.connection.pragma_update(None, "max_page_count", 2_000).unwrap();
    let mut unsettled = None;
    settler.settle(&mut unsettled).unwrap_err();
    let revisions = "SELECT count(*) FROM items GROUP BY revision ORDER BY revision";
    assert_eq!(settler.column(revisions), [500, 1_999], "two portions, of which one item is gone");
    assert_eq!((*settler.settled.borrow(), settled(&settler.connection).unwrap()), (1, 1));
    assert_eq!(moving(&settler.connection).unwrap(), 2, "the file says that it has a part");
    assert!(settler.overlay.read().item(&key("2400")).is_some());

    settler.connection.pragma_update(None, "max_page_count", 1_000_000).unwrap();
    settler.settle(&mut unsettled).unwrap();
    assert_eq!(settler.column(revisions), [2_499]);
    assert_eq!((*settler.settled.borrow(), settled(&settler.connection).unwrap()), (2, 2));
    assert!(settler.overlay.read().item(&key("2400")).is_none());
}

#[test]
fn what_is_settled_leaves_the_write_ahead_log_for_the_file() {
    let directory = Directory::new("settle-file");
    let settler = settler(&directory);
    let file = std::path::PathBuf::from(settler.connection.path().unwrap());
    let bytes = || std::fs::metadata(&file).unwrap().len();
    assert!(bytes() < 1_000_000);
    settler.group(1, |changes| {
        let body = "x".repeat(1_000_000);
        changes.items.insert(key("large"), Some(Row { revision: 1, expires_at_ms: None, body }));
    });
    settler.settle(&mut None).unwrap();
    assert!(bytes() > 1_000_000);
}

#[test]
fn one_who_cannot_write_is_not_hurried_by_being_woken() {
    let directory = Directory::new("settle-hurried");
    let mut settler = settler(&directory);
    settler.group(1, |changes| {
        let body = "x".repeat(1_000_000);
        changes.items.insert(key("large"), Some(Row { revision: 1, expires_at_ms: None, body }));
    });
    settler.connection.pragma_update(None, "max_page_count", 60).unwrap();
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let count = move || {
        counted.fetch_add(1, Ordering::SeqCst);
    };
    settler.connection.rollback_hook(Some(count)).unwrap();
    let (wake, woken) = sync_channel(0);
    settler.woken = woken;
    let (began, thread) = (Instant::now(), std::thread::spawn(move || settler.run()));
    for _ in 0..50 {
        wake.send(()).unwrap();
    }
    let pauses = began.elapsed().div_duration_f64(RETRY_AFTER) as u32;
    let tried = attempts.load(Ordering::SeqCst);
    assert!((1..=pauses + 1).contains(&tried), "{tried} attempts in {pauses} pauses");
    drop(wake);
    thread.join().unwrap();
}

#[test]
fn one_who_can_write_does_so_when_woken() {
    let directory = Directory::new("settle-woken");
    let mut settler = settler(&directory);
    let (wake, woken) = sync_channel(0);
    settler.woken = woken;
    let (overlay, mut settled) = (Arc::clone(&settler.overlay), settler.settled.subscribe());
    let (began, thread) = (Instant::now(), std::thread::spawn(move || settler.run()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for number in 1..=5 {
        let items = [(key("a"), row(number, None))].into_iter().collect();
        overlay.add(number, Changes { items, ..Changes::default() }, 1);
        wake.send(()).unwrap();
        assert_eq!(*runtime.block_on(settled.wait_for(|settled| *settled >= number)).unwrap(), number);
    }
    assert!(began.elapsed() < 4 * INTERVAL, "each would have had to wait for that long");
    drop(wake);
    thread.join().unwrap();
}

#[test]
fn nobody_goes_on_trusting_a_settler_that_has_panicked() {
    let directory = Directory::new("settle-panic");
    let settler = settler(&directory);
    let health = settler.health.clone();
    drop(settler);
    assert_eq!(*health.borrow(), Health::Failed("the settler has panicked".to_owned()));
}
