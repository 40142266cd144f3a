//! One HTTP/1.1 connection, and the requests that are sent on it. Every request has a time limit.
//!
//! Requests are written and answers read as plain bytes: bank and load share a machine, and a client that can do more
//! would take more of it. It understands what the bank sends: a status line, header fields, and a body whose length is
//! told or which comes in chunks. Absent on purpose: TLS, trailers, and more than one request at a time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longer than any wait that a request asks for.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How much of an unexpected answer is shown.
const SHOWN_BYTES_MAX: usize = 300;
/// Most answers are smaller; one of a batch grows the buffer once.
const BUFFER_BYTES: usize = 8 << 10;
const HEAD_BYTES_MAX: usize = 16 << 10;

/// The request was done.
pub const OK: u16 = 200;
/// The status of a request that the bank is too busy for.
pub const BUSY: u16 = 503;
/// Something was made.
pub const CREATED: u16 = 201;
/// There is no such thing, or not yet.
pub const NOT_FOUND: u16 = 404;
/// The caller asks too often.
pub const TOO_MANY_REQUESTS: u16 = 429;
/// The bank is at its limit.
pub const UNAVAILABLE: u16 = 503;

/// Why a request did not get the answer it was sent for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0:?} is not an address such as http://127.0.0.1:8080")]
    Address(String),
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the bank hung up before its answer was complete")]
    HungUp,
    #[error("an answer is not understood: {0}")]
    Garbled(&'static str),
    #[error("no answer within {REQUEST_MAX:?}")]
    TooSlow,
    #[error("{asked} was answered with {status}: {body}")]
    Unexpected { asked: String, status: u16, body: String },
    #[error("{asked} was answered without {field}: {body}")]
    Incomplete { asked: String, field: &'static str, body: String },
}

/// Where the bank is.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name and port, which are also what it is called in requests.
    authority: Arc<str>,
}

/// A kept-alive connection to the bank.
pub struct Connection {
    stream: TcpStream,
    authority: Arc<str>,
    sent: Vec<u8>,
    received: Vec<u8>,
}

/// A request without what its connection adds.
#[derive(Clone)]
pub struct Outgoing {
    head: String,
    body: String,
}

/// An answer, read to its end.
#[derive(PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Whether it says when to ask again.
    pub says_when_again: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl Server {
    /// Reads an address such as `http://127.0.0.1:8080`.
    pub fn parse(url: &str) -> Result<Self, ClientError> {
        let authority = url.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let is_sound = |text: &&str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
        };
        let authority = authority.filter(is_sound).ok_or_else(|| ClientError::Address(url.to_owned()))?;
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let authority = if port.is_some() { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { authority: authority.into() })
    }
}

impl Connection {
    /// Connects.
    pub async fn open(server: &Server) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(&*server.authority).await?;
        stream.set_nodelay(true)?;
        let [sent, received] = [(); 2].map(|()| Vec::with_capacity(BUFFER_BYTES));
        Ok(Self { stream, authority: Arc::clone(&server.authority), sent, received })
    }

    /// Whether the bank has hung up, as far as is known without asking the kernel.
    /// Connects once more, where the bank may have hung up.
    pub async fn reopen(&mut self) -> Result<(), ClientError> {
        self.stream = TcpStream::connect(&*self.authority).await?;
        self.stream.set_nodelay(true)?;
        self.received.clear();
        Ok(())
    }

    pub fn is_closed(&self) -> bool {
        match self.stream.try_read(&mut [0]) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub async fn send(&mut self, outgoing: Outgoing) -> Result<Answer, ClientError> {
        self.sent.clear();
        let Outgoing { head, body } = outgoing;
        for part in [&head, "host: ", &self.authority, "\r\n\r\n", &body] {
            self.sent.extend_from_slice(part.as_bytes());
        }
        let exchange = async {
            self.stream.write_all(&self.sent).await?;
            self.receive().await
        };
        tokio::time::timeout(REQUEST_MAX, exchange).await.unwrap_or(Err(ClientError::TooSlow))
    }

    async fn receive(&mut self) -> Result<Answer, ClientError> {
        self.received.clear();
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(ClientError::HungUp);
            }
            if let Some(answer) = complete(&self.received)? {
                return Ok(answer);
            }
        }
    }

    /// Sends a request that must be answered with `status`.
    pub async fn expect(
        &mut self,
        asked: &str,
        outgoing: Outgoing,
        status: u16,
    ) -> Result<Vec<u8>, ClientError> {
        let answer = self.send(outgoing).await?;
        if answer.status == status { Ok(answer.body) } else { Err(answer.unexpected(asked)) }
    }
}

impl Outgoing {
    /// A GET.
    pub fn get(path: &str) -> Self {
        Self { head: format!("GET {path} HTTP/1.1\r\n"), body: String::new() }
    }

