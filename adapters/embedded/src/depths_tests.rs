//! Counts and oldest times are the same wherever the rows are: in the database, in front of it, or here and there.

use std::collections::BTreeMap;
use std::sync::Arc;

use ports::Subscription;

use super::*;
use crate::changes::{Changes, DeadRow, Record, Retry};
use crate::fixture::{NOW, envelope};
use crate::overlay::{Overlay, Unsettled};
use crate::schema::Schema;
use crate::settle;

const OUTBOX: Table = Table("items_events");
const OTHER: Table = Table("others_events");

fn schema() -> Schema {
    let subscription =
        Subscription { consumer: "reader", outboxes: vec![OUTBOX, OTHER], kinds: vec!["KIND"] };
    Schema::new(&[], &[subscription])
}

/// A message that was sent so many seconds after the start.
fn sent_at(seconds: u64, kind: &str) -> Envelope {
    let occurred_at = NOW + std::time::Duration::from_secs(seconds);
    Envelope { occurred_at, ..envelope(seconds.into(), kind, "{}") }
}

fn json(messages: &[Envelope]) -> String {
    serde_json::to_string(messages).unwrap()
}

/// Every row there is, each a change of its own, in the order in which they were made.
fn rows() -> Vec<Changes> {
    let record = |outbox, sequence, messages: &[Envelope]| {
        let record = Record { transaction_id: String::new(), committed_at_ms: 0, messages: json(messages) };
        let mut changes = Changes::default();
        changes.records.insert((outbox, sequence), record);
        changes
    };
    let retry = |retry_id, consumer: &str, seconds| {
        let retry = Retry {
            consumer: consumer.to_owned(),
            due_at_ms: 0,
            attempt: 1,
            reason: String::new(),
            envelope: serde_json::to_string(&sent_at(seconds, "KIND")).unwrap(),
        };
        let mut changes = Changes::default();
        changes.retries.insert(retry_id, Some(retry));
        changes
    };
    let letter = |id: &str, consumer: &str| {
        let letter = DeadRow {
            consumer: consumer.to_owned(),
            reason: String::new(),
            attempts: 5,
            died_at_ms: 0,
            envelope: serde_json::to_string(&sent_at(0, "KIND")).unwrap(),
        };
        let mut changes = Changes::default();
        changes.dead_letters.insert(id.to_owned(), Some(letter));
        changes
    };
    let (mut done, mut redriven) = (Changes::default(), Changes::default());
    done.retries.insert(4, None);
    redriven.dead_letters.insert("c".to_owned(), None);
    vec![
        record(OUTBOX, 4, &[sent_at(1, "KIND")]),
        record(OUTBOX, 5, &[sent_at(2, "KIND"), sent_at(3, "KIND"), sent_at(4, "ELSE")]),
        record(OTHER, 5, &[sent_at(1, "KIND")]),
        retry(1, "reader", 30),
        retry(2, "another", 10),
        retry(4, "reader", 5),
        letter("a", "reader"),
        letter("b", "another"),
        letter("c", "reader"),
        record(OUTBOX, 6, &[sent_at(5, "ELSE")]),
        record(OUTBOX, 7, &[sent_at(6, "ELSE"), sent_at(7, "KIND")]),
        retry(3, "reader", 20),
        letter("d", "reader"),
        letter("e", "reader"),
        done,
        redriven,
    ]
}

#[test]
fn it_makes_no_difference_which_rows_have_been_settled() {
    let count = rows().len();
    for settled in 0..=count {
        let connection = Connection::open_in_memory().unwrap();
        schema().create(&connection).unwrap();
        let (mut below, mut above) = (Changes::default(), Changes::default());
        for (index, row) in rows().into_iter().enumerate() {
            if index < settled { below.extend(row) } else { above.extend(row) }
        }
        let below = Unsettled { changes: Arc::new(below), last: 1, bytes: 0 };
        settle::write(&connection, &schema(), &[], &below, |_| Ok(())).unwrap();
        let elsewhere = Connection::open_in_memory().unwrap();
        let overlay = Overlay::new(1, BTreeMap::new());
        overlay.add(2, above, 0);
        let reader = Reader::snapshot(elsewhere, Arc::new(schema()), overlay);

        let waiting = |cursor, kinds: &[&str]| reader.waiting(&connection, OUTBOX, cursor, kinds).unwrap();
        assert_eq!([3, 4, 5, 6, 7].map(|cursor| waiting(cursor, &["KIND"])), [4, 3, 1, 1, 0], "{settled}");
        assert_eq!((waiting(3, &["ELSE"]), waiting(4, &["ELSE", "KIND"])), (3, 6), "{settled}");
        let oldest = |position, kinds: &[&str]| {
            let oldest = reader.oldest(&connection, OUTBOX, position, kinds).unwrap();
            oldest.map(|at| at.since(NOW).as_secs())
        };
        assert_eq!(
            [(4, 0), (4, 1), (5, 1), (5, 2)].map(|from| oldest(from, &["KIND"])),
            [Some(1), Some(2), Some(3), Some(7)]
        );
        assert_eq!((oldest((5, 3), &["ELSE"]), oldest((7, 2), &["KIND"])), (Some(5), None), "{settled}");

        let retrying = |consumer| {
            let (count, oldest) = reader.retrying(&connection, consumer).unwrap();
            (count, oldest.map(|at| at.since(NOW).as_secs()))
        };
        assert_eq!(["reader", "another", "nobody"].map(retrying), [(2, Some(20)), (1, Some(10)), (0, None)]);
        let dead = |consumer| reader.dead(&connection, consumer).unwrap();
        assert_eq!(["reader", "another", "nobody"].map(dead), [3, 1, 0], "{settled}");
    }
}
