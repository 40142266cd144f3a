use std::time::Duration;

use embedded::{Access, EmbeddedStore, Options};
use kernel::Timestamp;
use ports::{Clock, QueueAdmin, Queues, Received, Sources, Store, Verdict};

use crate::support::*;

fn again_now() -> Verdict {
    Verdict::Again { at: Timestamp::EPOCH, reason: "not now".to_owned() }
}

fn dead() -> Verdict {
    Verdict::Dead { reason: "unreadable".to_owned() }
}

fn ids(received: &[Received]) -> Vec<String> {
    received.iter().map(|received| received.delivery.envelope.message_id.to_string()).collect()
}

#[tokio::test]
async fn what_was_settled_is_not_delivered_after_a_start_and_what_was_not_is() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&emit(&["COMMON", "RARE", "COMMON"])).await.unwrap();
    store.commit(&emit(&["COMMON"])).await.unwrap();
    let first = receive(&store, "all", 3).await;
    assert_eq!(first.len(), 3);
    settle(&store, "all", &first, &Verdict::Done).await;
    let second = receive(&store, "all", 3).await;
    store.close().await;
    drop(store);

    let store = open(&directory.data());
    let third = receive(&store, "all", 10).await;
    assert_eq!(ids(&third), ids(&second));
    assert_eq!(third[0].delivery.attempt, 1);
    settle(&store, "all", &third, &Verdict::Done).await;
    receive_nothing(&store, "all").await;
    assert_eq!(receive(&store, "rare", 10).await.len(), 1);
}

#[tokio::test]
async fn a_record_that_is_handed_out_in_parts_is_passed_when_all_parts_are_settled() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&emit(&["COMMON"; 5])).await.unwrap();
    let first = receive(&store, "all", 2).await;
    let second = receive(&store, "all", 2).await;
    assert_eq!((first.len(), second.len()), (2, 2));
    settle(&store, "all", &first, &Verdict::Done).await;
    settle(&store, "all", &second, &Verdict::Done).await;
    store.close().await;
    drop(store);
    // The fifth was not handed out, so the record is delivered again whole.
    let store = open(&directory.data());
    let all = receive(&store, "all", 10).await;
    assert_eq!(all.len(), 5);
    settle(&store, "all", &all, &Verdict::Done).await;
    store.close().await;
    drop(store);
    receive_nothing(&open(&directory.data()), "all").await;
}

#[tokio::test]
async fn retries_and_dead_letters_are_durable_when_they_are_settled() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&emit(&["COMMON", "COMMON", "COMMON"])).await.unwrap();
    let received = receive(&store, "all", 10).await;
    settle(&store, "all", &received[..1], &Verdict::Done).await;
    settle(&store, "all", &received[1..2], &again_now()).await;
    settle(&store, "all", &received[2..], &dead()).await;

    // A crash right after: the cursor was saved with them, so nothing comes twice either.
    let store = open(&directory.crashed("first"));
    let retried = receive(&store, "all", 10).await;
    assert_eq!(ids(&retried), ids(&received[1..2]));
    assert_eq!(retried[0].delivery.attempt, 2);
    settle(&store, "all", &retried, &again_now()).await;
    let retried = receive(&store, "all", 10).await;
    assert_eq!(retried[0].delivery.attempt, 3);
    settle(&store, "all", &retried, &Verdict::Done).await;
    receive_nothing(&store, "all").await;

    let letters = store.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason.as_str(), letters[0].attempts), ("unreadable", 1));
    assert_eq!(letters[0].envelope.message_id.to_string(), ids(&received[2..])[0]);
    let depths = store.depths().await.unwrap();
    assert_eq!((depths[0].waiting, depths[0].retrying, depths[0].dead), (0, 0, 1));
}