    /// A POST of a JSON text.
    pub fn post(path: &str, json: String) -> Self {
        let length = json.len();
        let head =
            format!("POST {path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
        Self { head, body: json }
    }

    /// Adds a header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        for part in [name, ": ", value, "\r\n"] {
            self.head.push_str(part);
        }
        self
    }

    /// Signs the request.
    pub fn bearer(self, bearer: &str) -> Self {
        self.header("authorization", bearer)
    }
}

impl Answer {
    /// That this is not the answer that was expected.
    pub fn unexpected(&self, asked: &str) -> ClientError {
        ClientError::Unexpected { asked: asked.to_owned(), status: self.status, body: shown(&self.body) }
    }
}

/// That an answer lacks a field.
pub fn incomplete(asked: &str, field: &'static str, body: &[u8]) -> ClientError {
    ClientError::Incomplete { asked: asked.to_owned(), field, body: shown(body) }
}

/// The answer that was received, once all of it is there.
fn complete(received: &[u8]) -> Result<Option<Answer>, ClientError> {
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let Some(end) = received.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END) else {
        let is_endless = received.len() > HEAD_BYTES_MAX;
        return if is_endless { Err(ClientError::Garbled("its head does not end")) } else { Ok(None) };
    };
    let head =
        std::str::from_utf8(&received[..end]).map_err(|_| ClientError::Garbled("its head is no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.ok_or(ClientError::Garbled("it has no status"))?;
    let (mut length, mut is_in_chunks, mut says_when_again) = (0_usize, false, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| ClientError::Garbled("its length is no number"))?;
        } else if name.eq_ignore_ascii_case("retry-after") {
            says_when_again = true;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            is_in_chunks = true;
        }
    }
    let rest = &received[end + HEAD_END.len()..];
    let body = if is_in_chunks { joined(rest)? } else { whole(rest, length)? };
    Ok(body.map(|body| Answer { status, says_when_again, body }))
}

/// A body of so many bytes, once all of them are there.
fn whole(received: &[u8], length: usize) -> Result<Option<Vec<u8>>, ClientError> {
    if received.len() > length {
        return Err(ClientError::Garbled("there is more of it than was told"));
    }
    Ok((received.len() == length).then(|| received.to_vec()))
}

/// A body that comes in chunks, once the last of them, which is empty, is there.
fn joined(mut received: &[u8]) -> Result<Option<Vec<u8>>, ClientError> {
    let garbled = || ClientError::Garbled("its chunks do not fit together");
    let mut body = Vec::with_capacity(received.len());
    loop {
        let Some(line) = received.windows(2).position(|bytes| bytes == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&received[..line]).map_err(|_| garbled())?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| garbled())?;
        let chunk = &received[line + 2..];
        let Some(chunk_end) = size.checked_add(2).filter(|end| *end <= chunk.len()) else { return Ok(None) };
        if &chunk[size..chunk_end] != b"\r\n" {
            return Err(garbled());
        }
        body.extend_from_slice(&chunk[..size]);
        received = &chunk[chunk_end..];
        if size == 0 {
            return if received.is_empty() { Ok(Some(body)) } else { Err(garbled()) };
        }
    }
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES_MAX)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (url, authority) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
            ("http://localhost", "localhost:80"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(&*Server::parse(url).unwrap().authority, authority);
        }
        for url in ["", "127.0.0.1:8080", "https://example.com", "http://", "/accounts", "http://a\r\nb"] {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        let text = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\ncontent-length: 4\r\n\r\nbusy";
        for end in 0..text.len() {
            assert_eq!(complete(&text[..end]).unwrap(), None, "{end}");
        }
        let busy = Answer { status: UNAVAILABLE, says_when_again: true, body: b"busy".to_vec() };
        assert_eq!(complete(text).unwrap(), Some(busy));
        let empty = Answer { status: 204, says_when_again: false, body: Vec::new() };
        assert_eq!(complete(b"HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n").unwrap(), Some(empty));
    }

    #[test]
    fn chunks_are_joined() {
        let text =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\ndefghijklm\r\n0\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(complete(&text[..end]).unwrap(), None, "{end}");
        }
        let whole = Answer { status: OK, says_when_again: false, body: b"abcdefghijklm".to_vec() };
        assert_eq!(complete(text).unwrap(), Some(whole));
    }

    #[test]
    fn what_is_not_understood_is_no_answer() {
        for garbled in [
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 two hundred\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nmany\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nmore",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
        ] {
            assert!(complete(garbled.as_bytes()).is_err(), "{garbled}");
        }
        assert!(complete(&vec![b'a'; HEAD_BYTES_MAX + 1]).is_err());
    }
}
