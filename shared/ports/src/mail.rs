//! Letters to people. These two traits are used behind `dyn`, so that a service has one type parameter, its store.

use std::future::Future;
use std::pin::Pin;

use kernel::UserId;

use crate::Unavailable;

/// A plain-text letter.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The same for every attempt to send this letter, so that a mail server can drop a repetition.
    pub letter_id: String,
    /// The address of the one it is for.
    pub to: String,
    /// The subject, one line.
    pub subject: String,
    /// The text.
    pub body: String,
}

/// Why a letter was not sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MailError {
    /// It may be sent later.
    #[error("the mail server did not take the letter: {0}")]
    Later(String),
    /// This letter will never be taken.
    #[error("the mail server refused the letter: {0}")]
    Never(String),
}

/// The answer of a port that is used behind `dyn`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends letters: by SMTP, or by SES on AWS.
pub trait Mailer: Send + Sync + 'static {
    /// Hands the letter over; the same letter may be sent twice where the answer was lost.
    fn send<'a>(&'a self, letter: &'a Letter) -> Answer<'a, Result<(), MailError>>;
}

/// Knows where people can be written to. Only identity has addresses; no message carries one.
pub trait Directory: Send + Sync + 'static {
    /// The confirmed address of a person, if she has one.
    fn email_address(&self, user_id: UserId) -> Answer<'_, Result<Option<String>, Unavailable>>;
}
