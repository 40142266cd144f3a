//! A bank in which consumers fail or hang: whoever does not need them is served as ever.

use std::sync::Arc;

use contracts::topology::consumers::{NOTIFICATIONS_EMAILS, NOTIFICATIONS_EVENTS};
use ports::{Consumer, Delivery, Outcome, QueueAdmin};
use runtime::{Policy, consume};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bank::{Bank, text, wait_until};
use crate::world::World;

/// Customers' inboxes that take nothing.
struct Failing;

impl Consumer for Failing {
    const NAME: &'static str = NOTIFICATIONS_EVENTS;

    async fn handle(&self, _batch: &[Delivery]) -> Vec<Outcome> {
        panic!("the inboxes are gone")
    }
}

/// Letters that are never sent, nor given up.
struct Hanging;

impl Consumer for Hanging {
    const NAME: &'static str = NOTIFICATIONS_EMAILS;

    async fn handle(&self, _batch: &[Delivery]) -> Vec<Outcome> {
        std::future::pending().await
    }
}

/// The delivery of messages to one consumer, for ever.
fn consuming<C: Consumer>(
    world: &World,
    consumer: C,
    shutdown: &watch::Receiver<bool>,
) -> impl Future<Output = ()> + use<C> {
    let (store, sources) = (world.store.clone(), world.sources.clone());
    consume(store, Arc::new(consumer), Policy::INSIDE, sources, shutdown.clone())
}

#[tokio::test]
async fn a_consumer_that_fails_and_one_that_hangs_hold_up_nobody_else() {
    const DEPOSITS: usize = 40;
    let mut bank = Bank::open().await;
    let ada = bank.person("ada").await;
    bank.stop_consumers().await;
    let (_stop, shutdown) = watch::channel(false);
    let mut running = JoinSet::new();
    running.spawn(consuming(&bank.world, bank.world.ledger.commands(), &shutdown));
    running.spawn(consuming(&bank.world, bank.world.banking.events(), &shutdown));
    running.spawn(consuming(&bank.world, bank.world.query.events(), &shutdown));
    running.spawn(consuming(&bank.world, Failing, &shutdown));
    running.spawn(consuming(&bank.world, Hanging, &shutdown));

    let account_id = bank.open_account(&ada, "Current account").await;
    for count in 1..=DEPOSITS {
        let deposit = bank.post("/deposit").by(&ada).header("prefer", "wait=10");
        let deposit = deposit.json(&json!({"account_id": account_id, "amount": "1.00"}));
        let deposit = deposit.send().await.must_be(200).json();
        assert_eq!(text(&deposit, "status"), "COMPLETED", "{deposit}");
        let balance = bank.get(format!("/balances/{account_id}?min_version={count}")).by(&ada);
        assert_eq!(text(&balance.send().await.must_be(200).json(), "balance"), format!("{count}.00"));
    }
    // What fails is tried again, apart from the rest; what hangs is still there.
    wait_until(async || {
        let depths = bank.world.store.depths().await.unwrap();
        let retrying = |name: &str| depths.iter().find(|depth| depth.consumer == name).unwrap().retrying;
        (retrying(NOTIFICATIONS_EVENTS) > 0 && retrying(NOTIFICATIONS_EMAILS) == 0).then_some(())
    })
    .await;
    assert!(running.try_join_next().is_none(), "a consumer has ended");
    running.shutdown().await;
}
