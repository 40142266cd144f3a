//! What the builder refuses, and that every store takes what it allows, to the last byte.

use ports::{
    Held, ITEM_BYTES_MAX, Limit, PARTITION_BYTES_MAX, Record, Revision, SORT_BYTES_MAX, Store,
    TRANSACTION_BYTES_MAX, TRANSACTION_ITEMS_MAX, Transaction,
};

use crate::fixture::{Thing, commits, held, item, message, message_with, must, transaction};
use crate::{OTHERS_EVENTS, PLACED, THINGS, THINGS_EVENTS, World};

/// A record that takes exactly this many bytes, its key included.
fn thing_of_bytes(sort: &str, bytes: usize) -> Thing {
    let mut thing = Thing::new("p", sort, 1);
    let empty = thing.partition.len() + thing.sort.len() + must(serde_json::to_string(&thing)).len();
    thing.text = "x".repeat(bytes - empty);
    thing
}

/// One too many of everything is refused, and leaves the transaction as it was.
pub async fn the_builder_refuses_what_no_store_takes<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let thing = |index: usize| Thing::new("p", format!("{index:03}"), 1);

    let mut full = transaction(&sources);
    for index in 0..TRANSACTION_ITEMS_MAX {
        must(full.create(&thing(index)));
    }
    assert_eq!(full.create(&thing(TRANSACTION_ITEMS_MAX)), Err(Limit::Items));
    assert_eq!(full.emit(THINGS_EVENTS, message(&sources, PLACED)), Err(Limit::Items));

    let mut full = transaction(&sources);
    must(full.emit(THINGS_EVENTS, message(&sources, PLACED)));
    for index in 1..TRANSACTION_ITEMS_MAX {
        must(full.create(&thing(index)));
    }
    assert_eq!(full.create(&thing(TRANSACTION_ITEMS_MAX)), Err(Limit::Items));
    must(full.emit(THINGS_EVENTS, message(&sources, PLACED)));

    let mut small = transaction(&sources);
    must(small.create(&thing(200)));
    assert_eq!(small.delete(thing(200).key(), Revision::FIRST), Err(Limit::KeyTwice(thing(200).key())));
    assert_eq!(small.create(&Thing::new("", "s", 1)), Err(Limit::EmptyKey));
    assert_eq!(small.create(&Thing::new("p", "", 1)), Err(Limit::EmptyKey));
    for (partition, sort) in [(PARTITION_BYTES_MAX + 1, 1), (1, SORT_BYTES_MAX + 1)] {
        assert_eq!(
            small.create(&Thing::new("p".repeat(partition), "s".repeat(sort), 1)),
            Err(Limit::KeyBytes)
        );
    }
    assert_eq!(small.create(&thing_of_bytes("s", ITEM_BYTES_MAX + 1)), Err(Limit::ItemBytes));
    must(small.emit(THINGS_EVENTS, message(&sources, PLACED)));
    assert_eq!(small.emit(OTHERS_EVENTS, message(&sources, PLACED)), Err(Limit::TwoOutboxes));
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(ITEM_BYTES_MAX));
    assert_eq!(small.emit(THINGS_EVENTS, message_with(&sources, PLACED, large)), Err(Limit::ItemBytes));

    let mut independent = Transaction::independent(sources.fresh_id());
    let held = Held { record: thing(200), revision: Revision::FIRST };
    assert_eq!(independent.emit(THINGS_EVENTS, message(&sources, PLACED)), Err(Limit::NotIndependent));
    assert_eq!(independent.require(&held), Err(Limit::NotIndependent));
    assert!(independent.is_empty() && independent.is_independent() && !small.is_independent());

    commits(&store, &small).await;
    assert_eq!(item(&store, &thing(200).key()).await.map(|item| item.revision), Some(Revision::FIRST));
    assert_eq!(item(&store, &ports::Key::new(THINGS, "p", "s")).await, None);
}

/// As many items as there may be, and as many with an outbox record among them.
pub async fn a_hundred_items_are_committed<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    for (partition, messages) in [("alone", 0), ("with-messages", 1)] {
        let mut full = transaction(&sources);
        let things: Vec<_> =
            (messages..TRANSACTION_ITEMS_MAX).map(|i| Thing::new(partition, format!("{i}"), 1)).collect();
        for thing in &things {
            must(full.create(thing));
        }
        for _ in 0..messages {
            must(full.emit(THINGS_EVENTS, message(&sources, PLACED)));
        }
        commits(&store, &full).await;
        let keys: Vec<_> = things.iter().map(Record::key).collect();
        let items = must(store.get(&keys).await);
        assert_eq!(items.iter().flatten().count(), TRANSACTION_ITEMS_MAX - messages, "{partition}");
    }
}

/// An item of exactly the most bytes comes back whole, and so do messages of the most bytes.
pub async fn the_largest_item_is_committed<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let thing = thing_of_bytes("largest", ITEM_BYTES_MAX);
    let empty = message_with(&sources, PLACED, r#"{"text":""}"#.to_owned()).bytes();
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(ITEM_BYTES_MAX - empty));
    let mut large = transaction(&sources);
    must(large.create(&thing));
    must(large.emit(THINGS_EVENTS, message_with(&sources, PLACED, body)));
    assert_eq!(large.emit(THINGS_EVENTS, message(&sources, PLACED)), Err(Limit::ItemBytes));
    commits(&store, &large).await;
    assert_eq!(held(&store, &thing.key()).await.map(|held| held.record), Some(thing));
}

/// A transaction of exactly the most bytes is committed, and nothing more fits into it.
pub async fn the_largest_transaction_is_committed<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let whole = TRANSACTION_BYTES_MAX / ITEM_BYTES_MAX;
    let mut things: Vec<_> =
        (0..whole).map(|index| thing_of_bytes(&format!("{index:03}"), ITEM_BYTES_MAX)).collect();
    things.push(thing_of_bytes("rest", TRANSACTION_BYTES_MAX - whole * ITEM_BYTES_MAX));
    let mut full = transaction(&sources);
    for thing in &things {
        must(full.create(thing));
    }
    assert_eq!(full.create(&Thing::new("p", "more", 1)), Err(Limit::Bytes));
    assert_eq!(full.emit(THINGS_EVENTS, message(&sources, PLACED)), Err(Limit::Bytes));
    commits(&store, &full).await;
    for thing in things {
        assert_eq!(held(&store, &thing.key()).await.map(|held| held.record), Some(thing));
    }
}
