use super::*;

const ITEMS: Table = Table("items");

fn key(sort: &str) -> Key {
    Key::new(ITEMS, "p", sort)
}

fn row(revision: u64) -> Option<Row> {
    Some(Row { revision, expires_at_ms: None, body: String::new() })
}

/// Layers with these items below, and these above.
fn layers(lower: &[(&str, Option<Row>)], upper: &[(&str, Option<Row>)]) -> Overlay {
    let changes = |items: &[(&str, Option<Row>)]| {
        let items = items.iter().map(|(sort, row)| (key(sort), row.clone())).collect();
        Changes { items, ..Changes::default() }
    };
    let overlay = Overlay::default();
    overlay.add(1, changes(lower), 10);
    assert_eq!(overlay.begin_to_settle().last, 1);
    assert_eq!(overlay.add(2, changes(upper), 20), 20);
    overlay
}

fn read(overlay: &Overlay, (first, last): (&str, &str), order: Order, live_max: usize) -> String {
    let found = overlay.read().range((ITEMS, "p"), (first, last), order, live_max);
    let shown = found.iter().map(|(key, row)| {
        let revision = row.as_ref().map_or("-".to_owned(), |row| row.revision.to_string());
        format!("{}{revision}", key.sort)
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_upper_layer_counts() {
    let overlay =
        layers(&[("a", row(1)), ("b", row(1)), ("c", None)], &[("b", row(2)), ("c", row(3)), ("d", None)]);
    let layers = overlay.read();
    let revision = |sort| layers.item(&key(sort)).map(|row| row.as_ref().map(|row| row.revision));
    assert_eq!(revision("a"), Some(Some(1)));
    assert_eq!(revision("b"), Some(Some(2)));
    assert_eq!(revision("c"), Some(Some(3)));
    assert_eq!(revision("d"), Some(None));
    assert_eq!(revision("e"), None);
    drop(layers);
    overlay.settled();
    assert!(overlay.read().item(&key("a")).is_none());
    assert!(overlay.read().item(&key("b")).is_some());
    assert_eq!(overlay.read().last(), 2);
}

#[test]
fn a_range_is_read_from_both_until_there_is_enough_that_lives() {
    let overlay = layers(
        &[("a", row(1)), ("b", row(1)), ("d", row(1)), ("f", row(1))],
        &[("b", None), ("c", row(2)), ("d", row(2)), ("e", None)],
    );
    for (bounds, order, live_max, shown) in [
        (("a", "z"), Order::Ascending, 9, "a1 b- c2 d2 e- f1"),
        (("a", "z"), Order::Ascending, 1, "a1"),
        (("a", "z"), Order::Ascending, 2, "a1 b- c2"),
        (("a", "z"), Order::Descending, 1, "f1"),
        (("a", "z"), Order::Descending, 2, "d2 e- f1"),
        (("a", "z"), Order::Descending, 4, "a1 b- c2 d2 e- f1"),
        (("b", "d"), Order::Ascending, 9, "b- c2 d2"),
        (("b", "d"), Order::Descending, 9, "b- c2 d2"),
        (("g", "z"), Order::Ascending, 9, ""),
        (("z", "a"), Order::Ascending, 9, ""),
    ] {
        assert_eq!(read(&overlay, bounds, order, live_max), shown, "{bounds:?} {order:?} {live_max}");
    }
}

#[test]
fn what_is_settled_is_dropped_and_what_came_meanwhile_is_not() {
    let overlay = Overlay::new(7, BTreeMap::new());
    assert_eq!(overlay.read().last(), 7);
    let nothing = overlay.begin_to_settle();
    assert!(nothing.changes.is_empty());
    assert_eq!(nothing.last, 7);
    overlay.settled();
    let changes = || Changes { items: Items::from_iter([(key("a"), row(1))]), ..Changes::default() };
    assert_eq!(overlay.add(8, changes(), 100), 100);
    assert_eq!(overlay.add(9, changes(), 100), 200);
    assert_eq!(overlay.begin_to_settle().last, 9);
    assert_eq!(overlay.add(10, Changes::default(), 50), 50);
    overlay.settled();
    assert!(overlay.read().item(&key("a")).is_none());
}
