//! Reading: many keys, ranges, prefixes, pages and whole tables.

use std::collections::BTreeMap;

use ports::{Held, Item, Key, Order, Range, Record, Store, Table};

use crate::fixture::{Thing, commits, create_all, item, must, transaction};
use crate::{OTHERS, THINGS, World};

/// Texts that some store, somewhere, has read as something else. None has a NUL, which not every store can keep.
const ODD: [&str; 34] = [
    " ",
    "a",
    "a ",
    " a",
    "A",
    "a%",
    "a_",
    "%",
    "_",
    "*",
    "?",
    "'",
    "''",
    "\"",
    "\\",
    "\\\\",
    "`",
    "--",
    "'; DROP TABLE things; --",
    "$1",
    ":a",
    "#",
    "/",
    "a/b",
    "1",
    "01",
    "1.0",
    "null",
    "\t\r\n",
    "\u{1}\u{7f}",
    "é",
    "e\u{301}",
    "ẞß",
    "日本語🏦\u{fffd}\u{ffff}\u{10000}",
];

/// All pages of a range, one after the other, each no larger than its limit.
async fn pages<S: Store>(store: &S, mut range: Range) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        let page = must(store.query(&range).await);
        assert!(page.items.len() <= range.limit, "a page of {} for {}", page.items.len(), range.limit);
        let is_last = page.next.is_none();
        assert!(is_last || !page.items.is_empty(), "an empty page that is not the last");
        items.extend(page.items);
        if is_last {
            return items;
        }
        assert_ne!(page.next, range.after, "a page that does not move on");
        range.after = page.next;
    }
}

fn sorts(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.key.sort.as_str()).collect()
}

fn range(partition: &str, first: &str, last: &str, order: Order, limit: usize) -> Range {
    let (first, last) = (first.to_owned(), last.to_owned());
    Range { table: THINGS, partition: partition.to_owned(), first, last, order, after: None, limit }
}

/// More keys than a transaction has items, some twice, two tables, every third one missing.
pub async fn many_keys_are_read_in_their_order_with_gaps<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let wanted: Vec<Thing> = (0..350)
        .map(|index| {
            let (partition, sort) = (format!("p{}", index % 17), format!("s{}", (index * 7) % 350));
            if index % 2 == 0 {
                Thing::new(partition, sort, index)
            } else {
                Thing::other(partition, sort, index)
            }
        })
        .collect();
    let stored: Vec<Thing> = wanted.iter().filter(|thing| thing.number % 3 != 0).cloned().collect();
    create_all(&store, &sources, &stored).await;

    let keys: Vec<Key> = wanted.iter().chain(&wanted[..10]).map(Record::key).collect();
    let items = must(store.get(&keys).await);
    assert_eq!(items.len(), keys.len());
    for ((thing, key), item) in wanted.iter().chain(&wanted[..10]).zip(&keys).zip(&items) {
        let found = item.as_ref().map(|item| (&item.key, must(Held::<Thing>::from_item(item)).record));
        assert_eq!(found, (thing.number % 3 != 0).then(|| (key, thing.clone())));
    }
    assert_eq!(must(store.get(&[]).await), []);
}

/// Bounds are inclusive, may name what is not stored, and may hold nothing between them.
pub async fn a_range_is_read_both_ways_within_its_bounds<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let stored = ["b", "d", "f", "h"];
    let mut things: Vec<Thing> = stored.iter().map(|sort| Thing::new("p", *sort, 1)).collect();
    // Neighbours that no range of the partition may show.
    things.extend([Thing::new("o", "d", 1), Thing::new("p2", "d", 1), Thing::other("p", "e", 1)]);
    create_all(&store, &sources, &things).await;

    let bounds = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    for first in bounds {
        for last in bounds {
            let mut expected: Vec<&str> =
                stored.into_iter().filter(|sort| first <= *sort && *sort <= last).collect();
            let ascending = pages(&store, range("p", first, last, Order::Ascending, 10)).await;
            assert_eq!(sorts(&ascending), expected, "{first} to {last}");
            let descending = pages(&store, range("p", first, last, Order::Descending, 10)).await;
            expected.reverse();
            assert_eq!(sorts(&descending), expected, "{first} to {last}, descending");
        }
    }
    assert_eq!(pages(&store, range("absent", "a", "z", Order::Ascending, 10)).await, []);
}

/// However large a page is, all pages together are the range.
pub async fn every_page_size_loses_and_doubles_nothing<W: World>() {
    const ITEMS: usize = 40;
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let things: Vec<Thing> = (0..ITEMS).map(|index| Thing::new("p", format!("{index:03}"), 1)).collect();
    create_all(&store, &sources, &things).await;
    for limit in 1..=ITEMS + 1 {
        for order in [Order::Ascending, Order::Descending] {
            let mut expected: Vec<&str> = things[3..=36].iter().map(|thing| thing.sort.as_str()).collect();
            if order == Order::Descending {
                expected.reverse();
            }
            let found = pages(&store, range("p", "003", "036", order, limit)).await;
            assert_eq!(sorts(&found), expected, "pages of {limit}, {order:?}");
        }
    }
    let page = must(store.query(&range("p", "003", "036", Order::Ascending, ITEMS)).await);
    assert_eq!(page.next, None, "a page with room left is the last");
}

