//! Access tokens: JSON Web Tokens (RFC 7519) signed with RS256, good for a quarter of an hour, with claims like those
//! of a Cognito access token.
//!
//! A token is verified by its signature alone, without the store. So one that was handed out is good until it
//! expires, also where its session ended in the meantime: that is the price of not asking for every request.
//!
//! Absent on purpose: any algorithm but RS256, audiences, scopes, and leeway in time, since the clock that signs is
//! the clock that verifies.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use kernel::{SessionId, Timestamp, UserId};
use ports::Sources;
use runtime::Fault;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use web::{Principal, Refused, Verifier};

use crate::domain::OPERATORS;
use crate::keys::Keys;

/// How long a person's token is good; then she refreshes it.
pub const ACCESS_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long the command line's token is good: one command.
const COMMAND_LIFETIME: Duration = Duration::from_secs(2 * 60);
/// What an access token is for, as Cognito says it.
const ACCESS: &str = "access";

/// What an access token says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The bank.
    pub iss: String,
    /// The person.
    pub sub: UserId,
    /// `access`, in tokens of this kind.
    pub token_use: String,
    /// When it was made, in seconds.
    pub iat: i64,
    /// When it expires, in seconds.
    pub exp: i64,
    /// Its own name.
    pub jti: Uuid,
    /// The person's groups when it was made.
    #[serde(rename = "cognito:groups", default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The session it belongs to; none for the command line's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
}

/// Makes and verifies access tokens. Clones share the keys.
#[derive(Clone)]
pub struct Tokens {
    keys: Arc<Keys>,
    issuer: Arc<str>,
    sources: Sources,
}

impl Tokens {
    /// Tokens of this issuer, made and verified by these keys.
    pub fn new(keys: Keys, issuer: &str, sources: Sources) -> Self {
        Self { keys: Arc::new(keys), issuer: issuer.into(), sources }
    }

    /// The keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A token for a session. It takes about a millisecond of computing, as signing with RSA does.
    pub fn mint(&self, user_id: UserId, groups: Vec<String>, session_id: SessionId) -> Result<String, Fault> {
        let claims = claims(&self.issuer, user_id, groups, Some(session_id), ACCESS_LIFETIME, &self.sources);
        sign(&self.keys, &claims)
    }

    /// What a token says, if it is one of ours that is good now.
    ///
    /// # Errors
    /// [`Refused`] otherwise.
    pub fn read(&self, token: &str) -> Result<Claims, Refused> {
        let header = decode_header(token).map_err(|_| Refused::Invalid)?;
        // Extensions that must be understood are not (RFC 7515, section 4.1.11).
        if header.alg != Algorithm::RS256 || header.crit.is_some() {
            return Err(Refused::Invalid);
        }
        let key = header.kid.and_then(|kid| self.keys.verifying(&kid)).ok_or(Refused::Invalid)?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["iss", "sub", "exp"]);
        // The time is compared below, with the clock that all of the bank goes by.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, key, &validation).map_err(|_| Refused::Invalid)?.claims;
        if claims.token_use != ACCESS {
            return Err(Refused::Invalid);
        }
        if claims.exp <= self.sources.now().as_seconds() { Err(Refused::Expired) } else { Ok(claims) }
    }
}

impl Verifier for Tokens {
    fn verify(&self, token: &str) -> Result<(Principal, Timestamp), Refused> {
        let claims = self.read(token)?;
        let expires_at = Timestamp::from_millis(claims.exp.saturating_mul(1_000));
        Ok((Principal { user_id: claims.sub, groups: claims.groups }, expires_at))
    }
}

/// A token for the command line of whoever has the data directory in hand: an operator's, good for one command. It
/// belongs to no person and no session, and needs no store.
///
/// # Errors
/// When the token cannot be signed.
pub fn mint_operator_token(keys: &Keys, issuer: &str, sources: &Sources) -> Result<String, Fault> {
    let nobody = UserId::new(Uuid::nil());
    sign(keys, &claims(issuer, nobody, vec![OPERATORS.to_owned()], None, COMMAND_LIFETIME, sources))
}

