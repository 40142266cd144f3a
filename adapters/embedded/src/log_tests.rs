//! What a consumer takes, what its cursor may pass, and what wakes it.

use std::time::Duration;

use super::*;
use crate::fixture::envelope;

const FIRST: Table = Table("first_events");
const SECOND: Table = Table("second_events");

/// A log after `last` records of each outbox, with consumers whose cursors are saved at `cursor`: one of both outboxes and
/// two kinds, one of the first outbox and a kind that is rare.
fn log_after(last: u64, cursor: u64) -> Log {
    let start = |consumer, outboxes: &[Table], kinds: &[&'static str]| Start {
        subscription: Subscription { consumer, outboxes: outboxes.to_vec(), kinds: kinds.to_vec() },
        cursors: outboxes.iter().map(|outbox| (*outbox, cursor)).collect(),
        waiting: 0,
        next_due: None,
    };
    let starts =
        vec![start("all", &[FIRST, SECOND], &["COMMON", "RARE"]), start("rare", &[FIRST], &["RARE"])];
    Log::new(&BTreeMap::from([(FIRST, last), (SECOND, last)]), starts)
}

/// A record whose messages have the numbers ten times its sequence, and so on.
fn record(sequence: u64, kinds: &[&str]) -> LogRecord {
    let message = |(number, kind): (u64, &&str)| Arc::new(envelope(number.into(), kind, "{}"));
    LogRecord { sequence, messages: (sequence * 10..).zip(kinds).map(message).collect() }
}

impl Log {
    fn append_to(&self, outbox: Table, records: impl IntoIterator<Item = LogRecord>) {
        self.append(records.into_iter().map(|record| (outbox, Arc::new(record))).collect());
    }

    fn take_some(&self, consumer: &str, limit: usize) -> Vec<Received> {
        match self.take(consumer, limit) {
            Taken::Messages(messages) => messages,
            Taken::Behind { outbox, from, to } => {
                panic!("{consumer} is behind in {outbox:?} from {from} to {to}")
            }
            Taken::Nothing => Vec::new(),
        }
    }

    fn behind(&self, consumer: &str) -> Option<(Table, u64, u64)> {
        match self.take(consumer, 10) {
            Taken::Behind { outbox, from, to } => Some((outbox, from, to)),
            Taken::Messages(_) | Taken::Nothing => None,
        }
    }

    fn lift_all(&self, consumer: &str, received: &[Received]) -> Vec<UnderWay> {
        received.iter().map(|received| self.lift(consumer, received.receipt).unwrap()).collect()
    }

    fn done(&self, consumer: &str, received: &[Received]) -> bool {
        self.end(consumer, self.lift_all(consumer, received).iter())
    }

    fn save(&self) -> Vec<(&'static str, Table, u64, u64)> {
        self.save_cursors().iter().map(|moved| (moved.consumer, moved.outbox, moved.from, moved.to)).collect()
    }

    async fn has_woken(&self, consumer: &str) -> bool {
        let woken = self.wake(consumer).unwrap().notified();
        tokio::time::timeout(Duration::ZERO, woken).await.is_ok()
    }
}

fn numbers(received: &[Received]) -> Vec<u128> {
    received.iter().map(|received| received.delivery.envelope.message_id.uuid().as_u128()).collect()
}

#[test]
fn each_consumer_takes_what_is_for_it_in_order() {
    let log = log_after(0, 0);
    log.append_to(
        FIRST,
        [record(1, &["COMMON", "RARE"]), record(2, &["OTHER", "COMMON"]), record(3, &["RARE"])],
    );
    assert_eq!(log.waiting(), [("all", 4), ("rare", 2)]);
    assert_eq!(numbers(&log.take_some("all", 1)), [10]);
    assert_eq!(log.positions("all"), [(FIRST, 1, 1), (SECOND, 1, 0)]);
    assert_eq!(numbers(&log.take_some("all", 2)), [11, 21]);
    assert_eq!(log.positions("all"), [(FIRST, 3, 0), (SECOND, 1, 0)]);
    assert_eq!(log.waiting(), [("all", 1), ("rare", 2)]);
    assert_eq!(numbers(&log.take_some("all", 10)), [30]);
    assert_eq!(numbers(&log.take_some("rare", 10)), [11, 30]);
    assert_eq!(log.waiting(), [("all", 0), ("rare", 0)]);
    for consumer in ["all", "rare", "nobody"] {
        assert!(log.take_some(consumer, 10).is_empty(), "{consumer}");
    }
    assert_eq!(log.next_sequences(), BTreeMap::from([(FIRST, 4), (SECOND, 1)]));
}

