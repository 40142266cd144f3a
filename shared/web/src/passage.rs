//! One request on its way through the edge: what its handler must know of it, and what the edge must learn.
//!
//! It is bound to the task that serves the request, so that a problem knows its correlation id wherever it is made.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::{Stream, StreamExt, stream};

use kernel::UserId;
use runtime::{Fault, Trace};

use crate::Problem;
use crate::limits::{Allowance, Limits};

tokio::task_local! {
    /// The request that the task serves.
    pub(crate) static PASSAGE: Arc<Passage>;
}

pub(crate) struct Passage {
    pub trace: Trace,
    pub limits: Arc<Limits>,
    /// Who is signed in, once a handler asked.
    pub user_id: OnceLock<UserId>,
    /// What is left of the rate limit that was looked at last.
    allowance: Mutex<Option<Allowance>>,
}

impl Passage {
    /// The request of somebody of whom nothing is known yet.
    pub fn new(trace: Trace, limits: Arc<Limits>) -> Self {
        Self { trace, limits, user_id: OnceLock::new(), allowance: Mutex::new(None) }
    }

    /// Notes who asks, and takes one request from what she may still send.
    pub fn sign_in(&self, user_id: UserId) -> Result<(), Problem> {
        if self.user_id.set(user_id).is_err() {
            return Ok(());
        }
        self.note(self.limits.check_user(user_id, NonZeroU32::MIN))
    }

    /// What is left of the rate limit that was looked at last, if one was.
    pub fn allowance(&self) -> Option<Allowance> {
        *self.allowance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what is left of a limit for the answer's headers.
    pub fn note(&self, checked: Result<Option<Allowance>, (Allowance, Problem)>) -> Result<(), Problem> {
        let (allowance, outcome) = match checked {
            Ok(allowance) => (allowance, Ok(())),
            Err((allowance, problem)) => (Some(allowance), Err(problem)),
        };
        if allowance.is_some() {
            *self.allowance.lock().unwrap_or_else(PoisonError::into_inner) = allowance;
        }
        outcome
    }
}

/// The request that this task serves.
pub(crate) fn current() -> Result<Arc<Passage>, Problem> {
    let outside = || Fault::Internal("a handler was called outside of web::finish".to_owned());
    PASSAGE.try_with(Arc::clone).map_err(|_| outside().into())
}

/// The correlation id of the request that this task serves, if it serves one.
pub(crate) fn correlation_id() -> Option<String> {
    PASSAGE.try_with(|passage| passage.trace.correlation_id.as_str().to_owned()).ok()
}

/// Takes so many requests more from what the caller may still send: what this one costs beyond what every request does.
///
/// # Errors
/// 429 `RATE_LIMITED` if she has sent too much; nothing is taken then.
pub fn charge(requests: u32) -> Result<(), Problem> {
    let passage = current()?;
    match (passage.user_id.get(), NonZeroU32::new(requests)) {
        (Some(user_id), Some(requests)) => passage.note(passage.limits.check_user(*user_id, requests)),
        _ => Ok(()),
    }
}

/// The stream, each step of which is still a part of the request that this task serves now: the one that writes the
/// answer's body serves none.
pub(crate) fn kept<S: Stream + Send + 'static>(stream: S) -> impl Stream<Item = S::Item> + Send {
    let passage = PASSAGE.try_with(Arc::clone).ok();
    stream::unfold((Box::pin(stream), passage), |(mut stream, passage)| async {
        let step = stream.next();
        let item = match &passage {
            Some(passage) => PASSAGE.scope(Arc::clone(passage), step).await,
            None => step.await,
        };
        Some((item?, (stream, passage)))
    })
}
