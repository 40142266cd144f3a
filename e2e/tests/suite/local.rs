//! What only the bank in one process has; elsewhere these tests are left out: `-E 'not test(/^local::/)'`.
//!
//! - It serves its own description, measures and health. On AWS the description is a file of the repository, and
//!   CloudWatch has the rest.
//! - It rotates refresh tokens, ends a session whose old token is used again, and signs out of one session at a time.
//!   Cognito refuses an old token without ending the session, and signs a person out everywhere.
//! - It answers for itself: a method that a path does not have is 405 with `Allow`, and a token wants the Bearer
//!   scheme. At API Gateway such a method is a path that is not there, and its authorizer takes a bare token too.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use e2e::{Api, Person, patience, text};
use serde_json::json;

/// Every endpoint of the bank, as the OpenAPI document must have it.
const ENDPOINTS: &[(&str, &str)] = &[
    ("post", "/accounts"),
    ("get", "/accounts"),
    ("get", "/accounts/{account_id}"),
    ("post", "/accounts/{account_id}/close"),
    ("post", "/deposit"),
    ("post", "/withdraw"),
    ("post", "/transfer"),
    ("post", "/batches"),
    ("get", "/operation-status/{operation_id}"),
    ("get", "/operations"),
    ("get", "/operations/{operation_id}/timeline"),
    ("get", "/transactions/{account_id}"),
    ("get", "/balances/{account_id}"),
    ("get", "/balances"),
    ("get", "/notifications"),
    ("post", "/notifications/{notification_id}/read"),
    ("get", "/notifications/preferences"),
    ("put", "/notifications/preferences"),
    ("post", "/auth/sign-up"),
    ("post", "/auth/confirm"),
    ("post", "/auth/sign-in"),
    ("post", "/auth/refresh"),
    ("post", "/auth/sign-out"),
    ("post", "/auth/sign-out-everywhere"),
    ("post", "/auth/forgot-password"),
    ("post", "/auth/reset-password"),
    ("get", "/.well-known/jwks.json"),
];

fn refresh(api: &Api, refresh_token: &str) -> e2e::Answer {
    api.post("/auth/refresh").json(&json!({"refresh_token": refresh_token})).send()
}

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

#[test]
fn the_openapi_document_is_served_and_complete() {
    let document = Api::from_environment().get("/openapi.json").send().must_be(200).json();
    assert!(text(&document, "openapi").starts_with("3.1"), "{}", document["openapi"]);
    for (method, path) in ENDPOINTS {
        assert!(document["paths"][path][method].is_object(), "{method} {path} is not in the document");
    }
}

#[test]
fn every_documented_answer_that_is_an_error_is_a_problem() {
    let document = Api::from_environment().get("/openapi.json").send().must_be(200).json();
    let Some(paths) = document["paths"].as_object() else { panic!("the document has no paths") };
    let mut errors = 0;
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
                if !status.starts_with('4') && !status.starts_with('5') {
                    continue;
                }
                errors += 1;
                let is_problem = answer["content"]["application/problem+json"].is_object();
                assert!(
                    is_problem || answer["$ref"].is_string(),
                    "{method} {path} documents {status} otherwise"
                );
            }
        }
    }
    assert!(errors >= ENDPOINTS.len(), "only {errors} errors are documented");
}

#[test]
fn the_documentation_can_be_read_offline() {
    let api = Api::from_environment();
    let page = api.get("/docs").send().must_be(200);
    assert!(
        page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        "{:?}",
        page.headers
    );
    for elsewhere in ["src=\"http", "src=\"//", "href=\"http", "href=\"//"] {
        assert!(!page.body.contains(elsewhere), "the page loads from elsewhere: {elsewhere}");
    }
}

#[test]
fn the_description_carries_security_headers() {
    let answer = Api::from_environment().get("/openapi.json").send().must_be(200);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.header("server").is_none(), "{:?}", answer.headers);
}

#[test]
fn methods_that_are_not_there_are_named_as_such() {
    let person = Person::sign_up(&Api::from_environment());
    for (method, path) in
        [("GET", "/deposit"), ("DELETE", "/accounts"), ("PUT", "/accounts"), ("GET", "/auth/sign-in")]
    {
        let answer = person.api.call(method, path).bearer(&person.access_token).send();
        answer.problem(&[405]);
        assert!(answer.header("allow").is_some(), "{method} {path} does not say what is allowed");
    }
}

#[test]
fn a_token_without_its_scheme_is_refused() {
    let person = Person::sign_up(&Api::from_environment());
    let bare = person.access_token.clone();
    person.api.get("/accounts").header("authorization", bare).send().problem(&[401]);
}

#[test]
fn refreshing_rotates_the_refresh_token() {
    let person = Person::sign_up(&Api::from_environment());
    let tokens = refresh(&person.api, &person.refresh_token).must_be(200).json();
    assert_ne!(text(&tokens, "refresh_token"), person.refresh_token);
}

#[test]
fn using_an_old_refresh_token_ends_the_session() {
    let person = Person::sign_up(&Api::from_environment());
    let second = refresh(&person.api, &person.refresh_token).must_be(200).json();
    let third = refresh(&person.api, text(&second, "refresh_token")).must_be(200).json();
    refresh(&person.api, &person.refresh_token).problem(&[401]);
    refresh(&person.api, text(&third, "refresh_token")).problem(&[401]);
}

#[test]
fn using_the_refresh_token_before_the_current_one_ends_the_session() {
    let person = Person::sign_up(&Api::from_environment());
    let second = refresh(&person.api, &person.refresh_token).must_be(200).json();
    refresh(&person.api, &person.refresh_token).problem(&[401]);
    refresh(&person.api, text(&second, "refresh_token")).problem(&[401]);
}

#[test]
fn signing_out_ends_no_other_session() {
    let person = Person::sign_up(&Api::from_environment());
    let other = person.sign_in_with(&person.password).must_be(200).json();
    person.post("/auth/sign-out").send().must_be(204);
    refresh(&person.api, &person.refresh_token).problem(&[401]);
    refresh(&person.api, text(&other, "refresh_token")).must_be(200);
}
