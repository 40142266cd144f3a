//! What banking's tests have in common: people and accounts by small numbers. Account 1 is person 1's.

use std::sync::Arc;

use contracts::Message;
use contracts::accounts::{AccountState, AccountStatus};
use contracts::banking::{MoveCmd, Party};
use contracts::ledger::{
    FailureReason, Leg, MoveFailedEvent, MovedEvent, TransferFailedEvent, TransferredEvent,
};
use kernel::{AccountId, Money, OperationId, Timestamp, UserId};
use memory::{Faults, MemoryStore, TestClock};
use ports::{Consumer, Delivery, Outcome, Sources};
use runtime::{Caching, Caller, Trace, envelope};
use uuid::Uuid;

use crate::Banking;
use crate::domain::{Movement, Operation, Request};

/// When the ledger judged.
pub const JUDGED: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub fn account(number: u128) -> AccountId {
    AccountId::new(Uuid::from_u128(number))
}

pub fn owner(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

/// Reads `12.50 EUR`.
pub fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// An open account in euros.
pub fn state(number: u128) -> AccountState {
    AccountState {
        account_id: account(number),
        owner: owner(number),
        name: format!("account {number}"),
        currency: money("0 EUR").currency,
        status: AccountStatus::Open,
        revision: 1,
        created_at: Timestamp::EPOCH,
        closed_at: None,
    }
}

pub fn opened(number: u128) -> Message {
    Message::CreateAccount(state(number))
}

pub fn closed(number: u128) -> Message {
    let (status, closed_at) = (AccountStatus::Closed, Some(JUDGED));
    Message::CloseAccount(AccountState { status, closed_at, revision: 3, ..state(number) })
}

pub fn deposit_to(number: u128) -> Movement {
    Movement::Deposit { account_id: account(number) }
}

pub fn withdrawal_from(number: u128) -> Movement {
    Movement::Withdraw { account_id: account(number) }
}

pub fn transfer_between(from: u128, to: u128) -> Movement {
    Movement::Transfer { from_account_id: account(from), to_account_id: account(to) }
}

pub fn request(movement: Movement, amount: &str) -> Request {
    Request { movement, amount: amount.to_owned(), currency: None, description: None }
}

/// The event of a deposit that was posted.
pub fn deposited(operation_id: OperationId, target: u128) -> Message {
    Message::Deposited(moved(operation_id, target))
}

pub fn moved(operation_id: OperationId, target: u128) -> MovedEvent {
    MovedEvent {
        operation_id,
        account_id: account(target),
        owner: owner(target),
        amount: money("12.50 EUR"),
        balance_after: money("112.50 EUR"),
        account_version: 7,
        description: None,
        occurred_at: JUDGED,
    }
}

pub fn withdraw_failed(operation_id: OperationId, target: u128) -> Message {
    Message::WithdrawFailed(failed(operation_id, target))
}

pub fn failed(operation_id: OperationId, target: u128) -> MoveFailedEvent {
    MoveFailedEvent {
        operation_id,
        account_id: account(target),
        owner: owner(target),
        amount: money("12.50 EUR"),
        reason: FailureReason::InsufficientFunds,
        balance_after: None,
        account_version: 0,
        description: None,
        occurred_at: JUDGED,
    }
}

pub fn party(number: u128) -> Party {
    Party { account_id: account(number), owner: owner(number) }
}

/// From account 1 to account 2.
pub fn transferred(operation_id: OperationId) -> Message {
    let leg = |number: u128, balance: &str, account_version: u64| Leg {
        account_id: account(number),
        owner: owner(number),
        balance_after: money(balance),
        account_version,
    };
    Message::Transferred(TransferredEvent {
        operation_id,
        from: leg(1, "112.50 EUR", 7),
        to: leg(2, "12.50 EUR", 1),
        amount: money("12.50 EUR"),
        description: None,
        occurred_at: JUDGED,
    })
}

/// From account 1 to account 2.
pub fn transfer_failed(operation_id: OperationId) -> Message {
    Message::TransferFailed(TransferFailedEvent {
        operation_id,
        from: party(1),
        to: party(2),
        amount: money("12.50 EUR"),
        reason: FailureReason::AccountClosed,
        balance_after: None,
        account_version: 0,
        description: None,
        occurred_at: JUDGED,
    })
}

/// The body of a command to the ledger.
pub fn movement(operation: &Operation) -> MoveCmd {
    MoveCmd {
        operation_id: operation.operation_id,
        account_id: operation.movement.own_account(),
        owner: operation.owner,
        amount: operation.amount,
        description: operation.description.clone(),
    }
}

pub struct World {
    pub store: MemoryStore,
    pub sources: Sources,
    pub clock: TestClock,
    pub banking: Banking<MemoryStore>,
}

pub fn world() -> World {
    world_with(0, Faults::NONE)
}

pub fn world_with(seed: u64, faults: Faults) -> World {
    let (sources, clock) = memory::sources();
    let store = MemoryStore::with_faults(Vec::new(), sources.clone(), seed, faults);
    World {
        banking: Banking::new(store.clone(), sources.clone(), Caching::heard(100), Caching::heard(100)),
        store,
        sources,
        clock,
    }
}

impl World {
    pub fn caller(&self, number: u128, idempotency_key: Option<&str>) -> Caller {
        let idempotency_key = idempotency_key.map(str::to_owned);
        Caller { user_id: owner(number), trace: Trace::begin(&self.sources), idempotency_key }
    }

    pub fn deliver(&self, event: &Message) -> Delivery {
        let envelope =
            envelope(event, "any", &Trace::begin(&self.sources), self.sources.now(), &self.sources);
        Delivery { envelope: Arc::new(envelope), attempt: 1 }
    }

    pub async fn handle(&self, events: &[Message]) -> Vec<Outcome> {
        let batch: Vec<Delivery> = events.iter().map(|event| self.deliver(event)).collect();
        self.banking.events().handle(&batch).await
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

    /// Begins an operation of the one whose account it is.
    pub async fn submit(&self, number: u128, movement: Movement) -> Operation {
        let caller = self.caller(number, None);
        self.banking.submit(&caller, &request(movement, "12.50")).await.unwrap().answer
    }
}
