//! Connections that are kept, and how much is read at once.

use ports::Subscription;
use rusqlite::StatementStatus;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};

use super::*;
use crate::changes::{Changes, Record};
use crate::fixture::envelope;
use crate::open::Lock;

const ITEMS: Table = Table("items");
const OUTBOX: Table = Table("items_events");

/// A store of its own in a directory that is removed at the end.
struct Fixture {
    reader: Arc<Reader>,
    connection: Connection,
    directory: PathBuf,
    _lock: Lock,
}

impl Fixture {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("reader-{name}-{}", std::process::id()));
        let lock = Lock::take(&directory).unwrap();
        let connection = open::writing(&directory).unwrap();
        let subscription = Subscription { consumer: "reader", outboxes: vec![OUTBOX], kinds: Vec::new() };
        let schema = Schema::new(&[ITEMS], &[subscription]);
        schema.create(&connection).unwrap();
        let reader = Arc::new(Reader::newest(directory.clone(), Arc::new(schema), Arc::default()));
        Self { reader, connection, directory, _lock: lock }
    }

    fn idle(&self) -> usize {
        let Source::Newest { idle, .. } = &self.reader.source else { panic!("it reads the newest state") };
        locked(idle).as_ref().unwrap().len()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// As many reads at the same time as there are levels.
fn read_nested(reader: &Reader, levels: usize) {
    let nested = |_: &Connection| {
        if levels > 1 {
            read_nested(reader, levels - 1);
        }
        Ok(())
    };
    reader.read(nested).unwrap();
}

#[test]
fn connections_are_kept_for_the_next_read_up_to_a_bound() {
    let fixture = Fixture::new("idle");
    for (levels, idle) in [(1, 1), (1, 1), (3, 3), (IDLE_MAX + 4, IDLE_MAX), (IDLE_MAX, IDLE_MAX)] {
        read_nested(&fixture.reader, levels);
        assert_eq!(fixture.idle(), idle, "after {levels} reads at once");
    }
    // One that would go on reading the past is not used again.
    fixture.reader.read(|connection| Ok(connection.execute_batch("BEGIN")?)).unwrap();
    assert_eq!(fixture.idle(), IDLE_MAX - 1);
    fixture.reader.close();
    assert!(matches!(fixture.reader.read(|_| Ok(())), Err(ReadError::Closed)));
}

#[tokio::test]
async fn a_page_has_a_bound_and_knows_whether_another_follows() {
    for (wanted, limit) in
        [(0, 1), (1, 1), (7, 7), (PAGE_ITEMS_MAX, PAGE_ITEMS_MAX), (usize::MAX, PAGE_ITEMS_MAX)]
    {
        assert_eq!(page_limit(wanted), limit);
    }
    assert_eq!((more_than(0), more_than(7), more_than(usize::MAX)), (1, 8, i64::MAX));
    let fixture = Fixture::new("page");
    let sql = "INSERT INTO items (partition, sort, revision, body) VALUES ('p', ?1, 1, '{}')";
    for sort in ["a", "b", "c"] {
        fixture.connection.execute(sql, [sort]).unwrap();
    }
    for (limit, sorts, next) in
        [(2, &["a", "b"][..], Some("b")), (3, &["a", "b", "c"], None), (4, &["a", "b", "c"], None)]
    {
        let range = Range::prefix(ITEMS, "p", "", Order::Ascending, limit);
        let page = fixture.reader.query(&range).await.unwrap();
        assert_eq!(page.items.iter().map(|item| item.key.sort.as_str()).collect::<Vec<_>>(), sorts);
        assert_eq!(page.next.as_deref(), next);
    }
}

#[test]
fn a_statement_is_planned_once_whatever_is_bound_to_it() {
    let fixture = Fixture::new("plans");
    let reading = open::reading(&fixture.directory).unwrap();
    let statements = fixture.reader.items(ITEMS).unwrap();
    for sql in [&statements.last, &statements.read, &statements.ascending, &statements.descending] {
        for value in ["a", "b", "c"] {
            let mut statement = reading.prepare_cached(sql).unwrap();
            for parameter in 1..=statement.parameter_count() {
                // The fifth is a limit.
                statement.raw_bind_parameter(parameter, if parameter < 5 { value } else { "9" }).unwrap();
            }
            statement.raw_query().next().unwrap();
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql} with {value}");
        }
    }
}

