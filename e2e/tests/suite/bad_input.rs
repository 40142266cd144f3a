//! What is not a request: each kind gets a problem that says what is wrong, and none changes anything.

use e2e::{Api, Person, text};
use serde_json::json;

fn raw_deposit(account_id: &str, amount: &str) -> String {
    format!(r#"{{"account_id":"{account_id}","amount":{amount}}}"#)
}

#[test]
fn what_is_no_amount_is_refused_by_name() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(10_000);
    // Texts and numbers of JSON, as they are written.
    for amount in [
        r#""1.005""#,
        "1.005",
        r#""-1""#,
        "-1",
        r#""-0.01""#,
        r#""0""#,
        "0",
        r#""0.00""#,
        "0.0",
        "-0",
        r#""1e400""#,
        "1e400",
        r#""1e2""#,
        r#""NaN""#,
        r#""Infinity""#,
        r#"" 5""#,
        r#""5 ""#,
        r#""+5""#,
        r#""1,00""#,
        r#"".5""#,
        r#""5.""#,
        r#""""#,
        r#""-""#,
        r#""0x10""#,
        r#""٣""#,
        r#""99999999999999999999""#,
        "99999999999999999999",
        r#""9223372036854775808""#,
        r#""92233720368547758.08""#,
        "1e-400",
        "0.001",
    ] {
        for path in ["/deposit", "/withdraw"] {
            let answer = person.post(path).raw_json(raw_deposit(&account_id, amount)).send();
            let problem = answer.problem(&[422]);
            assert_eq!(problem["errors"][0]["field"], "amount", "{amount} at {path}: {problem}");
        }
    }
    assert_eq!(person.all("/operations", 100).len(), 1);
    assert_eq!(person.balance(&account_id), 10_000);
}

#[test]
fn numbers_are_read_from_their_digits() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    for (amount, read) in [
        ("12.5", "12.50"),
        ("12", "12.00"),
        (r#""007""#, "7.00"),
        ("0.1", "0.10"),
        ("0.29", "0.29"),
        ("1234567.89", "1234567.89"),
    ] {
        let answer = person.post("/deposit").raw_json(raw_deposit(&account_id, amount)).send();
        assert_eq!(text(&answer.must_be(200).json(), "amount"), read, "{amount}");
    }
}