#[tokio::test]
async fn a_redriven_dead_letter_is_delivered_as_for_the_first_time_to_one_who_waits() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&emit(&["COMMON"])).await.unwrap();
    let received = receive(&store, "all", 10).await;
    settle(&store, "all", &received, &dead()).await;
    let id = store.dead_letters(None, 10).await.unwrap()[0].dead_letter_id.clone();
    assert!(store.dead_letter(&id).await.unwrap().is_some());

    let waiting = tokio::spawn({
        let store = store.clone();
        async move { receive(&store, "all", 10).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!store.redrive("no such letter").await.unwrap());
    assert!(store.redrive(&id).await.unwrap());
    assert!(!store.redrive(&id).await.unwrap());
    let redriven = waiting.await.unwrap();
    assert_eq!(ids(&redriven), ids(&received));
    assert_eq!(redriven[0].delivery.attempt, 1);
    assert!(store.dead_letter(&id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_retry_comes_when_it_is_due_and_holds_up_nobody() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&emit(&["COMMON"])).await.unwrap();
    let first = receive(&store, "all", 10).await;
    let due = Duration::from_millis(400);
    let at = sources().now() + due;
    settle(&store, "all", &first, &Verdict::Again { at, reason: "later".to_owned() }).await;
    store.commit(&emit(&["COMMON"])).await.unwrap();
    let second = receive(&store, "all", 10).await;
    assert_ne!(ids(&first), ids(&second));
    settle(&store, "all", &second, &Verdict::Done).await;
    let depths = store.depths().await.unwrap();
    assert_eq!((depths[0].waiting, depths[0].retrying), (0, 1));
    assert_eq!(depths[0].oldest_at, Some(first[0].delivery.envelope.occurred_at));

    let third = receive(&store, "all", 10).await;
    assert!(sources().now() >= at);
    assert_eq!(ids(&first), ids(&third));
}

#[tokio::test]
async fn more_retries_than_one_batch_are_each_delivered_once() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&emit(&["COMMON"; 7])).await.unwrap();
    let received = receive(&store, "all", 10).await;
    settle(&store, "all", &received, &again_now()).await;
    // The first batches are under way while the later ones are taken.
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(ids(&receive(&store, "all", 2).await));
    }
    seen.sort();
    let mut expected = ids(&received);
    expected.sort();
    assert_eq!(seen, expected);
    receive_nothing(&store, "all").await;
}

#[tokio::test]
async fn a_batch_has_retries_and_then_new_messages_up_to_its_limit() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&emit(&["COMMON"; 3])).await.unwrap();
    let put_off = receive(&store, "all", 10).await;
    settle(&store, "all", &put_off, &again_now()).await;
    store.commit(&emit(&["COMMON"; 7])).await.unwrap();
    let batch = receive(&store, "all", 5).await;
    assert_eq!(ids(&batch[..3]), ids(&put_off));
    assert_eq!(batch.iter().map(|r| r.delivery.attempt).collect::<Vec<_>>(), [2, 2, 2, 1, 1]);
    assert_eq!(receive(&store, "all", 10).await.len(), 5);
    receive_nothing(&store, "all").await;
}

#[tokio::test]
async fn a_consumer_that_is_behind_loses_no_retry_while_the_log_is_read() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&emit(&["COMMON"])).await.unwrap();
    let put_off = receive(&store, "all", 10).await;
    settle(&store, "all", &put_off, &again_now()).await;
    for _ in 0..3 {
        store.commit(&emit(&["COMMON"])).await.unwrap();
    }
    store.close().await;
    drop(store);
    let store = open(&directory.data());
    assert_eq!(ids(&receive(&store, "all", 10).await), ids(&put_off));
    assert_eq!(receive(&store, "all", 10).await.len(), 3);
    receive_nothing(&store, "all").await;
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }
}

#[tokio::test]
async fn a_retry_is_due_at_its_very_time() {
    let directory = Directory::new();
    let sources = Sources::new(StoppedClock, TestIds);
    let options = Options { sources: sources.clone(), ..options(&directory.data(), Access::Exclusive) };
    let store = EmbeddedStore::open(options).unwrap();
    store.commit(&emit(&["COMMON"])).await.unwrap();
    let received = receive(&store, "all", 10).await;
    let later = Verdict::Again { at: sources.now(), reason: "not now".to_owned() };
    settle(&store, "all", &received, &later).await;
    assert_eq!(ids(&receive(&store, "all", 10).await), ids(&received));
}

