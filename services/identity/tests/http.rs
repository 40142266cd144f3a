//! Every endpoint of identity as a client meets it.
#![expect(clippy::unwrap_used, reason = "what is missing fails the test")]

mod bank;

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Request, StatusCode};
use futures::future::join_all;
use ports::{Directory, Store};
use runtime::Refusal;
use serde_json::{Value, json};

use bank::{ANOTHER, Bank, EMAIL, ISSUER, PASSWORD, is, text};

#[tokio::test]
async fn a_person_signs_up_in_and_out() {
    let bank = Bank::new(false);
    let person = bank.sign_up().await;
    assert_eq!(person, json!({"user_id": person["user_id"], "email": EMAIL}));
    let tokens = bank.sign_in(PASSWORD).await;
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(900)));
    let claims = bank.identity.verifier().read(text(&tokens["access_token"])).unwrap();
    assert_eq!(claims.sub.to_string(), text(&person["user_id"]));
    assert_eq!(bank.sign_out(text(&tokens["access_token"])).await, is(204, ""));
    assert_eq!(bank.sign_out(text(&tokens["access_token"])).await, is(204, ""), "it is over already");
    assert_eq!(bank.refresh(&tokens).await.0, 401, "the session has ended");
}

#[tokio::test]
async fn signing_out_everywhere_ends_all_sessions_there_are_and_none_that_come() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    let (here, there) = (bank.sign_in(PASSWORD).await, bank.sign_in(PASSWORD).await);
    for _ in 0..2 {
        assert_eq!(bank.sign_out_everywhere(text(&here["access_token"])).await, is(204, ""));
    }
    for ended in [&here, &there] {
        assert_eq!(bank.refresh(ended).await.0, 401, "the session has ended");
    }
    let again = bank.sign_in(PASSWORD).await;
    assert_eq!(bank.refresh(&again).await.0, 200);
    assert_eq!(bank.sign_out_everywhere("forged").await, is(401, "INVALID_TOKEN"));
}

#[tokio::test]
async fn an_address_belongs_to_one_person_in_any_spelling() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    for email in [EMAIL, " ADA@Example.ORG "] {
        let body = json!({"email": email, "password": ANOTHER});
        assert_eq!(bank.refused("/auth/sign-up", body).await, is(409, "EMAIL_TAKEN"), "{email}");
    }
    let (status, _) =
        bank.post("/auth/sign-in", json!({"email": "ADA@EXAMPLE.org", "password": PASSWORD})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn of_many_who_sign_up_with_one_address_at_once_one_gets_it() {
    let bank = Bank::new(false);
    let body = json!({"email": EMAIL, "password": PASSWORD});
    let tries = (0..8).map(|_| bank.refused("/auth/sign-up", body.clone()));
    let mut answers: Vec<(u16, String)> = join_all(tries).await;
    answers.sort();
    assert_eq!(answers[0], is(201, ""));
    assert!(answers[1..].iter().all(|answer| *answer == is(409, "EMAIL_TAKEN")), "{answers:?}");
}

#[tokio::test]
async fn weak_passwords_and_bad_addresses_are_refused_by_field() {
    let bank = Bank::new(false);
    let (status, body) = bank.post("/auth/sign-up", json!({"email": EMAIL, "password": "password"})).await;
    assert_eq!((status.as_u16(), &body["code"]), (422, &json!("WEAK_PASSWORD")));
    assert_eq!(body["errors"][0]["field"], "password");
    let body = json!({"email": EMAIL, "code": "12345678", "new_password": "ada@example.org"});
    let (status, body) = bank.post("/auth/reset-password", body).await;
    assert_eq!((status.as_u16(), &body["code"]), (422, &json!("WEAK_PASSWORD")));
    assert_eq!(body["errors"][0]["field"], "new_password");
    for path in ["/auth/sign-up", "/auth/sign-in"] {
        let (status, body) = bank.post(path, json!({"email": "ada", "password": PASSWORD})).await;
        assert_eq!((status.as_u16(), &body["code"]), (422, &json!("INVALID_EMAIL")), "{path}");
        assert_eq!(body["errors"][0]["field"], "email");
    }
}

#[tokio::test]
async fn bodies_are_read_strictly() {
    let bank = Bank::new(false);
    let sound = [
        ("/auth/sign-up", json!({"email": EMAIL, "password": PASSWORD})),
        ("/auth/sign-in", json!({"email": EMAIL, "password": PASSWORD})),
        ("/auth/confirm", json!({"email": EMAIL, "code": "12345678"})),
        ("/auth/forgot-password", json!({"email": EMAIL})),
        ("/auth/reset-password", json!({"email": EMAIL, "code": "12345678", "new_password": ANOTHER})),
        ("/auth/refresh", json!({"refresh_token": "token"})),
    ];
    for (path, body) in sound {
        let mut unknown = body.clone();
        unknown["groups"] = json!(["operators"]);
        let mut wrong = body.clone();
        for value in wrong.as_object_mut().unwrap().values_mut() {
            *value = json!(12345678);
        }
        for (given, body) in [("unknown field", unknown), ("wrong type", wrong), ("nothing", json!({}))] {
            assert_eq!(bank.refused(path, body).await, is(422, "INVALID_BODY"), "{path}: {given}");
        }
        let cut = Request::post(path)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from("{\"email\""))
            .unwrap();
        assert_eq!(bank.send(cut).await.0, 400, "{path}");
        let plain = Request::post(path).body(Body::from(body.to_string())).unwrap();
        assert_eq!(bank.send(plain).await.0, 415, "{path}");
    }
    assert!(
        bank.identity.find_user(&EMAIL.parse().unwrap()).await.unwrap().is_none(),
        "nobody signed up by it"
    );
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_answered_alike() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    let wrong = bank.post("/auth/sign-in", json!({"email": EMAIL, "password": ANOTHER})).await;
    let unknown = bank.post("/auth/sign-in", json!({"email": "eve@example.org", "password": ANOTHER})).await;
    assert_eq!((wrong.0.as_u16(), &wrong.1["code"]), (401, &json!("WRONG_CREDENTIALS")));
    let without_id = |(status, mut body): (StatusCode, Value)| {
        body["correlation_id"] = Value::Null;
        (status, body)
    };
    assert_eq!(without_id(wrong), without_id(unknown));
}

