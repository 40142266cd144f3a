//! Why a service did not do what was asked.

use ports::{Fault, Limit};

use crate::OnceRefused;

/// Why a service did not do what was asked: its own rules said no, the key of the request did, or the machine failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal<R> {
    /// The service's rules said no.
    #[error("{0}")]
    Rejected(R),
    /// The request's Idempotency-Key said no.
    #[error(transparent)]
    Once(#[from] OnceRefused),
    /// The machine failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl<R> From<Limit> for Refusal<R> {
    fn from(error: Limit) -> Self {
        Self::Fault(error.into())
    }
}
