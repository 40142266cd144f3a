//! What an exception of Cognito means for the person who asked.

use std::time::Duration;

use aws_sdk_cognitoidentityprovider::error::ProvideErrorMetadata;
use ports::{Fault, IdentityError, IdentityRejection};

/// When to come back to a pool that counts too many tries. Cognito does not say; its locks grow from a second to a
/// quarter of an hour.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// When to come back to a pool whose request rate is used up, which is counted by the second.
const BUSY_FOR: Duration = Duration::from_secs(1);

/// What was asked of the pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    SignUp,
    Confirm,
    SignIn,
    Refresh,
    SignOut,
    ForgotPassword,
    ResetPassword,
    /// What the bank does on its own account.
    Administer,
}

/// Whether nothing is said of an exception: whoever asked is answered as if all had gone well. Else she would learn
/// whether somebody has an address, or that she has signed out before.
pub fn is_untold(call: Call, exception: &str) -> bool {
    match call {
        Call::SignOut => exception == "NotAuthorizedException",
        Call::ForgotPassword => [
            "InvalidParameterException",
            "LimitExceededException",
            "NotAuthorizedException",
            "TooManyFailedAttemptsException",
            "UserNotFoundException",
        ]
        .contains(&exception),
        _ => false,
    }
}

/// What she is told of an error of the SDK. Cognito's own words may repeat what was sent, so they reach no log.
pub fn told(call: Call, error: &impl ProvideErrorMetadata) -> IdentityError {
    match error.code() {
        Some(exception) => told_of(call, exception, error.message().unwrap_or_default()),
        None => Fault::Unavailable(format!("the user pool did not answer {call:?}")).into(),
    }
}

fn told_of(call: Call, exception: &str, message: &str) -> IdentityError {
    if exception == "InvalidParameterException" {
        // What people send has a shape that the pool knows, but for rare addresses and broken tokens; if this goes on,
        // the pool is not set up as the template has it.
        tracing::warn!(?call, "the user pool refused a parameter");
    }
    match rejection(call, exception, message) {
        Some(rejection) => rejection.into(),
        None => fault(call, exception).into(),
    }
}

fn rejection(call: Call, exception: &str, message: &str) -> Option<IdentityRejection> {
    Some(match (call, exception) {
        (_, "LimitExceededException" | "TooManyFailedAttemptsException") => {
            IdentityRejection::TooManyAttempts { retry_after: TRY_AGAIN_AFTER }
        }
        // One exception for both; only its words tell them apart.
        (Call::SignIn, "NotAuthorizedException") if message.contains("attempts exceeded") => {
            IdentityRejection::TooManyAttempts { retry_after: TRY_AGAIN_AFTER }
        }
        (Call::SignUp, "UsernameExistsException" | "AliasExistsException") => IdentityRejection::EmailTaken,
        (Call::SignUp, "InvalidParameterException") => IdentityRejection::UnusableEmail,
        (Call::SignUp | Call::ResetPassword, "InvalidPasswordException") => {
            IdentityRejection::WeakPassword(vec![
                "Use a longer password of more kinds of characters.".to_owned(),
            ])
        }
        (Call::ResetPassword, "PasswordHistoryPolicyViolationException") => {
            IdentityRejection::WeakPassword(vec!["Use one that you have not used before.".to_owned()])
        }
        (Call::SignIn, "UserNotConfirmedException") => IdentityRejection::NotConfirmed,
        (
            Call::SignIn,
            "NotAuthorizedException"
            | "UserNotFoundException"
            | "PasswordResetRequiredException"
            | "InvalidParameterException",
        ) => IdentityRejection::WrongCredentials,
        (
            Call::Confirm | Call::ResetPassword,
            "CodeMismatchException"
            | "ExpiredCodeException"
            | "UserNotFoundException"
            | "UserNotConfirmedException"
            | "NotAuthorizedException"
            | "AliasExistsException"
            | "InvalidParameterException",
        ) => IdentityRejection::InvalidCode,
        (
            Call::Refresh,
            "NotAuthorizedException"
            | "RefreshTokenReuseException"
            | "UserNotFoundException"
            | "InvalidParameterException",
        ) => IdentityRejection::InvalidRefreshToken,
        _ => return None,
    })
}

