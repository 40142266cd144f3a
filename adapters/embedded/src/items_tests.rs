use proptest::prelude::*;

use super::*;

const TABLES: [Table; 2] = [Table("items"), Table("others")];

/// What rows are by their keys, in order.
type Model = BTreeMap<Key, Option<Row>>;

fn row(revision: u64) -> Row {
    Row { revision, expires_at_ms: None, body: String::new() }
}

/// Rows of few tables, partitions and sort keys, so that many meet.
fn rows() -> impl Strategy<Value = Vec<(Key, Option<Row>)>> {
    let key =
        (0..2_usize, "[ab]{1,2}", "[a-f]").prop_map(|(table, p, sort)| Key::new(TABLES[table], p, sort));
    prop::collection::vec((key, prop::option::of((1..9_u64).prop_map(row))), 0..40)
}

fn owned<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Vec<(Key, Option<Row>)> {
    entries
        .into_iter()
        .map(|(table, partition, sort, row)| (Key::new(table, partition, sort), row.clone()))
        .collect()
}

proptest! {
    #[test]
    fn they_are_as_a_map_of_their_keys_would_be(
        first in rows(),
        later in rows(),
        partition in "[ab]{1,2}",
        bounds in ("[a-f]", "[a-f]"),
    ) {
        let mut items: Items = first.iter().cloned().collect();
        let mut model: Model = first.into_iter().collect();
        items.merge(later.iter().cloned().collect());
        model.extend(later);
        prop_assert_eq!(items.is_empty(), model.is_empty());
        prop_assert_eq!(owned(items.in_order()), model.clone().into_iter().collect::<Vec<_>>());
        prop_assert_eq!(owned(items.iter()).into_iter().collect::<Model>(), model.clone());
        prop_assert!(model.iter().all(|(key, row)| items.get(key) == Some(row)));
        prop_assert_eq!(items.get(&Key::new(TABLES[0], partition.as_str(), "g")), None);

        let of_partition = |key: &&Key| key.table == TABLES[0] && key.partition == partition;
        let in_model: Vec<&str> = model.keys().filter(of_partition).map(|key| key.sort.as_str()).collect();
        prop_assert_eq!(items.last(TABLES[0], &partition).map(|(sort, _)| sort), in_model.last().copied());
        let (from, to) = (bounds.0.as_str(), bounds.1.as_str());
        if from <= to {
            let sorts = |(sort, _)| sort;
            let expected: Vec<&str> = in_model.into_iter().filter(|sort| (from..=to).contains(sort)).collect();
            let found: Vec<&str> = items.range(TABLES[0], &partition, (from, to)).map(sorts).collect();
            prop_assert_eq!(&found, &expected);
            let back: Vec<&str> = items.range(TABLES[0], &partition, (from, to)).rev().map(sorts).collect();
            prop_assert!(back.iter().rev().eq(expected.iter()));
        }
    }

    #[test]
    fn what_is_behind_a_place_is_whole_as_far_as_it_goes(
        rows in rows(),
        after in ("[ab]{0,2}", "[a-f]{0,1}"),
        live_max in 0..20_usize,
    ) {
        let items: Items = rows.iter().cloned().collect();
        let model: Model = rows.into_iter().collect();
        let is_behind = |(key, _): &(&Key, &Option<Row>)| {
            key.table == TABLES[1] && (&key.partition, &key.sort) > (&after.0, &after.1)
        };
        let behind: Model = model.iter().filter(is_behind).map(|(key, row)| (key.clone(), row.clone())).collect();
        let (found, gone) = items.behind(TABLES[1], &after, live_max);
        let found: Model = found.into_iter().collect();
        prop_assert_eq!(gone, behind.values().filter(|row| row.is_none()).count());
        prop_assert!(found.iter().eq(behind.iter().take(found.len())), "nothing is left out");
        let live = |rows: &Model| rows.values().flatten().count();
        prop_assert!(live(&found) >= live_max.min(live(&behind)));
    }
}