#[tokio::test]
async fn the_log_is_trimmed_up_to_the_slowest_consumer() {
    let directory = Directory::new();
    let store = open(&directory.data());
    for _ in 0..5 {
        store.commit(&emit(&["COMMON"])).await.unwrap();
    }
    store.commit(&emit(&["RARE"])).await.unwrap();
    store.commit(&emit(&["COMMON"])).await.unwrap();
    let received = receive(&store, "all", 100).await;
    assert_eq!(received.len(), 7);
    settle(&store, "all", &received, &Verdict::Done).await;
    let records = || sqlite(&directory.data(), "SELECT count(*) FROM items_events");
    // The other consumer has passed what is not for it, and has not taken the sixth record.
    until("five records are gone", || records() == 2).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(records(), 2);
    let rare = receive(&store, "rare", 100).await;
    settle(&store, "rare", &rare, &Verdict::Done).await;
    until("all records are gone", || records() == 0).await;
    store.close().await;
    drop(store);

    // An empty log goes on counting where it was, so the cursors still mean what they meant.
    let store = open(&directory.data());
    store.commit(&emit(&["RARE"])).await.unwrap();
    assert_eq!(receive(&store, "all", 100).await.len(), 1);
    assert_eq!(receive(&store, "rare", 100).await.len(), 1);
    store.flush().await;
    assert_eq!(sqlite(&directory.data(), "SELECT max(sequence) FROM items_events"), 8);
}

#[tokio::test]
async fn a_consumer_far_behind_reads_the_log_from_the_store() {
    let directory = Directory::new();
    let store = open(&directory.data());
    for _ in 0..300 {
        store.commit(&emit(&["COMMON", "RARE"])).await.unwrap();
    }
    store.close().await;
    drop(store);
    let store = open(&directory.data());
    store.commit(&emit(&["COMMON", "RARE"])).await.unwrap();
    assert_eq!(store.depths().await.unwrap()[1].waiting, 301);
    let mut seen = Vec::new();
    while seen.len() < 602 {
        let received = receive(&store, "all", 100).await;
        seen.extend(ids(&received));
        settle(&store, "all", &received, &Verdict::Done).await;
    }
    let mut distinct = seen.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 602);
    receive_nothing(&store, "all").await;
    let depths = store.depths().await.unwrap();
    assert_eq!((depths[0].waiting, depths[1].waiting), (0, 301));
    assert!(depths[0].oldest_at.is_none() && depths[1].oldest_at.is_some());
}

#[tokio::test]
async fn a_consumer_that_is_new_hears_what_is_still_in_the_log() {
    let directory = Directory::new();
    let store = open(&directory.data());
    store.commit(&emit(&["COMMON", "RARE"])).await.unwrap();
    store.close().await;
    drop(store);
    let mut options = options(&directory.data(), embedded::Access::Exclusive);
    options.subscriptions.push(subscription("new", &["COMMON"]));
    let store = embedded::EmbeddedStore::open(options).unwrap();
    assert_eq!(receive(&store, "new", 10).await.len(), 1);
    assert!(store.receive("nobody", 1).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_committed_while_consumers_run_reaches_each_of_them() {
    let directory = Directory::new();
    let store = open(&directory.data());
    let consume = |consumer: &'static str, count: usize| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut seen = std::collections::BTreeSet::new();
            let mut turn = 0;
            while seen.len() < count {
                let received = receive(&store, consumer, 7).await;
                // Every third batch is put off once.
                turn += 1;
                let is_put_off = turn % 3 == 0;
                if !is_put_off {
                    seen.extend(ids(&received));
                }
                settle(&store, consumer, &received, if is_put_off { &PUT_OFF } else { &Verdict::Done }).await;
            }
            seen.len()
        })
    };
    let (all, rare) = (consume("all", 1_000), consume("rare", 500));
    let emitters: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    store.commit(&emit(&["COMMON", "RARE"])).await.unwrap();
                }
            })
        })
        .collect();
    for emitter in emitters {
        emitter.await.unwrap();
    }
    assert_eq!((all.await.unwrap(), rare.await.unwrap()), (1_000, 500));
}

static PUT_OFF: Verdict = Verdict::Again { at: Timestamp::EPOCH, reason: String::new() };
