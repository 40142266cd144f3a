//! Hiding received messages of an SQS queue until a time, or showing them again at once.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;

/// The most messages of one request (SQS, ChangeMessageVisibilityBatch).
const ENTRIES_MAX: usize = 10;

/// Some messages were not hidden; the queue's own timeout holds for them.
#[derive(Debug, thiserror::Error)]
#[error("{count} messages are not hidden: {reason}")]
pub(crate) struct HideError {
    count: usize,
    /// Of one of them.
    reason: String,
}

/// Hides messages, named by their receipts, for so many seconds each; zero shows a message at once.
pub(crate) async fn hide_all(
    sqs: &Client,
    queue_url: &str,
    hidings: &[(String, i32)],
) -> Result<(), HideError> {
    let mut failures = Vec::new();
    for part in hidings.chunks(ENTRIES_MAX) {
        failures.extend(hide(sqs, queue_url, part).await);
    }
    match failures.pop() {
        None => Ok(()),
        Some(reason) => Err(HideError { count: failures.len() + 1, reason }),
    }
}

/// Makes one request and answers why messages were not hidden.
async fn hide(sqs: &Client, queue_url: &str, hidings: &[(String, i32)]) -> Vec<String> {
    let mut request = sqs.change_message_visibility_batch().queue_url(queue_url);
    for (index, (receipt, seconds)) in hidings.iter().enumerate() {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(index.to_string())
            .receipt_handle(receipt)
            .visibility_timeout(*seconds)
            .build();
        match entry {
            Ok(entry) => request = request.entries(entry),
            Err(error) => return vec![error.to_string(); hidings.len()],
        }
    }
    match request.send().await {
        Ok(output) => output.failed().iter().map(|failed| failed.code().to_owned()).collect(),
        Err(error) => vec![DisplayErrorContext(error).to_string(); hidings.len()],
    }
}