#[test]
fn a_busy_outbox_does_not_starve_another() {
    let log = log_after(0, 0);
    log.append_to(FIRST, [record(1, &["COMMON"; 4])]);
    log.append_to(SECOND, [record(1, &["RARE"; 4])]);
    let mut kinds: Vec<_> =
        (0..8).flat_map(|_| log.take_some("all", 1)).map(|r| r.delivery.envelope.kind.clone()).collect();
    assert_eq!(kinds.len(), 8);
    for turn in kinds.chunks_mut(2) {
        turn.sort();
        assert_eq!(turn, ["COMMON", "RARE"]);
    }
    assert!(log.take_some("all", 1).is_empty());
}

#[test]
fn a_cursor_stands_before_what_is_under_way() {
    let log = log_after(0, 0);
    log.append_to(FIRST, [record(1, &["COMMON", "COMMON"]), record(2, &["COMMON"]), record(3, &["COMMON"])]);
    // The other consumer passes over what is not for it as soon as it is there.
    assert_eq!(log.save(), [("rare", FIRST, 0, 3)]);
    assert!(!log.has_moved());
    let taken = log.take_some("all", 10);
    assert!(!log.has_moved(), "nothing has ended");
    for (ended, is_first_move, saved) in [
        (&taken[3..], true, vec![]),
        (&taken[..1], true, vec![]),
        (&taken[1..2], true, vec![("all", FIRST, 0, 1)]),
        (&taken[2..3], true, vec![("all", FIRST, 1, 3)]),
        (&[], false, vec![]),
    ] {
        assert_eq!(log.done("all", ended), is_first_move);
        assert_eq!(log.has_moved(), is_first_move);
        assert_eq!(log.save(), saved);
        assert!(!log.has_moved());
    }
    assert!(taken.iter().all(|received| log.lift("all", received.receipt).is_none()), "each ends once");
}

#[test]
fn of_several_moves_before_a_save_the_first_is_told() {
    let log = log_after(0, 0);
    log.append_to(FIRST, [record(1, &["RARE"]), record(2, &["RARE"])]);
    let (all, rare) = (log.take_some("all", 10), log.take_some("rare", 1));
    assert!(log.done("all", &all[..1]));
    assert!(!log.done("all", &all[1..]));
    assert!(!log.done("rare", &rare));
    assert!(!log.end("nobody", [].into_iter()));
    assert_eq!(log.save(), [("all", FIRST, 0, 2), ("rare", FIRST, 0, 1)]);
}

#[test]
fn what_could_not_be_saved_is_taken_back() {
    let log = log_after(0, 0);
    log.append_to(FIRST, [record(1, &["RARE", "RARE"])]);
    let received = log.take_some("rare", 10);
    let lifted = log.lift_all("rare", &received);
    log.end("rare", lifted.iter());
    let moves = log.save_cursors();
    log.unsave_cursors(&moves);
    assert!(log.has_moved());
    log.resume("rare", lifted.iter());
    assert_eq!(log.save(), [], "both are under way again");
    log.end("rare", lifted[..1].iter());
    assert_eq!(log.save(), [], "one is under way");
    log.end("rare", lifted[1..].iter());
    let moves = log.save_cursors();
    log.unsave_cursors(&moves);
    assert_eq!(log.save(), [("rare", FIRST, 0, 1)]);
    log.unsave_cursors(&[]);
    assert!(!log.has_moved());
}

#[tokio::test]
async fn a_consumer_is_woken_only_by_what_concerns_it() {
    let log = log_after(0, 0);
    log.append_to(FIRST, [record(1, &["COMMON"])]);
    assert!(log.has_woken("all").await && !log.has_woken("rare").await);
    log.append_to(FIRST, [record(2, &["OTHER"])]);
    log.append_to(FIRST, []);
    assert!(!log.has_woken("all").await && !log.has_woken("rare").await);
    log.append_to(FIRST, [record(3, &["RARE"])]);
    assert!(log.has_woken("all").await && log.has_woken("rare").await);
    log.due("rare", Timestamp::EPOCH);
    assert!(!log.has_woken("all").await && log.has_woken("rare").await);
    assert!(log.wake("nobody").is_none());
}