#[tokio::test]
async fn too_many_wrong_passwords_lock_an_address_known_or_not() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    for email in [EMAIL, "nobody@example.org"] {
        let wrong = json!({"email": email, "password": ANOTHER});
        for _ in 0..10 {
            assert_eq!(bank.refused("/auth/sign-in", wrong.clone()).await, is(401, "WRONG_CREDENTIALS"));
        }
        for password in [PASSWORD, ANOTHER] {
            let body = json!({"email": email, "password": password}).to_string();
            let request = Request::post("/auth/sign-in")
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from(body));
            let (status, body, response) = bank.send(request.unwrap()).await;
            assert_eq!((status.as_u16(), &body["code"]), (429, &json!("TOO_MANY_ATTEMPTS")), "{email}");
            let seconds: u64 = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds), "{seconds}");
        }
    }
    bank.clock.advance(Duration::from_secs(61));
    bank.sign_in(PASSWORD).await;
}

#[tokio::test]
async fn many_guesses_at_once_get_no_more_answers_than_one_after_another() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    let wrong = json!({"email": EMAIL, "password": ANOTHER});
    let answers = join_all((0..24).map(|_| bank.refused("/auth/sign-in", wrong.clone()))).await;
    let told = answers.iter().filter(|answer| answer.0 == 401).count();
    assert_eq!(told, 10, "{answers:?}");
    assert_eq!(bank.refused("/auth/sign-in", wrong).await, is(429, "TOO_MANY_ATTEMPTS"));
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_session() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    let first = bank.sign_in(PASSWORD).await;
    let (status, second) = bank.refresh(&first).await;
    assert_eq!(status, 200, "{second}");
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let (status, third) = bank.refresh(&second).await;
    assert_eq!(status, 200);
    let stolen = bank.refresh(&second).await;
    assert_eq!((stolen.0.as_u16(), &stolen.1["code"]), (401, &json!("INVALID_REFRESH_TOKEN")));
    assert_eq!(bank.refresh(&third).await.0, 401, "the session has ended for both");
    bank.sign_in(PASSWORD).await;
}