fn fault(call: Call, exception: &str) -> Fault {
    match exception {
        "TooManyRequestsException" | "ThrottlingException" => Fault::Busy { retry_after: BUSY_FOR },
        "InternalErrorException" | "ServiceUnavailable" => {
            Fault::Unavailable(format!("the user pool answered {call:?} with {exception}"))
        }
        _ => Fault::Internal(format!("the user pool answered {call:?} with {exception}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: IdentityRejection = IdentityRejection::TooManyAttempts { retry_after: TRY_AGAIN_AFTER };

    #[test]
    fn each_exception_is_told_by_what_was_asked() {
        let table = [
            (Call::SignUp, "UsernameExistsException", IdentityRejection::EmailTaken),
            (Call::SignUp, "InvalidParameterException", IdentityRejection::UnusableEmail),
            (Call::SignUp, "LimitExceededException", LATER),
            (Call::Confirm, "CodeMismatchException", IdentityRejection::InvalidCode),
            (Call::Confirm, "ExpiredCodeException", IdentityRejection::InvalidCode),
            (Call::Confirm, "UserNotFoundException", IdentityRejection::InvalidCode),
            (Call::Confirm, "NotAuthorizedException", IdentityRejection::InvalidCode),
            (Call::Confirm, "TooManyFailedAttemptsException", LATER),
            (Call::SignIn, "NotAuthorizedException", IdentityRejection::WrongCredentials),
            (Call::SignIn, "UserNotFoundException", IdentityRejection::WrongCredentials),
            (Call::SignIn, "PasswordResetRequiredException", IdentityRejection::WrongCredentials),
            (Call::SignIn, "UserNotConfirmedException", IdentityRejection::NotConfirmed),
            (Call::Refresh, "NotAuthorizedException", IdentityRejection::InvalidRefreshToken),
            (Call::Refresh, "RefreshTokenReuseException", IdentityRejection::InvalidRefreshToken),
            (Call::Refresh, "InvalidParameterException", IdentityRejection::InvalidRefreshToken),
            (Call::ResetPassword, "CodeMismatchException", IdentityRejection::InvalidCode),
            (Call::ResetPassword, "UserNotConfirmedException", IdentityRejection::InvalidCode),
            (Call::ResetPassword, "LimitExceededException", LATER),
        ];
        for (call, exception, then) in table {
            match told_of(call, exception, "") {
                IdentityError::Rejected(told) => assert_eq!(told, then, "{call:?} {exception}"),
                IdentityError::Fault(fault) => panic!("{call:?} {exception}: {fault}"),
            }
        }
    }

    #[test]
    fn a_weak_password_is_told_in_our_own_words() {
        for (call, exception) in [
            (Call::SignUp, "InvalidPasswordException"),
            (Call::ResetPassword, "InvalidPasswordException"),
            (Call::ResetPassword, "PasswordHistoryPolicyViolationException"),
        ] {
            let told = told_of(call, exception, "hunter2");
            let IdentityError::Rejected(IdentityRejection::WeakPassword(sentences)) = told else {
                panic!("{call:?} {exception}: {told:?}")
            };
            assert!(!sentences.is_empty() && !sentences.concat().contains("hunter2"));
        }
    }

    #[test]
    fn a_lock_is_told_from_a_wrong_password() {
        let told = told_of(Call::SignIn, "NotAuthorizedException", "Password attempts exceeded");
        assert!(matches!(&told, IdentityError::Rejected(told) if *told == LATER), "{told:?}");
    }

    #[test]
    fn what_would_tell_of_an_address_is_not_told() {
        for exception in [
            "UserNotFoundException",
            "InvalidParameterException",
            "NotAuthorizedException",
            "LimitExceededException",
        ] {
            assert!(is_untold(Call::ForgotPassword, exception), "{exception}");
        }
        assert!(is_untold(Call::SignOut, "NotAuthorizedException"), "it is over already");
        for exception in ["TooManyRequestsException", "ResourceNotFoundException", "InternalErrorException"] {
            assert!(!is_untold(Call::ForgotPassword, exception), "{exception}");
            assert!(!is_untold(Call::SignOut, exception), "{exception}");
        }
        assert!(!is_untold(Call::SignIn, "NotAuthorizedException"));
    }

    #[test]
    fn a_machine_that_fails_is_no_answer_of_the_pool() {
        type IsIt = fn(&Fault) -> bool;
        let table: [(&str, IsIt); 4] = [
            ("TooManyRequestsException", |fault| matches!(fault, Fault::Busy { .. })),
            ("InternalErrorException", |fault| matches!(fault, Fault::Unavailable(_))),
            ("ResourceNotFoundException", |fault| matches!(fault, Fault::Internal(_))),
            ("AccessDeniedException", |fault| matches!(fault, Fault::Internal(_))),
        ];
        for call in [Call::SignUp, Call::SignIn, Call::Refresh, Call::ForgotPassword, Call::Administer] {
            for (exception, is_it) in table {
                let told = told_of(call, exception, "");
                assert!(
                    matches!(&told, IdentityError::Fault(fault) if is_it(fault)),
                    "{call:?} {exception}: {told:?}"
                );
            }
        }
    }
}
