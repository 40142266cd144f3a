//! All or nothing, every expectation, and writes that stand for themselves.

use kernel::Timestamp;
use ports::{Held, Record, Revision, Store, Transaction};

use crate::World;
use crate::fixture::{Thing, commit, commits, held, item, must, number, transaction};

/// Wherever the failed expectation stands among five writes to two tables, nothing is written and its key is named.
pub async fn a_failed_expectation_writes_nothing<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let stored = Thing::new("p", "stored", 1);
    let mut before = transaction(&sources);
    must(before.create(&stored));
    commits(&store, &before).await;

    for place in 0..5 {
        let mut attempt = transaction(&sources);
        for index in 0..5 {
            if index == place {
                must(attempt.replace(Revision(9), &stored.with_number(9)));
            } else if index % 2 == 0 {
                must(attempt.create(&Thing::new("p", format!("new-{index}"), 7)));
            } else {
                must(attempt.create(&Thing::other("p", format!("new-{index}"), 7)));
            }
        }
        assert_eq!(commit(&store, &attempt).await, Err(stored.key()), "place {place}");
        assert_eq!(number(&store, &stored.key()).await, Some((1, Revision::FIRST)));
        for write in attempt.writes().iter().filter(|write| write.key != stored.key()) {
            assert_eq!(item(&store, &write.key).await, None, "place {place}");
        }
    }
}

/// A way to use a transaction on the one item of a row.
type Use = fn(&mut Transaction, &Thing) -> Result<(), ports::Limit>;

/// What a row expects to find afterwards: the number and the revision, if anything.
type Found = Option<(i64, u64)>;

fn create(transaction: &mut Transaction, thing: &Thing) -> Result<(), ports::Limit> {
    transaction.create(thing)
}

fn replace_2(transaction: &mut Transaction, thing: &Thing) -> Result<(), ports::Limit> {
    transaction.replace(Revision(2), thing)
}

fn supersede_2(transaction: &mut Transaction, thing: &Thing) -> Result<(), ports::Limit> {
    transaction.supersede(thing, Revision(2))
}

fn require_2(transaction: &mut Transaction, thing: &Thing) -> Result<(), ports::Limit> {
    transaction.require(&Held { record: thing.clone(), revision: Revision(2) })
}

fn delete_2(transaction: &mut Transaction, thing: &Thing) -> Result<(), ports::Limit> {
    transaction.delete(thing.key(), Revision(2))
}

/// Each use of a transaction on an item that is absent, older, as expected, and newer. Stored is number 1, written
/// is number 7; `None` as the result is a conflict, which leaves the item as it was.
const USES: [(&str, Use, [Option<Found>; 4]); 5] = [
    ("create", create, [Some(Some((7, 1))), None, None, None]),
    ("replace", replace_2, [None, None, Some(Some((7, 3))), None]),
    ("supersede", supersede_2, [Some(Some((7, 2))), Some(Some((7, 2))), None, None]),
    ("require", require_2, [None, None, Some(Some((1, 2))), None]),
    ("delete", delete_2, [None, None, Some(None), None]),
];

/// Every way to write, on every state of the item.
pub async fn every_expectation_holds_or_conflicts<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    for (name, write, outcomes) in USES {
        for (stored, outcome) in [None, Some(1), Some(2), Some(3)].into_iter().zip(outcomes) {
            let thing = Thing::new(name, format!("{stored:?}"), 1);
            if let Some(revision) = stored {
                let mut before = transaction(&sources);
                must(before.supersede(&thing, Revision(revision)));
                commits(&store, &before).await;
            }
            let mut attempt = transaction(&sources);
            must(write(&mut attempt, &thing.with_number(7)));
            let answer = commit(&store, &attempt).await;

            let unchanged = stored.map(|revision| (1, revision));
            let (expected_answer, expected) = match outcome {
                Some(found) => (Ok(()), found),
                None => (Err(thing.key()), unchanged),
            };
            assert_eq!(answer, expected_answer, "{name} where {stored:?} is stored");
            let found = number(&store, &thing.key()).await.map(|(number, revision)| (number, revision.0));
            assert_eq!(found, expected, "{name} where {stored:?} is stored");
        }
    }
}

