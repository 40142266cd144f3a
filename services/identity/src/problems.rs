//! What a rejection becomes on the wire.

use web::{Problem, StatusCode};

use crate::domain::Rejection;

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let (status, code) = match &rejection {
            Rejection::InvalidEmail(_) => (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_EMAIL"),
            Rejection::WeakPassword(_) => (StatusCode::UNPROCESSABLE_ENTITY, "WEAK_PASSWORD"),
            Rejection::EmailTaken => (StatusCode::CONFLICT, "EMAIL_TAKEN"),
            Rejection::WrongCredentials => (StatusCode::UNAUTHORIZED, "WRONG_CREDENTIALS"),
            Rejection::NotConfirmed => (StatusCode::FORBIDDEN, "NOT_CONFIRMED"),
            Rejection::InvalidCode => (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_CODE"),
            Rejection::InvalidRefreshToken => (StatusCode::UNAUTHORIZED, "INVALID_REFRESH_TOKEN"),
            Rejection::TooManyAttempts { .. } => (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS"),
        };
        let problem = Self::new(status, code, rejection.to_string());
        match rejection {
            Rejection::InvalidEmail(error) => problem.with_error("email", error.to_string()),
            Rejection::WeakPassword(sentences) => weaknesses(problem, "password", sentences),
            Rejection::TooManyAttempts { retry_after } => problem.retry_after(retry_after),
            _ => problem,
        }
    }
}

/// The problem of a rejected request to set a new password, whose field has another name.
pub fn of_new_password(rejection: Rejection) -> Problem {
    match rejection {
        Rejection::WeakPassword(sentences) => {
            let problem = Rejection::WeakPassword(Vec::new()).into();
            weaknesses(problem, "new_password", sentences)
        }
        rejection => rejection.into(),
    }
}

fn weaknesses(problem: Problem, field: &str, sentences: Vec<String>) -> Problem {
    sentences.into_iter().fold(problem, |problem, sentence| problem.with_error(field, sentence))
}
