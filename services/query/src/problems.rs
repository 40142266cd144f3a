//! What a rejection looks like outside.

use std::time::Duration;

use axum::http::StatusCode;
use web::{Problem, not_found};

use crate::domain::Rejection;

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::AccountNotFound => not_found("account"),
            // Not 503: a version far ahead is the reader's own, and must not look like a failure of the bank.
            Rejection::NotProjectedYet => {
                Self::new(StatusCode::CONFLICT, "NOT_PROJECTED_YET", rejection.to_string())
                    .retry_after(Duration::from_secs(1))
            }
        }
    }
}
