//! One HTTP/1.1 connection, and the requests that are sent on it. Every request has a time limit.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Longer than any wait that a request asks for.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How much of an unexpected answer is shown.
const SHOWN_BYTES_MAX: usize = 300;

/// Why a request did not get the answer it was sent for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0:?} is not an address such as http://127.0.0.1:8080")]
    Address(String),
    #[error("no connection: {0}")]
    Connect(#[from] io::Error),
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error("no answer within {REQUEST_MAX:?}")]
    TooSlow,
    #[error("{asked} was answered with {status}: {body}")]
    Unexpected { asked: String, status: u16, body: String },
    #[error("{asked} was answered without {field}: {body}")]
    Incomplete { asked: String, field: &'static str, body: String },
    #[error("the bank gave a token or an id that can not be sent back")]
    Unusable,
}

/// Where the bank is.
#[derive(Clone, Debug)]
pub struct Server {
    address: Arc<str>,
    host: HeaderValue,
}

/// A kept-alive connection to the bank.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

/// A request without what its connection adds.
pub struct Outgoing {
    request: Request<Full<Bytes>>,
}

/// An answer, read to its end.
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// When to ask again, if it says so.
    pub retry_after: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

impl Server {
    /// Reads an address such as `http://127.0.0.1:8080`.
    pub fn parse(url: &str) -> Result<Self, ClientError> {
        let refused = || ClientError::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(refused)?;
        let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| refused())?;
        Ok(Self { address: address.into(), host })
    }
}

impl Connection {
    /// Connects; the connection's own work runs as a task until either side closes it.
    pub async fn open(server: &Server) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(&*server.address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // A broken connection is told to whoever sends on it next.
            let _ = driver.await;
        });
        Ok(Self { sender, host: server.host.clone() })
    }

    /// Whether the bank has hung up.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub async fn send(&mut self, outgoing: Outgoing) -> Result<Answer, ClientError> {
        let mut request = outgoing.request;
        request.headers_mut().insert(HOST, self.host.clone());
        let exchange = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let retry_after = head.headers.get(RETRY_AFTER).cloned();
            let body = body.collect().await?.to_bytes();
            Ok(Answer { status: head.status, retry_after, body })
        };
        tokio::time::timeout(REQUEST_MAX, exchange).await.unwrap_or(Err(ClientError::TooSlow))
    }

    /// Sends a request that must be answered with `status`.
    pub async fn expect(
        &mut self,
        asked: &str,
        outgoing: Outgoing,
        status: StatusCode,
    ) -> Result<Bytes, ClientError> {
        let answer = self.send(outgoing).await?;
        if answer.status == status { Ok(answer.body) } else { Err(answer.unexpected(asked)) }
    }
}

impl Outgoing {
    /// A GET.
    pub fn get(uri: Uri) -> Self {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        Self { request }
    }

    /// A POST of a JSON text.
    pub fn post(path: &'static str, json: String) -> Self {
        let mut request = Request::new(Full::new(Bytes::from(json)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(path);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { request }
    }

    /// Adds a header field.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.request.headers_mut().insert(name, value);
        self
    }

    /// Signs the request.
    pub fn bearer(self, bearer: HeaderValue) -> Self {
        self.header(AUTHORIZATION, bearer)
    }
}

impl Answer {
    /// That this is not the answer that was expected.
    pub fn unexpected(&self, asked: &str) -> ClientError {
        ClientError::Unexpected {
            asked: asked.to_owned(),
            status: self.status.as_u16(),
            body: shown(&self.body),
        }
    }
}

/// That an answer lacks a field.
pub fn incomplete(asked: &str, field: &'static str, body: &[u8]) -> ClientError {
    ClientError::Incomplete { asked: asked.to_owned(), field, body: shown(body) }
}

/// A path of the bank's, made of an id it gave.
pub fn uri(path: String) -> Result<Uri, ClientError> {
    path.try_into().map_err(|_| ClientError::Unusable)
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES_MAX)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (url, address) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
            ("http://localhost", "localhost:80"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(&*Server::parse(url).unwrap().address, address);
        }
        for url in ["", "127.0.0.1:8080", "https://example.com", "http://", "/accounts"] {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }
}
