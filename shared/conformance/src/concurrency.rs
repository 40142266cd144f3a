//! Writers side by side, held against plain models, and what is left of their work after a crash.

use std::collections::BTreeMap;
use std::future::Future;

use kernel::MessageId;
use ports::{Held, Key, Order, Range, Record, Revision, Sources, Store};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::fixture::{PATIENCE, Thing, commit, commits, held, item, message, must, number, transaction};
use crate::{THINGS, THINGS_EVENTS, UNHEARD, World};

/// How often a writer reloads and decides again before the store is taken for one that never lets it through.
const RELOADS_MAX: u32 = 2_000;

/// Runs one writer a number, all at once, and answers what they made, in no order.
async fn all<F, T>(count: u64, writer: impl Fn(u64) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut writers = JoinSet::new();
    for number in 0..count {
        writers.spawn(writer(number));
    }
    writers.join_all().await
}

/// What was committed is there after a good end of the process, and after a bad one.
pub async fn what_was_answered_is_durable<W: World>() {
    let mut world = W::open().await;
    for round in 0..4 {
        let sources = world.sources();
        let thing = Thing::new("p", format!("{round}"), round);
        {
            let store = world.store();
            let mut creation = transaction(&sources);
            must(creation.create(&thing));
            commits(&store, &creation).await;
            let mut replacement = transaction(&sources);
            must(replacement.replace(Revision::FIRST, &thing.with_number(round + 100)));
            commits(&store, &replacement).await;
        }
        world = if round % 2 == 0 { world.crash().await } else { world.reopen().await };
        let store = world.store();
        for earlier in 0..=round {
            let key = Thing::new("p", format!("{earlier}"), 0).key();
            assert_eq!(number(&store, &key).await, Some((earlier + 100, Revision(2))), "round {round}");
        }
    }
}

/// Sixteen writers create the same item at once.
pub async fn of_many_creators_one_succeeds<W: World>() {
    let world = W::open().await;
    for round in 0..10 {
        let (store, sources) = (world.store(), world.sources());
        let thing = Thing::new("p", format!("{round}"), 0);
        let outcomes = all(16, |writer| {
            let (store, sources, thing) = (store.clone(), sources.clone(), thing.clone());
            async move {
                let mut creation = transaction(&sources);
                must(creation.create(&thing.with_number(i64::try_from(writer).unwrap_or(0))));
                commit(&store, &creation).await.map(|()| writer)
            }
        })
        .await;
        let created: Vec<u64> = outcomes.into_iter().flatten().collect();
        assert_eq!(created.len(), 1, "one creates, the others are in conflict");
        let found = number(&store, &thing.key()).await;
        assert_eq!(found.map(|(number, _)| number.unsigned_abs()), Some(created[0]));
    }
}

/// Writers supersede one item in any order of revisions while a reader watches.
pub async fn what_is_superseded_never_goes_back<W: World>() {
    const REVISIONS: u64 = 120;
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let thing = Thing::new("p", "s", 0);
    let writers = all(4, |writer| {
        let (store, sources, thing) = (store.clone(), sources.clone(), thing.clone());
        async move {
            let mut revisions: Vec<u64> = (1..=REVISIONS).collect();
            revisions.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(writer));
            for revision in revisions {
                let mut attempt = transaction(&sources);
                must(attempt.supersede(&thing.with_number(revision.cast_signed()), Revision(revision)));
                // A conflict says that what is stored is as new.
                let _ = commit(&store, &attempt).await;
            }
        }
    });
    let reader = async {
        let mut last = Revision(0);
        while last < Revision(REVISIONS) {
            if let Some((number, revision)) = number(&store, &thing.key()).await {
                assert!(revision >= last, "{revision:?} is shown after {last:?}");
                assert_eq!(number.unsigned_abs(), revision.0, "the contents are those of the revision");
                last = revision;
            }
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(writers, reader) };
    assert!(timeout(PATIENCE, both).await.is_ok(), "the last revision is never shown");
}

/// Two writers each require what the other one replaces: never may both have seen the old state.
pub async fn a_requirement_is_part_of_the_transaction<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    for round in 0..25 {
        let pair =
            [Thing::new("p", format!("{round}-left"), 0), Thing::other("p", format!("{round}-right"), 0)];
        let mut creation = transaction(&sources);
        for thing in &pair {
            must(creation.create(thing));
        }
        commits(&store, &creation).await;

        let outcomes = all(2, |writer| {
            let (store, sources, mut pair) = (store.clone(), sources.clone(), pair.clone());
            async move {
                if writer == 1 {
                    pair.reverse();
                }
                let [mine, theirs] = pair;
                let mut attempt = transaction(&sources);
                must(attempt.require(&Held { record: theirs, revision: Revision::FIRST }));
                must(attempt.replace(Revision::FIRST, &mine.with_number(1)));
                commit(&store, &attempt).await
            }
        })
        .await;
        assert!(
            outcomes.iter().filter(|outcome| outcome.is_ok()).count() <= 1,
            "both required the old state"
        );
        let mut sum = 0;
        for thing in &pair {
            sum += held(&store, &thing.key()).await.map_or(0, |held| held.record.number);
        }
        assert!(sum <= 1, "both were written");
    }
}

