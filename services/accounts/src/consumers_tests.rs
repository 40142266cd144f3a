//! The ledger's answers on a store in memory: twice, late, together, and in a world that misbehaves.

use std::time::Duration;

use contracts::Message;
use contracts::accounts::AccountStatus;
use contracts::ledger::{AccountClosedEvent, CloseRejectedEvent, FailureReason};
use kernel::{OperationId, Timestamp, UserId};
use memory::{Faults, MemoryStore, sources};
use ports::{Envelope, Sources};
use runtime::{Caching, Caller};

use super::*;
use crate::domain::{Request, Status};

struct World {
    accounts: Accounts<MemoryStore>,
    store: MemoryStore,
    sources: Sources,
}

fn world(faults: Faults) -> World {
    let (sources, _) = sources();
    let store = MemoryStore::with_faults(Vec::new(), sources.clone(), 7, faults);
    World { accounts: Accounts::new(store.clone(), sources.clone(), Caching::heard(100)), store, sources }
}

impl World {
    fn caller(&self) -> Caller {
        Caller {
            user_id: UserId::new(self.sources.fresh_id()),
            trace: Trace::begin(&self.sources),
            idempotency_key: None,
        }
    }

    /// An account that waits for the ledger, with the request it waits for.
    async fn closing(&self, caller: &Caller) -> (Account, OperationId) {
        let request = Request { name: "Savings".to_owned(), currency: "EUR".parse().unwrap() };
        let account = self.accounts.open(caller, &request).await.unwrap().answer;
        self.close(caller, account.account_id).await
    }

    async fn close(&self, caller: &Caller, account_id: AccountId) -> (Account, OperationId) {
        let account = self.accounts.close(caller, account_id).await.unwrap().answer;
        let Status::Closing { operation_id } = account.status else { panic!("it is {:?}", account.status) };
        (account, operation_id)
    }

    async fn handle(&self, messages: &[Message]) -> Vec<Outcome> {
        let batch: Vec<Delivery> = messages.iter().map(|message| self.delivery(message)).collect();
        self.accounts.closings().handle(&batch).await
    }

    fn delivery(&self, message: &Message) -> Delivery {
        let trace = Trace::begin(&self.sources);
        let envelope = envelope(message, "account", &trace, self.sources.now(), &self.sources);
        Delivery { envelope: envelope.into(), attempt: 1 }
    }

    async fn stored(&self, account: &Account) -> Account {
        let key = account_key(account.owner, account.account_id);
        runtime::get::<_, Account>(&self.store, key).await.unwrap().unwrap().record
    }

    fn sent(&self, kind: &str) -> Vec<std::sync::Arc<Envelope>> {
        let records = self.store.outbox_records(ACCOUNTS_EVENTS);
        records.into_iter().flatten().filter(|envelope| envelope.kind == kind).collect()
    }
}

fn closed(account: &Account, operation_id: OperationId) -> Message {
    Message::AccountClosed(AccountClosedEvent {
        operation_id,
        account_id: account.account_id,
        owner: account.owner,
        currency: account.currency,
        account_version: 0,
        occurred_at: Timestamp::from_millis(1_800_000_000_000),
    })
}

fn rejected(account: &Account, operation_id: OperationId) -> Message {
    Message::CloseRejected(CloseRejectedEvent {
        operation_id,
        account_id: account.account_id,
        owner: account.owner,
        reason: FailureReason::BalanceNotZero,
        occurred_at: Timestamp::from_millis(1_800_000_000_000),
    })
}

