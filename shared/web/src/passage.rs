//! One request on its way through the edge: what its handler must know of it, and what the edge must learn.
//!
//! It is bound to the task that serves the request, so that a problem knows its correlation id wherever it is made.

use std::sync::{Arc, OnceLock};

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
    /// What is left of a rate limit, once one was looked at.
    pub allowance: OnceLock<Allowance>,
}

impl Passage {
    /// Notes who asks, and takes one request from what she may still send.
    pub fn sign_in(&self, user_id: UserId) -> Result<(), Problem> {
        if self.user_id.set(user_id).is_err() {
            return Ok(());
        }
        self.note(self.limits.check_user(user_id))
    }

    /// Keeps what is left of a limit for the answer's headers.
    pub fn note(&self, checked: Result<Option<Allowance>, (Allowance, Problem)>) -> Result<(), Problem> {
        let (allowance, outcome) = match checked {
            Ok(allowance) => (allowance, Ok(())),
            Err((allowance, problem)) => (Some(allowance), Err(problem)),
        };
        if let Some(allowance) = allowance {
            // Where two limits are looked at, the first one is shown.
            let _ = self.allowance.set(allowance);
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