async fn increment<S: Store>(store: &S, sources: &Sources, counter: &Thing) {
    for _ in 0..RELOADS_MAX {
        let mut attempt = transaction(sources);
        match number(store, &counter.key()).await {
            None => must(attempt.create(&counter.with_number(1))),
            Some((number, revision)) => must(attempt.replace(revision, &counter.with_number(number + 1))),
        }
        if commit(store, &attempt).await.is_ok() {
            return;
        }
    }
    panic!("{counter:?} was in conflict {RELOADS_MAX} times");
}

/// Many writers increment few counters: none of the increments is lost or done twice.
pub async fn counters_agree_with_a_model<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let counters: Vec<Thing> = (0..4).map(|index| Thing::new("p", format!("{index}"), 0)).collect();
    let increments = all(8, |writer| {
        let (store, sources, counters) = (store.clone(), sources.clone(), counters.clone());
        async move {
            let mut chance = Xoshiro256PlusPlus::seed_from_u64(writer);
            let mut done = vec![0_u32; counters.len()];
            for _ in 0..30 {
                let index = chance.random_range(0..counters.len());
                increment(&store, &sources, &counters[index]).await;
                done[index] += 1;
            }
            done
        }
    })
    .await;
    for (index, counter) in counters.iter().enumerate() {
        let expected: u32 = increments.iter().map(|done| done[index]).sum();
        let found = number(&store, &counter.key()).await;
        assert_eq!(found, Some((i64::from(expected), Revision(u64::from(expected)))));
    }
}

/// A transfer that was committed: from where to where, how much, and the message it sent.
type Transfer = (usize, usize, i64, MessageId);

/// Moves money, writes a journal entry and sends a message, all in one transaction; `None` where there is too little.
async fn transfer<S: Store>(
    store: &S,
    sources: &Sources,
    accounts: &[Thing],
    (from, to, amount): (usize, usize, i64),
) -> Option<Transfer> {
    for _ in 0..RELOADS_MAX {
        let keys: Vec<Key> = [from, to].map(|index| accounts[index].key()).into();
        let items = must(store.get(&keys).await);
        let [Some(payer), Some(payee)] = items.as_slice() else { panic!("an account is missing") };
        let [payer, payee] = [payer, payee].map(|item| must(Held::<Thing>::from_item(item)));
        if payer.record.number < amount {
            return None;
        }
        let mut attempt = transaction(sources);
        let sent = message(sources, UNHEARD);
        must(attempt.replace(payer.revision, &payer.record.with_number(payer.record.number - amount)));
        must(attempt.replace(payee.revision, &payee.record.with_number(payee.record.number + amount)));
        must(attempt.create(&Thing::new("journal", sent.message_id.to_string(), amount)));
        must(attempt.emit(THINGS_EVENTS, sent.clone()));
        if commit(store, &attempt).await.is_ok() {
            return Some((from, to, amount, sent.message_id));
        }
    }
    panic!("a transfer was in conflict {RELOADS_MAX} times");
}

/// Transfers between few accounts: balances, revisions and journal are those of a model of the committed ones.
pub async fn transfers_keep_the_sum<W: World>() {
    const OPENING: i64 = 300;
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let account = |index: i64| {
        if index % 2 == 0 {
            Thing::new("a", format!("{index}"), OPENING)
        } else {
            Thing::other("a", format!("{index}"), OPENING)
        }
    };
    let accounts: Vec<Thing> = (0..6).map(account).collect();
    let mut opening = transaction(&sources);
    for account in &accounts {
        must(opening.create(account));
    }
    while let Err(key) = commit(&store, &opening).await {
        // A conflict without cause, in a world that has those: the transaction was not written.
        assert_eq!(item(&store, &key).await, None);
    }
    let done: Vec<Transfer> = all(8, |writer| {
        let (store, sources, accounts) = (store.clone(), sources.clone(), accounts.clone());
        async move {
            let mut chance = Xoshiro256PlusPlus::seed_from_u64(writer);
            let mut done = Vec::new();
            for _ in 0..25 {
                let from = chance.random_range(0..accounts.len());
                let to = (from + chance.random_range(1..accounts.len())) % accounts.len();
                let amount = chance.random_range(1..=150);
                done.extend(transfer(&store, &sources, &accounts, (from, to, amount)).await);
            }
            done
        }
    })
    .await
    .concat();

    let mut model = vec![(OPENING, Revision::FIRST); accounts.len()];
    let mut journal = BTreeMap::new();
    for (from, to, amount, message_id) in done {
        model[from] = (model[from].0 - amount, model[from].1.next());
        model[to] = (model[to].0 + amount, model[to].1.next());
        journal.insert(message_id.to_string(), amount);
    }
    for (account, expected) in accounts.iter().zip(&model) {
        assert_eq!(number(&store, &account.key()).await, Some(*expected));
        assert!(expected.0 >= 0, "an account is overdrawn");
    }
    assert_eq!(model.iter().map(|(balance, _)| balance).sum::<i64>(), OPENING * 6);
    let everything = Range::prefix(THINGS, "journal", "", Order::Ascending, 1_000);
    let page = must(store.query(&everything).await);
    let entries = page.items.iter().map(|item| must(Held::<Thing>::from_item(item)).record);
    assert_eq!(entries.map(|entry| (entry.sort, entry.number)).collect::<BTreeMap<_, _>>(), journal);
}
