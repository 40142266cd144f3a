//! The items of all tables, in order.

use std::collections::BTreeMap;
use std::ops::Bound;

use kernel::Timestamp;
use ports::{
    Action, CommitError, Cursor, Expect, Item, Key, Order, Page, Place, Range, Revision, Table, Write,
};

struct Stored {
    revision: Revision,
    expires_at: Option<Timestamp>,
    body: String,
}

type Partition = BTreeMap<String, Stored>;

/// Every table, its partitions, and their items by sort key.
#[derive(Default)]
pub struct Items {
    tables: BTreeMap<Table, BTreeMap<String, Partition>>,
}

impl Items {
    pub fn get(&self, key: &Key) -> Option<Item> {
        self.stored(key).map(|stored| stored.item(key.clone()))
    }

    /// Writes all, or nothing where an expectation does not hold.
    pub fn write(&mut self, writes: &[Write]) -> Result<(), CommitError> {
        if let Some(write) = writes.iter().find(|write| !self.is_as_expected(write)) {
            return Err(CommitError::Conflict { key: write.key.clone() });
        }
        for write in writes {
            self.apply(write);
        }
        Ok(())
    }

    /// Writes each that is as expected. The others are passed over, and the first of them is told.
    pub fn write_each<'a>(&mut self, writes: impl IntoIterator<Item = &'a Write>) -> Result<(), CommitError> {
        let mut written = Ok(());
        for write in writes {
            let alone = self.write(std::slice::from_ref(write));
            written = written.and(alone);
        }
        written
    }

    pub fn query(&self, range: &Range) -> Page<Cursor> {
        let partition = self.tables.get(&range.table).and_then(|table| table.get(&range.partition));
        let (Some(partition), Some(bounds)) = (partition, bounds(range)) else {
            return Page { items: Vec::new(), next: None };
        };
        let rows = partition.range::<str, _>(bounds);
        let item = |(sort, stored): (&String, &Stored)| {
            stored.item(Key::new(range.table, range.partition.as_str(), sort.as_str()))
        };
        let cursor = |item: &Item| item.key.sort.clone();
        match range.order {
            Order::Ascending => page(rows.map(item), range.limit, cursor),
            Order::Descending => page(rows.rev().map(item), range.limit, cursor),
        }
    }

    pub fn scan(&self, table: Table, after: Option<&Place>, limit: usize) -> Page<Place> {
        let Some(partitions) = self.tables.get(&table) else {
            return Page { items: Vec::new(), next: None };
        };
        let first = after.map_or("", |(partition, _)| partition.as_str());
        let items = partitions.range::<str, _>((Bound::Included(first), Bound::Unbounded)).flat_map(
            |(name, partition)| {
                let behind = match after {
                    Some((last, sort)) if last == name => Bound::Excluded(sort.as_str()),
                    _ => Bound::Unbounded,
                };
                let rows = partition.range::<str, _>((behind, Bound::Unbounded));
                rows.map(move |(sort, stored)| stored.item(Key::new(table, name.as_str(), sort.as_str())))
            },
        );
        page(items, limit, |item| (item.key.partition.clone(), item.key.sort.clone()))
    }

    fn stored(&self, key: &Key) -> Option<&Stored> {
        self.tables.get(&key.table)?.get(&key.partition)?.get(&key.sort)
    }

    fn is_as_expected(&self, write: &Write) -> bool {
        let found = self.stored(&write.key).map(|stored| stored.revision);
        match write.expect {
            Expect::Absent => found.is_none(),
            Expect::Exactly(revision) => found == Some(revision),
            Expect::OlderThan(revision) => found.is_none_or(|found| found < revision),
        }
    }

    fn apply(&mut self, write: &Write) {
        let Key { table, partition, sort } = &write.key;
        let partitions = self.tables.entry(*table).or_default();
        match &write.action {
            Action::Put { revision, expires_at, body } => {
                let stored = Stored { revision: *revision, expires_at: *expires_at, body: body.clone() };
                partitions.entry(partition.clone()).or_default().insert(sort.clone(), stored);
            }
            Action::Delete => {
                if let Some(items) = partitions.get_mut(partition) {
                    items.remove(sort);
                }
            }
            Action::Check => {}
        }
    }
}

impl Stored {
    fn item(&self, key: Key) -> Item {
        Item { key, revision: self.revision, expires_at: self.expires_at, body: self.body.clone() }
    }
}

/// What is left of a range behind its cursor; `None` where that is nothing, which a map would refuse.
fn bounds(range: &Range) -> Option<(Bound<&str>, Bound<&str>)> {
    let (mut first, mut last) = (Bound::Included(range.first.as_str()), Bound::Included(range.last.as_str()));
    if let Some(after) = range.after.as_deref() {
        match range.order {
            Order::Ascending if after >= range.first.as_str() => first = Bound::Excluded(after),
            Order::Descending if after <= range.last.as_str() => last = Bound::Excluded(after),
            Order::Ascending | Order::Descending => {}
        }
    }
    let is_empty = match (first, last) {
        (Bound::Included(first), Bound::Included(last)) => first > last,
        (Bound::Included(first) | Bound::Excluded(first), Bound::Included(last) | Bound::Excluded(last)) => {
            first >= last
        }
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    };
    (!is_empty).then_some((first, last))
}

fn page<N>(mut items: impl Iterator<Item = Item>, limit: usize, next: impl Fn(&Item) -> N) -> Page<N> {
    let page: Vec<Item> = items.by_ref().take(limit.max(1)).collect();
    let next = items.next().and(page.last()).map(next);
    Page { items: page, next }
}