#[tokio::test]
async fn of_two_refreshes_at_once_one_wins_and_the_session_goes_on() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    let first = bank.sign_in(PASSWORD).await;
    let mut answers = join_all((0..4).map(|_| bank.refresh(&first))).await;
    answers.sort_by_key(|(status, _)| *status);
    assert_eq!(answers.iter().map(|(status, _)| status.as_u16()).collect::<Vec<_>>(), [200, 401, 401, 401]);
    assert_eq!(bank.refresh(&answers[0].1).await.0, 200);
}

#[tokio::test]
async fn a_session_lasts_thirty_days() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    let mut tokens = bank.sign_in(PASSWORD).await;
    for day in 0..29 {
        bank.clock.advance(Duration::from_secs(24 * 60 * 60));
        let (status, next) = bank.refresh(&tokens).await;
        assert_eq!(status, 200, "day {day}");
        tokens = next;
    }
    bank.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(bank.refresh(&tokens).await.0, 401);
}

#[tokio::test]
async fn broken_refresh_tokens_are_refused() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    let tokens = bank.sign_in(PASSWORD).await;
    let sound = text(&tokens["refresh_token"]);
    let last_altered = format!("{}{}", &sound[..127], if sound.ends_with('A') { 'B' } else { 'A' });
    let guess = format!("{}{}", &sound[..43], "A".repeat(85));
    for token in ["", "token", &sound[..100], &guess, text(&tokens["access_token"])] {
        let refused = bank.refused("/auth/refresh", json!({"refresh_token": token})).await;
        assert_eq!(refused, is(401, "INVALID_REFRESH_TOKEN"), "{token}");
    }
    assert_eq!(bank.refresh(&tokens).await.0, 200, "none of these ended the session");
    let refused = bank.refused("/auth/refresh", json!({"refresh_token": last_altered})).await;
    assert_eq!(refused, is(401, "INVALID_REFRESH_TOKEN"));
}

#[tokio::test]
async fn signing_out_needs_a_good_token() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    let tokens = bank.sign_in(PASSWORD).await;
    let access = text(&tokens["access_token"]).to_owned();
    let request = Request::post("/auth/sign-out").body(Body::empty()).unwrap();
    let (status, body, _) = bank.send(request).await;
    assert_eq!((status.as_u16(), &body["code"]), (401, &json!("UNAUTHENTICATED")));
    for token in ["token", &access[..access.len() - 4], text(&tokens["refresh_token"])] {
        assert_eq!(bank.sign_out(token).await, is(401, "INVALID_TOKEN"), "{token}");
    }
    bank.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(bank.sign_out(&access).await, is(401, "INVALID_TOKEN"), "expired");
    assert_eq!(bank.refresh(&tokens).await.0, 200);
}

#[tokio::test]
async fn an_address_is_confirmed_by_the_code_sent_to_it() {
    let bank = Bank::new(true);
    let person = bank.sign_up().await;
    let user_id = text(&person["user_id"]).parse().unwrap();
    let code = bank.outbox.code(0).await;
    let credentials = json!({"email": EMAIL, "password": PASSWORD});
    assert_eq!(bank.refused("/auth/sign-in", credentials.clone()).await, is(403, "NOT_CONFIRMED"));
    let wrong = json!({"email": EMAIL, "password": ANOTHER});
    assert_eq!(
        bank.refused("/auth/sign-in", wrong).await,
        is(401, "WRONG_CREDENTIALS"),
        "no word of it to others"
    );
    assert_eq!(bank.identity.email_address(user_id).await.unwrap(), None);
    let other = if code == "00000000" { "00000001" } else { "00000000" };
    for (email, code) in [(EMAIL, other), ("eve@example.org", code.as_str()), (EMAIL, ""), (EMAIL, "code")] {
        let refused = bank.refused("/auth/confirm", json!({"email": email, "code": code})).await;
        assert_eq!(refused, is(422, "INVALID_CODE"), "{email} {code}");
    }
    assert_eq!(bank.refused("/auth/confirm", json!({"email": EMAIL, "code": code})).await, is(204, ""));
    assert_eq!(
        bank.refused("/auth/confirm", json!({"email": EMAIL, "code": code})).await,
        is(422, "INVALID_CODE")
    );
    assert_eq!(bank.identity.email_address(user_id).await.unwrap().as_deref(), Some(EMAIL));
    bank.sign_in(PASSWORD).await;
}