/// A write that is in nobody's way is written in the end, whatever becomes of the others in its transaction. Who commits
/// what is not there yet comes to that end, though any commit may have written a part.
pub async fn an_independent_write_stands_for_itself<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let newest = Thing::new("p", "newest", 1);
    let mut before = transaction(&sources);
    must(before.supersede(&newest, Revision(9)));
    commits(&store, &before).await;

    let things: Vec<Thing> = (0..20).map(|index| Thing::new("p", format!("new-{index:02}"), index)).collect();
    let mut conflicts = Vec::new();
    loop {
        let mut attempt = Transaction::independent(sources.fresh_id());
        for thing in &things {
            if item(&store, &thing.key()).await.is_none() {
                must(attempt.create(thing));
            }
        }
        if attempt.is_empty() {
            break;
        }
        must(attempt.supersede(&newest.with_number(2), Revision(3)));
        let Err(key) = commit(&store, &attempt).await else { panic!("{newest:?} was superseded") };
        // A world without parts has written nothing: there each is committed by itself.
        let mut alone = Transaction::independent(sources.fresh_id());
        must(alone.supersede(&things[conflicts.len()], Revision::FIRST));
        let _ = commit(&store, &alone).await;
        conflicts.push(key);
    }
    assert!(conflicts.contains(&newest.key()), "{conflicts:?}");
    assert_eq!(number(&store, &newest.key()).await, Some((1, Revision(9))), "it went back");
    for thing in things {
        assert_eq!(number(&store, &thing.key()).await, Some((thing.number, Revision::FIRST)));
    }
}

/// An independent transaction that nothing is in the way of is written whole when it is answered.
pub async fn an_independent_transaction_is_whole_when_it_is_answered<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    for round in 0..10 {
        let mut attempt = Transaction::independent(sources.fresh_id());
        let things: Vec<Thing> =
            (0..40).map(|index| Thing::new(format!("{round}"), format!("{index}"), index)).collect();
        for thing in &things {
            must(attempt.create(thing));
        }
        if let Err(key) = commit(&store, &attempt).await {
            assert!(item(&store, &key).await.is_some(), "only its own writes can be in its way");
            continue;
        }
        for thing in &things {
            assert_eq!(number(&store, &thing.key()).await, Some((thing.number, Revision::FIRST)), "{round}");
        }
    }
}

/// Deleting frees the key, and revisions start anew.
pub async fn a_deleted_item_can_be_created_again<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let thing = Thing::new("p", "s", 1);
    for round in 0..3 {
        let mut creation = transaction(&sources);
        must(creation.create(&thing.with_number(round)));
        commits(&store, &creation).await;
        let mut replacement = transaction(&sources);
        must(replacement.replace(Revision::FIRST, &thing.with_number(round + 100)));
        commits(&store, &replacement).await;
        assert_eq!(number(&store, &thing.key()).await, Some((round + 100, Revision(2))));

        let mut deletion = transaction(&sources);
        must(deletion.delete(thing.key(), Revision(2)));
        commits(&store, &deletion).await;
        assert_eq!(held(&store, &thing.key()).await, None);
        let mut late = transaction(&sources);
        must(late.replace(Revision(2), &thing));
        assert_eq!(commit(&store, &late).await, Err(thing.key()));
    }
}

/// Key, revision, expiry and body are read as they were written, the highest revision included. A store may round
/// the expiry up to the second, and turn the fields of the body around.
pub async fn items_keep_what_was_written<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let expiries =
        [None, Some(Timestamp::from_millis(4_102_444_800_123)), Some(Timestamp::from_millis(i64::MAX))];
    let highest = Revision(i64::MAX.unsigned_abs());
    for (index, expires_at) in expiries.into_iter().enumerate() {
        for revision in [Revision(1), Revision(1 << 40), highest] {
            let sort = format!("{index}-{}", revision.0);
            let thing = Thing { expires_at, ..Thing::new("p", sort, i64::MIN) };
            let mut creation = transaction(&sources);
            must(creation.supersede(&thing, revision));
            commits(&store, &creation).await;
            let Some(found) = item(&store, &thing.key()).await else {
                panic!("{thing:?} is not stored");
            };
            let by_second = |expires_at: Option<Timestamp>| expires_at.map(rounded_up);
            assert_eq!((&found.key, found.revision), (&thing.key(), revision));
            assert_eq!(by_second(found.expires_at), by_second(expires_at));
            assert!(found.expires_at >= expires_at, "it may be deleted before it expires");
            let body: serde_json::Value = must(serde_json::from_str(&found.body));
            assert_eq!(body, must(serde_json::to_value(&thing)));
        }
    }
}

/// The second that an instant is in, or begins.
fn rounded_up(instant: Timestamp) -> i64 {
    (instant.as_millis() + 999) / 1_000
}

/// A transaction without writes and messages is no error.
pub async fn nothing_to_commit_is_committed<W: World>() {
    let world = W::open().await;
    let empty = transaction(&world.sources());
    assert!(empty.is_empty());
    must(world.store().commit(&empty).await);
}
