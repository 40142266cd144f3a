//! Letters by SMTP.
//!
//! Each letter has a connection of its own, made when there is a letter to send. None is kept: a talk that was broken off
//! because it took too long must not be gone on with, or the next letter would be given the answer to this one.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::response::Category;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use ports::{Answer, Letter, MailError, Mailer};

/// How long a mail server may take for one letter, from the connection to its last answer.
const LETTER_MAX: Duration = Duration::from_secs(10);

/// Why no letters can be sent with these settings.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSettingsError {
    #[error("the mail server's URL cannot be read: {0}")]
    Url(SmtpError),
    #[error(
        "the mail server's password would be sent unencrypted: begin the URL with smtps://, or end it with ?tls=required"
    )]
    OpenPassword,
    #[error("the sender {0:?} is not an address such as \"The Bank <bank@example.com>\"")]
    Sender(String),
}

/// A mail server, and who its letters are from.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    letter_max: Duration,
}

impl SmtpMailer {
    /// Reads the settings. Whether the server is there is seen with the first letter.
    pub fn new(url: &str, from: &str) -> Result<Self, SmtpSettingsError> {
        let transport =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(SmtpSettingsError::Url)?;
        if shows_its_password(url) {
            return Err(SmtpSettingsError::OpenPassword);
        }
        let from = from.parse().map_err(|_| SmtpSettingsError::Sender(from.to_owned()))?;
        Ok(Self { transport: transport.build(), from, letter_max: LETTER_MAX })
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
        // The transport itself bounds only the time to connect, and would wait for an answer for ever.
        match tokio::time::timeout(self.letter_max, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if is_for_good(&error) => Err(MailError::Never(reason(&error))),
            Ok(Err(error)) => Err(MailError::Later(reason(&error))),
            Err(_) => Err(MailError::Later("the mail server did not answer in time".to_owned())),
        }
    }
}

/// Whether the password in the URL would travel as it is: without TLS, or with one that anybody on the way can take out of
/// the talk. On the machine itself nobody is on the way.
fn shows_its_password(url: &str) -> bool {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = authority.split(['/', '\\', '#']).next().unwrap_or_default();
    let Some((_, host)) = authority.rsplit_once('@') else { return false };
    let is_here = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|here| host.strip_prefix(here).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')));
    let choice = query.split('&').find(|choice| choice.starts_with("tls="));
    let is_encrypted = scheme.eq_ignore_ascii_case("smtps") || choice == Some("tls=required");
    !is_here && !is_encrypted
}

/// Whether the server will never take this letter. An answer such as 535 refuses the bank's own sign-in (RFC 4954, section
/// 6): that is set right by the bank's operators, and no fault of the letter.
fn is_for_good(error: &SmtpError) -> bool {
    let is_about_the_bank = error.status().is_some_and(|status| status.category == Category::Unspecified3);
    error.is_permanent() && !is_about_the_bank
}

/// What the server said, without its words, which often repeat the address.
fn reason(error: &SmtpError) -> String {
    match error.status() {
        Some(status) => format!("the mail server answered {status}"),
        None if error.is_response() => "the mail server's answer could not be read".to_owned(),
        None if error.is_client() => "the mail server does not offer what is needed".to_owned(),
        None => "the mail server could not be reached".to_owned(),
    }
}

impl Mailer for SmtpMailer {
    fn send<'a>(&'a self, letter: &'a Letter) -> Answer<'a, Result<(), MailError>> {
        Box::pin(self.hand_over(letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_says_nothing_is_not_waited_for() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("smtp://{}", silent.local_addr().unwrap());
        let mailer = SmtpMailer::new(&url, "bank@example.com").unwrap();
        let mailer = SmtpMailer { letter_max: Duration::from_millis(50), ..mailer };
        let letter = Letter {
            letter_id: "letter-1".to_owned(),
            to: "ada@example.com".to_owned(),
            subject: "Your account is open".to_owned(),
            body: "Your account is open.\n".to_owned(),
        };
        let sending = tokio::time::timeout(Duration::from_secs(5), mailer.send(&letter));
        let refused = sending.await.expect("it is given up in time");
        assert!(
            matches!(refused, Err(MailError::Later(reason)) if reason.ends_with("did not answer in time"))
        );
    }

    #[test]
    fn a_password_travels_encrypted_or_not_at_all() {
        for (url, is_taken) in [
            ("smtps://bank:secret@mail.example.com", true),
            ("smtp://bank:secret@mail.example.com:587?tls=required", true),
            ("smtp://mail.example.com:25", true),
            ("smtp://bank:secret@localhost:2525", true),
            ("smtp://bank:secret@127.0.0.1", true),
            ("smtp://bank:secret@[::1]:2525/bank", true),
            ("smtp://bank:secret@mail.example.com", false),
            ("SMTP://bank:secret@mail.example.com", false),
            ("smtp://bank:secret@mail.example.com?tls=opportunistic", false),
            ("smtp://bank:secret@localhost.example.com", false),
            ("smtp://bank:secret@mail.example.com/?tls=opportunistic", false),
            ("smtp://bank:secret@mail.example.com?tls=opportunistic&tls=required", false),
            ("smtp://bank:secret@mail.example.com#@localhost", false),
        ] {
            match SmtpMailer::new(url, "bank@example.com") {
                Ok(_) => assert!(is_taken, "{url}"),
                Err(error) => {
                    assert!(!is_taken, "{url}: {error}");
                    assert!(
                        error.to_string().contains("unencrypted") && !error.to_string().contains("secret")
                    );
                }
            }
        }
    }

    #[test]
    fn no_letter_has_a_header_that_its_words_made() {
        let (from, to): (Mailbox, Mailbox) =
            ("bank@example.com".parse().unwrap(), "ada@example.com".parse().unwrap());
        let subject = "Hello\r\nBcc: eve@example.com\r\n\r\nSend money";
        let message =
            Message::builder().from(from).to(to).subject(subject).body("Hello.".to_owned()).unwrap();
        let written = String::from_utf8(message.formatted()).unwrap();
        let (head, _) = written.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(!message.envelope().to().iter().any(|to| to.to_string().contains("eve")));
        assert!("ada@example.com>\r\nRCPT TO:<eve@example.com".parse::<Mailbox>().is_err());
    }

    #[test]
    fn settings_that_cannot_be_read_are_refused_without_the_password_in_them() {
        for url in
            ["bank:secret@mail.example.com", "imap://bank:secret@mail.example.com", "smtps://bank:secret@"]
        {
            let Err(error) = SmtpMailer::new(url, "bank@example.com") else { panic!("{url} is taken") };
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let refused = SmtpMailer::new("smtp://mail.example.com", "nobody");
        assert!(matches!(refused, Err(SmtpSettingsError::Sender(_))));
    }
}