#[tokio::test]
async fn a_new_code_is_sent_by_a_sign_in_that_is_right_but_for_it() {
    let bank = Bank::new(true);
    bank.sign_up().await;
    let first = bank.outbox.code(0).await;
    let credentials = json!({"email": EMAIL, "password": PASSWORD});
    bank.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(
        bank.refused("/auth/confirm", json!({"email": EMAIL, "code": first})).await,
        is(422, "INVALID_CODE")
    );
    for _ in 0..3 {
        assert_eq!(bank.refused("/auth/sign-in", credentials.clone()).await, is(403, "NOT_CONFIRMED"));
    }
    let second = bank.outbox.code(1).await;
    assert_eq!(bank.refused("/auth/confirm", json!({"email": EMAIL, "code": second})).await, is(204, ""));
    assert_eq!(bank.outbox.count(), 2, "one letter a minute");
}

#[tokio::test]
async fn a_code_may_be_tried_five_times() {
    let bank = Bank::new(true);
    bank.sign_up().await;
    let code = bank.outbox.code(0).await;
    for _ in 0..5 {
        let refused = bank.refused("/auth/confirm", json!({"email": EMAIL, "code": "wrong"})).await;
        assert_eq!(refused, is(422, "INVALID_CODE"));
    }
    let refused = bank.refused("/auth/confirm", json!({"email": EMAIL, "code": code})).await;
    assert_eq!(refused, is(422, "INVALID_CODE"), "the right one comes too late");
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_and_ends_all_sessions() {
    let bank = Bank::new(true);
    bank.sign_up().await;
    let code = bank.outbox.code(0).await;
    assert_eq!(bank.refused("/auth/confirm", json!({"email": EMAIL, "code": code})).await, is(204, ""));
    let sessions = [bank.sign_in(PASSWORD).await, bank.sign_in(PASSWORD).await];
    for email in ["eve@example.org", EMAIL] {
        assert_eq!(
            bank.refused("/auth/forgot-password", json!({"email": email})).await,
            is(204, ""),
            "{email}"
        );
    }
    let code = bank.outbox.code(1).await;
    assert_eq!(bank.outbox.count(), 2, "nothing is sent to an unknown address");
    let reset = |email: &str, code: &str| json!({"email": email, "code": code, "new_password": ANOTHER});
    for (email, code) in [(EMAIL, "wrong"), ("eve@example.org", code.as_str())] {
        assert_eq!(bank.refused("/auth/reset-password", reset(email, code)).await, is(422, "INVALID_CODE"));
    }
    let refused = bank.refused("/auth/confirm", json!({"email": EMAIL, "code": code})).await;
    assert_eq!(refused, is(422, "INVALID_CODE"), "a code is for one purpose");
    assert_eq!(bank.refused("/auth/reset-password", reset(EMAIL, &code)).await, is(204, ""));
    assert_eq!(bank.refused("/auth/reset-password", reset(EMAIL, &code)).await, is(422, "INVALID_CODE"));
    for session in &sessions {
        assert_eq!(bank.refresh(session).await.0, 401);
    }
    let old = bank.refused("/auth/sign-in", json!({"email": EMAIL, "password": PASSWORD})).await;
    assert_eq!(old, is(401, "WRONG_CREDENTIALS"));
    bank.sign_in(ANOTHER).await;
}

#[tokio::test]
async fn without_a_mailer_a_forgotten_password_is_answered_alike() {
    let bank = Bank::new(false);
    bank.sign_up().await;
    for email in ["eve@example.org", EMAIL] {
        assert_eq!(bank.refused("/auth/forgot-password", json!({"email": email})).await, is(204, ""));
    }
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_tried_three_times() {
    let bank = Bank::new(true);
    *bank.outbox.refusals.lock().unwrap() = 2;
    bank.sign_up().await;
    // Time is paused, so this sleep passes as soon as every other task only waits.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let tries = bank.outbox.tries.lock().unwrap().clone();
    assert_eq!((tries.len(), bank.outbox.count()), (3, 1));
    assert!(tries.iter().all(|letter_id| *letter_id == tries[0]), "it is the same letter each time");
}

#[tokio::test]
async fn an_operator_is_one_from_her_next_token_on() {
    let bank = Bank::new(false);
    let email = EMAIL.parse().unwrap();
    let refused = bank.identity.add_operator(&email).await;
    assert!(matches!(refused, Err(Refusal::Rejected(identity::UnknownUser))), "{refused:?}");
    bank.sign_up().await;
    let before = bank.sign_in(PASSWORD).await;
    bank.identity.add_operator(&email).await.unwrap();
    bank.identity.add_operator(&email).await.unwrap();
    assert_eq!(bank.identity.find_user(&email).await.unwrap().unwrap().groups, ["operators"]);
    let groups =
        |tokens: &Value| bank.identity.verifier().read(text(&tokens["access_token"])).unwrap().groups;
    assert!(groups(&before).is_empty());
    assert_eq!(groups(&bank.refresh(&before).await.1), ["operators"]);
    assert_eq!(groups(&bank.sign_in(PASSWORD).await), ["operators"]);
}

#[tokio::test]
async fn who_is_an_operator_no_more_is_none_from_her_next_token_on() {
    let bank = Bank::new(false);
    let email = EMAIL.parse().unwrap();
    let refused = bank.identity.remove_operator(&email).await;
    assert!(matches!(refused, Err(Refusal::Rejected(identity::UnknownUser))), "{refused:?}");
    bank.sign_up().await;
    bank.identity.add_operator(&email).await.unwrap();
    let as_operator = bank.sign_in(PASSWORD).await;
    for _ in 0..2 {
        assert!(bank.identity.remove_operator(&email).await.unwrap().groups.is_empty());
    }
    let (status, refreshed) = bank.refresh(&as_operator).await;
    assert_eq!(status, 200, "she stays signed in");
    for tokens in [refreshed, bank.sign_in(PASSWORD).await] {
        let claims = bank.identity.verifier().read(text(&tokens["access_token"])).unwrap();
        assert!(claims.groups.is_empty(), "{claims:?}");
    }
}

#[tokio::test]
async fn the_public_keys_name_the_key_of_a_token_and_nothing_private() {
    let bank = Bank::new(false);
    let request = Request::get("/.well-known/jwks.json").body(Body::empty()).unwrap();
    let (status, body, _) = bank.send(request).await;
    assert_eq!(status, 200);
    let names: Vec<&String> = body["keys"][0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    bank.sign_up().await;
    let tokens = bank.sign_in(PASSWORD).await;
    let header = jsonwebtoken::decode_header(text(&tokens["access_token"])).unwrap();
    assert_eq!(header.kid.as_deref(), body["keys"][0]["kid"].as_str());
    let key = &body["keys"][0];
    let key = jsonwebtoken::DecodingKey::from_rsa_components(text(&key["n"]), text(&key["e"])).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.validate_exp = false;
    let claims =
        jsonwebtoken::decode::<Value>(text(&tokens["access_token"]), &key, &validation).unwrap().claims;
    assert_eq!((&claims["token_use"], &claims["iss"]), (&json!("access"), &json!(ISSUER)));
}

#[tokio::test]
async fn no_secret_is_stored() {
    let bank = Bank::new(true);
    bank.sign_up().await;
    let code = bank.outbox.code(0).await;
    let stored = |items: Vec<ports::Item>| items.into_iter().map(|item| item.body).collect::<String>();
    let mut all = stored(bank.store.scan(identity::TABLES[0], None, 1000).await.unwrap().items);
    bank.refused("/auth/confirm", json!({"email": EMAIL, "code": code})).await;
    let tokens = bank.sign_in(PASSWORD).await;
    bank.refused("/auth/sign-in", json!({"email": EMAIL, "password": ANOTHER})).await;
    for table in identity::TABLES {
        all += &stored(bank.store.scan(*table, None, 1000).await.unwrap().items);
    }
    assert!(all.contains("$argon2id$") && all.contains("failures"), "the scan sees what it should");
    for secret in [PASSWORD, ANOTHER, &code, text(&tokens["refresh_token"]), text(&tokens["access_token"])] {
        assert!(!all.contains(secret));
    }
}
