//! A bounded cache of records, kept true by the events that change them.
//!
//! [`quick_cache`] holds them, as a look into it costs hardly more than one into a map. Absent on purpose: a thread that
//! tidies up, since what was kept for too long is as good as absent until another takes its place.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, counter};
use ports::Held;
use quick_cache::sync::{Cache, EntryAction, EntryResult};

use crate::Fault;

/// How much of what others may change a process keeps in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caching {
    /// About how many records of each kind.
    pub records: usize,
    /// How long each is believed. Where the process hears of every change, a full cache may still drop a newer record while
    /// a slow reader holds an older one, which she then offers. Where it does not, this is how old an answer may be.
    pub believed_for: Duration,
}

impl Caching {
    /// Everything is read anew.
    pub const NONE: Self = Self { records: 0, believed_for: Duration::ZERO };

    /// Of a process that hears of every change.
    pub const fn heard(records: usize) -> Self {
        Self { records, believed_for: Duration::from_secs(60) }
    }
}

/// Records by key. An older revision never takes the place of a newer one, so it does not matter in which order
/// readers and events arrive. Absence is not cached. Clones share one cache.
#[derive(Clone)]
pub struct RecordCache<K, R> {
    /// None where there is room for nothing.
    kept: Option<Arc<Cache<K, Kept<R>>>>,
    believed_for: Duration,
    hits: Counter,
    misses: Counter,
}

#[derive(Clone)]
struct Kept<R> {
    held: Held<R>,
    until: Instant,
}

impl<K, R> RecordCache<K, R>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    R: Clone + Send + Sync + 'static,
{
    /// An empty cache; `name` is its label in the metrics.
    pub fn new(name: &'static str, Caching { records, believed_for }: Caching) -> Self {
        Self {
            kept: (records > 0).then(|| Arc::new(Cache::new(records))),
            believed_for,
            hits: counter!("cache_hits_total", "cache" => name),
            misses: counter!("cache_misses_total", "cache" => name),
        }
    }

    /// The record from the cache, if it is there.
    pub fn get(&self, key: &K) -> Option<Held<R>> {
        let kept = self.kept.as_ref().and_then(|cache| cache.get(key));
        let found = kept.filter(|kept| Instant::now() < kept.until).map(|kept| kept.held);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.increment(1);
        found
    }

    /// The record from the cache, or else from the store through `load`.
    ///
    /// # Errors
    /// Those of `load`.
    pub async fn get_or_load<F>(&self, key: K, load: F) -> Result<Option<Held<R>>, Fault>
    where
        F: Future<Output = Result<Option<Held<R>>, Fault>>,
    {
        if let Some(held) = self.get(&key) {
            return Ok(Some(held));
        }
        let loaded = load.await?;
        if let Some(held) = &loaded {
            self.offer(&key, held.clone());
        }
        Ok(loaded)
    }

    /// Offers what was just written or read; it is kept if it is newer than what is there.
    pub fn offer(&self, key: &K, offered: Held<R>) {
        let Some(cache) = &self.kept else { return };
        let now = Instant::now();
        let mut offered = Some(Kept { held: offered, until: now + self.believed_for });
        let entry = cache.entry(key, None, |_, kept| {
            let is_newer =
                |offered: &mut Kept<R>| offered.held.revision > kept.held.revision || kept.until <= now;
            if let Some(offered) = offered.take_if(is_newer) {
                *kept = offered;
            }
            EntryAction::Retain(())
        });
        if let (EntryResult::Vacant(place), Some(offered)) = (entry, offered) {
            // A place that was cleared in between stays empty.
            let _ = place.insert(offered);
        }
    }

    /// Forgets everything, after a rebuild.
    pub fn clear(&self) {
        if let Some(cache) = &self.kept {
            cache.clear();
        }
    }
}
