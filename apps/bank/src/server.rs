//! The listener: HTTP/1.1 over TCP, with a bound on connections, on the size of headers, and on how long a client may
//! take to send them or to read its answer.
//!
//! A connection costs a file descriptor, and so do the store's readers. Of those that the process may have open, some
//! are left for the store: a bank without room for another connection still reads and writes.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::header::{CONNECTION, HOST};
use axum::http::{StatusCode, Version};
use axum::response::IntoResponse;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// The most connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 10_000;
/// The most connections that wait to be accepted; a client of whom no note is taken comes again a second later, and then
/// ever more slowly.
const BACKLOG: u32 = 1_024;
/// The file descriptors that are left for everything else: the store, its readers, the mail server.
const OTHER_FILES: u64 = 64;
/// The longest that the headers of a request may be, in bytes.
const HEADERS_BYTES_MAX: usize = 32 * 1_024;
/// How long a client may take to send the headers of a request, from the moment the one before was answered.
const HEADERS_MAX: Duration = Duration::from_secs(10);
/// How long a client may take nothing of an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long requests may take to end once the bank is to stop.
const DRAIN_MAX: Duration = Duration::from_secs(15);

/// Listens on an address. Must be called within a runtime.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As every server does on Unix: a bank that starts again must not wait for connections of the one before to be forgotten.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown` turns true, then lets the requests that are under way end.
pub async fn serve(listener: TcpListener, router: Router, mut shutdown: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(connections_max()));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = shutdown.wait_for(|is_over| *is_over) => break,
            accepted = accept(&listener, &room) => accepted,
        };
        if let Some((stream, peer, place)) = accepted {
            let router = router.clone();
            let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                let router = router.clone();
                async move {
                    if !names_its_host(&request) {
                        return Ok((StatusCode::BAD_REQUEST, [(CONNECTION, "close")]).into_response());
                    }
                    Ok::<_, Infallible>(
                        router
                            .oneshot(request.map(axum::body::Body::new))
                            .await
                            .unwrap_or_else(|never| match never {}),
                    )
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS_MAX)
                .max_buf_size(HEADERS_BYTES_MAX)
                .serve_connection(TokioIo::new(patient(stream, ANSWER_MAX)), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended early");
                }
                drop(place);
            });
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time were cut off");
    }
}

/// As many connections as the process may have files open, less those that others need.
fn connections_max() -> usize {
    let files = files_max(CONNECTIONS_MAX as u64 + OTHER_FILES);
    usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).clamp(1, CONNECTIONS_MAX)
}

/// How many files the process may have open: as many as it wants, if whoever started it lets it have so many.
#[cfg(unix)]
fn files_max(wanted: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    // The limit that is set for it is often low, for the sake of programs of another age; it may raise it up to the other.
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = maximum.unwrap_or(wanted).min(wanted);
    match current {
        Some(files) if files < raised => {
            let set = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum });
            if set.is_ok() { raised } else { files }
        }
        current => current.unwrap_or(wanted),
    }
}

/// How many files the process may have open.
#[cfg(not(unix))]
fn files_max(wanted: u64) -> u64 {
    wanted
}

/// Whether a request says once whom it is for, as one of HTTP/1.1 has to (RFC 9112, section 3.2): of two hosts, a proxy in
/// front may believe the other.
fn names_its_host(request: &hyper::Request<hyper::body::Incoming>) -> bool {
    request.version() < Version::HTTP_11 || request.headers().get_all(HOST).iter().count() == 1
}

/// A stream that fails once the client takes nothing of its answer for too long.
fn patient(stream: TcpStream, answer_max: Duration) -> Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(answer_max));
    Box::pin(stream)
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // An answer is one small packet: waiting to fill a larger one would only delay it.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection could not be set up");
            }
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Out of file descriptors, most likely: some will be free in a moment.
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWrite;

    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_of_her_answer_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = patient(stream, Duration::from_millis(50));
        let chunk = vec![0; 1 << 20];
        let filling =
            async { while poll_fn(|context| stream.as_mut().poll_write(context, &chunk)).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(20), filling).await.expect("it is given up in time");
        drop(client);
    }
}