/// A page continues behind its last item even when that item is gone.
pub async fn a_cursor_survives_its_item<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let things: Vec<Thing> = (0..9).map(|index| Thing::new("p", format!("{index}"), 1)).collect();
    create_all(&store, &sources, &things).await;
    let mut wanted = range("p", "0", "9", Order::Ascending, 3);
    let mut found = Vec::new();
    loop {
        let page = must(store.query(&wanted).await);
        found.extend(page.items.iter().map(|item| item.key.sort.clone()));
        if let Some(last) = page.items.last() {
            let mut deletion = transaction(&sources);
            must(deletion.delete(last.key.clone(), last.revision));
            commits(&store, &deletion).await;
        }
        assert!(page.next.is_none() || page.next != wanted.after, "a page that does not move on");
        wanted.after = page.next;
        if wanted.after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
}

/// A prefix is no pattern: what a pattern language would expand stands for itself.
pub async fn a_prefix_is_taken_literally<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let sorts_stored = ["a", "a%", "a%b", "a_", "a_c", "ab", "abc", "b", "ä", "äb", "🏦", "🏦x", "A", "Ab"];
    let things: Vec<Thing> = sorts_stored.iter().map(|sort| Thing::new("p", *sort, 1)).collect();
    create_all(&store, &sources, &things).await;
    for prefix in ["", "a", "a%", "a_", "ab", "abc", "abcd", "b", "ä", "🏦", "A", "z"] {
        let mut expected: Vec<&str> =
            sorts_stored.into_iter().filter(|sort| sort.starts_with(prefix)).collect();
        expected.sort_unstable();
        let found = pages(&store, Range::prefix(THINGS, "p", prefix, Order::Ascending, 2)).await;
        assert_eq!(sorts(&found), expected, "prefix {prefix:?}");
    }
}

/// Odd and long texts as keys and as contents; sort keys are ordered by their bytes.
pub async fn odd_keys_and_texts_come_back_as_they_were<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    // DynamoDB takes partition keys of 2,048 bytes and sort keys of 1,024.
    let (long_partition, long_sort) = ("p".repeat(2_048), "ä".repeat(512));
    let mut texts: Vec<&str> = ODD.into_iter().chain([long_sort.as_str()]).collect();
    let partitions = ODD.into_iter().chain([long_partition.as_str()]);
    let mut things: Vec<Thing> = partitions.map(|partition| Thing::new(partition, "s", 1)).collect();
    things.extend(texts.iter().map(|sort| Thing { text: (*sort).to_owned(), ..Thing::new("odd", *sort, 1) }));
    create_all(&store, &sources, &things).await;

    for thing in &things {
        let Some(item) = item(&store, &thing.key()).await else { panic!("{thing:?} is not stored") };
        assert_eq!((&item.key, must(Held::<Thing>::from_item(&item)).record), (&thing.key(), thing.clone()));
        let alone = range(&thing.partition, &thing.sort, &thing.sort, Order::Ascending, 2);
        assert_eq!(pages(&store, alone).await, [item]);
    }
    texts.sort_unstable();
    let found = pages(&store, Range::prefix(THINGS, "odd", "", Order::Ascending, 4)).await;
    assert_eq!(sorts(&found), texts);
}

/// All pages of a table, one after the other.
async fn scanned<S: Store>(store: &S, table: Table, limit: usize) -> Vec<Item> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = must(store.scan(table, after.as_ref(), limit).await);
        assert!(page.items.len() <= limit, "a page of {} for {limit}", page.items.len());
        items.extend(page.items);
        assert!(page.next.is_none() || page.next != after, "a page that does not move on");
        after = page.next;
        if after.is_none() {
            return items;
        }
    }
}

/// Thousands of items in partitions of every size: each is seen once, and those of a partition in their order.
pub async fn a_scan_sees_every_item_once<W: World>() {
    let world = W::open().await;
    let (store, sources) = (world.store(), world.sources());
    let mut things = Vec::new();
    for partition in 0..75 {
        things.extend(
            (0..=partition).map(|sort| Thing::new(format!("p{partition}"), format!("{sort:03}"), sort)),
        );
    }
    create_all(&store, &sources, &things).await;
    create_all(&store, &sources, &[Thing::other("p1", "000", 1)]).await;

    for limit in [1, 7, 100, 1_000, 10_000] {
        let mut partitions: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        let mut last = None;
        for item in scanned(&store, THINGS, limit).await {
            let partition = item.key.partition.clone();
            let is_new = last.as_ref() != Some(&partition);
            assert!(
                !(is_new && partitions.contains_key(&partition)),
                "pages of {limit} leave {partition} and return"
            );
            partitions.entry(partition.clone()).or_default().push(item);
            last = Some(partition);
        }
        assert_eq!(partitions.len(), 75, "pages of {limit}");
        for partition in 0..75 {
            let expected: Vec<String> = (0..=partition).map(|sort| format!("{sort:03}")).collect();
            assert_eq!(sorts(&partitions[&format!("p{partition}")]), expected, "pages of {limit}");
        }
    }
    assert_eq!(scanned(&store, OTHERS, 10).await.len(), 1);
}
