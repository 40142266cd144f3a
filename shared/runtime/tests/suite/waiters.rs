//! Nobody sleeps through what she waits for, and nobody waits for ever.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kernel::Timestamp;
use runtime::{Waiters, patience_for};
use tokio::task::{JoinSet, yield_now};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(10);
/// More than the time between two looks of one who is not woken.
const UNWOKEN: Duration = Duration::from_millis(250);

/// Something that comes to be there, and how often it was looked for.
#[derive(Clone, Default)]
struct Awaited {
    is_there: Arc<AtomicBool>,
    looks: Arc<AtomicUsize>,
}

impl Awaited {
    fn appear(&self) {
        self.is_there.store(true, Ordering::SeqCst);
    }

    async fn look(&self) -> Result<Option<&'static str>, Infallible> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let is_there = self.is_there.load(Ordering::SeqCst);
        // The answer is on its way while the world goes on.
        yield_now().await;
        Ok(is_there.then_some("it"))
    }

    async fn wait(&self, waiters: &Waiters<u32>, key: u32, patience: Duration) -> Option<&'static str> {
        let Ok(found) = waiters.wait(key, patience, || self.look()).await;
        found
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_found_at_the_first_look() {
    let (waiters, awaited) = (Waiters::default(), Awaited::default());
    awaited.appear();
    assert_eq!(awaited.wait(&waiters, 1, Duration::ZERO).await, Some("it"));
    assert_eq!(awaited.looks.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn no_wake_up_is_lost_whenever_it_comes() {
    // The waker takes its turn behind every possible step of those who wait.
    for steps in 0..20 {
        let (waiters, awaited) = (Waiters::default(), Awaited::default());
        let began = Instant::now();
        let mut waiting = JoinSet::new();
        for _ in 0..100 {
            let (waiters, awaited) = (waiters.clone(), awaited.clone());
            waiting.spawn(async move { awaited.wait(&waiters, 1, PATIENCE).await });
        }
        for _ in 0..steps {
            yield_now().await;
        }
        awaited.appear();
        waiters.wake(&1);
        assert_eq!(waiting.join_all().await, vec![Some("it"); 100]);
        assert_eq!(began.elapsed(), Duration::ZERO, "after {steps} steps somebody slept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_is_for_its_own_key() {
    let (waiters, awaited) = (Waiters::default(), Awaited::default());
    let waiting = tokio::spawn({
        let (waiters, awaited) = (waiters.clone(), awaited.clone());
        async move { awaited.wait(&waiters, 1, PATIENCE).await }
    });
    for _ in 0..10 {
        yield_now().await;
        waiters.wake(&2);
    }
    assert_eq!(awaited.looks.load(Ordering::SeqCst), 1);
    awaited.appear();
    waiters.wake(&1);
    assert_eq!(waiting.await.unwrap(), Some("it"));
}

#[tokio::test(start_paused = true)]
async fn one_whom_nobody_wakes_looks_again() {
    let (waiters, awaited) = (Waiters::default(), Awaited::default());
    let appears_in = Duration::from_secs(3);
    let began = Instant::now();
    tokio::spawn({
        let awaited = awaited.clone();
        async move {
            tokio::time::sleep(appears_in).await;
            awaited.appear();
        }
    });
    assert_eq!(awaited.wait(&waiters, 1, PATIENCE).await, Some("it"));
    assert!((appears_in..appears_in + UNWOKEN).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn patience_has_an_end_and_the_last_look_decides() {
    let (waiters, awaited) = (Waiters::default(), Awaited::default());
    let began = Instant::now();
    assert_eq!(awaited.wait(&waiters, 1, PATIENCE).await, None);
    assert!((PATIENCE..PATIENCE + UNWOKEN).contains(&began.elapsed()), "{:?}", began.elapsed());
    let appears_late = Awaited::default();
    let last_look = async {
        tokio::time::sleep(PATIENCE - Duration::from_millis(1)).await;
        appears_late.appear();
    };
    let (found, ()) = tokio::join!(appears_late.wait(&waiters, 1, PATIENCE), last_look);
    assert_eq!(found, Some("it"));
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_the_wait() {
    let waiters: Waiters<u32> = Waiters::default();
    let looked = waiters.wait(1, PATIENCE, async || Err::<Option<()>, _>("broken")).await;
    assert_eq!(looked, Err("broken"));
}

#[test]
fn only_what_is_young_is_waited_for() {
    let now = Timestamp::from_millis(1_800_000_000_000);
    let second = Duration::from_secs(1);
    for (made_at, is_waited_for) in [
        (None, false),
        (Some(now), true),
        (Some(now - second * 4), true),
        (Some(now - second * 5), false),
        // The clock of the machine that made it may be a little ahead.
        (Some(now + second * 4), true),
        (Some(now + second * 5), false),
    ] {
        assert_eq!(!patience_for(made_at, now).is_zero(), is_waited_for, "{made_at:?}");
    }
}
