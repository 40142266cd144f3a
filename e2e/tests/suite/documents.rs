//! What surrounds every answer: caching, correlation and the headers that browsers heed.

use e2e::{Api, INVENTED_ID, Operation, Person, text, wait_until};

#[test]
fn answers_carry_security_headers() {
    let person = Person::sign_up(&Api::from_environment());
    for answer in [
        person.get("/accounts").send().must_be(200),
        person.get("/nowhere").send().must_be(404),
        person.api.get("/accounts").send().must_be(401),
    ] {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", answer.asked);
        let is_framed =
            answer.header("x-frame-options").is_none() && answer.header("content-security-policy").is_none();
        assert!(!is_framed, "{} may be framed by anybody: {:?}", answer.asked, answer.headers);
        assert!(answer.header("server").is_none(), "{} names its software", answer.asked);
    }
}

#[test]
fn no_other_site_may_read_answers_unless_configured() {
    let person = Person::sign_up(&Api::from_environment());
    let answer = person.get("/accounts").header("origin", "https://elsewhere.example").send().must_be(200);
    assert!(answer.header("access-control-allow-origin").is_none(), "{:?}", answer.headers);
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(100);
    for path in ["/accounts", &format!("/accounts/{account_id}"), &format!("/balances/{account_id}")] {
        let first = wait_until("the answer has settled", || {
            let (first, second) =
                (person.get(path).send().must_be(200), person.get(path).send().must_be(200));
            (first.header("etag") == second.header("etag")).then_some(first)
        });
        let Some(etag) = first.header("etag") else { panic!("{path} has no ETag: {:?}", first.headers) };
        let second = person.get(path).header("if-none-match", etag).send().must_be(304);
        assert!(second.body.is_empty());
        assert_eq!(second.header("etag"), Some(etag));
        for matching in
            [format!("W/{}", etag.trim_start_matches("W/")), "*".to_owned(), format!("\"other\", {etag}")]
        {
            person.get(path).header("if-none-match", matching).send().must_be(304);
        }
        person.get(path).header("if-none-match", "\"other\"").send().must_be(200);
    }
}

#[test]
fn what_has_changed_is_sent_again() {
    let person = Person::sign_up(&Api::from_environment());
    let account_id = person.open_account_with(100);
    let path = format!("/balances/{account_id}");
    person.balance_becomes(&account_id, 100);
    let first = person.get(&path).send().must_be(200);
    let etag = first.header("etag").unwrap_or_default().to_owned();
    let ended = person.complete(&Operation::Deposit { account_id: account_id.clone(), minor: 1 });
    person.balance_at(&account_id, ended["account_version"].as_u64().unwrap_or_default());
    let second = person.get(&path).header("if-none-match", etag.as_str()).send().must_be(200);
    assert_eq!(text(&second.json(), "balance"), "1.01");
}

#[test]
fn a_correlation_id_is_taken_over_and_told() {
    let person = Person::sign_up(&Api::from_environment());
    let path = format!("/accounts/{INVENTED_ID}");
    let answer = person.get(path).header("x-correlation-id", "order-42_a.b").send();
    assert_eq!(answer.problem(&[404])["correlation_id"], "order-42_a.b");
    assert_eq!(answer.header("x-correlation-id"), Some("order-42_a.b"));
    let ids = [0, 1].map(|_| {
        let answer = person.get("/accounts").send().must_be(200);
        answer.header("x-correlation-id").unwrap_or_default().to_owned()
    });
    assert!(!ids[0].is_empty() && ids[0] != ids[1], "{ids:?}");
}
