//! Events in, on the store in memory; and the operations that they end.

use std::time::Duration;

use memory::Faults;
use ports::{Envelope, Revision};
use runtime::Caching;

use super::*;
use crate::domain::Status;
use crate::fixture::*;
use crate::records::OPERATIONS_EVENTS;
use crate::{Refusal, domain};

/// An operation as it is stored, and how often it was written.
async fn stored(world: &World, operation: &Operation) -> (Status, Revision) {
    let key = operation_key(operation.owner, operation.operation_id);
    let held: Held<Operation> = runtime::get(&world.store, key).await.unwrap().unwrap();
    (held.record.status, held.revision)
}

fn completed() -> Status {
    Status::Completed { balance_after: money("112.50 EUR"), account_version: 7, ended_at: JUDGED }
}

#[tokio::test(start_paused = true)]
async fn an_operation_leaves_with_its_command_in_one_record() {
    let world = world();
    world.take(&[opened(1), opened(2)]).await;
    let caller = world.caller(1, None);
    for movement in [deposit_to(1), withdrawal_from(1), transfer_between(1, 2)] {
        let answered = world.banking.submit(&caller, &request(movement, "12.50")).await.unwrap();
        assert_eq!(stored(&world, &answered.answer).await, (Status::Pending, Revision(1)));
    }
    let records = world.store.outbox_records(OPERATIONS_EVENTS);
    let kinds: Vec<&str> = records.iter().map(|record| record[0].kind.as_str()).collect();
    assert_eq!(kinds, ["DEPOSIT_CMD", "WITHDRAW_CMD", "TRANSFER_CMD"]);
    for envelope in records.concat() {
        assert_eq!(envelope.group, account(1).to_string());
        assert_eq!(envelope.correlation_id, caller.trace.correlation_id);
        assert_eq!(envelope.traceparent, caller.trace.traceparent);
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_again_after_a_restart_is_not_taken_for_news() {
    let world = world();
    world.take(&[opened(1), closed(1)]).await;
    let banking =
        Banking::new(world.store.clone(), world.sources.clone(), Caching::heard(100), Caching::heard(100));
    let restarted = World { banking, ..world };
    restarted.take(&[opened(1)]).await;
    let caller = restarted.caller(1, None);
    let answered = restarted.banking.submit(&caller, &request(deposit_to(1), "12.50")).await;
    assert!(matches!(answered, Err(Refusal::Rejected(domain::Rejection::AccountNotOpen))), "{answered:?}");
}

#[tokio::test(start_paused = true)]
async fn every_verdict_ends_its_operation() {
    let world = world();
    world.take(&[opened(1), opened(2)]).await;
    let deposit = world.submit(1, deposit_to(1)).await;
    let withdrawal = world.submit(1, withdrawal_from(1)).await;
    let transfer = world.submit(1, transfer_between(1, 2)).await;
    world
        .take(&[
            deposited(deposit.operation_id, 1),
            withdraw_failed(withdrawal.operation_id, 1),
            transferred(transfer.operation_id),
        ])
        .await;
    let failed =
        Status::Failed { reason: contracts::ledger::FailureReason::InsufficientFunds, ended_at: JUDGED };
    let now = world.sources.now();
    for (operation, status) in [(deposit, completed()), (withdrawal, failed), (transfer, completed())] {
        assert_eq!(stored(&world, &operation).await, (status, Revision(2)));
        let ended = world.banking.operation(operation.owner, operation.operation_id).await.unwrap();
        assert_eq!(ended.unwrap().concluded_at, Some(now));
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_stays_as_it_is() {
    let world = world();
    world.take(&[opened(1)]).await;
    let operation = world.submit(1, deposit_to(1)).await;
    let event = deposited(operation.operation_id, 1);
    world.take(&[event.clone(), event.clone()]).await;
    world.take(&[event, Message::DepositFailed(failed(operation.operation_id, 1))]).await;
    assert_eq!(stored(&world, &operation).await, (completed(), Revision(2)));
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_elsewhere_stays_as_it_is() {
    let here = world();
    here.take(&[opened(1)]).await;
    let operation = here.submit(1, deposit_to(1)).await;
    let elsewhere =
        Banking::new(here.store.clone(), here.sources.clone(), Caching::NONE, Caching::NONE).events();
    let event = here.deliver(&deposited(operation.operation_id, 1));
    assert_eq!(elsewhere.handle(&[event]).await, [Outcome::Done]);
    let shown = here.banking.operation(operation.owner, operation.operation_id).await.unwrap();
    assert_eq!(shown.unwrap().status, completed());
    here.take(&[Message::DepositFailed(failed(operation.operation_id, 1))]).await;
    assert_eq!(stored(&here, &operation).await, (completed(), Revision(2)));
}

#[tokio::test(start_paused = true)]
async fn a_verdict_on_what_is_not_known_changes_nothing() {
    let world = world();
    world.take(&[opened(1)]).await;
    let operation = world.submit(1, deposit_to(1)).await;
    let unknown = kernel::OperationId::new(world.sources.fresh_id());
    // Nor does one that names the wrong owner.
    world.take(&[deposited(unknown, 1), deposited(operation.operation_id, 2)]).await;
    assert_eq!(stored(&world, &operation).await, (Status::Pending, Revision(1)));
}

#[tokio::test(start_paused = true)]
async fn an_account_is_known_by_its_newest_state_in_whatever_order_they_come() {
    for events in [[opened(1), closed(1), opened(1)], [closed(1), opened(1), closed(1)]] {
        for batch in 1..=3 {
            let world = world();
            for part in events.chunks(batch) {
                world.take(part).await;
            }
            let held: Held<KnownAccount> =
                runtime::get(&world.store, account_key(account(1))).await.unwrap().unwrap();
            assert_eq!((held.revision, Message::CloseAccount(held.record.0)), (Revision(3), closed(1)));
            let refused = world.banking.submit(&world.caller(1, None), &request(deposit_to(1), "1")).await;
            assert!(matches!(refused, Err(Refusal::Rejected(domain::Rejection::AccountNotOpen))), "{batch}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_a_transaction_is_split() {
    let world = world();
    world.take(&(1..=250).map(opened).collect::<Vec<_>>()).await;
    let mut operations = Vec::new();
    for number in 1..=250 {
        operations.push(world.submit(number, deposit_to(number)).await);
    }
    let events: Vec<Message> =
        (1..).zip(&operations).map(|(number, operation)| deposited(operation.operation_id, number)).collect();
    world.take(&events).await;
    for operation in &operations {
        assert_eq!(stored(&world, operation).await.0, completed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_is_rejected_alone() {
    let world = world();
    world.take(&[opened(1)]).await;
    let operation = world.submit(1, deposit_to(1)).await;
    let good = world.deliver(&deposited(operation.operation_id, 1));
    let mut newer = Envelope::clone(&good.envelope);
    newer.version = 2;
    let batch = [Delivery { envelope: newer.into(), attempt: 1 }, good];
    let outcomes = world.banking.events().handle(&batch).await;
    assert!(
        matches!(&outcomes[0], Outcome::Reject { reason } if reason.contains("version 2")),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[1], Outcome::Done);
    assert_eq!(stored(&world, &operation).await.0, completed());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_misbehaves_ends_every_operation_once() {
    for seed in 0..5 {
        let world = world_with(seed, Faults::NONE);
        world.take(&[opened(1)]).await;
        let mut operations = Vec::new();
        for _ in 0..50 {
            operations.push(world.submit(1, deposit_to(1)).await);
        }
        world.store.set_faults(Faults {
            conflict_per_mille: 300,
            busy_per_mille: 200,
            unknown_per_mille: 300,
            ..Faults::NONE
        });
        let events = operations.iter().map(|operation| deposited(operation.operation_id, 1));
        world.take_in_the_end(events.collect()).await;
        for operation in &operations {
            assert_eq!(stored(&world, operation).await, (completed(), Revision(2)), "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_just_opened_is_waited_for() {
    let world = world();
    let account_id = AccountId::new(world.sources.fresh_id());
    let wanted = request(domain::Movement::Deposit { account_id }, "12.50");
    let caller = world.caller(1, None);
    let open = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.take(&[Message::CreateAccount(AccountState { account_id, ..state(1) })]).await;
    };
    let (submitted, ()) = tokio::join!(world.banking.submit(&caller, &wanted), open);
    assert_eq!(submitted.unwrap().answer.movement, wanted.movement);

    let made_up = domain::Movement::Deposit { account_id: AccountId::new(world.sources.fresh_id()) };
    for (age, patience) in
        [(Duration::ZERO, Duration::from_secs(2)), (Duration::from_secs(60), Duration::ZERO)]
    {
        world.clock.advance(age);
        let began = tokio::time::Instant::now();
        let refused = world.banking.submit(&caller, &request(made_up, "1")).await;
        assert!(matches!(refused, Err(Refusal::Rejected(domain::Rejection::AccountNotFound))));
        assert!((patience..=patience + Duration::from_secs(1)).contains(&began.elapsed()), "{age:?}");
    }
}