#[tokio::test(start_paused = true)]
async fn a_closing_is_concluded_once_and_told_once() {
    let world = world(Faults::NONE);
    let caller = world.caller();
    let (account, operation_id) = world.closing(&caller).await;
    let closed = closed(&account, operation_id);

    // Twice in one batch, and again later.
    assert_eq!(world.handle(&[closed.clone(), closed.clone()]).await, [Outcome::Done, Outcome::Done]);
    assert_eq!(world.handle(&[closed]).await, [Outcome::Done]);

    let stored = world.stored(&account).await;
    let closed_at = Timestamp::from_millis(1_800_000_000_000);
    assert_eq!((stored.status.clone(), stored.revision), (Status::Closed { closed_at }, 3));
    let [event] = &world.sent("CLOSE_ACCOUNT_EVENT")[..] else { panic!("the others are told once") };
    let told = Message::decode(&event.kind, event.version, &event.body).unwrap();
    assert_eq!(told, Message::CloseAccount(stored.state()));
    assert_eq!(stored.state().status, AccountStatus::Closed);
    assert!(event.causation_id.is_some(), "the ledger's answer caused it");
    // What readers get is what is stored, though the cache knew the account before.
    assert_eq!(world.accounts.account(caller.user_id, account.account_id).await.unwrap(), Some(stored));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_not_empty_opens_again_and_may_be_closed_later() {
    let world = world(Faults::NONE);
    let caller = world.caller();
    let (account, first) = world.closing(&caller).await;
    assert_eq!(world.handle(&[rejected(&account, first)]).await, [Outcome::Done]);
    let reason = Some(FailureReason::BalanceNotZero);
    assert_eq!(world.stored(&account).await.status, Status::Open { close_rejected_reason: reason });
    assert!(world.sent("CLOSE_ACCOUNT_EVENT").is_empty());

    // The first answer comes again while the second request is under way: it is not taken for the second's.
    let (_, second) = world.close(&caller, account.account_id).await;
    assert_eq!(
        world.handle(&[rejected(&account, first), closed(&account, first)]).await,
        [Outcome::Done, Outcome::Done]
    );
    assert_eq!(world.stored(&account).await.status, Status::Closing { operation_id: second });
    assert_eq!(world.handle(&[closed(&account, second)]).await, [Outcome::Done]);
    assert!(matches!(world.stored(&account).await.status, Status::Closed { .. }));
    assert_eq!(world.sent("CLOSE_ACCOUNT_CMD").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_bad_message_is_rejected_alone() {
    let world = world(Faults::NONE);
    let (account, operation_id) = world.closing(&world.caller()).await;
    let good = world.delivery(&closed(&account, operation_id));
    let bent = |bend: fn(&mut Envelope)| {
        let mut envelope = Envelope::clone(&good.envelope);
        bend(&mut envelope);
        Delivery { envelope: envelope.into(), attempt: 1 }
    };
    let batch = [
        bent(|envelope| envelope.kind = "DEPOSIT_CMD".to_owned()),
        bent(|envelope| envelope.kind = "NO_SUCH_EVENT".to_owned()),
        bent(|envelope| envelope.version = 2),
        world.delivery(&Message::CreateAccount(account.state())),
        good.clone(),
    ];
    let outcomes = world.accounts.closings().handle(&batch).await;
    for (outcome, delivery) in outcomes[..4].iter().zip(&batch) {
        assert!(matches!(outcome, Outcome::Reject { .. }), "{outcome:?} {:?}", delivery.envelope);
    }
    assert_eq!(outcomes[4], Outcome::Done);
    assert!(matches!(world.stored(&account).await.status, Status::Closed { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_an_account_that_is_not_here_changes_nothing() {
    let world = world(Faults::NONE);
    let (account, operation_id) = world.closing(&world.caller()).await;
    let elsewhere = Account { account_id: AccountId::new(world.sources.fresh_id()), ..account };
    assert_eq!(world.handle(&[closed(&elsewhere, operation_id)]).await, [Outcome::Done]);
    assert!(world.sent("CLOSE_ACCOUNT_EVENT").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_a_transaction_is_taken_in_parts() {
    let world = world(Faults::NONE);
    let mut answers = Vec::new();
    for _ in 0..150 {
        let (account, operation_id) = world.closing(&world.caller()).await;
        answers.push(closed(&account, operation_id));
    }
    let outcomes = world.handle(&answers).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Done), "{outcomes:?}");
    assert_eq!(world.sent("CLOSE_ACCOUNT_EVENT").len(), 150);
}

#[tokio::test(start_paused = true)]
async fn every_closing_ends_in_a_world_that_misbehaves() {
    let faults =
        Faults { conflict_per_mille: 200, busy_per_mille: 100, unknown_per_mille: 200, ..Faults::NONE };
    let world = world(Faults::NONE);
    let mut waiting = Vec::new();
    for _ in 0..40 {
        waiting.push(world.closing(&world.caller()).await);
    }
    world.store.set_faults(faults);
    for (account, operation_id) in &waiting {
        let answer = closed(account, *operation_id);
        let mut tries = 0;
        while world.handle(std::slice::from_ref(&answer)).await != [Outcome::Done] {
            tries += 1;
            assert!(tries < 50, "it never ends");
        }
    }
    for (account, _) in &waiting {
        assert!(matches!(world.stored(account).await.status, Status::Closed { .. }));
    }
    assert_eq!(world.sent("CLOSE_ACCOUNT_EVENT").len(), 40);
}

#[tokio::test(start_paused = true)]
async fn who_waits_hears_of_the_conclusion() {
    let world = world(Faults::NONE);
    let caller = world.caller();
    let (account, operation_id) = world.closing(&caller).await;
    let before = tokio::time::Instant::now();
    let (concluded, outcomes) =
        tokio::join!(world.accounts.concluded(account.clone(), Duration::from_secs(10)), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.handle(&[closed(&account, operation_id)]).await
        });
    assert_eq!(outcomes, [Outcome::Done]);
    assert!(matches!(concluded.unwrap().status, Status::Closed { .. }));
    assert!(before.elapsed() < Duration::from_secs(2), "she is woken");

    // Nobody answers: she gets the account as it is.
    let (account, _) = world.closing(&caller).await;
    let unanswered = world.accounts.concluded(account.clone(), Duration::from_secs(10)).await.unwrap();
    assert_eq!(unanswered, account);
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_reads_every_event_again() {
    let world = world(Faults::NONE);
    for number in 0..5 {
        // The first answers lie beside the accounts and are no events.
        let caller = Caller { idempotency_key: Some(format!("key-{number}")), ..world.caller() };
        let request = Request { name: "Savings".to_owned(), currency: "EUR".parse().unwrap() };
        let account = world.accounts.open(&caller, &request).await.unwrap().answer;
        if number % 2 == 0 {
            let caller = Caller { idempotency_key: None, ..caller };
            let (account, operation_id) = world.close(&caller, account.account_id).await;
            assert_eq!(world.handle(&[closed(&account, operation_id)]).await, [Outcome::Done]);
        }
    }
    let (again, next) = world.accounts.events(None).await.unwrap();
    assert_eq!(next, None);
    let sent = ["CREATE_ACCOUNT_EVENT", "CLOSE_ACCOUNT_EVENT"].map(|kind| world.sent(kind)).concat();
    assert_eq!(again.len(), 8);
    assert_eq!(again.len(), sent.len());
    for envelope in sent {
        let event = Message::decode(&envelope.kind, envelope.version, &envelope.body).unwrap();
        assert!(again.contains(&event), "{event:?}");
    }
}
