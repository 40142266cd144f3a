//! Requests for many things at once: when their bodies are read, how many are held, and what they count.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::routing::MethodRouter;
use futures::StreamExt;
use http_body_util::BodyExt;

use super::*;

const ALICE: [(&str, &str); 2] = [("authorization", "Bearer alice"), ("content-type", "application/json")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    count: u32,
}

/// Says how much it was asked for, after having charged for it.
async fn counted(Signed(_): Signed, Body(batch): Body<Batch>) -> Result<Json<u32>, Problem> {
    charge(batch.count - 1)?;
    Ok(Json(batch.count))
}

/// Says so in lines, the last of which never comes.
async fn in_lines(Signed(_): Signed, Body(batch): Body<Batch>) -> Response {
    let parts = futures::stream::iter([vec![batch.count, 1], vec![2]]);
    lines(parts.chain(futures::stream::pending()))
}

fn serving(route: MethodRouter, settings: HttpSettings) -> Router {
    let (world, routes) = (World::default(), Router::new().route(BATCHES, route));
    finish(authenticate(routes, world.clone(), world.sources()), settings, world.sources())
}

fn batch(headers: &[(&str, &str)], body: impl Into<HttpBody>) -> Request {
    request(Method::POST, BATCHES, headers, body)
}

fn padded(bytes: usize) -> String {
    format!("{{\"count\": 7{}}}", " ".repeat(bytes - "{\"count\": 7}".len()))
}

/// A body that goes on until somebody has heard enough.
fn endless() -> HttpBody {
    HttpBody::from_stream(futures::stream::repeat_with(|| Ok::<_, Infallible>(" ".repeat(1 << 16))))
}

fn never() -> HttpBody {
    HttpBody::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>())
}

#[tokio::test]
async fn a_batch_may_have_a_larger_body() {
    let bank = serving(post(counted), HttpSettings::default());
    assert_eq!(send(&bank, batch(&ALICE, padded(BATCH_BYTES_MAX))).await.body, 7);
    let declared = [&ALICE[..], &[("content-length", "1048577")]].concat();
    for (headers, body) in
        [(&ALICE[..], HttpBody::from(padded(BATCH_BYTES_MAX + 1))), (&declared, never()), (&ALICE, endless())]
    {
        let seen = send(&bank, batch(headers, body)).await;
        assert_eq!(seen.refusal(), (413, "BODY_TOO_LARGE", vec![]));
        assert_eq!(seen.header("connection"), "close");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_body_is_read_of_nobody_who_is_not_signed_in() {
    let bank = serving(post(counted), HttpSettings::default());
    for (authorization, code) in [("", "INVALID_TOKEN"), ("Bearer forged", "INVALID_TOKEN")] {
        let headers = [("authorization", authorization), ALICE[1]];
        let seen = send(&bank, batch(&headers, never())).await;
        assert_eq!(seen.refusal(), (401, code, vec![]), "{authorization}");
        assert_eq!(seen.header("connection"), "close");
    }
    let seen = send(&bank, batch(&ALICE[1..], never())).await;
    assert_eq!(seen.refusal(), (401, "UNAUTHENTICATED", vec![]));
    assert_eq!(seen.header("connection"), "close");
    // One who is signed in has as long as anybody.
    let seen = send(&bank, batch(&ALICE, never())).await;
    assert_eq!(seen.refusal(), (408, "BODY_TOO_SLOW", vec![]));
}

#[tokio::test]
async fn so_many_batches_are_held_at_once_and_not_more() {
    let settings = HttpSettings { batches_max: 1, in_flight_max: 0, ..HttpSettings::default() };
    let bank = serving(post(counted), settings.clone());
    let slow = tokio::spawn(bank.clone().oneshot(batch(&ALICE, never())));
    tokio::task::yield_now().await;
    let seen = send(&bank, batch(&ALICE, padded(100))).await;
    assert_eq!((seen.refusal(), seen.header("retry-after")), ((503, "BUSY", vec![]), "1"));
    slow.abort();
    assert!(slow.await.is_err());
    assert_eq!(send(&bank, batch(&ALICE, padded(100))).await.status, 200);

    // An answer in lines keeps its place until the last of them.
    let bank = serving(post(in_lines), settings);
    let answer = bank.clone().oneshot(batch(&ALICE, padded(100))).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let mut body = answer.into_body();
    for part in ["7\n1\n", "2\n"] {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), part);
    }
    assert_eq!(send(&bank, batch(&ALICE, padded(100))).await.refusal(), (503, "BUSY", vec![]));
    drop(body);
    assert_eq!(bank.oneshot(batch(&ALICE, padded(100))).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_request_may_count_as_many() {
    let bank = serving(post(counted), HttpSettings::default());
    let ask = async |count: u32| {
        let seen = send(&bank, batch(&ALICE, format!("{{\"count\": {count}}}"))).await;
        (seen.status, seen.header("ratelimit-remaining").parse::<u32>().unwrap())
    };
    // A few of the 500 come back while this runs.
    assert!(matches!(ask(1).await, (200, 499..=500)));
    assert!(matches!(ask(100).await, (200, 399..=420)));
    assert!(matches!(ask(450).await, (429, 0)), "there is not as much left, and none of it is taken");
    assert!(matches!(ask(300).await, (200, 90..=170)));
    // More than there ever is waits for all of it, rather than for ever.
    let seen = send(&bank, batch(&ALICE, "{\"count\": 100000}")).await;
    assert_eq!(seen.refusal(), (429, "RATE_LIMITED", vec![]));
    assert!((1..=5).contains(&seen.header("retry-after").parse::<u32>().unwrap()));
}

#[tokio::test]
async fn a_problem_in_an_answer_is_one_without_its_request() {
    let problem = Problem::new(StatusCode::CONFLICT, "ACCOUNT_NOT_OPEN", "The account is not open.")
        .with_error("account_id", "is not open");
    assert_eq!(
        serde_json::to_value(problem).unwrap(),
        json!({"type": "/problems/account-not-open", "title": "Account not open", "status": 409,
            "code": "ACCOUNT_NOT_OPEN", "detail": "The account is not open.",
            "errors": [{"field": "account_id", "message": "is not open"}]})
    );
}

#[test]
fn lines_are_for_those_who_ask_for_them() {
    for (accept, expected) in [
        ("application/x-ndjson", true),
        ("text/html, Application/X-NDJSON;q=0.5", true),
        ("application/json", false),
        ("*/*", false),
        ("application/x-ndjsonp", false),
    ] {
        let headers = HeaderMap::from_iter([(axum::http::header::ACCEPT, accept.parse().unwrap())]);
        assert_eq!(accepts_lines(&headers), expected, "{accept}");
    }
    assert!(!accepts_lines(&HeaderMap::new()));
}
