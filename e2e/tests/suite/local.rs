//! What only the bank in one process has. Leave these out against a deployment: `-E 'not test(local::)'`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use e2e::{Api, Person, patience};

#[test]
fn the_bank_says_that_it_is_alive_and_ready() {
    let api = Api::from_environment();
    for path in ["/healthz", "/readyz"] {
        let answer = api.get(path).send();
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    }
}

/// A request that is refused before its body was read leaves that body on the connection, where it would be taken for
/// the next request. The bank reads it, or says that it closes the connection (RFC 9112, section 9.6): a client that
/// keeps one that is closed without a word loses its next request.
#[test]
fn a_refusal_leaves_the_connection_in_order() {
    let url = std::env::var("API_URL").unwrap_or_default();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let Ok(mut stream) = TcpStream::connect(address) else {
        panic!("API_URL {url:?} can not be connected to")
    };
    stream.set_read_timeout(Some(patience())).unwrap();
    let head =
        "POST /deposit HTTP/1.1\r\nhost: bank\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // The head and the body come apart, as they do from a distant client.
    std::thread::sleep(Duration::from_millis(100));
    stream.write_all(b"{}").unwrap();
    let mut answer = [0; 4_096];
    let length = stream.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
    assert!(answer.starts_with("http/1.1 401"), "{answer}");
    if answer.contains("\r\nconnection: close\r\n") {
        return;
    }
    let next = "GET /healthz HTTP/1.1\r\nhost: bank\r\n\r\n";
    let mut healthy = [0; 12];
    let is_kept = stream.write_all(next.as_bytes()).is_ok() && stream.read_exact(&mut healthy).is_ok();
    assert!(
        is_kept && healthy.starts_with(b"HTTP/1.1 20"),
        "the connection was closed without a word: {answer}"
    );
}

#[test]
fn the_metrics_count_requests_and_name_nobody() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(100);
    let metrics = person.api.get("/metrics").send().must_be(200).body;
    for measure in
        ["http_requests_total", "http_request_seconds", "queue_depth", "commit_batch_size", "dead_letters"]
    {
        assert!(metrics.contains(measure), "{measure} is not measured");
    }
    for name in [person.email.as_str(), &person.user_id, &account_id, &person.access_token] {
        assert!(!metrics.contains(name), "the metrics name {name}");
    }
}
