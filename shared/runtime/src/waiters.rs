//! Waiting for what another part of the service will write.
//!
//! Where that part runs in the same process it wakes the one who waits; where it runs elsewhere, as on AWS, she
//! looks again from time to time. The answer is the same, only later.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long one who waits goes without looking, in case nobody in this process can wake her.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How young something must be for a reader to wait for it to be projected.
const FRESH: Duration = Duration::from_secs(5);
/// How long she waits then.
const FRESH_PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait for the projection of something by when its identifier was made: a little while if that was a
/// moment ago, as for an account that its owner has just opened, and not at all for what is old or made up.
pub fn patience_for(made_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let is_fresh = made_at.is_some_and(|made_at| now.since(made_at) < FRESH && made_at.since(now) < FRESH);
    if is_fresh { FRESH_PATIENCE } else { Duration::ZERO }
}

/// Those who wait, each for a key. Clones share them.
#[derive(Clone)]
pub struct Waiters<K>(Arc<Mutex<HashMap<K, Waited>>>);

struct Waited {
    notify: Arc<Notify>,
    waiting: usize,
}

impl<K> Default for Waiters<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Clone> Waiters<K> {
    /// Looks until there is something, for at most `patience`; the last look decides.
    ///
    /// # Errors
    /// The first error of `look`.
    pub async fn wait<T, E, F, L>(&self, key: K, patience: Duration, mut look: F) -> Result<Option<T>, E>
    where
        F: FnMut() -> L,
        L: Future<Output = Result<Option<T>, E>>,
    {
        let deadline = Instant::now() + patience;
        let place = self.enter(key);
        loop {
            // She listens before she looks, so that nothing can happen unheard between the two.
            let woken = place.notify.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if let Some(found) = look().await? {
                return Ok(Some(found));
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(None);
            }
            // It does not matter whether she was woken or the time was up: she looks.
            let _ = timeout_at(deadline.min(now + LOOK_EVERY), woken).await;
        }
    }

    /// Wakes all who wait for this key.
    pub fn wake(&self, key: &K) {
        if let Some(waited) = self.places().get(key) {
            waited.notify.notify_waiters();
        }
    }

    fn enter(&self, key: K) -> WaitingPlace<'_, K> {
        let mut places = self.places();
        let waited =
            places.entry(key.clone()).or_insert_with(|| Waited { notify: Arc::default(), waiting: 0 });
        waited.waiting += 1;
        WaitingPlace { waiters: self, notify: Arc::clone(&waited.notify), key }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<K, Waited>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits; she leaves when this is dropped, also when her request is given up.
struct WaitingPlace<'a, K: Eq + Hash + Clone> {
    waiters: &'a Waiters<K>,
    notify: Arc<Notify>,
    key: K,
}

impl<K: Eq + Hash + Clone> Drop for WaitingPlace<'_, K> {
    fn drop(&mut self) {
        let mut places = self.waiters.places();
        if let Some(waited) = places.get_mut(&self.key) {
            waited.waiting -= 1;
            if waited.waiting == 0 {
                places.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_is_remembered_who_has_left() {
        let waiters: Waiters<u32> = Waiters::default();
        let waiting = |key: u32| {
            let waiters = waiters.clone();
            async move { waiters.wait(key, FRESH_PATIENCE, async || Ok::<Option<()>, ()>(None)).await }
        };
        let (first, second, other) =
            (tokio::spawn(waiting(1)), tokio::spawn(waiting(1)), tokio::spawn(waiting(2)));
        tokio::task::yield_now().await;
        let count = |key: u32| waiters.places().get(&key).map(|waited| waited.waiting);
        assert_eq!((count(1), count(2)), (Some(2), Some(1)));
        // One is given up, and those of the same key are still there to be woken.
        first.abort();
        assert!(first.await.is_err());
        assert_eq!((count(1), count(2)), (Some(1), Some(1)));
        assert_eq!((second.await.unwrap(), other.await.unwrap()), (Ok(None), Ok(None)));
        assert!(waiters.places().is_empty());
    }
}
