//! Routes in: everything under `/auth`, and `/.well-known/jwks.json`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use kernel::{Email, UserId};
use ports::{IdentityProvider, IdentityRejection, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::{Body, Problem, Signed};

use crate::problems;
use crate::strength::Strength;

web::problems! {
    /// What signing up may be refused with.
    SignUpProblems: BAD_REQUEST, CONFLICT, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNPROCESSABLE_ENTITY;
    /// What signing in may be refused with.
    SignInProblems: BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNPROCESSABLE_ENTITY;
    /// What refreshing may be refused with.
    RefreshProblems: BAD_REQUEST, UNAUTHORIZED, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNPROCESSABLE_ENTITY;
    /// What signing out may be refused with.
    SignOutProblems: BAD_REQUEST, UNAUTHORIZED;
    /// What a code may be refused with, or the request for one.
    CodeProblems: BAD_REQUEST, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNPROCESSABLE_ENTITY;
    /// What reading the keys may be refused with.
    KeysProblems: BAD_REQUEST;
}

/// What the routes stand on.
#[derive(Clone)]
struct Edge {
    provider: Arc<dyn IdentityProvider>,
    strength: Strength,
}

/// Identity's routes, over whoever keeps the people.
pub fn routes(provider: Arc<dyn IdentityProvider>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(sign_up))
        .routes(routes!(confirm))
        .routes(routes!(sign_in))
        .routes(routes!(refresh))
        .routes(routes!(sign_out))
        .routes(routes!(sign_out_everywhere))
        .routes(routes!(forgot_password))
        .routes(routes!(reset_password))
        .routes(routes!(keys))
        .with_state(Edge { provider, strength: Strength::new() })
}

/// An address and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[schema(example = "ada@example.org", format = Email, max_length = 254)]
    email: String,
    /// 8 to 128 characters that are not easy to guess.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128, example = "correct horse battery staple")]
    password: Secret,
}

/// An address and the code that was sent to it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    #[schema(example = "ada@example.org", format = Email, max_length = 254)]
    email: String,
    /// The digits of the letter.
    #[schema(value_type = String, example = "12345678")]
    code: Secret,
}

/// An address whose password was forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ForgottenPassword {
    #[schema(example = "ada@example.org", format = Email, max_length = 254)]
    email: String,
}

/// An address, the code that was sent to it, and the password from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[schema(example = "ada@example.org", format = Email, max_length = 254)]
    email: String,
    /// The digits of the letter.
    #[schema(value_type = String, example = "12345678")]
    code: Secret,
    /// 8 to 128 characters that are not easy to guess.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128, example = "correct horse battery staple")]
    new_password: Secret,
}

/// The token to go on with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshRequest {
    /// The last one that was received.
    #[schema(value_type = String)]
    refresh_token: Secret,
}

/// A person who signed up.
#[derive(Serialize, ToSchema)]
struct SignedUp {
    #[schema(value_type = String)]
    user_id: UserId,
    /// The address as the bank knows it, in lower case.
    #[schema(value_type = String, example = "ada@example.org")]
    email: Email,
}

/// What a person who is signed in gets. Both tokens are for her alone.
#[derive(Serialize, ToSchema)]
struct SignedIn {
    /// To be sent as `Authorization: Bearer …`.
    access_token: String,
    /// The kind of the access token, `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long the access token is good, in seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// Good once, for the next access and refresh tokens, as long as the session lasts.
    refresh_token: String,
}

impl From<ports::SignedIn> for SignedIn {
    fn from(signed_in: ports::SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token,
            token_type: "Bearer",
            expires_in: signed_in.expires_in.as_secs(),
            refresh_token: signed_in.refresh_token,
        }
    }
}

/// A public key as a JSON Web Key (RFC 7517).
#[derive(Serialize, ToSchema)]
struct PublicKey {
    /// The key's type, `RSA`.
    #[schema(example = "RSA")]
    kty: &'static str,
    /// What it is for: signatures.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    used_for: &'static str,
    /// The algorithm of its signatures, `RS256`.
    #[schema(example = "RS256")]
    alg: &'static str,
    /// What tokens name it by.
    kid: String,
    /// The modulus, in base64url.
    n: String,
    /// The exponent, in base64url.
    e: String,
}

impl From<ports::PublicKey> for PublicKey {
    fn from(key: ports::PublicKey) -> Self {
        let ports::PublicKey { key_id, modulus, exponent } = key;
        Self { kty: "RSA", used_for: "sig", alg: "RS256", kid: key_id, n: modulus, e: exponent }
    }
}

/// All public keys (RFC 7517, section 5).
#[derive(Serialize, ToSchema)]
struct PublicKeys {
    /// The keys that tokens are verified by.
    keys: Vec<PublicKey>,
}

/// Sign up with an email address and a password.
///
/// Where the bank can send letters, the address must be confirmed by a code that is sent to it.
#[utoipa::path(post, path = "/auth/sign-up", tag = "identity", security(()), request_body = Credentials,
    responses((status = 201, body = SignedUp), SignUpProblems))]
