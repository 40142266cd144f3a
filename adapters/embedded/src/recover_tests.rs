use ports::{Key, Table};

use super::*;
use crate::changes::{Retry, Row};
use crate::fixture::Directory;
use crate::journal::Journal;
use crate::open::Lock;
use crate::reader;

const ITEMS: Table = Table("items");

fn group(number: u64) -> Changes {
    let mut changes = Changes::default();
    let row = |revision| Row { revision, expires_at_ms: None, body: "{}".to_owned() };
    changes.items.insert(Key::new(ITEMS, "all", "last"), Some(row(number)));
    changes.items.insert(Key::new(ITEMS, format!("p{number}"), "only"), Some(row(1)));
    let retry = Retry {
        consumer: "reader".to_owned(),
        due_at_ms: 0,
        attempt: 1,
        reason: String::new(),
        envelope: "{}".to_owned(),
    };
    changes.retries.insert(i64::try_from(number).unwrap(), Some(retry));
    changes
}

/// A journal of four groups, and a database that says to have the first and to have begun with another.
fn store(directory: &Directory, moving: u64) -> (Connection, Schema) {
    let schema = Schema::new(&[ITEMS], &[]);
    let mut journal = Journal::begin(&directory.0, &Found::default()).unwrap();
    for number in 1..=4 {
        journal.append(0, |frame| group(number).encode(frame)).unwrap();
    }
    let connection = Connection::open_in_memory().unwrap();
    schema.create(&connection).unwrap();
    let sql = format!("UPDATE journal SET settled = 1; UPDATE moving SET up_to = {moving}");
    connection.execute_batch(&sql).unwrap();
    (connection, schema)
}

#[test]
fn the_layers_have_what_the_journal_has_and_the_database_has_not() {
    let directory = Directory::new("recover-layers");
    let (connection, schema) = store(&directory, 4);
    let overlay = Overlay::new(1, reader::last_partitions(&connection, &schema).unwrap());
    assert_eq!(replay(&directory.0, &connection, &schema, &overlay).unwrap().last, 4);

    let revision = |partition: &str, sort: &str| {
        let layers = overlay.read();
        layers.item(&Key::new(ITEMS, partition, sort)).map(|row| row.as_ref().map(|row| row.revision))
    };
    assert_eq!(revision("all", "last"), Some(Some(4)));
    assert_eq!((revision("p2", "only"), revision("p4", "only")), (Some(Some(1)), Some(Some(1))));
    assert_eq!(revision("p1", "only"), None, "the database has it");
    assert_eq!(revision("p5", "only"), Some(None), "it would lie behind the last partition");
    assert_eq!(reader::retry_id_next(&connection, &overlay).unwrap(), 5);
    let unsettled = overlay.begin_to_settle();
    assert_eq!((unsettled.last, unsettled.changes.retries.len()), (4, 3));
    assert!(unsettled.bytes > 0);
}

#[test]
fn a_database_ahead_of_its_journal_is_refused() {
    let directory = Directory::new("recover-part");
    let (connection, schema) = store(&directory, 5);
    let overlay = Overlay::new(1, BTreeMap::new());
    let refused = replay(&directory.0, &connection, &schema, &overlay);
    assert!(matches!(refused, Err(RecoverError::Part { moving: 5, last: 4 })));
}

#[test]
fn a_journal_with_a_gap_has_no_moment() {
    let directory = Directory::new("recover-gap");
    let data_dir = directory.0.join("data");
    let _lock = Lock::take(&data_dir).unwrap();
    let schema = Schema::new(&[ITEMS], &[]);
    schema.create(&open::writing(&data_dir).unwrap()).unwrap();
    let mut journal = Journal::begin(&data_dir, &Found::default()).unwrap();
    let body = "x".repeat(7 * 1024 * 1024);
    for number in 1..=3 {
        let row = Row { revision: number, expires_at_ms: None, body: body.clone() };
        let mut changes = Changes::default();
        changes.items.insert(Key::new(ITEMS, "all", "large"), Some(row));
        journal.append(0, |frame| changes.encode(frame)).unwrap();
    }
    assert!(moment(&data_dir, &schema).is_ok());
    std::fs::remove_file(journal::path(&data_dir, 0)).unwrap();
    assert!(matches!(moment(&data_dir, &schema), Err(OpenError::Corrupted { .. })));
}
