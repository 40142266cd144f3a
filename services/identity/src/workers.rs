//! Work that takes a processor for tens of milliseconds, kept off the async threads.
//!
//! A bounded number is done at once with a bounded queue before it; beyond that the bank is busy.

use std::sync::Arc;
use std::time::Duration;

use runtime::Fault;
use tokio::sync::Semaphore;

/// When to come back to a bank that is busy.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Does work of one kind. Clones share one queue.
#[derive(Clone)]
pub struct Workers {
    at_once: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Workers {
    /// `at_once` pieces of work, at least one, are done at the same time, and `waiting_max` more may wait.
    pub fn new(at_once: usize, waiting_max: usize) -> Self {
        let at_once = at_once.max(1);
        Self {
            at_once: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + waiting_max)),
        }
    }

    /// Does a piece of work. A request that is given up leaves it running, so it holds its place itself until it is done.
    ///
    /// # Errors
    /// [`Fault::Busy`] when the queue is full.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let busy = |_| Fault::Busy { retry_after: RETRY_AFTER };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(busy)?;
        let turn = Arc::clone(&self.at_once)
            .acquire_owned()
            .await
            .map_err(|_| Fault::Internal("the queue of the workers is closed".to_owned()))?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, place));
            done
        })
        .await
        .map_err(|error| Fault::Internal(format!("a worker failed: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_busy() {
        let workers = Workers::new(1, 1);
        let places = Arc::clone(&workers.places).try_acquire_many_owned(2).unwrap();
        let refused = workers.run(|| ()).await;
        assert!(matches!(refused, Err(Fault::Busy { .. })), "{refused:?}");
        drop(places);
        assert!(workers.run(|| ()).await.is_ok());
    }
}
