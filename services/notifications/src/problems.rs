//! What a rejection looks like outside.

use web::{Problem, not_found};

use crate::Rejection;

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::NotificationNotFound => not_found("notification"),
        }
    }
}
