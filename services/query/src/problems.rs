//! What a rejection looks like outside.

use std::time::Duration;

use axum::http::StatusCode;
use web::{Problem, not_found};

use crate::domain::Rejection;

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::AccountNotFound => not_found("account"),
            Rejection::NotProjectedYet => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_PROJECTED_YET", rejection.to_string())
                    .retry_after(Duration::from_secs(1))
            }
        }
    }
}
