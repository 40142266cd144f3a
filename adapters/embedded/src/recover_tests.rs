use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ports::{Key, Table};

use super::*;
use crate::changes::Row;
use crate::fixture::Directory;
use crate::journal::Journal;

const ITEMS: Table = Table("items");

#[test]
fn a_long_journal_is_moved_in_parts_that_fit_into_memory() {
    let directory = Directory::new("recover-parts");
    let schema = Schema::new(&[ITEMS], &[]);
    let mut journal = Journal::begin(&directory.0, 0).unwrap();
    let body = "x".repeat(WORTH_BYTES / 4);
    for number in 1..=9_u64 {
        let mut changes = Changes::default();
        let row = Row { revision: number, expires_at_ms: None, body: body.clone() };
        changes.items.insert(Key::new(ITEMS, "p", number.to_string()), Some(row));
        journal.append(0, |frame| changes.encode(frame)).unwrap();
    }
    let mut connection = Connection::open_in_memory().unwrap();
    schema.create(&connection).unwrap();
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&commits);
    let count = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        false
    };
    connection.commit_hook(Some(count)).unwrap();
    assert_eq!(into_database(&directory.0, &connection, &schema, &[]).unwrap(), 9);
    assert_eq!(
        commits.load(Ordering::SeqCst),
        2 * 3,
        "four groups, four groups, and one; items, then the rest"
    );
    let sum: i64 = connection.query_row("SELECT sum(revision) FROM items", [], |row| row.get(0)).unwrap();
    assert_eq!((sum, settle::settled(&connection).unwrap()), (45, 9));
}
