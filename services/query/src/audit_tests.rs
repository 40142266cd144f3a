//! A projection that differs from the ledger is found, and can be thrown away and built anew.

use std::time::Duration;

use ports::{Held, Record};

use super::*;
use crate::fixture::*;

/// Ten deposits, a transfer and two refusals.
fn events() -> Vec<Message> {
    let mut events = deposits(10, 1);
    events.push(transferred(11, 250, (1, After(750, 11)), (2, After(250, 1))));
    events.push(transfer_failed(12, 100, (1, After(750, 11)), 2));
    events.push(withdraw_failed(13, 3, 100, After(0, 0)));
    events
}

/// What the ledger's heads hold after them.
fn heads() -> Vec<(AccountId, Money, u64)> {
    vec![(account(1), cents(750), 11), (account(2), cents(250), 1), (account(4), cents(0), 0)]
}

async fn projected() -> World {
    let world = world();
    world.take(&[opened(1), opened(2), opened(3)]).await;
    world.take(&events()).await;
    world
}

impl World {
    /// Changes a stored record behind the back of the service.
    async fn tamper<R: Record>(&self, key: Key, change: impl Fn(&mut R)) {
        let mut held: Held<R> = runtime::get(&self.store, key).await.unwrap().unwrap();
        change(&mut held.record);
        let mut transaction = Transaction::new(self.sources.fresh_id());
        transaction.replace(held.revision, &held.record).unwrap();
        self.store.commit(&transaction).await.unwrap();
    }

    async fn remove(&self, key: Key) {
        let item = self.store.get(&[key]).await.unwrap().pop().flatten().unwrap();
        let mut transaction = Transaction::new(self.sources.fresh_id());
        transaction.delete(item.key, item.revision).unwrap();
        self.store.commit(&transaction).await.unwrap();
    }
}

fn row_key(number: u64, account_version: u64) -> Key {
    transaction_key(account(1), minute(number), account_version, operation(number))
}

#[tokio::test(start_paused = true)]
async fn true_projections_have_no_findings() {
    let world = projected().await;
    let rows = Comparison { compared: 14, ..Comparison::default() };
    assert_eq!(world.query.compare_transactions(&events()).await.unwrap(), rows);
    let balances = Comparison { compared: 3, ..Comparison::default() };
    assert_eq!(world.query.compare_balances(&heads()).await.unwrap(), balances);
    assert_eq!(world.query.count_transactions().await.unwrap(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_differs_or_is_missing_is_found() {
    let world = projected().await;
    world.tamper(row_key(3, 3), |row: &mut TransactionRecord| row.transaction.amount = cents(101)).await;
    world.remove(row_key(5, 5)).await;
    let comparison = world.query.compare_transactions(&events()).await.unwrap();
    assert_eq!((comparison.compared, comparison.behind, comparison.findings.len()), (14, 1, 1));
    assert!(comparison.findings[0].contains(&operation(3).to_string()), "{:?}", comparison.findings);
    assert_eq!(world.query.count_transactions().await.unwrap(), 13);
}

type Change = fn(&mut Balance);

#[tokio::test(start_paused = true)]
async fn a_balance_that_differs_or_is_missing_is_found() {
    let changes: [(Change, u64, usize); 4] = [
        (|balance| balance.balance = cents(751), 0, 1),
        (|balance| balance.version = 12, 0, 1),
        // An older balance may be on its way to the newer one.
        (|balance| balance.version = 10, 1, 0),
        (|balance| balance.balance = Money::from_minor(750, "USD".parse().unwrap()), 0, 1),
    ];
    for (change, behind, findings) in changes {
        let world = projected().await;
        world.tamper(balance_key(account(1)), change).await;
        let comparison = world.query.compare_balances(&heads()).await.unwrap();
        assert_eq!(
            (comparison.compared, comparison.behind, comparison.findings.len()),
            (3, behind, findings)
        );
        assert!(comparison.findings.iter().all(|finding| finding.contains(&account(1).to_string())));
    }
    let world = projected().await;
    world.remove(balance_key(account(2))).await;
    let comparison = world.query.compare_balances(&heads()).await.unwrap();
    assert_eq!((comparison.behind, comparison.findings.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn projections_are_thrown_away_and_built_anew() {
    let world = projected().await;
    world.take(&(100..=350).map(opened).collect::<Vec<_>>()).await;
    let mut accounts = vec![opened(1), opened(2), opened(3)];
    accounts.extend((100..=350).map(opened));
    let before = world.stored().await;
    world.tamper(balance_key(account(1)), |balance: &mut Balance| balance.balance = cents(1)).await;
    let mut gone = 0;
    world.query.clear(|count| gone += count).await.unwrap();
    assert_eq!((gone, world.stored().await.len()), (before.len() as u64, 0));
    let read =
        world.query.balance(kernel::UserId::new(account(1).uuid()), account(1), 0, Duration::ZERO).await;
    assert!(read.is_err(), "the cache has forgotten too");

    let mut backwards = events();
    backwards.reverse();
    for _ in 0..2 {
        world.query.rebuild(&accounts).await.unwrap();
        world.query.rebuild(&backwards).await.unwrap();
        assert_eq!(world.stored().await, before);
    }
    let read = world.query.balance(owner(1), account(1), 11, Duration::ZERO).await;
    assert_eq!(read.unwrap().balance.balance, cents(750));
}
