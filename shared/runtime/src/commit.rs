//! Load, decide, commit: and again from the load where somebody else was first.

use std::future::Future;
use std::time::Duration;

use ports::{CommitError, Store, Transaction};

use crate::Fault;

/// How often a decision is made anew because another writer was first. Past it the item is too contended.
const DECISIONS_MAX: u32 = 24;
/// How often one transaction is tried while the store cannot say whether it committed.
const UNKNOWN_TRIES_MAX: u32 = 8;
/// The first pause between two tries, in milliseconds; it grows with every try.
const PAUSE_MS: u64 = 2;

/// What one attempt came to.
pub enum Decision<T> {
    /// Write this, then answer that.
    Commit(Transaction, T),
    /// There is nothing to write.
    Nothing(T),
    /// What it was decided on may not hold: it is to be decided anew.
    Again,
}

/// Runs `attempt`, which reads and decides, until what it decided is committed.
///
/// # Errors
/// Whatever `attempt` refuses, and a [`Fault`] when the store does not take the transaction.
pub async fn decide_and_commit<S, T, E, F, A>(store: &S, mut attempt: F) -> Result<T, E>
where
    S: Store,
    E: From<Fault>,
    F: FnMut() -> A,
    A: Future<Output = Result<Decision<T>, E>>,
{
    for tries in 1..=DECISIONS_MAX {
        let (transaction, answer) = match attempt().await? {
            Decision::Commit(transaction, answer) => (transaction, answer),
            Decision::Nothing(answer) => return Ok(answer),
            Decision::Again => continue,
        };
        match commit(store, &transaction).await? {
            Committed::Yes => return Ok(answer),
            Committed::SomebodyWasFirst => {
                metrics::counter!("commit_retries_total").increment(1);
                // The first new decision is made at once: most conflicts are with one other writer.
                pause(tries - 1, &transaction).await;
            }
        }
    }
    Err(Fault::Busy { retry_after: Duration::from_secs(1) }.into())
}

/// Whether a transaction was written, now that it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Committed {
    /// It was.
    Yes,
    /// It was not: an item was not as expected.
    SomebodyWasFirst,
}

/// Commits one transaction and finds out whether it was written, by committing the same one again where the store
/// cannot say.
///
/// # Errors
/// [`Fault::Busy`] or [`Fault::Internal`] if it was not written; [`Fault::Unavailable`] if the store could not say for
/// too long.
pub async fn commit<S: Store>(store: &S, transaction: &Transaction) -> Result<Committed, Fault> {
    let mut last = String::new();
    for tries in 0..UNKNOWN_TRIES_MAX {
        pause(tries, transaction).await;
        match store.commit(transaction).await {
            Ok(()) => return Ok(Committed::Yes),
            Err(CommitError::Conflict { .. }) => return Ok(Committed::SomebodyWasFirst),
            // Once the outcome was unknown, neither a busy store nor a refusal means that nothing was written.
            Err(CommitError::Busy { retry_after }) if tries == 0 => return Err(Fault::Busy { retry_after }),
            Err(error @ CommitError::Refused(_)) if tries == 0 => {
                return Err(Fault::Internal(error.to_string()));
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(Fault::Unavailable(last))
}

/// Waits a little longer with every try, and not as long as the next one: the jitter comes from the random bits
/// of the transaction's id, so that a run can be replayed.
async fn pause(tries: u32, transaction: &Transaction) {
    if tries > 0 {
        let most_ms = PAUSE_MS << tries.min(6);
        let jitter_ms = u64::from(transaction.id().as_bytes()[15]) * most_ms / 255;
        tokio::time::sleep(Duration::from_millis(most_ms / 2 + jitter_ms / 2)).await;
    }
}
