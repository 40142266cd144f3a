//! Events in, on the store in memory: whatever their order and however often they come, the end is the same.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::Message;
use memory::{Faults, MemoryStore};
use ports::Envelope;
use proptest::prelude::*;
use runtime::Caching;
use serde_json::json;

use super::*;
use crate::fixture::*;

/// The balance and version that is stored for an account.
async fn balance_of(world: &World, number: u64) -> Option<(i64, u64)> {
    let key = crate::records::balance_key(account(number));
    let held = runtime::get::<_, Balance>(&world.store, key).await.unwrap();
    held.map(|held| (held.record.balance.minor, held.record.version))
}

#[tokio::test(start_paused = true)]
async fn the_newest_state_stays_whatever_comes_later() {
    let world = world();
    let events = deposits(3, 1);
    world.take(&[events[2].clone(), closed(1)]).await;
    world.take(&[events[0].clone(), opened(1)]).await;
    world.take(&[events[1].clone()]).await;
    assert_eq!(balance_of(&world, 1).await, Some((300, 3)));
    assert_eq!(world.query.count_transactions().await.unwrap(), 3);
    let closed =
        world.stored().await.into_iter().find(|(key, ..)| key.contains("accounts_projection")).unwrap();
    assert_eq!((closed.1, &closed.2["status"]), (3, &json!("CLOSED")));
}

#[tokio::test(start_paused = true)]
async fn what_comes_again_after_a_restart_is_not_taken_for_news() {
    let world = world();
    let events = deposits(3, 1);
    world.take(&[opened(1), closed(1)]).await;
    world.take(&events).await;
    let query = Query::new(world.store.clone(), world.sources.clone(), Caching::heard(1_000));
    let restarted = World { query, ..world };
    restarted.take(&[opened(1), events[0].clone()]).await;
    let standing = restarted.query.balance(owner(1), account(1), 0, Duration::ZERO).await.unwrap();
    assert_eq!((standing.balance.version, standing.account.revision()), (3, Revision(3)));
}

