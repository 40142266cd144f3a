//! Many operations begun together, on the store in memory: each has its effect once, whatever the store does.

use std::collections::HashSet;
use std::time::Duration;

use memory::Faults;
use runtime::Trace;
use tokio::time::Instant;

use super::*;
use crate::domain::{Movement, Rejection};
use crate::fixture::*;

fn asked(world: &World, key: &str, movement: Movement) -> (Caller, Request) {
    (world.caller(1, Some(key)), request(movement, "12.50"))
}

/// Deposits to account 1, each with a key of its own.
fn deposits(world: &World, count: usize) -> Vec<(Caller, Request)> {
    (0..count).map(|index| asked(world, &format!("row-{index}"), deposit_to(1))).collect()
}

#[tokio::test(start_paused = true)]
async fn operations_that_are_begun_together_are_one_transaction() {
    let world = world();
    world.take(&[opened(1), opened(2)]).await;
    let mut orders = deposits(&world, TOGETHER_MAX);
    orders[7].1 = request(transfer_between(1, 2), "0.01");
    let answers = world.banking.submit_all(&orders).await.unwrap();
    assert_eq!(answers.len(), TOGETHER_MAX);
    let records = world.store.outbox_records(OPERATIONS_EVENTS);
    let kinds: Vec<&str> = records.iter().flatten().map(|envelope| envelope.kind.as_str()).collect();
    assert_eq!((records.len(), kinds.len(), kinds[7]), (1, TOGETHER_MAX, "TRANSFER_CMD"));
    for (answer, (_, request)) in answers.iter().zip(&orders) {
        let Ok(Answered { answer, is_replay: false }) = answer else { panic!("{answer:?}") };
        assert_eq!(answer.movement, request.movement);
        let stored = world.banking.operation(answer.owner, answer.operation_id).await.unwrap();
        assert_eq!(stored.as_ref(), Some(answer));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_leaves_the_others_as_they_are() {
    let world = world();
    world.take(&[opened(1), opened(2), closed(3)]).await;
    let mut others_key = asked(&world, "other", deposit_to(1));
    world.banking.submit(&others_key.0, &others_key.1).await.unwrap();
    others_key.1.amount = "99".to_owned();
    let mut too_exact = asked(&world, "exact", deposit_to(1));
    too_exact.1.amount = "0.001".to_owned();
    let orders = [
        asked(&world, "first", deposit_to(1)),
        asked(&world, "foreign", deposit_to(2)),
        too_exact,
        others_key,
        asked(&world, "first", withdrawal_from(1)),
        asked(&world, "closed", transfer_between(1, 3)),
        asked(&world, "last", transfer_between(1, 2)),
    ];
    let answers = world.banking.submit_all(&orders).await.unwrap();
    assert!(answers[0].is_ok() && answers[6].is_ok(), "{answers:?}");
    for (index, expected) in [
        (1, Refusal::Rejected(Rejection::AccountNotFound)),
        (3, OnceRefused::KeyReused.into()),
        (4, OnceRefused::InFlight.into()),
        (5, Refusal::Rejected(Rejection::PayeeNotOpen)),
    ] {
        let refused = answers[index].as_ref().unwrap_err();
        assert_eq!(refused.to_string(), expected.to_string(), "{index}");
    }
    assert!(matches!(answers[2], Err(Refusal::Rejected(Rejection::InvalidAmount(_)))));
    let records = world.store.outbox_records(OPERATIONS_EVENTS);
    assert_eq!(records.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_before_is_answered_as_the_first_time() {
    let world = world();
    world.take(&[opened(1)]).await;
    let orders = deposits(&world, 5);
    let alone = world.banking.submit(&orders[2].0, &orders[2].1).await.unwrap().answer;
    let first = world.banking.submit_all(&orders).await.unwrap();
    let ids = |answers: &[Result<Answered<Operation>, Refusal>]| -> Vec<(OperationId, bool)> {
        let each = answers.iter().map(|answer| answer.as_ref().unwrap());
        each.map(|answered| (answered.answer.operation_id, answered.is_replay)).collect()
    };
    assert_eq!(ids(&first)[2], (alone.operation_id, true));
    assert_eq!(ids(&first).iter().filter(|(_, is_replay)| *is_replay).count(), 1);
    // The end of an operation does not change what was answered first.
    world.take(&[deposited(alone.operation_id, 1)]).await;
    let again = world.banking.submit_all(&orders).await.unwrap();
    let replays: Vec<_> = ids(&first).into_iter().map(|(id, _)| (id, true)).collect();
    assert_eq!(ids(&again), replays);
    assert!(again.iter().all(|answer| answer.as_ref().unwrap().answer.status == Status::Pending));
    let alone_again = world.banking.submit(&orders[4].0, &orders[4].1).await.unwrap();
    assert_eq!((alone_again.answer.operation_id, alone_again.is_replay), replays[4]);
    assert_eq!(world.store.outbox_records(OPERATIONS_EVENTS).concat().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_answered_although_it_would_be_refused_now() {
    let world = world();
    world.take(&[opened(1)]).await;
    let orders = deposits(&world, 2);
    let (caller, request) = &orders[0];
    let first = world.banking.submit(caller, request).await.unwrap().answer.operation_id;
    world.take(&[closed(1)]).await;
    let alone = world.banking.submit(caller, request).await.unwrap();
    assert_eq!((alone.answer.operation_id, alone.is_replay), (first, true));
    let answers = world.banking.submit_all(&orders).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().answer.operation_id, first);
    let refused = answers[1].as_ref().unwrap_err();
    assert!(matches!(refused, Refusal::Rejected(Rejection::AccountNotOpen)), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_answer_has_expired_is_new() {
    let world = world();
    world.take(&[opened(1)]).await;
    let orders = deposits(&world, 2);
    let (caller, request) = &orders[0];
    let first = world.banking.submit(caller, request).await.unwrap().answer.operation_id;
    world.clock.advance(Duration::from_hours(25));
    let later = world.banking.submit(caller, request).await.unwrap();
    assert!(later.answer.operation_id != first && !later.is_replay);
    let answers = world.banking.submit_all(&orders).await.unwrap();
    let replayed = answers[0].as_ref().unwrap();
    assert_eq!((replayed.answer.operation_id, replayed.is_replay), (later.answer.operation_id, true));
}

#[tokio::test(start_paused = true)]
async fn each_has_its_effect_once_whatever_the_store_does() {
    for seed in 0..40 {
        let world = world_with(seed, Faults::NONE);
        world.take(&[opened(1)]).await;
        world.store.set_faults(Faults {
            conflict_per_mille: 200,
            busy_per_mille: 100,
            unknown_per_mille: 300,
            unavailable_per_mille: 50,
            latency_ms_max: 20,
            ..Faults::NONE
        });
        let orders = deposits(&world, 30);
        // Two who send the same in different parts, again and again until all of it is answered.
        let send = async |together: usize| {
            let mut ids = Vec::new();
            for part in orders.chunks(together) {
                ids.extend(persist(&world, part).await);
            }
            ids
        };
        let (one, other) = tokio::join!(send(10), send(7));
        assert_eq!(one, other, "seed {seed}");
        assert_eq!(one.iter().collect::<HashSet<_>>().len(), orders.len(), "seed {seed}");
        let commands = world.store.outbox_records(OPERATIONS_EVENTS).concat().len();
        assert_eq!(commands, orders.len(), "seed {seed}");
    }
}

/// Sends a part until each of its operations is answered.
async fn persist(world: &World, part: &[(Caller, Request)]) -> Vec<OperationId> {
    for _ in 0..1_000 {
        if let Ok(answers) = world.banking.submit_all(part).await {
            let answered =
                answers.into_iter().map(|answer| answer.map(|answered| answered.answer.operation_id));
            if let Ok(ids) = answered.collect::<Result<Vec<_>, _>>() {
                return ids;
            }
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    panic!("it is never answered");
}

#[tokio::test(start_paused = true)]
async fn accounts_that_nobody_knows_are_waited_for_side_by_side() {
    let world = world();
    world.take(&[opened(1)]).await;
    // Identifiers that are a moment old, as those of accounts that were just opened.
    let fresh: Vec<AccountId> = (0..20).map(|_| AccountId::new(world.sources.fresh_id())).collect();
    let deposit = |(index, account_id): (usize, &AccountId)| {
        asked(&world, &format!("row-{index}"), Movement::Deposit { account_id: *account_id })
    };
    let orders: Vec<_> = fresh.iter().enumerate().map(deposit).collect();
    let began = Instant::now();
    let answers = world.banking.submit_all(&orders).await.unwrap();
    assert!(answers.iter().all(Result::is_err));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn people_with_the_same_key_have_a_key_each() {
    let world = world();
    world.take(&[opened(1), opened(2)]).await;
    let orders = [1, 2].map(|number| {
        let trace = Trace::begin(&world.sources);
        let caller = Caller { user_id: owner(number), trace, idempotency_key: Some("same".to_owned()) };
        (caller, request(deposit_to(number), "1"))
    });
    let answers = world.banking.submit_all(&orders).await.unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answered| !answered.is_replay)));
}