#[test]
fn several_items_are_read_as_of_one_moment() {
    let fixture = Fixture::new("moment");
    let keys = ["a", "b"].map(|sort| Key::new(ITEMS, "p", sort));
    let begins = |keys: &[Key], before: &str| {
        let mut connection = open::reading(&fixture.directory).unwrap();
        connection.execute_batch(before).unwrap();
        let (begun, begins) = std::sync::mpsc::channel();
        let note = move |context: AuthContext<'_>| {
            if let AuthAction::Transaction { operation: TransactionOperation::Begin } = context.action {
                begun.send(()).unwrap();
            }
            Authorization::Allow
        };
        connection.authorizer(Some(note)).unwrap();
        assert_eq!(fixture.reader.get_all(&connection, keys.iter()).unwrap().len(), keys.len());
        begins.try_iter().count()
    };
    assert_eq!((begins(&keys, ""), begins(&keys, "BEGIN"), begins(&keys[..1], "")), (1, 0, 0));
}

#[tokio::test]
async fn so_much_of_the_log_is_read_at_once_wherever_it_is() {
    let around = serde_json::to_string(&[envelope(0, "KIND", "\"\"")]).unwrap().len();
    let quarter = format!("\"{}\"", "x".repeat(LOG_BYTES_MAX / 4 - around));
    let messages = serde_json::to_string(&[envelope(0, "KIND", &quarter)]).unwrap();
    assert_eq!(messages.len(), LOG_BYTES_MAX / 4);
    let sql =
        "INSERT INTO items_events (sequence, transaction_id, committed_at, messages) VALUES (?1, '', 0, ?2)";
    for settled in 0..=6 {
        let fixture = Fixture::new(&format!("log-{settled}"));
        for sequence in 1..=settled {
            fixture.connection.execute(sql, params![stored(sequence), messages]).unwrap();
        }
        for sequence in settled + 1..=6 {
            let (transaction_id, messages) = (String::new(), messages.clone());
            let record = Record { transaction_id, committed_at_ms: 0, messages };
            let records = BTreeMap::from([((OUTBOX, sequence), record)]);
            fixture.reader.overlay().add(sequence, Changes { records, ..Changes::default() }, 0);
        }
        for (from, to, sequences) in [(1, 6, 1..=4), (2, 6, 2..=5), (5, 6, 5..=6), (2, 3, 2..=3)] {
            let records = fixture.reader.records(OUTBOX, from, to).await.unwrap();
            let read: Vec<_> = records.iter().map(|record| record.sequence).collect();
            assert_eq!(read, sequences.collect::<Vec<_>>(), "{settled}");
        }
    }
}

#[tokio::test]
async fn the_log_is_read_up_to_a_gap() {
    let fixture = Fixture::new("gap");
    for sequence in [1, 2, 4] {
        let record = Record { transaction_id: String::new(), committed_at_ms: 0, messages: "[]".to_owned() };
        let records = BTreeMap::from([((OUTBOX, sequence), record)]);
        fixture.reader.overlay().add(sequence, Changes { records, ..Changes::default() }, 0);
    }
    let records = fixture.reader.records(OUTBOX, 1, 4).await.unwrap();
    assert_eq!(records.iter().map(|record| record.sequence).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn retries_are_read_as_they_are_due() {
    let fixture = Fixture::new("retries");
    let sql = "INSERT INTO queue_retries (retry_id, consumer, due_at, attempt, reason, envelope) VALUES (?1, ?2, ?3, ?4, '', ?5)";
    for (retry_id, consumer, due_at, attempt) in [
        (1, "reader", 30, 1),
        (2, "reader", 10, 4),
        (3, "another", 5, 1),
        (4, "reader", 20, 2),
        (5, "reader", 20, 1),
    ] {
        let envelope = serde_json::to_string(&envelope(0, "KIND", "{}")).unwrap();
        fixture.connection.execute(sql, params![retry_id, consumer, due_at, attempt, envelope]).unwrap();
    }
    let at = Timestamp::from_millis;
    for (now, limit, due, next) in [
        (9, 10, vec![], Some(10)),
        (10, 10, vec![(2, 5)], Some(20)),
        (25, 10, vec![(2, 5), (4, 3), (5, 2)], Some(30)),
        (25, 2, vec![(2, 5), (4, 3)], Some(20)),
        (30, 3, vec![(2, 5), (4, 3), (5, 2)], Some(30)),
        (30, 4, vec![(2, 5), (4, 3), (5, 2), (1, 2)], None),
    ] {
        let (read, next_due) = fixture.reader.retries(&fixture.connection, "reader", at(now), limit).unwrap();
        let read: Vec<_> = read.iter().map(|retry| (retry.retry_id, retry.attempt)).collect();
        assert_eq!((read, next_due), (due, next.map(at)), "{limit} at {now}");
    }
}
