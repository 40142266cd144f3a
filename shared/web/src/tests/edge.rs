//! What every answer has, whatever the handler did.

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

#[tokio::test]
async fn a_problem_has_one_shape() {
    let bank = small_bank();
    let headers = [
        ("authorization", "Bearer alice"),
        ("content-type", "application/json"),
        ("x-correlation-id", "order-42"),
    ];
    let request = request(Method::POST, "/deposit", &headers, deposit_of("1.005"));
    let body = bank.oneshot(request).await.unwrap().into_body();
    let body = String::from_utf8(to_bytes(body, 1_024).await.unwrap().to_vec()).unwrap();
    insta::assert_snapshot!(body.replace(",\"", ",\n\""), @r#"
    {"type":"/problems/invalid-amount",
    "title":"Invalid amount",
    "status":422,
    "detail":"The amount has more decimals than the 2 of its currency.",
    "code":"INVALID_AMOUNT",
    "errors":[{"field":"amount",
    "message":"has more decimals than the 2 of its currency"}],
    "correlation_id":"order-42"}
    "#);
}

#[tokio::test]
async fn faults_say_when_to_ask_again_and_nothing_of_their_cause() {
    let bank = small_bank();
    for (name, status, code, retry_after) in [
        ("busy", 503, "BUSY", "2"),
        ("unavailable", 503, "UNAVAILABLE", "1"),
        ("internal", 500, "INTERNAL", ""),
        ("panic", 500, "INTERNAL", ""),
        ("reused", 422, "IDEMPOTENCY_KEY_REUSED", ""),
        ("in-flight", 409, "REQUEST_IN_FLIGHT", "1"),
    ] {
        let seen = send(&bank, ask(&format!("/fault/{name}"), &[])).await;
        assert_eq!(seen.refusal(), (status, code, vec![]), "{name}");
        assert_eq!(seen.header("retry-after"), retry_after, "{name}");
        assert!(!seen.body.to_string().contains("secret-path"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_given_up() {
    let seen = send(&small_bank(), ask("/slow", &[])).await;
    assert_eq!(seen.refusal(), (504, "TIMED_OUT", vec![]));
}

#[tokio::test]
async fn more_than_there_is_room_for_is_refused() {
    let bank = bank(HttpSettings { in_flight_max: 1, ..HttpSettings::default() }, &World::default());
    let slow = tokio::spawn(bank.clone().oneshot(ask("/slow", &[])));
    tokio::task::yield_now().await;
    let seen = send(&bank, ask("/trace", &[])).await;
    assert_eq!(seen.refusal(), (503, "BUSY", vec![]));
    assert_eq!(seen.header("retry-after"), "1");
    slow.abort();
    assert!(slow.await.is_err());
    assert_eq!(send(&bank, ask("/trace", &[])).await.status, 200);
}

#[tokio::test]
async fn those_who_wait_have_room_of_their_own() {
    let settings = HttpSettings { in_flight_max: 0, waiting_max: 1, ..HttpSettings::default() };
    let bank = bank(settings, &World::default());
    assert_eq!(send(&bank, ask("/trace", &[])).await.refusal(), (503, "BUSY", vec![]));
    for (path, headers) in [("/trace", &[("prefer", "wait=10")][..]), ("/trace?min_version=1", &[])] {
        assert_eq!(send(&bank, ask(path, headers)).await.status, 200, "{path}");
    }
    let waiting = tokio::spawn(bank.clone().oneshot(ask("/slow", &[("prefer", "wait=10")])));
    tokio::task::yield_now().await;
    let seen = send(&bank, ask("/trace", &[("prefer", "wait=10")])).await;
    assert_eq!(seen.refusal(), (503, "BUSY", vec![]));
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_takes_no_room_and_is_given_up() {
    let bank = bank(HttpSettings { in_flight_max: 1, ..HttpSettings::default() }, &World::default());
    let never = HttpBody::from_stream(futures::stream::pending::<std::io::Result<&[u8]>>());
    let slow = tokio::spawn({
        let request = request(Method::POST, "/deposit", &[("content-type", "application/json")], never);
        let bank = bank.clone();
        async move { send(&bank, request).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(send(&bank, ask("/trace", &[])).await.status, 200, "there is room for others");
    let seen = slow.await.unwrap();
    assert_eq!(seen.refusal(), (408, "BODY_TOO_SLOW", vec![]));
    assert_eq!(seen.header("connection"), "close");
}

#[tokio::test]
async fn a_trace_is_continued_or_begun() {
    let bank = small_bank();
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    for (traceparent, is_continued, flags) in [
        (format!("00-{trace}-{span}-01"), true, "01"),
        (format!("00-{trace}-{span}-00"), true, "00"),
        (format!("01-{trace}-{span}-01-more"), true, "01"),
        (format!("00-{trace}-{span}-01-more"), false, "00"),
        (format!("ff-{trace}-{span}-01"), false, "00"),
        (format!("00-{}-{span}-01", "0".repeat(32)), false, "00"),
        (format!("00-{trace}-{}-01", "0".repeat(16)), false, "00"),
        (format!("00-{}-{span}-01", trace.to_uppercase()), false, "00"),
        (format!("00-{trace}-{span}"), false, "00"),
        (String::new(), false, "00"),
    ] {
        let seen = send(&bank, ask("/trace", &[("traceparent", &traceparent)])).await;
        let parts: Vec<&str> = seen.body["traceparent"].as_str().unwrap().split('-').collect();
        assert_eq!((parts[0], parts[1] == trace, parts[3]), ("00", is_continued, flags), "{traceparent}");
        assert_ne!(parts[2], span, "the span is ours");
        assert_eq!((parts[1].len(), parts[2].len()), (32, 16));
    }
}

#[tokio::test]
async fn a_correlation_id_is_taken_if_it_is_plain() {
    let bank = small_bank();
    let seen = send(&bank, ask("/trace", &[("x-correlation-id", "order-42")])).await;
    assert_eq!(
        (seen.header("x-correlation-id"), &seen.body["correlation_id"]),
        ("order-42", &json!("order-42"))
    );
    for odd in ["", "a b", "<script>", &"x".repeat(65)] {
        let seen = send(&bank, ask("/trace", &[("x-correlation-id", odd)])).await;
        assert_eq!(seen.header("x-correlation-id").len(), 36, "{odd}");
        assert_eq!(seen.body["correlation_id"], seen.header("x-correlation-id"));
    }
}

#[tokio::test]
async fn who_has_an_answer_already_is_told_so() {
    let bank = small_bank();
    let alice = ("authorization", "Bearer alice");
    let first = send(&bank, ask("/operations", &[alice])).await;
    let tag = first.header("etag");
    assert!(tag.starts_with('"') && tag.len() == 24, "{tag}");
    assert_eq!(first.header("cache-control"), "private, no-cache");
    for known in [tag, "*", &format!("\"other\", W/{tag}")] {
        let again = send(&bank, ask("/operations", &[alice, ("if-none-match", known)])).await;
        assert_eq!(
            (again.status, again.body, again.headers.get("etag")),
            (304, json!(""), first.headers.get("etag"))
        );
        assert!(!again.headers.contains_key("content-type"));
    }
    for other in ["\"other\"", "", &tag[1..]] {
        let again = send(&bank, ask("/operations", &[alice, ("if-none-match", other)])).await;
        assert_eq!((again.status, again.body), (200, first.body.clone()), "{other}");
    }
    let head = send(&bank, request(Method::HEAD, "/operations", &[alice], HttpBody::empty())).await;
    assert_eq!(
        (head.status, &head.body, head.headers.get("etag")),
        (200, &json!(""), first.headers.get("etag"))
    );
    assert_eq!(head.header("content-length"), first.body.to_string().len().to_string());
    let post = post_deposit(&bank, &[("if-none-match", "*")], deposit_of("1")).await;
    assert_eq!((post.status, post.header("etag"), post.header("cache-control")), (200, "", "no-store"));
}

#[tokio::test]
async fn every_answer_is_safe_in_a_browser() {
    let bank = small_bank();
    for path in ["/trace", "/nowhere", "/fault/panic", "/page"] {
        let seen = send(&bank, ask(path, &[])).await;
        assert_eq!(seen.header("x-content-type-options"), "nosniff");
        assert_eq!(seen.header("x-frame-options"), "DENY");
        assert_eq!(seen.header("referrer-policy"), "no-referrer");
        let policy = if path == "/page" { "default-src 'self';" } else { "default-src 'none';" };
        assert!(seen.header("content-security-policy").starts_with(policy), "{path}");
        assert_eq!(seen.header("strict-transport-security"), "");
        assert_eq!(seen.header("cross-origin-resource-policy"), "same-origin");
        let opener_policy = if path == "/page" { "same-origin" } else { "" };
        assert_eq!(seen.header("cross-origin-opener-policy"), opener_policy, "{path}");
    }
    assert_eq!(send(&bank, ask("/nowhere", &[])).await.header("cache-control"), "no-store");
    let settings =
        HttpSettings { strict_transport_security: Some(Duration::from_secs(60)), ..HttpSettings::default() };
    let seen = send(&super::bank(settings, &World::default()), ask("/trace", &[])).await;
    assert_eq!(seen.header("strict-transport-security"), "max-age=60; includeSubDomains");
}

#[tokio::test]
async fn cors_is_open_to_configured_origins_only() {
    let preflight = |origin| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,idempotency-key"),
        ];
        request(Method::OPTIONS, "/deposit", &headers, HttpBody::empty())
    };
    let closed = send(&small_bank(), preflight("https://bank.example")).await;
    assert_eq!((closed.status, closed.header("access-control-allow-origin")), (405, ""));
    let settings = HttpSettings {
        cors_origins: vec!["https://bank.example".parse().unwrap()],
        ..HttpSettings::default()
    };
    let open = bank(settings, &World::default());
    let seen = send(&open, preflight("https://bank.example")).await;
    assert_eq!((seen.status, seen.header("access-control-allow-origin")), (200, "https://bank.example"));
    assert!(seen.header("access-control-allow-headers").contains("idempotency-key"));
    let seen = send(&open, preflight("https://evil.example")).await;
    assert_eq!(seen.header("access-control-allow-origin"), "");
    let seen = send(&open, ask("/nowhere", &[("origin", "https://bank.example")])).await;
    assert_eq!(seen.header("access-control-allow-origin"), "https://bank.example");
}

#[test]
fn requests_are_counted_by_route() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let text = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bank = small_bank();
            for path in
                [&format!("/accounts/{ACCOUNT}"), &format!("/accounts/{ACCOUNT}"), "/made-up-1", "/made-up-2"]
            {
                send(&bank, ask(path, &[("authorization", "Bearer alice")])).await;
            }
            send(&bank, request(Method::from_bytes(b"BREW").unwrap(), "/trace", &[], "")).await;
        });
    });
    let text = text.render();
    for line in [
        r#"http_requests_total{route="/accounts/{account_id}",method="GET",status="200"} 2"#,
        r#"http_requests_total{route="none",method="GET",status="404"} 2"#,
        r#"http_requests_total{route="/trace",method="other",status="405"} 1"#,
        r#"http_request_seconds_count{route="/accounts/{account_id}",method="GET",status="200"} 2"#,
        r#"cache_hits_total{cache="tokens"} 3"#,
        r#"cache_misses_total{cache="tokens"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
