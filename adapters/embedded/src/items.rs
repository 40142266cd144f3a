//! The rows that groups have changed, found by the hash of their partition.
//!
//! With every transaction some are put in and some are looked for, in no order at all. Among tens of thousands of keys each
//! of which lies somewhere else in memory, that costs a fraction of what a comparison of keys does, level by level. In the
//! order of their keys they are read once, by the settler, and now and then by somebody who reads a whole table.

use std::collections::{BTreeMap, HashMap, hash_map};
use std::mem::take;
use std::ops::Bound;

use ports::{Key, Place, Table};

use crate::changes::Row;

/// Rows by their keys. None stands for one that is not there any more.
#[derive(Default, PartialEq, Debug)]
pub(crate) struct Items(BTreeMap<Table, HashMap<String, Rows>>);

/// A row and the parts of its key.
pub(crate) type Entry<'a> = (Table, &'a str, &'a str, &'a Option<Row>);

/// The rows of one partition by their sort keys.
#[derive(PartialEq, Debug)]
enum Rows {
    /// As in most partitions.
    One(String, Option<Row>),
    Several(BTreeMap<String, Option<Row>>),
}

impl Rows {
    fn get(&self, sort: &str) -> Option<&Option<Row>> {
        match self {
            Self::One(only, row) => (only == sort).then_some(row),
            Self::Several(rows) => rows.get(sort),
        }
    }

    fn insert(&mut self, sort: String, row: Option<Row>) {
        match self {
            Self::One(only, place) if *only == sort => *place = row,
            Self::One(only, place) => {
                let first = (take(only), place.take());
                *self = Self::Several(BTreeMap::from([first, (sort, row)]));
            }
            Self::Several(rows) => drop(rows.insert(sort, row)),
        }
    }

    fn merge(&mut self, later: Self) {
        match later {
            Self::One(sort, row) => self.insert(sort, row),
            Self::Several(rows) => rows.into_iter().for_each(|(sort, row)| self.insert(sort, row)),
        }
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Option<Row>)> {
        let (one, several) = match self {
            Self::One(sort, row) => (Some((sort, row)), None),
            Self::Several(rows) => (None, Some(rows)),
        };
        one.into_iter().chain(several.into_iter().flatten()).map(|(sort, row)| (sort.as_str(), row))
    }

    /// The rows between two sort keys, of which the first must not be behind the last.
    fn range(&self, first: &str, last: &str) -> impl DoubleEndedIterator<Item = (&str, &Option<Row>)> {
        let (one, several) = match self {
            Self::One(sort, row) => {
                (Some((sort, row)).filter(|_| (first..=last).contains(&sort.as_str())), None)
            }
            Self::Several(rows) => {
                (None, Some(rows.range::<str, _>((Bound::Included(first), Bound::Included(last)))))
            }
        };
        one.into_iter().chain(several.into_iter().flatten()).map(|(sort, row)| (sort.as_str(), row))
    }
}

impl Items {
    /// None yet, with room for as many as there are in `others`.
    pub(crate) fn with_room_for(others: &Self) -> Self {
        let room = |(table, others): (&Table, &HashMap<_, _>)| (*table, HashMap::with_capacity(others.len()));
        Self(others.0.iter().map(room).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.values().all(HashMap::is_empty)
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Option<Row>> {
        self.0.get(&key.table)?.get(&key.partition)?.get(&key.sort)
    }

    pub(crate) fn insert(&mut self, Key { table, partition, sort }: Key, row: Option<Row>) {
        match self.0.entry(table).or_default().entry(partition) {
            hash_map::Entry::Vacant(place) => drop(place.insert(Rows::One(sort, row))),
            hash_map::Entry::Occupied(rows) => rows.into_mut().insert(sort, row),
        }
    }

    /// Takes in what was changed after these.
    pub(crate) fn merge(&mut self, later: Self) {
        for (table, partitions) in later.0 {
            let known = self.0.entry(table).or_default();
            for (partition, rows) in partitions {
                match known.entry(partition) {
                    hash_map::Entry::Vacant(place) => drop(place.insert(rows)),
                    hash_map::Entry::Occupied(known) => known.into_mut().merge(rows),
                }
            }
        }
    }

    /// The partitions that have any, in no order.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (Table, &String)> {
        self.0.iter().flat_map(|(table, partitions)| partitions.keys().map(|partition| (*table, partition)))
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.0.keys().flat_map(|table| self.of_table(*table))
    }

    /// All of them in the order of their keys.
    pub(crate) fn in_order(&self) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        for (table, partitions) in &self.0 {
            let mut partitions: Vec<(&String, &Rows)> = partitions.iter().collect();
            partitions.sort_unstable_by_key(|(partition, _)| *partition);
            for (partition, rows) in partitions {
                entries.extend(rows.iter().map(|(sort, row)| (*table, partition.as_str(), sort, row)));
            }
        }
        entries
    }

    /// Those of a partition between two sort keys, of which the first must not be behind the last.
    pub(crate) fn range<'a>(
        &'a self,
        table: Table,
        partition: &str,
        (first, last): (&str, &str),
    ) -> impl DoubleEndedIterator<Item = (&'a str, &'a Option<Row>)> {
        let rows = self.0.get(&table).and_then(|partitions| partitions.get(partition));
        rows.map(|rows| rows.range(first, last)).into_iter().flatten()
    }

    /// The last one of a partition.
    pub(crate) fn last(&self, table: Table, partition: &str) -> Option<(&str, &Option<Row>)> {
        self.0.get(&table)?.get(partition)?.iter().next_back()
    }

    /// The first of a table behind a place, until `live_max` of them are there, or some more; and how many of all that are
    /// behind it stand for what is not there any more.
    pub(crate) fn behind(
        &self,
        table: Table,
        (partition, sort): &Place,
        live_max: usize,
    ) -> (Vec<(Key, Option<Row>)>, usize) {
        let after = (partition.as_str(), sort.as_str());
        let mut behind: Vec<Entry<'_>> = self.of_table(table).filter(|entry| place(entry) > after).collect();
        let gone = behind.iter().filter(|(_, _, _, row)| row.is_none()).count();
        let enough = live_max + gone;
        if enough < behind.len() {
            behind.select_nth_unstable_by(enough, |a, b| place(a).cmp(&place(b)));
            behind.truncate(enough);
        }
        let owned =
            |(table, partition, sort, row): Entry<'_>| (Key::new(table, partition, sort), row.clone());
        (behind.into_iter().map(owned).collect(), gone)
    }

    fn of_table(&self, table: Table) -> impl Iterator<Item = Entry<'_>> {
        let partitions = self.0.get(&table).into_iter().flatten();
        partitions.flat_map(move |(partition, rows)| {
            rows.iter().map(move |(sort, row)| (table, partition.as_str(), sort, row))
        })
    }
}

/// Where a row lies in its table.
fn place<'a>((_, partition, sort, _): &Entry<'a>) -> (&'a str, &'a str) {
    (partition, sort)
}

impl Extend<(Key, Option<Row>)> for Items {
    fn extend<I: IntoIterator<Item = (Key, Option<Row>)>>(&mut self, rows: I) {
        rows.into_iter().for_each(|(key, row)| self.insert(key, row));
    }
}

impl FromIterator<(Key, Option<Row>)> for Items {
    fn from_iter<I: IntoIterator<Item = (Key, Option<Row>)>>(rows: I) -> Self {
        let mut items = Self::default();
        items.extend(rows);
        items
    }
}

#[cfg(test)]
#[path = "items_tests.rs"]
mod tests;
