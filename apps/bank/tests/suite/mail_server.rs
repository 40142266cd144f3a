//! A mail server of the test's own: it takes letters, or refuses them as it is told.
//!
//! It speaks as much SMTP (RFC 5321) as the bank does, and wants the bank to sign in (RFC 4954). Its refusals repeat the
//! address, as those of real servers do. Absent on purpose: TLS, and letters to more than one person.

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::until;

pub const MAIL_PASSWORD: &str = "letters-and-parcels";

/// What becomes of letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Accept,
    RefuseForNow,
    RefuseForGood,
    /// They are taken, and it hangs up before it says so.
    LoseAnswer,
    /// They get no answer until the mode is another.
    Hold,
}

/// A letter as its reader sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    pub message_id: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub body: String,
}

impl Letter {
    fn read(to: &str, text: &str) -> Self {
        let (headers, body) = text.split_once("\n\n").unwrap();
        let header = |name: &str| {
            let found = headers.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            found.unwrap_or_else(|| panic!("no {name} in {headers}")).to_owned()
        };
        assert_eq!(header("To"), to);
        let body = match header("Content-Transfer-Encoding").as_str() {
            "7bit" => body.to_owned(),
            "quoted-printable" => unquoted(body),
            other => panic!("a letter in {other}"),
        };
        let (message_id, from, subject) = (header("Message-ID"), header("From"), header("Subject"));
        Self { message_id, from, to: to.to_owned(), subject, body }
    }

    /// The eight digits that stand on a line of their own.
    pub fn code(&self) -> &str {
        let is_code = |line: &&str| line.len() == 8 && line.bytes().all(|byte| byte.is_ascii_digit());
        self.body.lines().map(str::trim).find(is_code).unwrap_or_else(|| panic!("no code in {self:?}"))
    }
}

/// Reads a text in the encoding "quoted-printable" (RFC 2045, section 6.7).
fn unquoted(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut parts = text.split('=');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}

struct State {
    mode: Mode,
    letters: Vec<Letter>,
    /// How many letters somebody began to hand over.
    begun: usize,
    is_closed: bool,
}

/// It is closed when it is dropped.
pub struct MailServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl MailServer {
    pub fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { mode, letters: Vec::new(), begun: 0, is_closed: false }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().is_closed {
                    return;
                }
                let shared = Arc::clone(&shared);
                // Whoever hangs up in the middle has said all there is to say.
                thread::spawn(move || stream.and_then(|stream| talk(&stream, &shared)));
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        self.url_with(MAIL_PASSWORD)
    }

    pub fn url_with(&self, password: &str) -> String {
        format!("smtp://bank:{password}@{}", self.address)
    }

    pub fn set(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
    }

    pub fn letters(&self) -> Vec<Letter> {
        self.state.lock().unwrap().letters.clone()
    }

    /// Waits until this many letters were taken, and returns the newest of them.
    pub fn letter(&self, count: usize) -> Letter {
        until("a letter", || self.letters().get(count - 1).cloned())
    }

    /// Waits until this many letters were begun.
    pub fn begun(&self, count: usize) {
        until("the beginning of a letter", || (self.state.lock().unwrap().begun >= count).then_some(()));
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.state.lock().unwrap().is_closed = true;
        // The listener looks up only when somebody calls.
        let _ = TcpStream::connect(self.address);
    }
}

fn talk(stream: &TcpStream, state: &Mutex<State>) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut lines = BufReader::new(stream).lines();
    let say = |answer: &str| -> Result<()> {
        let mut stream = stream;
        stream.write_all(format!("{answer}\r\n").as_bytes())
    };
    let credentials = format!("AUTH PLAIN {}", STANDARD.encode(format!("\0bank\0{MAIL_PASSWORD}")));
    let (mut is_signed_in, mut to) = (false, String::new());
    say("220 mail.example.com ESMTP")?;
    while let Some(line) = lines.next().transpose()? {
        match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => say("250-mail.example.com\r\n250 AUTH PLAIN")?,
            "AUTH" if line == credentials => {
                is_signed_in = true;
                say("235 signed in")?;
            }
            "AUTH" => say("535 5.7.8 who are you?")?,
            "QUIT" => return say("221 good-bye"),
            _ if !is_signed_in => say("530 5.7.0 sign in first")?,
            "MAIL" => say("250 from you")?,
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                let mode = {
                    let mut state = state.lock().unwrap();
                    state.begun += 1;
                    state.mode
                };
                match mode {
                    Mode::RefuseForNow => say(&format!("451 4.2.0 <{to}>: come back later"))?,
                    Mode::RefuseForGood => say(&format!("550 5.1.1 <{to}>: nobody lives here"))?,
                    Mode::Accept | Mode::LoseAnswer | Mode::Hold => say("250 to them")?,
                }
            }
            "DATA" => {
                say("354 go on")?;
                let letter = Letter::read(&to, &text(&mut lines)?);
                while is_held(state) {
                    thread::sleep(Duration::from_millis(5));
                }
                let mode = {
                    let mut state = state.lock().unwrap();
                    state.letters.push(letter);
                    state.mode
                };
                if mode == Mode::LoseAnswer {
                    return Ok(());
                }
                say("250 taken")?;
            }
            _ => say("500 what?")?,
        }
    }
    Ok(())
}

fn is_held(state: &Mutex<State>) -> bool {
    let state = state.lock().unwrap();
    state.mode == Mode::Hold && !state.is_closed
}

/// The text up to the line with nothing but a dot; of a line that began with a dot, the sender doubled it.
fn text(lines: &mut impl Iterator<Item = Result<String>>) -> Result<String> {
    let mut text = String::new();
    while let Some(line) = lines.next().transpose()?.filter(|line| line != ".") {
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
    }
    Ok(text)
}