async fn sign_up(
    State(edge): State<Edge>,
    Body(body): Body<Credentials>,
) -> Result<(StatusCode, Json<SignedUp>), Problem> {
    let email = email(&body.email)?;
    edge.strength.judge(&email, &body.password).await.map_err(problems::of)?;
    let user_id = edge.provider.sign_up(&email, &body.password).await.map_err(problems::of)?;
    Ok((StatusCode::CREATED, Json(SignedUp { user_id, email })))
}

/// Confirm an email address by the code that was sent to it.
#[utoipa::path(post, path = "/auth/confirm", tag = "identity", security(()), request_body = Confirmation,
    responses((status = 204), CodeProblems))]
async fn confirm(State(edge): State<Edge>, Body(body): Body<Confirmation>) -> Result<StatusCode, Problem> {
    edge.provider.confirm(&email(&body.email)?, &body.code).await.map_err(problems::of)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign in.
#[utoipa::path(post, path = "/auth/sign-in", tag = "identity", security(()), request_body = Credentials,
    responses((status = 200, body = SignedIn), SignInProblems))]
async fn sign_in(State(edge): State<Edge>, Body(body): Body<Credentials>) -> Result<Json<SignedIn>, Problem> {
    let signed_in = edge.provider.sign_in(&email(&body.email)?, &body.password).await;
    Ok(Json(signed_in.map_err(problems::of)?.into()))
}

/// Stay signed in: the next access token, and the next refresh token.
///
/// A refresh token is good once. An old one that is sent again may end the session, because two then have it.
#[utoipa::path(post, path = "/auth/refresh", tag = "identity", security(()), request_body = RefreshRequest,
    responses((status = 200, body = SignedIn), RefreshProblems))]
async fn refresh(
    State(edge): State<Edge>,
    Body(body): Body<RefreshRequest>,
) -> Result<Json<SignedIn>, Problem> {
    let signed_in = edge.provider.refresh(&body.refresh_token).await;
    Ok(Json(signed_in.map_err(problems::of)?.into()))
}

/// Sign out: the session of the access token ends, and the token itself is good until it expires.
#[utoipa::path(post, path = "/auth/sign-out", tag = "identity", security(("bearer" = [])),
    responses((status = 204), SignOutProblems))]
async fn sign_out(
    State(edge): State<Edge>,
    _signed: Signed,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    edge.provider.sign_out(&access_token(&headers)?).await.map_err(problems::of)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign out everywhere: all sessions of the caller end, and her access tokens are good until they expire.
#[utoipa::path(post, path = "/auth/sign-out-everywhere", tag = "identity", security(("bearer" = [])),
    responses((status = 204), SignOutProblems))]
async fn sign_out_everywhere(
    State(edge): State<Edge>,
    _signed: Signed,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    edge.provider.sign_out_everywhere(&access_token(&headers)?).await.map_err(problems::of)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The access token of a request. It was verified before, but only the token itself tells its session.
fn access_token(headers: &HeaderMap) -> Result<Secret, Problem> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.split_once(' ')).map(|(_, token)| Secret::from(token));
    token.ok_or_else(|| problems::of(IdentityRejection::InvalidAccessToken.into()))
}

/// Ask for a code to set a new password with. The answer is the same whether or not somebody has the address.
#[utoipa::path(post, path = "/auth/forgot-password", tag = "identity", security(()),
    request_body = ForgottenPassword, responses((status = 204), CodeProblems))]
async fn forgot_password(
    State(edge): State<Edge>,
    Body(body): Body<ForgottenPassword>,
) -> Result<StatusCode, Problem> {
    edge.provider.forgot_password(&email(&body.email)?).await.map_err(problems::of)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set a new password by the code that was sent to the address. All sessions of the person end.
#[utoipa::path(post, path = "/auth/reset-password", tag = "identity", security(()),
    request_body = NewPassword, responses((status = 204), CodeProblems))]
async fn reset_password(
    State(edge): State<Edge>,
    Body(body): Body<NewPassword>,
) -> Result<StatusCode, Problem> {
    let email = email(&body.email)?;
    let refused = |error| problems::of_password("new_password", error);
    edge.strength.judge(&email, &body.new_password).await.map_err(refused)?;
    edge.provider.reset_password(&email, &body.code, &body.new_password).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The public keys that access tokens are verified by (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "identity", security(()),
    responses((status = 200, body = PublicKeys), KeysProblems))]
async fn keys(State(edge): State<Edge>) -> Result<Json<PublicKeys>, Problem> {
    let keys = edge.provider.public_keys().await.map_err(problems::of)?;
    Ok(Json(PublicKeys { keys: keys.into_iter().map(PublicKey::from).collect() }))
}

fn email(text: &str) -> Result<Email, Problem> {
    text.parse().map_err(problems::invalid_email)
}
