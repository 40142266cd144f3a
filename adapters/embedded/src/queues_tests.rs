//! When a consumer looks for retries.

use kernel::{CorrelationId, MessageId};
use ports::{Clock, Envelope, Ids, Sources, Store, Table, Transaction};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::*;
use crate::{Access, Options};

const OUTBOX: Table = Table("items_events");
const READER: &str = "reader";
const PATIENCE: Duration = Duration::from_secs(10);
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct NoIds;

impl Ids for NoIds {
    fn fresh(&self) -> Uuid {
        Uuid::nil()
    }
}

fn transaction(messages: u128) -> Transaction {
    let mut transaction = Transaction::new(Uuid::nil());
    for number in 0..messages {
        let message = Envelope {
            message_id: MessageId::new(Uuid::from_u128(number)),
            kind: "KIND".to_owned(),
            version: 1,
            group: String::new(),
            correlation_id: CorrelationId::new(Uuid::nil()),
            causation_id: None,
            traceparent: String::new(),
            occurred_at: NOW,
            body: RawValue::from_string("{}".to_owned()).unwrap(),
        };
        transaction.emit(OUTBOX, message).unwrap();
    }
    transaction
}

#[tokio::test]
async fn one_who_has_taken_all_that_is_due_looks_again_only_when_more_is() {
    let data_dir = std::env::temp_dir().join(format!("queues-{}", std::process::id()));
    let subscription = Subscription { consumer: READER, outboxes: vec![OUTBOX], kinds: vec!["KIND"] };
    let store = EmbeddedStore::open(Options {
        data_dir: data_dir.clone(),
        tables: Vec::new(),
        subscriptions: vec![subscription],
        sources: Sources::new(StoppedClock, NoIds),
        access: Access::Exclusive,
    })
    .unwrap();
    store.commit(&transaction(4)).await.unwrap();
    assert_eq!((store.waiting(READER), store.waiting("nobody")), (4, 0));
    let received =
        tokio::time::timeout(PATIENCE, store.receive(READER, 10)).await.expect("a message").unwrap();
    assert_eq!(store.waiting(READER), 0);
    let later = NOW + Duration::from_secs(60);
    let put_off = [NOW, NOW, NOW, later].into_iter().zip(&received).map(|(at, received)| Settled {
        receipt: received.receipt,
        verdict: Verdict::Again { at, reason: "not now".to_owned() },
    });
    store.settle(READER, put_off.collect()).await.unwrap();
    for (limit, taken, next_due) in [(2, 2, NOW), (2, 1, later), (2, 0, later)] {
        assert_eq!(store.take_due(READER, limit).unwrap().len(), taken);
        assert_eq!(store.inner.log.next_due(READER), Some(next_due));
    }
    store.close().await;
    std::fs::remove_dir_all(data_dir).unwrap();
}
