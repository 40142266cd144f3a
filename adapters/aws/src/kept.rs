//! A value from elsewhere that is fetched when it is first needed, and kept for a time.
//!
//! Of many who ask at once one fetches and the others wait for it. A value that is past its time is still answered
//! where the next one cannot be had: an old setting is better than none.

use std::fmt::Display;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// One value, and since when it is here.
pub struct Kept<T> {
    what: &'static str,
    lifetime: Duration,
    held: Mutex<Option<(Instant, T)>>,
}

impl<T: Clone> Kept<T> {
    /// Nothing yet. `what` names the value in the log.
    pub fn new(what: &'static str, lifetime: Duration) -> Self {
        Self { what, lifetime, held: Mutex::new(None) }
    }

    /// The value, fetched if there is none that is fresh.
    ///
    /// # Errors
    /// Those of `fetch`, where there has never been a value.
    pub async fn get<E: Display>(&self, fetch: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut held = self.held.lock().await;
        if let Some((fetched_at, value)) = &*held
            && fetched_at.elapsed() < self.lifetime
        {
            return Ok(value.clone());
        }
        match (fetch.await, &*held) {
            (Ok(value), _) => {
                *held = Some((Instant::now(), value.clone()));
                Ok(value)
            }
            (Err(error), Some((_, value))) => {
                tracing::warn!(what = self.what, %error, "an old value is gone on with");
                Ok(value.clone())
            }
            (Err(error), None) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    #[tokio::test]
    async fn a_fresh_value_is_not_fetched_again() {
        let kept = Kept::new("number", Duration::from_secs(60));
        assert_eq!(kept.get(ready(Err::<u8, _>("away"))).await, Err("away"), "a failure is not kept");
        assert_eq!(kept.get(ready(Ok::<_, &str>(1))).await, Ok(1));
        assert_eq!(kept.get(ready(Ok::<_, &str>(2))).await, Ok(1));
    }

    #[tokio::test]
    async fn an_old_value_is_fetched_again_and_stays_where_there_is_no_other() {
        let kept = Kept::new("number", Duration::ZERO);
        assert_eq!(kept.get(ready(Ok::<_, &str>(1))).await, Ok(1));
        assert_eq!(kept.get(ready(Err("away"))).await, Ok(1));
        assert_eq!(kept.get(ready(Ok::<_, &str>(2))).await, Ok(2));
    }
}
