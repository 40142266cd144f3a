//! Letters with codes, and the post that takes them out of the way of requests.
//!
//! A letter is sent by a task of its own, so that an answer takes as long whether or not there was anybody to write
//! to. It is tried a few times and then given up: whoever waits for it asks for another. A bounded number is under
//! way at once. This is a service of a process that lives on: where processes are frozen between requests, another
//! directory of people is used.

use std::sync::Arc;
use std::time::Duration;

use kernel::{Email, UserId};
use ports::{Letter, MailError, Mailer};
use runtime::Fault;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;

use crate::domain::{CODE_LIFETIME, Purpose};

/// The most letters under way.
const LETTERS_MAX: usize = 64;
/// The pauses between the tries to send a letter: one try more than there are pauses.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// When to come back to a bank whose post is full.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The letter that brings a code.
pub fn code_letter(letter_id: String, to: &Email, purpose: Purpose, code: &str) -> Letter {
    let (subject, what, otherwise) = match purpose {
        Purpose::Confirm => (
            "Your code to confirm your email address",
            "to confirm your email address",
            "If you did not sign up, you can ignore this letter: without the code nobody can use your address.",
        ),
        Purpose::Reset => (
            "Your code to set a new password",
            "to set a new password; this also signs you out everywhere",
            "If you did not ask for it, you can ignore this letter: your password stays as it is.",
        ),
    };
    let minutes = CODE_LIFETIME.as_secs() / 60;
    let body = format!(
        "Hello,\n\nUse this code {what}:\n\n    {code}\n\nIt is good for {minutes} minutes. Do not give it to anybody: \
         the bank never asks you for it.\n\n{otherwise}\n"
    );
    Letter { letter_id, to: to.as_str().to_owned(), subject: subject.to_owned(), body }
}

/// Where letters are handed in. Clones share one post.
#[derive(Clone)]
pub struct Post {
    mailer: Arc<dyn Mailer>,
    places: Arc<Semaphore>,
}

/// A place for one task that may send a letter.
pub struct Place {
    mailer: Arc<dyn Mailer>,
    _place: OwnedSemaphorePermit,
}

impl Post {
    /// A post that sends by this mailer.
    pub fn new(mailer: Arc<dyn Mailer>) -> Self {
        Self { mailer, places: Arc::new(Semaphore::new(LETTERS_MAX)) }
    }

    /// Takes a place, before anything is done that a letter belongs to.
    ///
    /// # Errors
    /// [`Fault::Busy`] when too many letters are under way.
    pub fn reserve(&self) -> Result<Place, Fault> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => Ok(Place { mailer: Arc::clone(&self.mailer), _place: place }),
            Err(_) => Err(Fault::Busy { retry_after: RETRY_AFTER }),
        }
    }
}

impl Place {
    /// Lets a task make a letter and send it. Nothing comes of it if there is none to be made.
    pub fn send(
        self,
        user_id: Option<UserId>,
        letter: impl Future<Output = Result<Option<Letter>, Fault>> + Send + 'static,
    ) {
        let task = async move {
            match letter.await {
                Ok(Some(letter)) => self.deliver(&letter, user_id).await,
                Ok(None) => {}
                Err(fault) => tracing::error!(%fault, "a code could not be made"),
            }
        };
        tokio::spawn(task.in_current_span());
    }

    async fn deliver(&self, letter: &Letter, user_id: Option<UserId>) {
        let letter_id = &letter.letter_id;
        for pause in PAUSES.into_iter().map(Some).chain([None]) {
            let error = match self.mailer.send(letter).await {
                Ok(()) => return,
                Err(error) => error,
            };
            // The mail server's own words may repeat the address, so they are not logged.
            match (error, pause) {
                (MailError::Later(_), Some(pause)) => tokio::time::sleep(pause).await,
                (MailError::Later(_), None) => {
                    tracing::warn!(
                        letter_id,
                        ?user_id,
                        "a letter with a code was given up: no mail server took it"
                    );
                }
                (MailError::Never(_), _) => {
                    tracing::warn!(
                        letter_id,
                        ?user_id,
                        "a letter with a code was refused by the mail server"
                    );
                    return;
                }
            }
        }
    }
}
