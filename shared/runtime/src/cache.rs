//! A bounded cache of records, kept true by the events that change them.

use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use metrics::{Counter, counter};
use moka::ops::compute::Op;
use moka::sync::Cache;
use ports::Held;

use crate::Fault;

/// How long a record is kept at most. A full cache may drop a newer record while a slow reader still holds an older one,
/// which she then offers: this bounds how long that one is believed.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Records by key. An older revision never takes the place of a newer one, so it does not matter in which order
/// readers and events arrive. Absence is not cached. Clones share one cache.
///
/// It is only as true as the events that this process hears: where consumers run elsewhere, its capacity is zero.
#[derive(Clone)]
pub struct RecordCache<K, R> {
    records: Cache<K, Held<R>>,
    hits: Counter,
    misses: Counter,
}

impl<K, R> RecordCache<K, R>
where
    K: Eq + Hash + Send + Sync + 'static,
    R: Clone + Send + Sync + 'static,
{
    /// A cache of at most `capacity` records; `name` is its label in the metrics.
    pub fn new(name: &'static str, capacity: u64) -> Self {
        Self {
            records: Cache::builder().max_capacity(capacity).time_to_live(KEPT_FOR).build(),
            hits: counter!("cache_hits_total", "cache" => name),
            misses: counter!("cache_misses_total", "cache" => name),
        }
    }

    /// The record from the cache, or else from the store through `load`.
    ///
    /// # Errors
    /// Those of `load`.
    pub async fn get_or_load<F>(&self, key: K, load: F) -> Result<Option<Held<R>>, Fault>
    where
        F: Future<Output = Result<Option<Held<R>>, Fault>>,
    {
        if let Some(held) = self.records.get(&key) {
            self.hits.increment(1);
            return Ok(Some(held));
        }
        self.misses.increment(1);
        let loaded = load.await?;
        if let Some(held) = &loaded {
            self.offer(key, held.clone());
        }
        Ok(loaded)
    }

    /// Offers what was just written or read; it is kept if it is newer than what is there.
    pub fn offer(&self, key: K, offered: Held<R>) {
        self.records.entry(key).and_compute_with(|kept| match kept {
            Some(kept) if kept.value().revision >= offered.revision => Op::Nop,
            _ => Op::Put(offered),
        });
    }

    /// Forgets everything, after a rebuild.
    pub fn clear(&self) {
        self.records.invalidate_all();
    }
}
