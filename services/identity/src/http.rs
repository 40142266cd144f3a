//! Routes in: everything under `/auth`, and `/.well-known/jwks.json`.

use axum::Json;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use kernel::UserId;
use ports::Store;
use runtime::Refusal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::{Body, Problem, Refused, Signed};

use crate::Identity;
use crate::domain::{Email, Rejection};
use crate::keys::PublicKeys;
use crate::problems;
use crate::secrets::Secret;
use crate::sessions::SignedIn;

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

/// Identity's routes.
pub fn routes<S: Store>(identity: Identity<S>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(sign_up))
        .routes(routes!(confirm))
        .routes(routes!(sign_in))
        .routes(routes!(refresh))
        .routes(routes!(sign_out))
        .routes(routes!(forgot_password))
        .routes(routes!(reset_password))
        .routes(routes!(keys))
        .with_state(identity)
}

/// An address and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[schema(example = "ada@example.org")]
    email: String,
    /// 8 to 128 characters that are not easy to guess.
    #[schema(value_type = String, format = Password, example = "correct horse battery staple")]
    password: Secret,
}

/// An address and the code that was sent to it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    #[schema(example = "ada@example.org")]
    email: String,
    /// The eight digits of the letter.
    #[schema(value_type = String, example = "12345678")]
    code: Secret,
}

/// An address whose password was forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ForgottenPassword {
    #[schema(example = "ada@example.org")]
    email: String,
}

/// An address, the code that was sent to it, and the password from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[schema(example = "ada@example.org")]
    email: String,
    /// The eight digits of the letter.
    #[schema(value_type = String, example = "12345678")]
    code: Secret,
    /// 8 to 128 characters that are not easy to guess.
    #[schema(value_type = String, format = Password, example = "correct horse battery staple")]
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

/// Sign up with an email address and a password.
///
/// Where the bank can send letters, the address must be confirmed by a code that is sent to it.
#[utoipa::path(post, path = "/auth/sign-up", tag = "identity", security(()), request_body = Credentials,
    responses((status = 201, body = SignedUp), SignUpProblems))]
async fn sign_up<S: Store>(
    State(identity): State<Identity<S>>,
    Body(body): Body<Credentials>,
) -> Result<(StatusCode, Json<SignedUp>), Problem> {
    let person = identity.sign_up(&email(&body.email)?, &body.password).await?;
    Ok((StatusCode::CREATED, Json(SignedUp { user_id: person.user_id, email: person.email })))
}

/// Confirm an email address by the code that was sent to it.
#[utoipa::path(post, path = "/auth/confirm", tag = "identity", security(()), request_body = Confirmation,
    responses((status = 204), CodeProblems))]
async fn confirm<S: Store>(
    State(identity): State<Identity<S>>,
    Body(body): Body<Confirmation>,
) -> Result<StatusCode, Problem> {
    identity.confirm(&email(&body.email)?, &body.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sign in.
#[utoipa::path(post, path = "/auth/sign-in", tag = "identity", security(()), request_body = Credentials,
    responses((status = 200, body = SignedIn), SignInProblems))]
async fn sign_in<S: Store>(
    State(identity): State<Identity<S>>,
    Body(body): Body<Credentials>,
) -> Result<Json<SignedIn>, Problem> {
    Ok(Json(identity.sign_in(&email(&body.email)?, &body.password).await?))
}

/// Stay signed in: the next access token, and the next refresh token.
///
/// A refresh token is good once. An old one that is sent again ends the session, because two then have it.
#[utoipa::path(post, path = "/auth/refresh", tag = "identity", security(()), request_body = RefreshRequest,
    responses((status = 200, body = SignedIn), RefreshProblems))]
async fn refresh<S: Store>(
    State(identity): State<Identity<S>>,
    Body(body): Body<RefreshRequest>,
) -> Result<Json<SignedIn>, Problem> {
    Ok(Json(identity.refresh(&body.refresh_token).await?))
}

/// Sign out: the session of the access token ends, and the token itself is good until it expires.
#[utoipa::path(post, path = "/auth/sign-out", tag = "identity", security(("bearer" = [])),
    responses((status = 204), SignOutProblems))]
async fn sign_out<S: Store>(
    State(identity): State<Identity<S>>,
    _signed: Signed,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    // The token was verified before, but only the token itself tells its session.
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.split_once(' ')).map(|(_, token)| token);
    let claims = token.ok_or(Refused::Invalid).and_then(|token| identity.verifier().read(token));
    let claims = claims
        .map_err(|refused| Problem::new(StatusCode::UNAUTHORIZED, "INVALID_TOKEN", refused.to_string()))?;
    identity.sign_out(&claims).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for a code to set a new password with. The answer is the same whether or not somebody has the address.
#[utoipa::path(post, path = "/auth/forgot-password", tag = "identity", security(()),
    request_body = ForgottenPassword, responses((status = 204), CodeProblems))]
async fn forgot_password<S: Store>(
    State(identity): State<Identity<S>>,
    Body(body): Body<ForgottenPassword>,
) -> Result<StatusCode, Problem> {
    identity.forgot_password(email(&body.email)?)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set a new password by the code that was sent to the address. All sessions of the person end.
#[utoipa::path(post, path = "/auth/reset-password", tag = "identity", security(()),
    request_body = NewPassword, responses((status = 204), CodeProblems))]
async fn reset_password<S: Store>(
    State(identity): State<Identity<S>>,
    Body(body): Body<NewPassword>,
) -> Result<StatusCode, Problem> {
    let reset = identity.reset_password(&email(&body.email)?, &body.code, &body.new_password).await;
    reset.map_err(|refusal| match refusal {
        Refusal::Rejected(rejection) => problems::of_new_password(rejection),
        refusal => refusal.into(),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// The public keys that access tokens are verified by (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "identity", security(()),
    responses((status = 200, body = PublicKeys), KeysProblems))]
async fn keys<S: Store>(State(identity): State<Identity<S>>) -> Json<PublicKeys> {
    Json(identity.public_keys().clone())
}

fn email(text: &str) -> Result<Email, Problem> {
    text.parse().map_err(|error| Rejection::InvalidEmail(error).into())
}
