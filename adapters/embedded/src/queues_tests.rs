//! When a consumer looks for retries.

use ports::{Store, Table, Transaction};
use uuid::Uuid;

use super::*;
use crate::fixture::{NOW, envelope, stopped_sources};
use crate::{Access, Options};

const OUTBOX: Table = Table("items_events");
const READER: &str = "reader";
const PATIENCE: Duration = Duration::from_secs(10);

fn transaction(messages: u128) -> Transaction {
    let mut transaction = Transaction::new(Uuid::nil());
    for number in 0..messages {
        transaction.emit(OUTBOX, envelope(number, "KIND", "{}")).unwrap();
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
        sources: stopped_sources(),
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