#[test]
fn bodies_that_are_no_request_are_refused() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(10_000);
    let id = account_id.as_str();
    let mut bodies = vec![
        String::new(),
        "{".to_owned(),
        "}".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "42".to_owned(),
        r#""text""#.to_owned(),
        "{}".to_owned(),
        "\u{feff}{}".to_owned(),
        format!(r#"{{"account_id":"{id}"}}"#),
        r#"{"amount":"1"}"#.to_owned(),
        format!(r#"{{"account_id":"{id}","amount":"1",}}"#),
        format!(r#"{{"account_id":"{id}","amount":"1"}} trailing"#),
        format!(r#"{{"account_id":"{id}","amount":"1","amount":"2"}}"#),
        format!(r#"{{"account_id":"{id}","amount":"1","unknown":true}}"#),
        format!(r#"{{"account_id":"{id}","amount":"1","owner":"somebody"}}"#),
        format!(r#"{{"account_id":"{id}","amount":"1","currency":5}}"#),
        format!(r#"{{"account_id":"{id}","amount":"1","currency":"eur"}}"#),
        format!(r#"{{"account_id":"{id}","amount":"1","description":{{}}}}"#),
        format!(r#"{{"account_id":"{id}","amount":"1","description":"{}"}}"#, "x".repeat(10_000)),
        r#"{"account_id":5,"amount":"1"}"#.to_owned(),
        r#"{"account_id":null,"amount":"1"}"#.to_owned(),
        format!("[{}", raw_deposit(id, "1")),
    ];
    for amount in ["null", "true", "[]", "{}", r#"["1"]"#, "NaN", "Infinity", "01", "+1", ".5", "1.", "'1'"] {
        bodies.push(raw_deposit(id, amount));
    }
    for body in &bodies {
        let answer = person.post("/deposit").raw_json(body.as_str()).send();
        assert!(
            matches!(answer.status, 400 | 422),
            "{body} was answered with {}: {}",
            answer.status,
            answer.body
        );
        answer.problem(&[400, 422]);
    }
    person.post("/deposit").raw_json(b"{\"account_id\":\"\xff\xfe\"}".to_vec()).send().problem(&[400, 422]);
    assert_eq!(person.all("/operations", 100).len(), 1);
}

#[test]
fn nested_bodies_are_refused_before_they_do_harm() {
    const DEPTH: usize = 20_000;
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let lists = format!("{}1{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let open = "[".repeat(DEPTH);
    let objects = format!("{}1{}", r#"{"a":"#.repeat(DEPTH / 4), "}".repeat(DEPTH / 4));
    for nested in [lists, open, objects] {
        person.post("/deposit").raw_json(nested.as_str()).send().problem(&[400, 422]);
        person.post("/deposit").raw_json(raw_deposit(&account_id, &nested)).send().problem(&[400, 422]);
    }
    person.get("/accounts").send().must_be(200);
}

#[test]
fn a_body_that_is_not_called_json_is_refused() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    for content_type in
        ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/jsonp"]
    {
        let call = person.post("/deposit").header("content-type", content_type);
        call.body(raw_deposit(&account_id, "1")).send().problem(&[415]);
    }
    person.post("/deposit").body(raw_deposit(&account_id, "1")).send().problem(&[415]);
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    let padded = |bytes: usize| {
        let body = raw_deposit(&account_id, "1");
        format!("{}{body}", " ".repeat(bytes - body.len()))
    };
    person.post("/deposit").raw_json(padded(64 * 1024)).send().must_be(200);
    person.post("/deposit").raw_json(padded(64 * 1024 + 1)).send().problem(&[413]);
    assert_eq!(person.all("/operations", 100).len(), 1);
}

#[test]
fn paths_that_are_not_there_are_named_as_such() {
    let person = Person::sign_up(&Api::from_environment());
    for path in [
        "/nowhere",
        "/accounts/",
        "/deposit/now",
        "/operation-status",
        "/transactions",
        "/..%2f..%2fetc/passwd",
    ] {
        person.get(path).send().problem(&[404, 405]);
    }
}

#[test]
fn ids_that_are_none_do_not_exist() {
    let person = Person::sign_up(&Api::from_environment());
    for id in [
        "1",
        "invented",
        "%00",
        "%ff",
        "'%20or%201=1",
        "00000000-0000-0000-0000-000000000000",
        &"9".repeat(2_000),
    ] {
        for path in ["/accounts/", "/balances/", "/transactions/", "/operation-status/"] {
            person.get(format!("{path}{id}")).send().problem(&[400, 404, 422]);
        }
    }
}

#[test]
fn broken_cursors_and_limits_are_refused() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(100);
    for path in ["/accounts", "/operations", "/notifications", &format!("/transactions/{account_id}")] {
        for cursor in ["broken", "%00", "e30", "====", "", &"A".repeat(3_000)] {
            person.get(format!("{path}?cursor={cursor}")).send().problem(&[400, 414, 422]);
        }
        for limit in ["0", "-1", "101", "many", "1.5", "99999999999999999999", ""] {
            person.get(format!("{path}?limit={limit}")).send().problem(&[400, 422]);
        }
        person.get(format!("{path}?unknown=1")).send().problem(&[400, 422]);
    }
    for version in ["-1", "one", "1.5", ""] {
        person.get(format!("/balances/{account_id}?min_version={version}")).send().problem(&[400, 422]);
    }
}

#[test]
fn a_version_that_is_never_reached_is_not_waited_for_for_ever() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(100);
    let answer = person.get(format!("/balances/{account_id}?min_version=1000000")).send();
    assert_eq!(text(&answer.problem(&[409]), "code"), "NOT_PROJECTED_YET");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

#[test]
fn headers_that_make_no_sense_do_no_harm() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account("current", "EUR");
    for prefer in ["wait=-1", "wait=999999", "wait", "respond-async; x", "wait=ten"] {
        let body = json!({"account_id": account_id, "amount": "1"});
        let answer = person.post("/deposit").json(&body).header("prefer", prefer).send();
        // RFC 7240: a preference that is not understood is ignored.
        answer.must_be(200);
    }
    for correlation in ["x".repeat(5_000), "two words".to_owned(), "\u{e4}".to_owned()] {
        let answer = person.get("/nowhere").header("x-correlation-id", correlation.as_str()).send();
        assert_ne!(answer.problem(&[400, 404, 431])["correlation_id"], correlation.as_str());
    }
}