#[test]
fn the_newest_records_are_kept_in_memory_up_to_a_bound() {
    let log = log_after(0, 0);
    let around = envelope(0, "COMMON", "\"\"").bytes();
    let quarter = format!("\"{}\"", "x".repeat(TAIL_BYTES_MAX / 4 - around));
    for (sequence, first) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 3), (7, 4)] {
        let messages = vec![Arc::new(envelope(sequence.into(), "COMMON", &quarter))];
        log.append_to(FIRST, [LogRecord { sequence, messages }]);
        let state = locked(&log.state);
        let tail = &state.tails[&FIRST];
        assert_eq!((tail.first(), tail.next), (first, sequence + 1));
        assert!(tail.record(first - 1).is_none() && tail.record(sequence + 1).is_none());
        assert_eq!(tail.record(sequence).map(|record| record.sequence), Some(sequence));
    }
    assert_eq!(log.behind("rare"), None, "it has passed them all");
    assert_eq!(log.behind("all"), Some((FIRST, 1, 7)));
}

#[test]
fn one_who_is_behind_reads_on_where_it_was_and_goes_over_to_the_tail() {
    let log = log_after(5, 2);
    assert_eq!(log.behind("rare"), Some((FIRST, 3, 5)));
    // What is new meanwhile is not for it, and does not let it forget what it has not read.
    log.append_to(FIRST, [record(6, &["COMMON"])]);
    assert_eq!(log.behind("rare"), Some((FIRST, 3, 6)));
    log.fetched("rare", FIRST, 2, 6, vec![record(2, &["RARE"])]);
    assert_eq!(log.behind("rare"), Some((FIRST, 3, 6)), "what was read for another position is no use");
    log.fetched("rare", FIRST, 3, 6, vec![record(3, &["RARE", "COMMON", "RARE"]), record(4, &["RARE"])]);
    assert_eq!(numbers(&log.take_some("rare", 1)), [30]);
    assert_eq!(numbers(&log.take_some("rare", 1)), [32]);
    assert_eq!(numbers(&log.take_some("rare", 10)), [40]);
    assert_eq!(log.behind("rare"), Some((FIRST, 5, 6)));
    log.fetched("rare", FIRST, 5, 5, vec![record(5, &["RARE"])]);
    log.append_to(FIRST, [record(7, &["RARE"])]);
    assert_eq!(numbers(&log.take_some("rare", 10)), [50, 70]);
}

#[test]
fn what_was_trimmed_away_or_is_for_others_is_passed_over() {
    for (read, then) in [
        (vec![], vec![]),
        (vec![record(3, &["COMMON"]), record(4, &["COMMON"]), record(5, &["COMMON"])], vec![]),
        (vec![record(5, &["RARE"])], vec![50]),
    ] {
        let log = log_after(5, 2);
        assert!(!log.has_moved());
        log.fetched("rare", FIRST, 3, 5, read);
        let taken = log.take_some("rare", 10);
        assert_eq!(numbers(&taken), then);
        assert!(log.has_moved());
        log.done("rare", &taken);
        assert_eq!(log.save(), [("rare", FIRST, 2, 5)]);
        assert!(log.take_some("rare", 10).is_empty());
        assert!(!log.has_moved(), "nothing more was passed");
    }
}

#[test]
fn the_first_retry_that_is_due_is_known() {
    let log = log_after(0, 0);
    let at = Timestamp::from_millis;
    for (due, first) in [(7, 7), (3, 3), (9, 3)] {
        log.due("rare", at(due));
        assert_eq!((log.next_due("rare"), log.next_due("all")), (Some(at(first)), None));
    }
    assert_eq!(log.begin_retries("rare"), 0);
    assert_eq!(log.next_due("rare"), None);
}

#[test]
fn a_retry_is_handed_out_once_at_a_time() {
    let log = log_after(0, 0);
    let retry = |retry_id: i64| Deliverable {
        retry_id,
        attempt: 3,
        envelope: envelope(retry_id.unsigned_abs().into(), "RARE", "{}"),
    };
    log.append_to(FIRST, [record(1, &["RARE"])]);
    let new = log.take_some("rare", 10);
    assert_eq!(log.begin_retries("rare"), 0, "what is new is no retry");
    let first = log.take_retries("rare", vec![retry(1), retry(2), retry(3)], 2);
    assert_eq!(numbers(&first), [1, 2]);
    assert!(first.iter().all(|received| received.delivery.attempt == 3));
    assert_eq!(log.begin_retries("rare"), 2);
    let second = log.take_retries("rare", vec![retry(1), retry(2), retry(3)], 5);
    assert_eq!(numbers(&second), [3]);
    let mut receipts: Vec<_> = [&new[..], &first, &second].concat().iter().map(|r| r.receipt.0).collect();
    receipts.sort_unstable();
    receipts.dedup();
    assert_eq!(receipts.len(), 4);
    assert!(!log.done("rare", &first), "no cursor moves by a retry");
    assert_eq!(log.begin_retries("rare"), 1);
    assert!(log.take_retries("nobody", vec![retry(4)], 1).is_empty());
}
