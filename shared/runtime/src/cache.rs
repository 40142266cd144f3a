//! A bounded cache of records, kept true by the events that change them.
//!
//! The records lie in shards, each behind a lock of its own, and in two generations: what is new or was asked for is young.
//! Once the young fill their half of a shard they become the old, and those old ones are dropped that nobody has asked for
//! since. So a look costs hardly more than one in a map, which is what it is for. Absent on purpose: an exact order of use,
//! which every look would have to note somewhere, and a thread that tidies up.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, Hash, RandomState};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::{Counter, counter};
use ports::Held;

use crate::Fault;

/// How long a record is kept at most. A full cache may drop a newer record while a slow reader still holds an older one,
/// which she then offers: this bounds how long that one is believed.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// How many locks the records are spread over, so that readers seldom wait for each other.
const SHARDS: usize = 16;

/// Records by key. An older revision never takes the place of a newer one, so it does not matter in which order
/// readers and events arrive. Absence is not cached. Clones share one cache.
///
/// It is only as true as the events that this process hears: where consumers run elsewhere, its capacity is zero.
#[derive(Clone)]
pub struct RecordCache<K, R> {
    shards: Arc<[Mutex<Shard<K, R>>]>,
    hasher: RandomState,
    /// How many records of a shard may be young.
    young_max: usize,
    hits: Counter,
    misses: Counter,
}

struct Shard<K, R> {
    young: HashMap<K, Kept<R>>,
    old: HashMap<K, Kept<R>>,
}

struct Kept<R> {
    held: Held<R>,
    until: Instant,
}

impl<K, R> RecordCache<K, R>
where
    K: Eq + Hash + Send + Sync + 'static,
    R: Clone + Send + Sync + 'static,
{
    /// A cache of at most `capacity` records, but of a few in any case that it is not zero; `name` is its label in the
    /// metrics.
    pub fn new(name: &'static str, capacity: u64) -> Self {
        let in_shard = usize::try_from(capacity).unwrap_or(usize::MAX) / SHARDS;
        let shard = || Mutex::new(Shard { young: HashMap::new(), old: HashMap::new() });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            young_max: if capacity == 0 { 0 } else { (in_shard / 2).max(1) },
            hits: counter!("cache_hits_total", "cache" => name),
            misses: counter!("cache_misses_total", "cache" => name),
        }
    }

    /// The record from the cache, if it is there.
    pub fn get(&self, key: &K) -> Option<Held<R>> {
        let found = self.shard(key).find(key, self.young_max, Instant::now()).cloned();
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
            self.offer(key, held.clone());
        }
        Ok(loaded)
    }

    /// Offers what was just written or read; it is kept if it is newer than what is there.
    pub fn offer(&self, key: K, offered: Held<R>) {
        if self.young_max == 0 {
            return;
        }
        let now = Instant::now();
        let mut shard = self.shard(&key);
        let is_known =
            shard.find(&key, self.young_max, now).is_some_and(|kept| kept.revision >= offered.revision);
        if !is_known {
            shard.put(key, Kept { held: offered, until: now + KEPT_FOR }, self.young_max);
        }
    }

    /// Forgets everything, after a rebuild.
    pub fn clear(&self) {
        for shard in self.shards.iter() {
            let mut shard = locked(shard);
            shard.young.clear();
            shard.old.clear();
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, R>> {
        let place = self.hasher.hash_one(key) as usize % self.shards.len();
        locked(&self.shards[place])
    }
}

/// What is behind the lock is whole even where a thread panicked with it, as every change to it is.
fn locked<K, R>(shard: &Mutex<Shard<K, R>>) -> MutexGuard<'_, Shard<K, R>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Eq + Hash, R> Shard<K, R> {
    /// The record, which is young from now on, unless it was kept for too long.
    fn find(&mut self, key: &K, young_max: usize, now: Instant) -> Option<&Held<R>> {
        if let Some((key, kept)) = self.old.remove_entry(key) {
            self.put(key, kept, young_max);
        }
        self.young.get(key).filter(|kept| now < kept.until).map(|kept| &kept.held)
    }

    fn put(&mut self, key: K, kept: Kept<R>, young_max: usize) {
        if self.young.len() >= young_max && !self.young.contains_key(&key) {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, kept);
    }
}