fn claims(
    issuer: &str,
    sub: UserId,
    groups: Vec<String>,
    sid: Option<SessionId>,
    lifetime: Duration,
    sources: &Sources,
) -> Claims {
    let now = sources.now();
    let (iat, exp) = (now.as_seconds(), (now + lifetime).as_seconds());
    Claims {
        iss: issuer.to_owned(),
        sub,
        token_use: ACCESS.to_owned(),
        iat,
        exp,
        jti: sources.fresh_id(),
        groups,
        sid,
    }
}

fn sign(keys: &Keys, claims: &Claims) -> Result<String, Fault> {
    let (kid, key) = keys.signing();
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
    encode(&header, claims, key)
        .map_err(|error| Fault::Internal(format!("a token could not be signed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::EncodingKey;
    use memory::TestClock;
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;
    use serde_json::{Value, json};

    const ISSUER: &str = "http://bank.example";

    fn tokens() -> (Tokens, TestClock) {
        let (sources, clock) = memory::sources();
        (Tokens::new(Keys::ephemeral().unwrap(), ISSUER, sources), clock)
    }

    fn ada() -> (UserId, SessionId) {
        (UserId::new(Uuid::max()), SessionId::new(Uuid::nil()))
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    /// A token with the keys' own signature over whatever header and claims.
    fn forge(tokens: &Tokens, change: impl FnOnce(&mut Header, &mut Value)) -> String {
        let (ada, session_id) = ada();
        let sound = claims(ISSUER, ada, Vec::new(), Some(session_id), ACCESS_LIFETIME, &tokens.sources);
        let (kid, key) = tokens.keys.signing();
        let mut header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
        let mut claims = serde_json::to_value(sound).unwrap();
        change(&mut header, &mut claims);
        encode(&header, &claims, key).unwrap()
    }

    #[tokio::test]
    async fn a_token_says_what_it_was_made_with() {
        let (tokens, _) = tokens();
        let (user_id, session_id) = ada();
        let token = tokens.mint(user_id, vec![OPERATORS.to_owned()], session_id).unwrap();
        let claims = tokens.read(&token).unwrap();
        assert_eq!((claims.sub, claims.sid, claims.exp - claims.iat), (user_id, Some(session_id), 900));
        assert_eq!((claims.iss.as_str(), claims.token_use.as_str()), (ISSUER, "access"));
        let (principal, expires_at) = tokens.verify(&token).unwrap();
        assert_eq!(principal, Principal { user_id, groups: vec![OPERATORS.to_owned()] });
        assert_eq!(expires_at.as_seconds(), claims.exp);
        assert_eq!(decode_header(&token).unwrap().kid.as_deref(), Some(tokens.keys.signing().0));
    }

    #[tokio::test]
    async fn a_token_expires() {
        let (tokens, clock) = tokens();
        let (user_id, session_id) = ada();
        let token = tokens.mint(user_id, Vec::new(), session_id).unwrap();
        clock.advance(ACCESS_LIFETIME - Duration::from_secs(2));
        assert!(tokens.read(&token).is_ok());
        clock.advance(Duration::from_secs(2));
        assert_eq!(tokens.read(&token), Err(Refused::Expired));
    }

    #[tokio::test]
    async fn the_command_lines_token_is_an_operators_for_two_minutes() {
        let (tokens, clock) = tokens();
        let token = mint_operator_token(&tokens.keys, ISSUER, &tokens.sources).unwrap();
        let (principal, _) = tokens.verify(&token).unwrap();
        assert!(principal.is_in(web::OPERATORS));
        clock.advance(COMMAND_LIFETIME);
        assert_eq!(tokens.verify(&token), Err(Refused::Expired));
    }

    #[tokio::test]
    async fn forged_tokens_are_refused() {
        let (tokens, _) = tokens();
        let sound = forge(&tokens, |_, _| {});
        assert!(tokens.read(&sound).is_ok(), "what the others are altered from");
        let pieces: Vec<&str> = sound.split('.').collect();
        let (head, body, signature) = (pieces[0], pieces[1], pieces[2]);
        let kid = tokens.keys.signing().0;
        let key = &tokens.keys.public()[0];
        let public = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": key.modulus, "e": key.exponent});
        let as_secret = EncodingKey::from_secret(public.to_string().as_bytes());
        let hs256 = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
        let claims: Claims = tokens.read(&sound).unwrap();
        let other = Tokens::new(Keys::ephemeral().unwrap(), ISSUER, tokens.sources.clone());
        let none = part(&json!({"alg": "none", "typ": "JWT", "kid": kid}));
        let mut altered = serde_json::to_value(&claims).unwrap();
        altered["cognito:groups"] = json!([OPERATORS]);
        let table = [
            ("nothing", String::new()),
            ("dots", "..".to_owned()),
            ("no token", "token".to_owned()),
            ("cut short", sound[..sound.len() - 5].to_owned()),
            ("no signature", format!("{head}.{body}.")),
            ("two parts", format!("{head}.{body}")),
            ("four parts", format!("{sound}.{signature}")),
            ("alg none", format!("{none}.{body}.")),
            ("alg none, signed", format!("{none}.{body}.{signature}")),
            ("other claims", format!("{head}.{}.{signature}", part(&altered))),
            ("HS256 with the public key", encode(&hs256, &claims, &as_secret).unwrap()),
            ("RS512", forge(&tokens, |header, _| header.alg = Algorithm::RS512)),
            ("no kid", forge(&tokens, |header, _| header.kid = None)),
            ("unknown kid", forge(&tokens, |header, _| header.kid = Some("other".to_owned()))),
            ("another bank's key", forge(&other, |_, _| {})),
            ("another key by our name", forge(&other, |header, _| header.kid = Some(kid.to_owned()))),
            ("critical extension", forge(&tokens, |header, _| header.crit = Some(vec!["exp".to_owned()]))),
            ("another issuer", forge(&tokens, |_, claims| claims["iss"] = json!("http://eve.example"))),
            ("an audience", forge(&tokens, |_, claims| claims["aud"] = json!("somebody else"))),
            ("an id token", forge(&tokens, |_, claims| claims["token_use"] = json!("id"))),
            ("no subject of ours", forge(&tokens, |_, claims| claims["sub"] = json!("root"))),
            ("no expiry", forge(&tokens, |_, claims| claims["exp"] = Value::Null)),
            ("expiry as text", forge(&tokens, |_, claims| claims["exp"] = json!("9999999999"))),
            ("expiry beyond numbers", forge(&tokens, |_, claims| claims["exp"] = json!(1e30))),
        ];
        for (given, token) in table {
            assert_eq!(tokens.read(&token), Err(Refused::Invalid), "{given}");
        }
    }

    /// One bank's keys for all cases: making them takes longer than thousands of tokens.
    #[test]
    fn no_other_text_is_a_token() {
        let (tokens, _) = tokens();
        let (user_id, session_id) = ada();
        let sound = tokens.mint(user_id, vec![OPERATORS.to_owned()], session_id).unwrap();
        // Each byte of a token counts, and there is no other spelling of it.
        for at in 0..sound.len() {
            for byte in *b"AQgw_.=Z" {
                let mut bytes = sound.clone().into_bytes();
                if std::mem::replace(&mut bytes[at], byte) != byte {
                    let changed = String::from_utf8(bytes).unwrap();
                    assert_eq!(tokens.read(&changed), Err(Refused::Invalid), "byte {at} is {byte}");
                }
            }
            assert_eq!(tokens.read(&sound[..at]), Err(Refused::Invalid), "cut at {at}");
        }
        const WORD: &str = "[A-Za-z0-9_-]{0,40}";
        let joined = (WORD, WORD, WORD).prop_map(|(head, body, end)| format!("{head}.{body}.{end}"));
        let signature = sound.rsplit_once('.').unwrap().1.to_owned();
        let json = (conformance::records::any_json(), conformance::records::any_json())
            .prop_map(move |(head, body)| format!("{}.{}.{signature}", part(&head), part(&body)));
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_048) };
        let read =
            TestRunner::new(config).run(&prop_oneof!["[ -~]{0,40}", ".{0,30}", joined, json], |token| {
                prop_assert_eq!(tokens.read(&token), Err(Refused::Invalid));
                Ok(())
            });
        assert_eq!(read, Ok(()));
    }
}
