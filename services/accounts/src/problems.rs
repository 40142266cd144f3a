//! What a rejection looks like outside.

use axum::http::StatusCode;
use web::{Problem, not_found};

use crate::domain::Rejection;

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let message = rejection.to_string();
        match rejection {
            Rejection::InvalidName => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_NAME", message.clone())
                    .with_error("name", message)
            }
            Rejection::AccountNotFound => not_found("account"),
            Rejection::AccountNotOpen => Self::new(StatusCode::CONFLICT, "ACCOUNT_NOT_OPEN", message),
        }
    }
}
