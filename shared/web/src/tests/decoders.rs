//! Whatever is sent in a body, a query, a path or a header has an answer, and it is never one of the bank's own mistakes.

use super::*;
use conformance::records::{any_json, damaged};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const REQUESTS: u32 = 1_024;

/// Sends the request of each case that the strategy makes, and lets `judge` look at the answer. A case that no client
/// could send has no request.
fn for_each<T: std::fmt::Debug>(
    cases: impl Strategy<Value = T>,
    request_of: impl Fn(&T) -> Option<Request>,
    judge: impl Fn(&T, &Seen) -> bool,
) {
    let settings = HttpSettings { rate_limits: RateLimits::OFF, ..HttpSettings::default() };
    let bank = bank(settings, &World::default());
    let world = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(REQUESTS) };
    let checked = TestRunner::new(config).run(&cases, |case| {
        if let Some(request) = request_of(&case) {
            let seen = world.block_on(send(&bank, request));
            prop_assert!(judge(&case, &seen), "{:?}", seen);
        }
        Ok(())
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
}

fn posted(headers: &[(&str, &[u8])], body: impl Into<HttpBody>) -> Option<Request> {
    let mut request =
        Request::builder().method(Method::POST).uri("/deposit").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).ok()
}

fn asked(path: &str) -> Option<Request> {
    Request::builder().uri(path).header("authorization", "Bearer alice").body(HttpBody::empty()).ok()
}

const ALICE: (&str, &[u8]) = ("authorization", b"Bearer alice");

/// Every byte as a path or a query may hold it.
fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn an_amount_as_a_number_is_that_of_its_digits() {
    let numbers = r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,4})?([eE][-+]?[0-9]{1,3})?";
    let as_text = |number: &String| {
        let text = deposit_of(&format!("\"{number}\""));
        let bank = small_bank();
        let world = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        world.block_on(post_deposit(&bank, &[], text))
    };
    for_each(
        numbers,
        |number| posted(&[ALICE], deposit_of(number)),
        |number, seen| {
            let as_text = as_text(number);
            let said = |seen: &Seen| (seen.status, seen.body["amount"].clone(), seen.body["detail"].clone());
            let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            // What is taken is what was sent, with the decimals of euros behind it.
            let is_exact = seen.status != 200
                || seen.body["amount"].as_str().is_some_and(|amount| {
                    is_plain && amount.trim_end_matches(['0']) == padded(number).trim_end_matches(['0'])
                });
            said(seen) == said(&as_text) && matches!(seen.status, 200 | 422) && is_exact
        },
    );
}

fn padded(number: &str) -> String {
    if number.contains('.') { number.to_owned() } else { format!("{number}.") }
}

#[test]
fn any_bytes_as_a_body_have_an_answer() {
    let sound = deposit_of("\"12.50\"");
    let cut = (any::<prop::sample::Index>(), any::<u8>()).prop_map(move |(at, byte)| {
        let mut bytes = sound.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    for_each(
        prop_oneof![prop::collection::vec(any::<u8>(), 0..80), cut],
        |bytes| posted(&[ALICE], bytes.clone()),
        |_, seen| seen.status == 200 || matches!(seen.refusal(), (400, "MALFORMED_JSON", _) | (422, _, _)),
    );
}

#[test]
fn any_json_as_a_body_has_an_answer() {
    let sound: Value = serde_json::from_str(&deposit_of("\"12.50\"")).unwrap();
    for_each(
        prop_oneof![damaged(&sound), any_json()],
        |json| posted(&[ALICE], json.to_string()),
        // The deepest JSON that is made here is within the bounds of a body.
        |_, seen| seen.status == 200 || seen.refusal().0 == 422,
    );
}

#[test]
fn an_idempotency_key_is_1_to_255_visible_characters_of_ascii() {
    let keys =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..12), "[!-~]{1,300}".prop_map(String::into_bytes)];
    for_each(
        keys,
        |key| posted(&[ALICE, ("idempotency-key", key)], deposit_of("1")),
        |key, seen| {
            let is_key = (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
            if is_key {
                seen.status == 200 && seen.body["operation_id"].as_str().map(str::as_bytes) == Some(key)
            } else {
                seen.refusal() == (400, "INVALID_IDEMPOTENCY_KEY", vec![])
            }
        },
    );
}

#[test]
fn no_header_signs_anybody_in_but_a_token() {
    for_each(
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "(Bearer|bearer|Basic) ?[ -~]{0,20}".prop_map(String::into_bytes)
        ],
        |value| posted(&[("authorization", value)], deposit_of("1")),
        |_, seen| seen.refusal().0 == 401,
    );
}

#[test]
fn no_invented_cursor_continues_a_list() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let invented = prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    for_each(
        prop_oneof![any::<String>(), "[A-Za-z0-9_=-]{1,60}", invented],
        |cursor| asked(&format!("/operations?cursor={}", percent_encoded(cursor))),
        |_, seen| seen.refusal() == (400, "INVALID_CURSOR", vec!["cursor"]),
    );
}

#[test]
fn any_query_and_any_path_have_an_answer() {
    for_each(
        ("[a-z]{0,8}|limit|cursor", any::<String>()),
        |(name, value)| asked(&format!("/operations?{name}={}", percent_encoded(value))),
        |_, seen| seen.status == 200 || seen.refusal().0 == 400,
    );
    for_each(
        any::<String>(),
        |id| asked(&format!("/accounts/{}", percent_encoded(id))),
        |_, seen| seen.refusal().0 == 404,
    );
}
