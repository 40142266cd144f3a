//! What a refusal becomes on the wire.

use kernel::InvalidEmail;
use ports::{IdentityError, IdentityRejection};
use web::{Problem, StatusCode};

/// The problem of a text that is no address.
pub fn invalid_email(error: InvalidEmail) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_EMAIL", "The email address is not one.")
        .with_error("email", error.to_string())
}

/// The problem of a refused request.
pub fn of(error: IdentityError) -> Problem {
    of_password("password", error)
}

/// The problem of a refused request whose password is in another field.
pub fn of_password(field: &str, error: IdentityError) -> Problem {
    match error {
        IdentityError::Rejected(rejection) => rejected(field, rejection),
        IdentityError::Fault(fault) => fault.into(),
    }
}

fn rejected(password_field: &str, rejection: IdentityRejection) -> Problem {
    let (status, code) = match &rejection {
        IdentityRejection::WeakPassword(_) => (StatusCode::UNPROCESSABLE_ENTITY, "WEAK_PASSWORD"),
        IdentityRejection::UnusableEmail => (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_EMAIL"),
        IdentityRejection::EmailTaken => (StatusCode::CONFLICT, "EMAIL_TAKEN"),
        IdentityRejection::WrongCredentials => (StatusCode::UNAUTHORIZED, "WRONG_CREDENTIALS"),
        IdentityRejection::NotConfirmed => (StatusCode::FORBIDDEN, "NOT_CONFIRMED"),
        IdentityRejection::InvalidCode => (StatusCode::UNPROCESSABLE_ENTITY, "INVALID_CODE"),
        IdentityRejection::InvalidRefreshToken => (StatusCode::UNAUTHORIZED, "INVALID_REFRESH_TOKEN"),
        IdentityRejection::InvalidAccessToken => (StatusCode::UNAUTHORIZED, "INVALID_TOKEN"),
        IdentityRejection::TooManyAttempts { .. } => (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS"),
    };
    let problem = Problem::new(status, code, rejection.to_string());
    match rejection {
        IdentityRejection::WeakPassword(sentences) => sentences
            .into_iter()
            .fold(problem, |problem, sentence| problem.with_error(password_field, sentence)),
        IdentityRejection::UnusableEmail => problem.with_error("email", "cannot be used here"),
        IdentityRejection::TooManyAttempts { retry_after } => problem.retry_after(retry_after),
        _ => problem,
    }
}
