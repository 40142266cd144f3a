//! Tokens that must not open anything.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{Claims, Keys, Tokens};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ports::PublicKey;
use serde_json::{Value, json};

use super::bank::{Bank, ISSUER, Person};

/// Values of the header `Authorization` that are each almost this person's, with what is wrong with them. Those that say
/// something else than her token does make her an operator.
pub fn forged(bank: &Bank, person: &Person) -> Vec<(&'static str, String)> {
    let tokens = bank.world.identity.verifier();
    let token = person.token.as_str();
    let [head, body, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let claims = Claims { groups: vec![web::OPERATORS.to_owned()], ..tokens.read(token).unwrap() };
    let expired = Claims { iat: claims.iat - 3_600, exp: claims.iat - 1, ..claims.clone() };
    let (kid, own_key) = tokens.keys().signing();
    let header = |algorithm| Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    let rs256 = header(Algorithm::RS256);
    let PublicKey { key_id, modulus, exponent } = tokens.keys().public()[0].clone();
    let public =
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key_id, "n": modulus, "e": exponent});
    let public = public.to_string();
    let symmetric =
        |secret: &[u8]| encode(&header(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret));
    let none = part(&json!({"alg": "none", "typ": "JWT", "kid": kid}));
    let raised = part(&serde_json::to_value(&claims).unwrap());
    let others = Tokens::new(Keys::ephemeral().unwrap(), ISSUER, bank.world.sources.clone());
    let (others_kid, others_key) = others.keys().signing();
    let others_header = Header { kid: Some(others_kid.to_owned()), ..Header::new(Algorithm::RS256) };

    let mut forged: Vec<(&str, String)> = [
        ("nothing", String::new()),
        ("garbage", "garbage".to_owned()),
        ("cut short", token[..token.len() - 5].to_owned()),
        ("without its signature", format!("{head}.{body}.")),
        ("with other claims", format!("{head}.{raised}.{signature}")),
        ("alg none", format!("{none}.{raised}.")),
        ("alg none, with a signature", format!("{none}.{raised}.{signature}")),
        ("HS256 with the public key as the secret", symmetric(public.as_bytes()).unwrap()),
        ("HS256 with the modulus as the secret", symmetric(modulus.as_bytes()).unwrap()),
        ("of another bank", encode(&others_header, &claims, others_key).unwrap()),
        ("of another bank's key by our key's name", encode(&rs256, &claims, others_key).unwrap()),
        ("expired", encode(&rs256, &expired, own_key).unwrap()),
    ]
    .map(|(what, token)| (what, format!("Bearer {token}")))
    .into();
    forged.push(("of another scheme", format!("Basic {token}")));
    forged.push(("without a scheme", token.to_owned()));
    forged
}

/// That the forger of the table could have made a good token, had it the bank's key: what is refused is the forgery.
#[tokio::test]
async fn what_is_forged_from_is_good() {
    let bank = Bank::open().await;
    let ada = bank.person("ada").await;
    let tokens = bank.world.identity.verifier();
    let (kid, key) = tokens.keys().signing();
    let claims = Claims { groups: vec![web::OPERATORS.to_owned()], ..tokens.read(&ada.token).unwrap() };
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
    let token = encode(&header, &claims, key).unwrap();
    bank.get("/ops/queues").by(&ada).send().await.problem(403);
    bank.get("/ops/queues").by(&Person { token, ..ada }).send().await.must_be(200);
    bank.close().await;
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
