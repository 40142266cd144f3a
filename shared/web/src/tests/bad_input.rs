//! Everything that may be wrong with a request, and the answer it gets.

use super::*;

const ALICE: (&str, &str) = ("authorization", "Bearer alice");

#[tokio::test]
async fn a_bad_body_is_explained() {
    let bank = small_bank();
    let with = |fields: &str| {
        format!(r#"{{"account_id": "{ACCOUNT}", "amount": "1", "currency": "EUR", {fields}}}"#)
    };
    let id = ACCOUNT;
    for (body, status, code, fields) in [
        (String::new(), 400, "MALFORMED_JSON", vec![]),
        ("{".to_owned(), 400, "MALFORMED_JSON", vec![]),
        ("amount=5".to_owned(), 400, "MALFORMED_JSON", vec![]),
        (format!("{} x", deposit_of("1")), 400, "MALFORMED_JSON", vec![]),
        (deposit_of("NaN"), 400, "MALFORMED_JSON", vec![]),
        (deposit_of("007"), 400, "MALFORMED_JSON", vec![]),
        ("[".repeat(50_000), 400, "MALFORMED_JSON", vec![]),
        (
            with(&format!("\"description\": {}{}", "[".repeat(33), "]".repeat(33))),
            400,
            "MALFORMED_JSON",
            vec![],
        ),
        (with(r#""extra": ["#), 400, "MALFORMED_JSON", vec![]),
        ("[]".to_owned(), 422, "INVALID_BODY", vec![]),
        (format!(r#"["{id}", "1", "EUR", null, null]"#), 422, "INVALID_BODY", vec![]),
        ("   ".to_owned(), 400, "MALFORMED_JSON", vec![]),
        ("null".to_owned(), 422, "INVALID_BODY", vec![]),
        ("{}".to_owned(), 422, "INVALID_BODY", vec!["account_id"]),
        (with(r#""extra": 1"#), 422, "INVALID_BODY", vec!["extra"]),
        (with(r#""currency": "USD""#), 422, "INVALID_BODY", vec!["currency"]),
        (with(r#""description": 5"#), 422, "INVALID_BODY", vec!["description"]),
        (with(r#""urgency": -1"#), 422, "INVALID_BODY", vec!["urgency"]),
        (with(r#""urgency": 1e400"#), 422, "INVALID_BODY", vec!["urgency"]),
        (deposit_of("null"), 422, "INVALID_BODY", vec!["amount"]),
        (deposit_of("{}"), 422, "INVALID_BODY", vec!["amount"]),
        (deposit_of("true"), 422, "INVALID_BODY", vec!["amount"]),
        (deposit_of("1").replace(id, "42"), 422, "INVALID_BODY", vec!["account_id"]),
        (deposit_of("1").replace("EUR", "EURO"), 422, "INVALID_CURRENCY", vec!["currency"]),
        (deposit_of("1.005"), 422, "INVALID_AMOUNT", vec!["amount"]),
        (deposit_of("-1"), 422, "INVALID_AMOUNT", vec!["amount"]),
        (deposit_of("0"), 422, "INVALID_AMOUNT", vec!["amount"]),
        (deposit_of("1e400"), 422, "INVALID_AMOUNT", vec!["amount"]),
        (deposit_of("\"NaN\""), 422, "INVALID_AMOUNT", vec!["amount"]),
        (deposit_of("\" 5\""), 422, "INVALID_AMOUNT", vec!["amount"]),
        (deposit_of("92233720368547758080"), 422, "INVALID_AMOUNT", vec!["amount"]),
        (" ".repeat(BODY_BYTES_MAX + 1), 413, "BODY_TOO_LARGE", vec![]),
    ] {
        let shown: String = body.chars().take(120).collect();
        let seen = post_deposit(&bank, &[], body).await;
        assert_eq!(seen.refusal(), (status, code, fields), "{shown} {seen:?}");
    }
}

#[tokio::test]
async fn what_was_sent_is_not_repeated() {
    let bank = small_bank();
    for wrong in [r#""description": {"secret": 1}"#, r#""urgency": "secret""#, r#""urgency": "#] {
        let body = deposit_of("\"secret\"").replace('}', &format!(", {wrong}}}"));
        let seen = post_deposit(&bank, &[], body).await;
        assert!((400..500).contains(&seen.status) && !seen.body.to_string().contains("secret"), "{seen:?}");
    }
    let seen = post_deposit(&bank, &[], format!(r#"{{"{}": 1}}"#, "x".repeat(5_000))).await;
    assert_eq!(seen.body["errors"][0]["field"].as_str().unwrap().len(), 120);
}

#[tokio::test]
async fn a_body_is_json_of_bounded_size_however_it_is_sent() {
    let bank = small_bank();
    for content_type in ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let headers = [ALICE, ("content-type", content_type)];
        let seen = send(&bank, request(Method::POST, "/deposit", &headers, deposit_of("1"))).await;
        assert_eq!(seen.refusal(), (415, "UNSUPPORTED_MEDIA_TYPE", vec![]), "{content_type}");
    }
    let headers = [ALICE, ("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(send(&bank, request(Method::POST, "/deposit", &headers, deposit_of("1"))).await.status, 200);
    // Declared in advance, and found out on the way.
    let declared = post_deposit(&bank, &[("content-length", "65537")], "").await;
    assert_eq!(declared.refusal(), (413, "BODY_TOO_LARGE", vec![]));
    let pieces = (0..70).map(|_| Ok::<_, std::io::Error>(" ".repeat(1_024)));
    let streamed = post_deposit(&bank, &[], HttpBody::from_stream(futures::stream::iter(pieces))).await;
    assert_eq!(streamed.refusal(), (413, "BODY_TOO_LARGE", vec![]));
    let cut = [Ok(bytes::Bytes::from("{")), Err(std::io::Error::other("gone"))];
    let cut = post_deposit(&bank, &[], HttpBody::from_stream(futures::stream::iter(cut))).await;
    assert_eq!(cut.refusal(), (400, "MALFORMED_JSON", vec![]));
}

#[tokio::test]
async fn bad_tokens_are_refused_everywhere() {
    let bank = small_bank();
    let long = format!("Bearer {}", "a".repeat(5_000));
    for authorization in
        ["Bearer forged", "Bearer expired", "Bearer ", "Bearer", "Basic YTpi", "alice", "", &long]
    {
        for path in ["/operations", "/trace", "/auth/sign-in", "/page"] {
            let seen = send(&bank, ask(path, &[("authorization", authorization)])).await;
            assert_eq!(seen.refusal(), (401, "INVALID_TOKEN", vec![]), "{authorization} {path}");
            assert_eq!(seen.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
    }
    let twice = send(&bank, ask("/trace", &[ALICE, ALICE])).await;
    assert_eq!(twice.refusal(), (401, "INVALID_TOKEN", vec![]));
    for path in ["/operations", "/ops/whoami", "/accounts/42"] {
        let seen = send(&bank, ask(path, &[])).await;
        assert_eq!(seen.refusal(), (401, "UNAUTHENTICATED", vec![]), "{path}");
        assert_eq!(seen.header("www-authenticate"), "Bearer");
    }
    let alice = send(&bank, ask("/ops/whoami", &[ALICE])).await;
    assert_eq!(alice.refusal(), (403, "FORBIDDEN", vec![]));
}

#[tokio::test]
async fn an_unknown_id_and_one_that_is_none_are_answered_alike() {
    let bank = small_bank();
    let mut answers = Vec::new();
    for id in [USER, "42", "%00", "..%2f", &ACCOUNT.to_uppercase(), &"x".repeat(2_000), "%ff"] {
        let seen = send(&bank, ask(&format!("/accounts/{id}"), &[ALICE, ("x-correlation-id", "same")])).await;
        assert_eq!(seen.refusal(), (404, "NOT_FOUND", vec![]), "{id}");
        answers.push(seen.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_bad_query_is_explained() {
    let bank = small_bank();
    for (query, code, fields) in [
        ("limit=0", "INVALID_QUERY", vec!["limit"]),
        ("limit=101", "INVALID_QUERY", vec!["limit"]),
        ("limit=-1", "INVALID_QUERY", vec!["limit"]),
        ("limit=ten", "INVALID_QUERY", vec!["limit"]),
        ("limit=", "INVALID_QUERY", vec!["limit"]),
        ("limit=1&limit=2", "INVALID_QUERY", vec!["limit"]),
        ("colour=red", "INVALID_QUERY", vec!["colour"]),
        ("cursor=", "INVALID_CURSOR", vec!["cursor"]),
        ("cursor=AXNvcnQ", "INVALID_CURSOR", vec!["cursor"]),
        ("cursor=%ff", "INVALID_CURSOR", vec!["cursor"]),
    ] {
        let seen = send(&bank, ask(&format!("/operations?{query}"), &[ALICE])).await;
        assert_eq!(seen.refusal(), (400, code, fields), "{query} {seen:?}");
    }
}

#[tokio::test]
async fn an_idempotency_key_is_plain_and_sent_once() {
    let bank = small_bank();
    let long = "x".repeat(256);
    for key in ["", "a b", "\u{e4}", &long] {
        let seen = post_deposit(&bank, &[("idempotency-key", key)], deposit_of("1")).await;
        assert_eq!(seen.refusal(), (400, "INVALID_IDEMPOTENCY_KEY", vec![]), "{key}");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "a")];
    let seen = post_deposit(&bank, &twice, deposit_of("1")).await;
    assert_eq!(seen.refusal(), (400, "INVALID_IDEMPOTENCY_KEY", vec![]));
    let seen = post_deposit(&bank, &[("idempotency-key", &long[..255])], deposit_of("1")).await;
    assert_eq!(seen.status, 200);
}

#[tokio::test]
async fn what_there_is_not_is_a_problem_too() {
    let bank = small_bank();
    assert_eq!(send(&bank, ask("/nowhere", &[])).await.refusal(), (404, "NOT_FOUND", vec![]));
    let seen = send(&bank, ask("/deposit", &[ALICE])).await;
    assert_eq!(seen.refusal(), (405, "METHOD_NOT_ALLOWED", vec![]));
    assert_eq!(seen.header("allow"), "POST");
    let seen = send(&bank, ask("/plain", &[])).await;
    assert_eq!(seen.refusal(), (502, "INTERNAL", vec![]));
    assert!(!seen.body.to_string().contains("secret-path"));
}
