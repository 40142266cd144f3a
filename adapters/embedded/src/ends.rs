//! The last item of partitions, as the committer knows it.
//!
//! Nearly all that is written is new and behind everything else in its partition, as identifiers and times grow (an
//! operation of its owner, a line of a history), or it is alone there (a balance, the head of an account). Whether such an
//! item is as expected is known here without a look at the layers or the database, which on a large store would be most
//! of the committer's work.
//!
//! What is known is of all groups, and of what the one that is being made has changed so far. So it holds only as long as
//! each group is written in the end; where one is not, everything is to be forgotten. What is not known is looked up.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use ports::{Key, Table};
use quick_cache::unsync::Cache;

use crate::changes::{Changes, Row};

/// The most partitions that are known of each table, at about 200 bytes.
const PARTITIONS_MAX: usize = 16_384;

/// The last items of partitions.
#[derive(Default)]
pub(crate) struct Ends(BTreeMap<Table, Cache<String, Last>>);

/// Nothing in the partition lies behind it.
#[derive(Default)]
pub(crate) struct Last {
    /// Empty where the partition has no item; no sort key is.
    pub(crate) sort: String,
    /// None where it is gone, or may be by now because it expires.
    pub(crate) revision: Option<u64>,
}

impl Last {
    /// The last item of the key's partition among these changes, if there is any.
    pub(crate) fn among(changes: &Changes, key: &Key) -> Option<Self> {
        let (last, row) = changes.items.last(key.table, &key.partition)?;
        Some(Self::of(last, row.as_ref()))
    }

    fn of(sort: &str, row: Option<&Row>) -> Self {
        let lasting = row.filter(|row| row.expires_at_ms.is_none());
        Self { sort: sort.to_owned(), revision: lasting.map(|row| row.revision) }
    }

    /// What this tells of the item with this sort key: its revision or that there is none, or nothing.
    fn tells(&self, sort: &str) -> Option<Option<u64>> {
        match sort.cmp(self.sort.as_str()) {
            Ordering::Less => None,
            Ordering::Equal => self.revision.map(Some),
            Ordering::Greater => Some(None),
        }
    }
}

impl Ends {
    /// The revision that an item has, or none, where that is known. What `look` finds of the partition is remembered.
    pub(crate) fn revision<E>(
        &mut self,
        key: &Key,
        look: impl FnOnce() -> Result<Last, E>,
    ) -> Result<Option<Option<u64>>, E> {
        let partitions = self.0.entry(key.table).or_insert_with(|| Cache::new(PARTITIONS_MAX));
        if let Some(last) = partitions.get(&key.partition) {
            return Ok(last.tells(&key.sort));
        }
        let last = look()?;
        let told = last.tells(&key.sort);
        partitions.insert(key.partition.clone(), last);
        Ok(told)
    }

    /// Hears what has become of an item.
    pub(crate) fn hear(&mut self, key: &Key, row: Option<&Row>) {
        let known = self.0.get_mut(&key.table).and_then(|partitions| partitions.get_mut(&key.partition));
        if let Some(mut last) = known
            && key.sort >= last.sort
        {
            *last = Last::of(&key.sort, row);
        }
    }
}

#[cfg(test)]
#[path = "ends_tests.rs"]
mod tests;
