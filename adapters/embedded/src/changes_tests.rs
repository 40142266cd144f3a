use ports::Subscription;

use super::*;

const THINGS: Table = Table("things");
const EVENTS: Table = Table("things_events");

fn schema() -> Schema {
    let subscription = Subscription { consumer: "reader", outboxes: vec![EVENTS], kinds: vec!["KIND"] };
    Schema::new(&[THINGS], &[subscription])
}

/// One of everything.
fn changes() -> Changes {
    let mut changes = Changes::default();
    let row = Row { revision: 3, expires_at_ms: Some(-4), body: "{\"ü\":1}".to_owned() };
    changes.items.insert(Key::new(THINGS, "p", "kept"), Some(row));
    changes.items.insert(Key::new(THINGS, "p", "gone"), None);
    let record = Record { transaction_id: "t".to_owned(), committed_at_ms: 5, messages: "[]".to_owned() };
    changes.records.insert((EVENTS, 7), record);
    changes.cursors.insert(("reader".to_owned(), EVENTS), u64::MAX);
    let (consumer, reason, envelope) = ("reader".to_owned(), "why".to_owned(), "{}".to_owned());
    let retry = Retry {
        consumer: consumer.clone(),
        due_at_ms: 9,
        attempt: 2,
        reason: reason.clone(),
        envelope: envelope.clone(),
    };
    changes.retries.insert(1, Some(retry));
    changes.retries.insert(2, None);
    let letter = DeadRow { consumer, reason, attempts: 5, died_at_ms: 11, envelope };
    changes.dead_letters.insert("d".to_owned(), Some(letter));
    changes.dead_letters.insert("e".to_owned(), None);
    changes
}

#[test]
fn a_frame_is_read_as_it_was_written() {
    let (changes, mut frame) = (changes(), b"head".to_vec());
    changes.encode(&mut frame).unwrap();
    assert_eq!(&frame[..4], b"head");
    assert_eq!(Changes::decode(&frame[4..], &schema()).unwrap(), changes);
}

#[test]
fn later_changes_count() {
    let mut changes = changes();
    let mut later = Changes::default();
    assert!(later.is_empty());
    later.items.insert(Key::new(THINGS, "p", "kept"), None);
    later.cursors.insert(("reader".to_owned(), EVENTS), 1);
    later.retries.insert(1, None);
    assert!(!later.is_empty());
    changes.extend(later);
    assert_eq!(changes.items.get(&Key::new(THINGS, "p", "kept")), Some(&None));
    assert_eq!(changes.cursors[&("reader".to_owned(), EVENTS)], 1);
    assert_eq!((changes.retries.len(), &changes.retries[&1]), (2, &None));
    assert_eq!(changes.records.len(), 1);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let mut frame = Vec::new();
    changes().encode(&mut frame).unwrap();
    for length in 0..frame.len() {
        let cut = Changes::decode(&frame[..length], &schema());
        assert!(matches!(cut, Err(DecodeError::Unreadable(_))), "{length}");
    }
    let other = Schema::new(&[], &[]);
    assert!(matches!(Changes::decode(&frame, &other), Err(DecodeError::NoTable(name)) if name == "things"));
}
