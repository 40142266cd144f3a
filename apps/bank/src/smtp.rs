//! Letters by SMTP.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error as SmtpError;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use ports::{Answer, Letter, MailError, Mailer};

/// How long a mail server may take for one letter.
const LETTER_MAX: Duration = Duration::from_secs(10);

/// Why no letters can be sent with these settings.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSettingsError {
    #[error("the mail server's URL cannot be read: {0}")]
    Url(SmtpError),
    #[error("the sender {0:?} is not an address such as \"The Bank <bank@example.com>\"")]
    Sender(String),
}

/// A mail server, and who its letters are from.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpMailer {
    /// Connects only when there is a letter to send; a few connections are kept.
    pub fn new(url: &str, from: &str) -> Result<Self, SmtpSettingsError> {
        let transport =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(SmtpSettingsError::Url)?;
        let from = from.parse().map_err(|_| SmtpSettingsError::Sender(from.to_owned()))?;
        Ok(Self { transport: transport.timeout(Some(LETTER_MAX)).build(), from })
    }

    async fn hand_over(&self, letter: &Letter) -> Result<(), MailError> {
        // An error must not carry the address into a log, so none of lettre's own words on it are passed on.
        let to: Mailbox =
            letter.to.parse().map_err(|_| MailError::Never("the address cannot be read".to_owned()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&letter.subject)
            .message_id(Some(format!("<{}@{}>", letter.letter_id, self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.body.clone())
            .map_err(|error| MailError::Never(error.to_string()))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(MailError::Never(reason(&error))),
            Err(error) => Err(MailError::Later(reason(&error))),
        }
    }
}

/// What the server said, without its words, which often repeat the address.
fn reason(error: &SmtpError) -> String {
    match error.status() {
        Some(status) => format!("it answered {status}"),
        None if error.is_timeout() => "it did not answer in time".to_owned(),
        None => "it could not be reached".to_owned(),
    }
}

impl Mailer for SmtpMailer {
    fn send<'a>(&'a self, letter: &'a Letter) -> Answer<'a, Result<(), MailError>> {
        Box::pin(self.hand_over(letter))
    }
}
