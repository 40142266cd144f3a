//! A fault: the machine failed. It is never a rejection, which is the business saying no.

use std::time::Duration;

use crate::{Limit, Outcome, Unavailable};

/// Why something could not be done now, though nothing was wrong with what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// More is asked than can be done; nothing was written.
    #[error("too much is asked at once")]
    Busy {
        /// How long to wait before asking again.
        retry_after: Duration,
    },
    /// A part the bank stands on does not answer; the text is for the log.
    #[error("{0}")]
    Unavailable(String),
    /// The bank's own mistake; the text is for the log.
    #[error("{0}")]
    Internal(String),
}

impl From<Unavailable> for Fault {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.0)
    }
}

impl From<Limit> for Fault {
    fn from(error: Limit) -> Self {
        Self::Internal(error.to_string())
    }
}

impl Fault {
    /// What a consumer makes of its delivery when this happens to it.
    pub fn into_outcome(self) -> Outcome {
        let after = match &self {
            Self::Busy { retry_after } => *retry_after,
            Self::Unavailable(_) | Self::Internal(_) => Duration::ZERO,
        };
        Outcome::Retry { after, reason: self.to_string() }
    }
}
