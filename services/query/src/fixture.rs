//! What the tests of the query service have in common: people, accounts and operations by small numbers. Account 1 is
//! person 1's, and operation 7 happened in the seventh minute.

use std::sync::Arc;
use std::time::Duration;

use contracts::Message;
use contracts::accounts::{AccountState, AccountStatus};
use contracts::banking::Party;
use contracts::ledger::{
    FailureReason, Leg, MoveFailedEvent, MovedEvent, TransferFailedEvent, TransferredEvent,
};
use kernel::{AccountId, Money, OperationId, Timestamp, UserId};
use memory::{MemoryStore, TestClock};
use ports::{Consumer, Delivery, Outcome, Sources, Store};
use runtime::{Caching, Trace, envelope};
use serde_json::Value;
use uuid::Uuid;

use crate::Query;
use crate::records::TABLES;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub fn operation(number: u64) -> OperationId {
    OperationId::new(Uuid::from_u128(number.into()))
}

pub fn account(number: u64) -> AccountId {
    AccountId::new(Uuid::from_u128(number.into()))
}

pub fn owner(number: u64) -> UserId {
    UserId::new(Uuid::from_u128(number.into()))
}

/// When an operation happened.
pub fn minute(number: u64) -> Timestamp {
    NOW + Duration::from_secs(60 * number)
}

/// An amount of euros in cents.
pub fn cents(minor: i64) -> Money {
    Money::from_minor(minor, "EUR".parse().unwrap())
}

pub fn opened(number: u64) -> Message {
    Message::CreateAccount(state(number))
}

pub fn closed(number: u64) -> Message {
    let (status, closed_at) = (AccountStatus::Closed, Some(minute(99)));
    Message::CloseAccount(AccountState { status, closed_at, revision: 3, ..state(number) })
}

pub fn state(number: u64) -> AccountState {
    AccountState {
        account_id: account(number),
        owner: owner(number),
        name: format!("account {number}"),
        currency: cents(0).currency,
        status: AccountStatus::Open,
        revision: 1,
        created_at: minute(0),
        closed_at: None,
    }
}

/// What an account holds after how many entries.
#[derive(Clone, Copy)]
pub struct After(pub i64, pub u64);

pub fn moved(number: u64, target: u64, amount: i64, After(balance, account_version): After) -> MovedEvent {
    MovedEvent {
        operation_id: operation(number),
        account_id: account(target),
        owner: owner(target),
        amount: cents(amount),
        balance_after: cents(balance),
        account_version,
        description: Some(format!("movement {number}")),
        occurred_at: minute(number),
    }
}

pub fn deposited(number: u64, target: u64, amount: i64, after: After) -> Message {
    Message::Deposited(moved(number, target, amount, after))
}

pub fn failed(
    number: u64,
    target: u64,
    amount: i64,
    After(balance, account_version): After,
) -> MoveFailedEvent {
    MoveFailedEvent {
        operation_id: operation(number),
        account_id: account(target),
        owner: owner(target),
        amount: cents(amount),
        reason: FailureReason::InsufficientFunds,
        balance_after: (account_version > 0).then(|| cents(balance)),
        account_version,
        description: None,
        occurred_at: minute(number),
    }
}

pub fn withdraw_failed(number: u64, target: u64, amount: i64, after: After) -> Message {
    Message::WithdrawFailed(failed(number, target, amount, after))
}

fn leg(number: u64, After(balance, account_version): After) -> Leg {
    Leg { account_id: account(number), owner: owner(number), balance_after: cents(balance), account_version }
}

pub fn transferred(number: u64, amount: i64, from: (u64, After), to: (u64, After)) -> Message {
    Message::Transferred(TransferredEvent {
        operation_id: operation(number),
        from: leg(from.0, from.1),
        to: leg(to.0, to.1),
        amount: cents(amount),
        description: None,
        occurred_at: minute(number),
    })
}

pub fn transfer_failed(number: u64, amount: i64, from: (u64, After), to: u64) -> Message {
    let party = |number: u64| Party { account_id: account(number), owner: owner(number) };
    let After(balance, account_version) = from.1;
    Message::TransferFailed(TransferFailedEvent {
        operation_id: operation(number),
        from: party(from.0),
        to: party(to),
        amount: cents(amount),
        reason: FailureReason::AccountClosed,
        balance_after: Some(cents(balance)),
        account_version,
        description: None,
        occurred_at: minute(number),
    })
}

/// As many deposits of one euro, from operation 1 on.
pub fn deposits(count: u64, target: u64) -> Vec<Message> {
    (1..=count)
        .map(|number| deposited(number, target, 100, After(100 * number.cast_signed(), number)))
        .collect()
}

pub struct World {
    pub store: MemoryStore,
    pub sources: Sources,
    pub clock: TestClock,
    pub query: Query<MemoryStore>,
}

pub fn world() -> World {
    let (sources, clock) = memory::sources();
    let store = MemoryStore::new(Vec::new(), sources.clone());
    World { query: Query::new(store.clone(), sources.clone(), Caching::heard(1_000)), store, sources, clock }
}

impl World {
    pub fn deliver(&self, event: &Message) -> Delivery {
        let envelope =
            envelope(event, "any", &Trace::begin(&self.sources), self.sources.now(), &self.sources);
        Delivery { envelope: Arc::new(envelope), attempt: 1 }
    }

    pub async fn handle(&self, events: &[Message]) -> Vec<Outcome> {
        let batch: Vec<Delivery> = events.iter().map(|event| self.deliver(event)).collect();
        self.query.events().handle(&batch).await
    }

    /// Handles a batch of events that are all taken.
    pub async fn take(&self, events: &[Message]) {
        assert_eq!(self.handle(events).await, vec![Outcome::Done; events.len()]);
    }

    /// Handles events until the store has taken them all, as a queue would deliver them.
    pub async fn take_in_the_end(&self, mut waiting: Vec<Message>) {
        for _ in 0..100 {
            let outcomes = self.handle(&waiting).await;
            let again = waiting.into_iter().zip(outcomes).filter(|(_, outcome)| *outcome != Outcome::Done);
            waiting = again.map(|(event, _)| event).collect();
            if waiting.is_empty() {
                return;
            }
        }
        panic!("{} events are never taken", waiting.len());
    }

    /// Everything that is stored but the times of projection: keys, revisions and bodies.
    pub async fn stored(&self) -> Vec<(String, u64, Value)> {
        let mut stored = Vec::new();
        for table in TABLES {
            let page = self.store.scan(*table, None, 10_000).await.unwrap();
            stored.extend(page.items.into_iter().map(|item| {
                let mut body: Value = serde_json::from_str(&item.body).unwrap();
                body.as_object_mut().unwrap().remove("projected_at");
                (
                    format!("{:?} {} {}", item.key.table, item.key.partition, item.key.sort),
                    item.revision.0,
                    body,
                )
            }));
        }
        stored
    }
}
