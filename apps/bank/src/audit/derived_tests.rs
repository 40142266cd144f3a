//! What is late is waited for, what is lost is found, and what moves all the time is neither.

use std::sync::Arc;

use accounts::Accounts;
use accounts::domain::Request as OpenRequest;
use banking::domain::{Movement, Request};
use kernel::UserId;
use memory::MemoryStore;
use ports::{Consumer, Sources, Transaction};
use query::domain::Balance;
use query::records::balance_key;
use runtime::{Caching, Caller, Policy, Trace};
use tokio::sync::watch;

use super::*;
use crate::progress::Progress;
use crate::world::subscriptions;

const MINUTE: Duration = Duration::from_secs(60);

/// A bank in memory whose consumers are started one by one, with one account in it.
#[derive(Clone)]
struct Bank {
    store: MemoryStore,
    sources: Sources,
    services: Arc<Services<MemoryStore>>,
    running: watch::Sender<bool>,
    owner: UserId,
    account_id: AccountId,
}

impl Bank {
    /// Everything runs but the projections for readers.
    async fn open() -> Self {
        let (sources, _) = memory::sources();
        let store = MemoryStore::new(subscriptions(), sources.clone());
        let owner = UserId::new(sources.fresh_id());
        let caller = Caller { user_id: owner, trace: Trace::begin(&sources), idempotency_key: None };
        let request = OpenRequest { name: "Current".to_owned(), currency: "EUR".parse().unwrap() };
        let accounts = Accounts::new(store.clone(), sources.clone(), Caching::NONE);
        let account_id = accounts.open(&caller, &request).await.unwrap().answer.account_id;
        let services = Arc::new(Services::new(store.clone(), sources.clone(), Progress::unseen));
        let (running, _) = watch::channel(false);
        let bank = Self { store, sources, services, running, owner, account_id };
        bank.start(bank.services.banking.events());
        bank.start(bank.services.ledger.commands());
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        bank
    }

    fn start<C: Consumer>(&self, consumer: C) {
        let (store, sources, shutdown) = (self.store.clone(), self.sources.clone(), self.running.subscribe());
        tokio::spawn(runtime::consume(store, Arc::new(consumer), Policy::INSIDE, sources, shutdown));
    }

    /// Deposits, and waits until the ledger has judged.
    async fn deposit(&self) {
        let trace = Trace::begin(&self.sources);
        let caller = Caller { user_id: self.owner, trace, idempotency_key: None };
        let movement = Movement::Deposit { account_id: self.account_id };
        let amount = "1.00".to_owned();
        let request = Request { movement, amount, currency: None, description: None };
        self.services.banking.submit(&caller, &request).await.unwrap();
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }

    async fn compare(&self, shown_within: Duration) -> Derived {
        self.services.compare([self.account_id].into_iter(), shown_within).await.unwrap()
    }
}

fn counts(comparison: &Comparison) -> (u64, u64, u64) {
    (comparison.compared, comparison.behind, comparison.findings_count)
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_time_is_not_behind() {
    let bank = Bank::open().await;
    bank.deposit().await;
    let late = bank.clone();
    tokio::spawn(async move {
        tokio::time::sleep(MINUTE / 2).await;
        late.start(late.services.query.events());
    });
    let derived = bank.compare(MINUTE).await;
    for comparison in derived.all() {
        assert_eq!(counts(comparison), (1, 0, 0), "{comparison:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_in_time_is_behind() {
    let bank = Bank::open().await;
    bank.deposit().await;
    for shown_within in [Duration::ZERO, MINUTE] {
        let began = Instant::now();
        let derived = bank.compare(shown_within).await;
        assert_eq!(counts(&derived.transactions), (1, 1, 0));
        assert_eq!(counts(&derived.balances), (1, 1, 0));
        assert_eq!(counts(&derived.operations), (1, 0, 0));
        let took = began.elapsed();
        assert!(took >= shown_within && took <= shown_within * 2, "it took {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_balance_that_is_newer_than_its_account_is_found() {
    let bank = Bank::open().await;
    bank.start(bank.services.query.events());
    bank.deposit().await;
    let held = runtime::get::<_, Balance>(&bank.store, balance_key(bank.account_id)).await.unwrap().unwrap();
    let mut transaction = Transaction::new(bank.sources.fresh_id());
    transaction.replace(held.revision, &Balance { version: 9, ..held.record }).unwrap();
    bank.store.commit(&transaction).await.unwrap();
    let derived = bank.compare(MINUTE).await;
    assert_eq!(counts(&derived.balances), (1, 0, 1));
    assert_eq!(counts(&derived.transactions), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_never_stands_still_is_judged_by_its_history_alone() {
    let bank = Bank::open().await;
    bank.deposit().await;
    let busy = bank.clone();
    tokio::spawn(async move {
        loop {
            busy.deposit().await;
        }
    });
    let derived = bank.compare(MINUTE).await;
    assert_eq!(counts(&derived.transactions), (1, 1, 0));
    assert_eq!(counts(&derived.balances), (1, 0, 0));
}
