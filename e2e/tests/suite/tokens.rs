//! Tokens that somebody made, cut or borrowed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::{Api, Person};
use serde_json::{Value, json};

/// The three parts of a token: header, claims, signature.
fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    match parts.try_into() {
        Ok(parts) => parts,
        Err(parts) => panic!("a token has three parts, not {}", Vec::<&str>::len(&parts)),
    }
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap_or_default()).unwrap_or_default()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[test]
fn a_token_of_ones_own_making_is_refused() {
    let api = Api::from_environment();
    let (person, victim) = (Person::sign_up(&api), Person::sign_up(&api));
    let [header, claims, signature] = parts(&person.access_token);
    let [_, victims_claims, _] = parts(&victim.access_token);
    let mut raised = decoded(claims);
    raised["groups"] = json!(["operators"]);
    raised["cognito:groups"] = json!(["operators"]);
    let mut eternal = decoded(claims);
    eternal["exp"] = json!(4_102_444_800_u64);
    let mut symmetric = decoded(header);
    symmetric["alg"] = json!("HS256");
    let none = |name: &str| encoded(&json!({"alg": name, "typ": "JWT"}));

    for (what, token) in [
        ("another's claims", format!("{header}.{victims_claims}.{signature}")),
        ("more rights", format!("{header}.{}.{signature}", encoded(&raised))),
        ("a longer life", format!("{header}.{}.{signature}", encoded(&eternal))),
        ("no algorithm", format!("{}.{victims_claims}.", none("none"))),
        ("no algorithm, in capitals", format!("{}.{victims_claims}.", none("NONE"))),
        ("no algorithm, but a signature", format!("{}.{victims_claims}.{signature}", none("none"))),
        ("a symmetric algorithm", format!("{}.{victims_claims}.{signature}", encoded(&symmetric))),
        ("no signature", format!("{header}.{claims}.")),
        ("two parts", format!("{header}.{claims}")),
        ("four parts", format!("{}.{signature}", person.access_token)),
        ("a cut signature", person.access_token[..person.access_token.len() - 8].to_owned()),
        ("a cut beginning", person.access_token[1..].to_owned()),
        ("a refresh token", person.refresh_token.clone()),
        ("nothing", String::new()),
        ("a word", "token".to_owned()),
        ("far too much", "x".repeat(6_000)),
    ] {
        let answer = api.get("/accounts").bearer(&token).send();
        assert!(matches!(answer.status, 401 | 431), "{what} was answered with {}", answer.status);
        if answer.status == 401 {
            let problem = answer.problem(&[401]);
            assert!(
                token.is_empty() || !problem.to_string().contains(&token) || token == "token",
                "{what}: {problem}"
            );
        }
    }
    // The real ones still work: nothing above was remembered against or for them.
    person.get("/accounts").send().must_be(200);
    victim.get("/accounts").send().must_be(200);
}

#[test]
fn only_the_bearer_scheme_is_taken() {
    let person = Person::sign_up(&Api::from_environment());
    for value in [
        format!("Basic {}", person.access_token),
        format!("Bearer{}", person.access_token),
        "Bearer".to_owned(),
    ] {
        person.api.get("/accounts").header("authorization", value).send().problem(&[401]);
    }
    let in_query = format!("/accounts?access_token={}", person.access_token);
    person.api.get(in_query).send().problem(&[400, 401, 422]);
}

#[test]
fn a_token_is_signed_with_a_key_of_the_published_set() {
    let person = Person::sign_up(&Api::from_environment());
    let header = decoded(parts(&person.access_token)[0]);
    assert_eq!(header["alg"], "RS256");
    let keys = person.api.get("/.well-known/jwks.json").send().must_be(200).json();
    let kids: Vec<&Value> = keys["keys"].as_array().into_iter().flatten().map(|key| &key["kid"]).collect();
    assert!(kids.contains(&&header["kid"]), "{} is not in {kids:?}", header["kid"]);
}

#[test]
fn a_token_names_its_person_and_says_nothing_of_her_password() {
    let person = Person::sign_up(&Api::from_environment());
    let claims = decoded(parts(&person.access_token)[1]);
    assert_eq!(claims["sub"], person.user_id.as_str());
    assert!(claims["exp"].as_u64() > claims["iat"].as_u64(), "{claims}");
    assert!(!claims.to_string().contains(&person.password));
}
