//! What a failed write says of what was written: every error of DynamoDB, in two tables.
//!
//! A failure is judged by one attempt alone. That is why the SDK's own retries are off for writes: it tells of its
//! last attempt only, and a last one that was throttled says nothing of a first one whose answer was lost.

use std::error::Error;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;

/// Why one attempt to write did not end well, the weightiest first: of many failures the least one counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Failure {
    /// Perhaps it was written, or is being written.
    Unknown(String),
    /// Nothing was written, nor will it be: the request is wrong, or the process may not write.
    Refused(String),
    /// Nothing was written: the item at this place of the request was not as expected, so it has to be read again,
    /// and there is no use in waiting.
    Unexpected(usize),
    /// Nothing was written: more is asked than the table or the account takes.
    Throttled,
    /// Nothing was written: somebody else is writing one of the items at this moment.
    Contended,
}

/// Reads the error of a transaction.
pub fn of_transaction(error: &SdkError<TransactWriteItemsError>) -> Failure {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            of_reasons(cancelled.cancellation_reasons())
        }
        _ => of_write(error),
    }
}

/// Reads the error of any single write, and those of a transaction that are no cancellation.
/// Source: DynamoDB Developer Guide, "Error handling with DynamoDB".
pub fn of_write<E>(error: &SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let text = || text(error);
    let SdkError::ServiceError(answer) = error else {
        return match error {
            SdkError::ConstructionFailure(_) => Failure::Refused(text()),
            // No answer, or none that can be read: the request may have arrived all the same.
            _ => Failure::Unknown(text()),
        };
    };
    match answer.err().code().unwrap_or_default() {
        "ConditionalCheckFailedException" => Failure::Unexpected(0),
        "TransactionConflictException" | "ReplicatedWriteConflictException" => Failure::Contended,
        "ProvisionedThroughputExceededException" | "RequestLimitExceeded" | "ThrottlingException" => {
            Failure::Throttled
        }
        // An earlier attempt with the same token has not ended.
        "TransactionInProgressException" => Failure::Unknown(text()),
        _ if answer.raw().status().is_client_error() => Failure::Refused(text()),
        _ => Failure::Unknown(text()),
    }
}

/// What an error says, for the log: the code and message that DynamoDB answered, or how the answer was lost.
pub fn text<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error.as_service_error().map(|answer| (answer.code(), answer.message())) {
        Some((Some(code), message)) => format!("{code}: {}", message.unwrap_or_default()),
        _ => DisplayErrorContext(error).to_string(),
    }
}

/// Reads the reasons of a cancelled transaction, one an item in the order of the request. It is contended only if every
/// reason is a conflict or none. Source: DynamoDB API Reference, TransactionCanceledException.
fn of_reasons(reasons: &[CancellationReason]) -> Failure {
    let failures = reasons.iter().enumerate().filter_map(|(place, reason)| of_reason(place, reason));
    failures.min().unwrap_or(Failure::Contended)
}

fn of_reason(place: usize, reason: &CancellationReason) -> Option<Failure> {
    match reason.code()? {
        "None" => None,
        "ConditionalCheckFailed" => Some(Failure::Unexpected(place)),
        "TransactionConflict" => Some(Failure::Contended),
        "ProvisionedThroughputExceeded" | "ThrottlingError" => Some(Failure::Throttled),
        // ValidationError and ItemCollectionSizeLimitExceeded, and whatever else may come: waiting mends none of them.
        code => {
            let message = reason.message().unwrap_or_default();
            Some(Failure::Refused(format!("item {place} of the transaction: {code}: {message}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::http::HttpResponse;
    use aws_sdk_dynamodb::error::{ConnectorError, ErrorMetadata};
    use aws_sdk_dynamodb::operation::put_item::PutItemError;
    use aws_sdk_dynamodb::types::error::TransactionCanceledException;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answer(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::empty())
    }

    fn with_code(code: &str, status: u16) -> Failure {
        let error = PutItemError::generic(ErrorMetadata::builder().code(code).build());
        of_write(&SdkError::service_error(error, answer(status)))
    }

    fn with_reasons(codes: &[&str]) -> Failure {
        let reason = |code: &&str| CancellationReason::builder().code(*code).message("why").build();
        let cancelled = TransactionCanceledException::builder()
            .set_cancellation_reasons(Some(codes.iter().map(reason).collect()))
            .build();
        let error = TransactWriteItemsError::TransactionCanceledException(cancelled);
        of_transaction(&SdkError::service_error(error, answer(400)))
    }

    #[test]
    fn every_code_says_whether_anything_was_written() {
        let told = [
            ("ConditionalCheckFailedException", 400, Failure::Unexpected(0)),
            ("TransactionConflictException", 400, Failure::Contended),
            ("ReplicatedWriteConflictException", 400, Failure::Contended),
            ("ProvisionedThroughputExceededException", 400, Failure::Throttled),
            ("RequestLimitExceeded", 400, Failure::Throttled),
            ("ThrottlingException", 400, Failure::Throttled),
            // AWS answers some throttling as unavailability, and it is throttling all the same.
            ("ThrottlingException", 503, Failure::Throttled),
        ];
        for (code, status, failure) in told {
            assert_eq!(with_code(code, status), failure, "{code}");
        }
        let refused = [
            "ValidationException",
            "ResourceNotFoundException",
            "AccessDeniedException",
            "ExpiredTokenException",
            "IdempotentParameterMismatchException",
            "ItemCollectionSizeLimitExceededException",
            "",
        ];
        for code in refused {
            assert!(matches!(with_code(code, 400), Failure::Refused(_)), "{code}");
        }
        let unknown =
            [("TransactionInProgressException", 400), ("InternalServerError", 500), ("", 503), ("", 200)];
        for (code, status) in unknown {
            assert!(matches!(with_code(code, status), Failure::Unknown(_)), "{code} {status}");
        }
    }

    #[test]
    fn only_what_was_never_sent_is_known_not_to_be_written() {
        type Never = SdkError<PutItemError>;
        assert!(matches!(of_write(&Never::construction_failure("no region")), Failure::Refused(_)));
        let unanswered = [
            Never::timeout_error("three seconds"),
            Never::dispatch_failure(ConnectorError::io("reset by peer".into())),
            Never::dispatch_failure(ConnectorError::timeout("connecting".into())),
            Never::response_error("half an answer", answer(200)),
        ];
        for error in unanswered {
            assert!(matches!(of_write(&error), Failure::Unknown(_)), "{error:?}");
        }
    }

    #[test]
    fn the_weightiest_reason_of_a_cancellation_counts() {
        let told = [
            (&["None", "ConditionalCheckFailed", "ConditionalCheckFailed"][..], Failure::Unexpected(1)),
            (&["TransactionConflict", "None", "ConditionalCheckFailed"], Failure::Unexpected(2)),
            (&["ThrottlingError", "ConditionalCheckFailed"], Failure::Unexpected(1)),
            (&["None", "TransactionConflict", "None"], Failure::Contended),
            (&["TransactionConflict", "ProvisionedThroughputExceeded"], Failure::Throttled),
            (&["ThrottlingError", "None"], Failure::Throttled),
            (&[], Failure::Contended),
        ];
        for (codes, failure) in told {
            assert_eq!(with_reasons(codes), failure, "{codes:?}");
        }
        for code in ["ValidationError", "ItemCollectionSizeLimitExceeded", "AnythingNew"] {
            let refused = Failure::Refused(format!("item 1 of the transaction: {code}: why"));
            assert_eq!(with_reasons(&["ConditionalCheckFailed", code]), refused);
        }
    }
}
