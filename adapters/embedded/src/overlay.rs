//! What is durable in the journal and not yet in the database, in memory and in front of it.
//!
//! There are two layers. Groups add to the upper one. The settler makes it the lower one, writes that to the database,
//! and drops it. A reader looks at the layers first and at the database afterwards, in this order: what it does not
//! find in the layers is in the database by then, and what it finds in both is the same or newer in the layers.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ports::{Key, Order, Place, Table};

use crate::changes::{Changes, DeadRow, Record, Retry, Row};
use crate::items::Items;

/// The layers, shared by the committer, the settler and all readers.
#[derive(Default)]
pub(crate) struct Overlay(RwLock<Layers>);

#[derive(Default)]
pub(crate) struct Layers {
    /// What groups have changed since the settler last began.
    pub(crate) upper: Changes,
    /// What the settler is writing to the database.
    pub(crate) lower: Arc<Changes>,
    /// The bytes of the groups in the upper layer, as they are in the journal.
    bytes: usize,
    /// The newest group in the layers.
    last: u64,
    /// Of a table the last partition that there ever was, where that is known.
    last_partitions: BTreeMap<Table, String>,
}

/// What the settler has to write.
pub(crate) struct Unsettled {
    pub(crate) changes: Arc<Changes>,
    /// The newest group in it.
    pub(crate) last: u64,
    /// The bytes of its groups.
    pub(crate) bytes: usize,
}

impl Overlay {
    /// The layers of a store whose database has everything up to group `settled`, and of these tables these partitions as
    /// the last ones.
    pub(crate) fn new(settled: u64, last_partitions: BTreeMap<Table, String>) -> Self {
        Self(RwLock::new(Layers { last: settled, last_partitions, ..Layers::default() }))
    }

    /// The layers, for a moment: a group waits until they are let go.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Layers> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Layers> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a group that is durable, and answers how many bytes of groups the upper layer has now.
    pub(crate) fn add(&self, number: u64, changes: Changes, bytes: usize) -> usize {
        let mut layers = self.write();
        for (table, partition) in changes.items.partitions() {
            if let Some(last) = layers.last_partitions.get_mut(&table)
                && *last < *partition
            {
                last.clone_from(partition);
            }
        }
        layers.upper.extend(changes);
        layers.last = number;
        layers.bytes += bytes;
        layers.bytes
    }

    /// Makes the upper layer the lower one, which must be empty.
    pub(crate) fn begin_to_settle(&self) -> Unsettled {
        let mut layers = self.write();
        // The next seconds bring about as much as the last ones did.
        let upper = Changes { items: Items::with_room_for(&layers.upper.items), ..Changes::default() };
        layers.lower = Arc::new(std::mem::replace(&mut layers.upper, upper));
        let bytes = std::mem::take(&mut layers.bytes);
        Unsettled { changes: Arc::clone(&layers.lower), last: layers.last, bytes }
    }

    /// What is known of the items of a table behind a place, until `live_max` of them are there, or some more.
    pub(crate) fn behind(&self, table: Table, after: &Place, live_max: usize) -> BTreeMap<Key, Option<Row>> {
        let layers = self.read();
        let (upper, gone) = layers.upper.items.behind(table, after, live_max);
        let lower = Arc::clone(&layers.lower);
        drop(layers);
        // So many of the lower layer may be gone by what the upper one says.
        let (lower, _) = lower.items.behind(table, after, live_max + gone);
        lower.into_iter().chain(upper).collect()
    }

    /// Drops the lower layer: the database has it.
    pub(crate) fn settled(&self) {
        let lower = std::mem::take(&mut self.write().lower);
        // Here, so that nobody waits for as long as it takes.
        drop(lower);
    }
}

impl Layers {
    /// The newest group that is durable.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Whether the item's partition would lie behind all others of its table, so that there is no such item.
    pub(crate) fn is_behind_all(&self, key: &Key) -> bool {
        self.last_partitions.get(&key.table).is_some_and(|last| *last < key.partition)
    }

    /// What is known of an item here: its row, or that it is not there. None if the database has the last word.
    pub(crate) fn item(&self, key: &Key) -> Option<&Option<Row>> {
        if self.is_behind_all(key) {
            return Some(&None);
        }
        self.upper.items.get(key).or_else(|| self.lower.items.get(key))
    }

    /// The same of a dead letter.
    pub(crate) fn dead_letter(&self, dead_letter_id: &str) -> Option<&Option<DeadRow>> {
        let Self { upper, lower, .. } = self;
        upper.dead_letters.get(dead_letter_id).or_else(|| lower.dead_letters.get(dead_letter_id))
    }

    /// All that is known of retries, which are few.
    pub(crate) fn retries(&self) -> BTreeMap<i64, Option<Retry>> {
        both(&self.lower.retries, &self.upper.retries)
    }

    /// All that is known of dead letters, which are few.
    pub(crate) fn dead_letters(&self) -> BTreeMap<String, Option<DeadRow>> {
        both(&self.lower.dead_letters, &self.upper.dead_letters)
    }

    /// The records of an outbox between two sequences, in their order.
    pub(crate) fn records(&self, outbox: Table, from: u64, to: u64) -> impl Iterator<Item = (u64, &Record)> {
        let range = (outbox, from)..=(outbox, to.max(from));
        let layers = self.lower.records.range(range.clone()).chain(self.upper.records.range(range));
        layers.map(|((_, sequence), record)| (*sequence, record))
    }

    /// What is known of the items of a partition between two sort keys, in this order, until `live_max` of them are there.
    pub(crate) fn range(
        &self,
        (table, partition): (Table, &str),
        (first, last): (&str, &str),
        order: Order,
        live_max: usize,
    ) -> BTreeMap<Key, Option<Row>> {
        let mut found = BTreeMap::new();
        if first > last {
            return found;
        }
        let upper = self.upper.items.range(table, partition, (first, last));
        let lower = self.lower.items.range(table, partition, (first, last));
        let mut live = 0;
        let mut take = |sort: &str, row: &Option<Row>| {
            found.insert(Key::new(table, partition, sort), row.clone());
            live += usize::from(row.is_some());
            live < live_max
        };
        match order {
            Order::Ascending => merge(upper, lower, |a, b| a < b, &mut take),
            Order::Descending => merge(upper.rev(), lower.rev(), |a, b| a > b, &mut take),
        }
        found
    }
}

fn both<K: Ord + Clone, V: Clone>(lower: &BTreeMap<K, V>, upper: &BTreeMap<K, V>) -> BTreeMap<K, V> {
    lower.iter().chain(upper).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Shows `take` what two layers have of a partition, each sort key once and the upper layer's row of it, until it has enough.
fn merge<'a>(
    upper: impl Iterator<Item = (&'a str, &'a Option<Row>)>,
    lower: impl Iterator<Item = (&'a str, &'a Option<Row>)>,
    comes_first: fn(&str, &str) -> bool,
    take: &mut impl FnMut(&str, &Option<Row>) -> bool,
) {
    let (mut upper, mut lower) = (upper.peekable(), lower.peekable());
    loop {
        let next = match (upper.peek(), lower.peek()) {
            (Some((in_upper, _)), Some((in_lower, _))) if comes_first(in_lower, in_upper) => lower.next(),
            (Some((in_upper, _)), Some((in_lower, _))) => {
                if in_upper == in_lower {
                    lower.next();
                }
                upper.next()
            }
            (Some(_), None) => upper.next(),
            (None, _) => lower.next(),
        };
        match next {
            Some((sort, row)) if take(sort, row) => {}
            Some(_) | None => return,
        }
    }
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