#[tokio::test(start_paused = true)]
async fn a_message_twice_is_projected_once() {
    let world = world();
    let event = deposited(1, 1, 100, After(100, 1));
    world.take(&[event.clone(), event.clone()]).await;
    let once = world.stored().await;
    world.take(&[event.clone(), deposited(2, 1, 100, After(200, 2)), event]).await;
    assert_eq!(once.len(), 2);
    assert_eq!(world.stored().await.len(), 3);
    assert_eq!(balance_of(&world, 1).await, Some((200, 2)));
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_a_transaction_is_split() {
    let hot = deposits(300, 1);
    let spread: Vec<Message> =
        (1..=300).map(|number| deposited(number, number, 100, After(100, 1))).collect();
    // Both the balance and the name of each account change.
    let with_accounts: Vec<Message> = (1..=100)
        .flat_map(|number| [opened(number), deposited(number, number, 100, After(100, 1))])
        .collect();
    let pay = |number: u64| {
        let (version, cents) = (number, number.cast_signed() * 100);
        transferred(number, 100, (number + 1_000, After(0, 2)), (1, After(cents, version)))
    };
    let transfers: Vec<Message> = (1..=100).map(pay).collect();
    for (events, items) in [(hot, 301), (spread, 600), (with_accounts, 300), (transfers, 301)] {
        let world = world();
        world.take(&events).await;
        assert_eq!(world.stored().await.len(), items);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_is_rejected_alone() {
    let world = world();
    let good = world.deliver(&deposited(1, 1, 100, After(100, 1)));
    let mut newer = Envelope::clone(&good.envelope);
    newer.version = 2;
    let mut unknown = Envelope::clone(&good.envelope);
    unknown.kind = "REFUND_EVENT".to_owned();
    let spoilt = [newer, unknown].map(|envelope| Delivery { envelope: envelope.into(), attempt: 1 });
    let batch = [spoilt[0].clone(), good, spoilt[1].clone()];
    let outcomes = world.query.events().handle(&batch).await;
    let rejected: Vec<bool> =
        outcomes.iter().map(|outcome| matches!(outcome, Outcome::Reject { .. })).collect();
    assert_eq!(rejected, [true, false, true], "{outcomes:?}");
    assert_eq!(balance_of(&world, 1).await, Some((100, 1)));
}

#[tokio::test(start_paused = true)]
async fn projectors_at_once_and_a_store_that_misbehaves_change_nothing() {
    let in_order = world();
    in_order.take(&deposits(120, 1)).await;
    let expected = in_order.stored().await;
    for seed in 0..5 {
        let (sources, clock) = memory::sources();
        let faults =
            Faults { conflict_per_mille: 200, busy_per_mille: 100, unknown_per_mille: 200, ..Faults::NONE };
        let store = MemoryStore::with_faults(Vec::new(), sources.clone(), seed, faults);
        let query = Query::new(store.clone(), sources.clone(), Caching::heard(1_000));
        let world = std::sync::Arc::new(World { query, store, sources, clock });
        let mut projectors = tokio::task::JoinSet::new();
        for projector in 0..4 {
            let world = std::sync::Arc::clone(&world);
            projectors.spawn(async move {
                let mut waiting = deposits(120, 1);
                waiting.rotate_left(projector * 30);
                world.take_in_the_end(waiting).await;
            });
        }
        projectors.join_all().await;
        assert_eq!(world.stored().await, expected, "seed {seed}");
    }
}

/// What the ledger might have told of three accounts, in the order it happened.
fn history(moves: Vec<(u8, u64, u64, i64)>) -> Vec<Message> {
    let mut events = vec![opened(1), opened(2), opened(3), closed(3)];
    let mut standings: BTreeMap<u64, (i64, u64)> = BTreeMap::new();
    for (number, (which, first, step, amount)) in (1..).zip(moves) {
        let second = (first - 1 + step) % 3 + 1;
        let (balance, version) = standings.get(&first).copied().unwrap_or_default();
        let (other_balance, other_version) = standings.get(&second).copied().unwrap_or_default();
        match which {
            0 => {
                standings.insert(first, (balance + amount, version + 1));
                events.push(deposited(number, first, amount, After(balance + amount, version + 1)));
            }
            _ if amount > balance => {
                events.push(withdraw_failed(number, first, amount, After(balance, version)));
            }
            1 => {
                standings.insert(first, (balance - amount, version + 1));
                events.push(Message::Withdrawn(moved(
                    number,
                    first,
                    amount,
                    After(balance - amount, version + 1),
                )));
            }
            _ => {
                let (from, to) =
                    (After(balance - amount, version + 1), After(other_balance + amount, other_version + 1));
                standings.insert(first, (from.0, from.1));
                standings.insert(second, (to.0, to.1));
                events.push(transferred(number, amount, (first, from), (second, to)));
            }
        }
    }
    events
}

/// A history in its order, and each of its events twice in another.
fn any_deliveries() -> impl Strategy<Value = (Vec<Message>, Vec<Message>)> {
    let moves = prop::collection::vec((0..3_u8, 1..=3_u64, 1..3_u64, 1..500_i64), 0..40);
    moves.prop_map(history).prop_flat_map(|events| {
        let twice = [events.clone(), events.clone()].concat();
        (Just(events), Just(twice).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn neither_order_nor_repetition_matters((in_order, shuffled) in any_deliveries(), batch in 1..60_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (expected, projected) = runtime.block_on(async {
            let (expected, projected) = (world(), world());
            for event in in_order {
                expected.take(&[event]).await;
            }
            for events in shuffled.chunks(batch) {
                projected.take(events).await;
            }
            (expected.stored().await, projected.stored().await)
        });
        prop_assert_eq!(projected, expected);
    }
}
