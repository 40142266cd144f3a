use std::convert::Infallible;

use super::*;

const ITEMS: Table = Table("items");

fn key(sort: &str) -> Key {
    Key::new(ITEMS, "p", sort)
}

fn row(revision: u64, expires_at_ms: Option<i64>) -> Row {
    Row { revision, expires_at_ms, body: String::new() }
}

/// What is told of an item in a partition that has to be known.
fn told(ends: &mut Ends, sort: &str) -> Option<Option<u64>> {
    let look = || -> Result<Last, Infallible> { panic!("it is known") };
    ends.revision(&key(sort), look).unwrap()
}

#[test]
fn a_partition_is_looked_at_once_and_heard_of_then() {
    let mut ends = Ends::default();
    ends.hear(&key("m"), Some(&row(1, None)));
    let look = || Ok::<_, Infallible>(Last { sort: "d".to_owned(), revision: Some(7) });
    assert_eq!(ends.revision(&key("d"), look).unwrap(), Some(Some(7)), "what was heard before is not kept");
    assert_eq!(["c", "d", "e"].map(|sort| told(&mut ends, sort)), [None, Some(Some(7)), Some(None)]);
    ends.hear(&key("c"), Some(&row(9, None)));
    ends.hear(&key("d"), Some(&row(8, None)));
    assert_eq!(["c", "d", "e"].map(|sort| told(&mut ends, sort)), [None, Some(Some(8)), Some(None)]);
    ends.hear(&key("f"), Some(&row(1, None)));
    assert_eq!(
        ["d", "e", "f", "g"].map(|sort| told(&mut ends, sort)),
        [None, None, Some(Some(1)), Some(None)]
    );
}

#[test]
fn of_what_is_gone_or_may_be_nothing_is_told_and_of_what_would_lie_behind_it_everything() {
    let mut ends = Ends::default();
    assert_eq!(ends.revision(&key("a"), || Ok::<_, Infallible>(Last::default())).unwrap(), Some(None));
    ends.hear(&key("b"), Some(&row(1, Some(5))));
    assert_eq!(["a", "b", "c"].map(|sort| told(&mut ends, sort)), [None, None, Some(None)]);
    ends.hear(&key("c"), Some(&row(1, None)));
    ends.hear(&key("c"), None);
    assert_eq!(["b", "c", "d"].map(|sort| told(&mut ends, sort)), [None, None, Some(None)]);
}

#[test]
fn the_last_of_a_partition_is_found_among_others() {
    let mut changes = Changes::default();
    for (partition, sort, row) in [
        ("o", "z", Some(row(1, None))),
        ("p", "a", Some(row(2, None))),
        ("p", "b", Some(row(3, Some(1)))),
        ("p\u{1}", "a", None),
        ("pp", "a", Some(row(5, None))),
    ] {
        changes.items.insert(Key::new(ITEMS, partition, sort), row);
    }
    let last = |partition| {
        Last::among(&changes, &Key::new(ITEMS, partition, "k")).map(|last| (last.sort, last.revision))
    };
    assert_eq!(last("o"), Some(("z".to_owned(), Some(1))));
    assert_eq!(last("p"), Some(("b".to_owned(), None)));
    assert_eq!(last("p\u{1}"), Some(("a".to_owned(), None)));
    assert_eq!(last("pp"), Some(("a".to_owned(), Some(5))));
    assert_eq!(last("q"), None);
    assert!(Last::among(&changes, &Key::new(Table("others"), "p", "k")).is_none());
}
