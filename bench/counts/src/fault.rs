//! Why nothing was counted.

use axum::http::StatusCode;

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("usage: counts OPERATIONS FOLDER")]
    Usage,
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
    #[error(transparent)]
    Log(#[from] telemetry::InitError),
    #[error(transparent)]
    Measures(#[from] telemetry::MetricsError),
    #[error("a request was answered {status}: {body}")]
    Answer { status: StatusCode, body: String },
    #[error("a request or its answer is not as expected: {0}")]
    Shape(String),
    #[error("a message ended in {0:?}")]
    Verdict(ports::Verdict),
    #[error(transparent)]
    Unavailable(#[from] ports::Unavailable),
    #[error("the store cannot be opened: {0}")]
    Open(#[from] embedded::OpenError),
    #[error(transparent)]
    Commit(#[from] ports::CommitError),
    #[error(transparent)]
    Limit(#[from] ports::Limit),
}

impl Fault {
    /// Says what is not as expected.
    pub fn shape(error: impl std::fmt::Display) -> Self {
        Self::Shape(error.to_string())
    }
}
