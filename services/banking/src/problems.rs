//! What a rejection looks like outside.

use axum::http::StatusCode;
use web::{Problem, not_found};

use crate::domain::Rejection;

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let (status, code, field) = match rejection {
            Rejection::AccountNotFound => return not_found("account"),
            Rejection::AccountNotOpen => (StatusCode::CONFLICT, "ACCOUNT_NOT_OPEN", None),
            Rejection::PayeeNotOpen => (StatusCode::CONFLICT, "ACCOUNT_NOT_OPEN", Some("to_account_id")),
            Rejection::CurrencyMismatch(_) | Rejection::PayeeCurrencyMismatch(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "CURRENCY_MISMATCH", Some("currency"))
            }
            Rejection::SameAccount => {
                (StatusCode::UNPROCESSABLE_ENTITY, "SAME_ACCOUNT", Some("to_account_id"))
            }
            Rejection::InvalidAmount(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_AMOUNT", Some("amount"))
            }
            Rejection::InvalidDescription => {
                (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_DESCRIPTION", Some("description"))
            }
        };
        let problem = Self::new(status, code, rejection.to_string());
        match field {
            Some(field) => problem.with_error(field, rejection.to_string()),
            None => problem,
        }
    }
}
