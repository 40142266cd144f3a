//! Why a command of the command line ended without success: one line for the person who typed it.

use std::fmt;

/// One line that says what is wrong.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// A failure that says it all itself.
    pub fn from_error(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }

    /// For `map_err`: what cannot be done, and then why.
    pub fn because<E: fmt::Display>(what: &str) -> impl Fn(E) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.replace('\n', " "))
    }
}

impl std::error::Error for Failure {}

impl From<embedded::OpenError> for Failure {
    fn from(error: embedded::OpenError) -> Self {
        Self::from_error(error)
    }
}

impl From<runtime::Fault> for Failure {
    fn from(fault: runtime::Fault) -> Self {
        Self::from_error(fault)
    }
}

impl From<ports::Unavailable> for Failure {
    fn from(error: ports::Unavailable) -> Self {
        Self::from_error(error)
    }
}
