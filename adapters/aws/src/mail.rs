//! Letters by Amazon SES.
//!
//! The sender is a [`Setting`], read with the first letter. SES names each letter itself and drops no repetition, so
//! the letter's own id goes with it as a tag, by which both are found in SES's events.

use std::time::Duration;

use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageTag};
use aws_sdk_sesv2::{Client, Config};
use ports::{Answer, Letter, MailError, Mailer};

use crate::{Connection, Setting};

/// How long one letter may take, all tries together.
const LETTER_MAX: Duration = Duration::from_secs(10);
/// The tag that carries the letter's id.
const LETTER_ID: &str = "letter_id";

/// Sends letters by SES.
pub struct SesMailer {
    client: Client,
    sender: Setting,
}

impl SesMailer {
    /// A mailer whose letters are from the address that is set; nothing is sent yet.
    pub fn new(connection: &Connection, sender: Setting) -> Self {
        let timeouts = TimeoutConfig::builder().operation_timeout(LETTER_MAX).build();
        let config = Config::from(&connection.sdk).to_builder().timeout_config(timeouts);
        Self { client: Client::from_conf(config.build()), sender }
    }

    async fn hand_over(&self, letter: &Letter) -> Result<(), MailError> {
        let sender = self.sender.value().await.map_err(|error| MailError::Later(error.to_string()))?;
        let request = self.request(&sender, letter).map_err(|error| MailError::Never(error.to_string()))?;
        // SES's own words often repeat the address, so only the name of the exception is passed on.
        let refused = |error: &dyn ProvideErrorMetadata| match error.code() {
            Some(exception) => meaning(exception, error.message().unwrap_or_default()),
            None => MailError::Later("SES could not be reached".to_owned()),
        };
        request.send().await.map_err(|error| refused(&error))?;
        Ok(())
    }

    fn request(&self, sender: &str, letter: &Letter) -> Result<SendEmailFluentBuilder, BuildError> {
        let text = |data: &str| Content::builder().data(data).charset("UTF-8").build();
        let body = Body::builder().text(text(&letter.body)?).build();
        let message = Message::builder().subject(text(&letter.subject)?).body(body).build();
        let letter_id = MessageTag::builder().name(LETTER_ID).value(&letter.letter_id).build()?;
        Ok(self
            .client
            .send_email()
            .from_email_address(sender)
            .destination(Destination::builder().to_addresses(&letter.to).build())
            .content(EmailContent::builder().simple(message).build())
            .email_tags(letter_id))
    }
}

/// What an exception of SendEmail means for the letter. Most are about the bank's own account or sender: its operators
/// set them right, and the letter is sent then.
fn meaning(exception: &str, message: &str) -> MailError {
    let text = format!("SES answered {exception}");
    match exception {
        "BadRequestException" => MailError::Never(text),
        // SES's sandbox says the same of letters from and to addresses that were not verified.
        "MessageRejected" if message.contains("not verified") => MailError::Later(text),
        "MessageRejected" => MailError::Never(text),
        _ => MailError::Later(text),
    }
}

impl Mailer for SesMailer {
    fn send<'a>(&'a self, letter: &'a Letter) -> Answer<'a, Result<(), MailError>> {
        Box::pin(self.hand_over(letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_letter_that_is_itself_at_fault_is_given_up() {
        let never = [("BadRequestException", ""), ("MessageRejected", "Illegal header")];
        let later = [
            ("MessageRejected", "Email address is not verified. ada@example.org failed the check"),
            ("MailFromDomainNotVerifiedException", ""),
            ("AccountSuspendedException", ""),
            ("SendingPausedException", ""),
            ("LimitExceededException", ""),
            ("TooManyRequestsException", ""),
            ("NotFoundException", ""),
            ("AccessDeniedException", ""),
            ("InternalFailure", ""),
        ];
        for (exception, message) in never {
            let meaning = meaning(exception, message);
            assert!(matches!(&meaning, MailError::Never(text) if text.ends_with(exception)), "{meaning:?}");
        }
        for (exception, message) in later {
            let meaning = meaning(exception, message);
            assert!(matches!(&meaning, MailError::Later(text) if text.ends_with(exception)), "{meaning:?}");
        }
    }
}
