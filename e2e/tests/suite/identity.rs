//! Signing up, in and out.

use e2e::{Api, Person, text};
use serde_json::{Value, json};

fn refresh(api: &Api, refresh_token: &str) -> e2e::Answer {
    api.post("/auth/refresh").json(&json!({"refresh_token": refresh_token})).send()
}

/// A problem without what differs from one request to the next.
fn without_correlation(mut problem: Value) -> Value {
    problem["correlation_id"] = Value::Null;
    problem
}

#[test]
fn a_person_signs_up_and_in_and_is_let_in() {
    let person = Person::sign_up(&Api::from_environment());
    person.get("/accounts").send().must_be(200);
}

#[test]
fn an_access_token_says_how_long_it_lives() {
    let person = Person::sign_up(&Api::from_environment());
    let tokens = person.sign_in_with(&person.password).must_be(200).json();
    assert!(tokens["expires_in"].as_u64().is_some_and(|seconds| seconds > 0), "{}", tokens["expires_in"]);
}

#[test]
fn tokens_are_not_to_be_kept_by_caches() {
    let person = Person::sign_up(&Api::from_environment());
    let answer = person.sign_in_with(&person.password).must_be(200);
    assert!(
        answer.header("cache-control").is_some_and(|value| value.contains("no-store")),
        "{:?}",
        answer.headers
    );
}

#[test]
fn a_wrong_password_and_an_unknown_address_look_the_same() {
    let person = Person::sign_up(&Api::from_environment());
    let wrong = person.sign_in_with("not her password at all").problem(&[401]);
    let nobody = json!({"email": format!("nobody-{:016x}@example.com", rand::random::<u64>()), "password": person.password});
    let unknown = person.api.post("/auth/sign-in").json(&nobody).send().problem(&[401]);
    assert_eq!(without_correlation(wrong), without_correlation(unknown));
}

#[test]
fn a_taken_address_is_refused() {
    let person = Person::sign_up(&Api::from_environment());
    for email in [person.email.clone(), person.email.to_uppercase()] {
        let again = json!({"email": email, "password": person.password});
        person.api.post("/auth/sign-up").json(&again).send().problem(&[409]);
    }
}

#[test]
fn weak_passwords_are_refused_by_name() {
    let api = Api::from_environment();
    for password in ["", "a", "password", "12345678", "qwertyuiop"] {
        let email = format!("weak-{:016x}@example.com", rand::random::<u64>());
        let answer = api.post("/auth/sign-up").json(&json!({"email": email, "password": password})).send();
        let problem = answer.problem(&[422]);
        assert_eq!(problem["errors"][0]["field"], "password", "{password:?}: {problem}");
    }
}

#[test]
fn what_is_no_address_is_refused() {
    let api = Api::from_environment();
    for email in
        ["", "nobody", "@example.com", "nobody@", "two words@example.com", "a@b\r\nBcc: c@example.com"]
    {
        let answer =
            api.post("/auth/sign-up").json(&json!({"email": email, "password": "Tulip/4f1d9ac37be2"})).send();
        answer.problem(&[422]);
    }
}

#[test]
fn refreshing_gives_tokens_that_work() {
    let person = Person::sign_up(&Api::from_environment());
    let tokens = refresh(&person.api, &person.refresh_token).must_be(200).json();
    refresh(&person.api, text(&tokens, "refresh_token")).must_be(200);
    person.api.get("/accounts").bearer(text(&tokens, "access_token")).send().must_be(200);
}

#[test]
fn an_invented_refresh_token_is_refused() {
    let api = Api::from_environment();
    for token in ["", "invented", &"x".repeat(5_000)] {
        refresh(&api, token).problem(&[400, 401, 422]);
    }
}

#[test]
fn signing_out_ends_the_session() {
    let person = Person::sign_up(&Api::from_environment());
    person.post("/auth/sign-out").send().must_be(204);
    refresh(&person.api, &person.refresh_token).problem(&[401]);
}

#[test]
fn signing_out_everywhere_ends_every_session() {
    let person = Person::sign_up(&Api::from_environment());
    let other = person.sign_in_with(&person.password).must_be(200).json();
    person.post("/auth/sign-out-everywhere").send().must_be(204);
    for refresh_token in [&person.refresh_token, &text(&other, "refresh_token").to_owned()] {
        refresh(&person.api, refresh_token).problem(&[401]);
    }
    person.sign_in_with(&person.password).must_be(200);
}

#[test]
fn asking_for_a_new_password_does_not_tell_who_has_an_account() {
    let person = Person::sign_up(&Api::from_environment());
    for email in [person.email.as_str(), "nobody-at-all@example.com"] {
        let answer = person.api.post("/auth/forgot-password").json(&json!({"email": email})).send();
        assert!(answer.must_be(204).body.is_empty());
    }
}

#[test]
fn a_guessed_code_resets_nothing() {
    let person = Person::sign_up(&Api::from_environment());
    let guess = json!({"email": person.email, "code": "000000", "new_password": "Tulip/0b1c2d3e4f5a"});
    let answer = person.api.post("/auth/reset-password").json(&guess).send();
    assert!(answer.status == 204 || (400..500).contains(&answer.status), "{answer:?}");
    person.sign_in_with(&person.password).must_be(200);
    person.sign_in_with("Tulip/0b1c2d3e4f5a").problem(&[401]);
}

#[test]
fn the_key_set_shows_public_keys_only() {
    let keys = Api::from_environment().get("/.well-known/jwks.json").send().must_be(200).json();
    let keys = keys["keys"].as_array().cloned().unwrap_or_default();
    assert!(!keys.is_empty());
    for key in keys {
        assert_eq!(key["kty"], "RSA");
        assert!(!text(&key, "kid").is_empty() && !text(&key, "n").is_empty() && !text(&key, "e").is_empty());
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            assert!(key.get(private).is_none(), "the key set shows {private}");
        }
    }
}
