//! A Cognito user pool as the keeper of the bank's people.
//!
//! People are known by their address, which is the pool's user name; the subject that Cognito gives them is their id.
//! The app client is public and has no secret: it would only tell Cognito that a function of the bank is asking, and
//! each cold start would have to read it.
//!
//! Where this differs from the bank's own keeping:
//! - Signing out ends all sessions of the person (GlobalSignOut), because a single one is ended by its refresh token only
//!   and the route has none.
//! - Of an address that is not confirmed it is told so whatever password comes with it, and its password cannot be reset.
//! - A refresh token that was used is refused and the session goes on, where the app client rotates tokens; where it
//!   does not, the token stays good.
//! - A sign-up whose answer was lost and that the SDK sent again says that the address is taken. It is: by her.
//!
//! Absent on purpose: challenges. Whoever Cognito asks for a second factor or to replace a password that an
//! administrator gave her cannot sign in here.

mod directory;
mod public_keys;
mod refusals;

use std::str::FromStr;
use std::time::Duration;

use aws_sdk_cognitoidentityprovider::config::timeout::TimeoutConfig;
use aws_sdk_cognitoidentityprovider::error::ProvideErrorMetadata;
use aws_sdk_cognitoidentityprovider::types::{AttributeType, AuthFlowType, AuthenticationResultType};
use aws_sdk_cognitoidentityprovider::{Client, Config};
use kernel::{Email, UserId};
use ports::{Answer, Fault, IdentityError, IdentityProvider, IdentityRejection, PublicKey, Secret, SignedIn};

use crate::Connection;
use public_keys::PublicKeys;
use refusals::Call;

pub use directory::CognitoDirectory;

/// The attribute of a person's address, and whether she has shown that it is hers.
const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";
/// How long one call may take, all tries together; a function behind the gateway has 29 seconds.
const CALL_MAX: Duration = Duration::from_secs(10);

/// How a new address is confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Confirmation {
    /// By the code that Cognito sends to it.
    ByCode,
    /// At once, by the bank itself: where tests sign up people whose letters nobody reads.
    AtOnce,
}

/// The text names no way to confirm an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is neither BY_CODE nor AT_ONCE")]
pub struct UnknownConfirmation;

impl FromStr for Confirmation {
    type Err = UnknownConfirmation;

    fn from_str(text: &str) -> Result<Self, UnknownConfirmation> {
        match text {
            "BY_CODE" => Ok(Self::ByCode),
            "AT_ONCE" => Ok(Self::AtOnce),
            _ => Err(UnknownConfirmation),
        }
    }
}

/// A user pool, by one of its app clients.
pub struct Cognito {
    client: Client,
    user_pool_id: String,
    app_client_id: String,
    confirmation: Confirmation,
    public_keys: PublicKeys,
}

/// The pool's API. Cognito hashes a password for many calls, so its answers take a while.
fn client(connection: &Connection) -> Client {
    let timeouts = TimeoutConfig::builder().operation_timeout(CALL_MAX).build();
    Client::from_conf(Config::from(&connection.sdk).to_builder().timeout_config(timeouts).build())
}

impl Cognito {
    /// A pool and the app client to ask it by; nothing is sent yet.
    pub fn new(
        connection: &Connection,
        user_pool_id: &str,
        app_client_id: &str,
        confirmation: Confirmation,
    ) -> Self {
        Self {
            client: client(connection),
            user_pool_id: user_pool_id.to_owned(),
            app_client_id: app_client_id.to_owned(),
            confirmation,
            public_keys: PublicKeys::new(&connection.sdk, user_pool_id),
        }
    }

    async fn try_sign_up(&self, email: &Email, password: &Secret) -> Result<UserId, IdentityError> {
        let request = self.client.sign_up().client_id(&self.app_client_id).username(email.as_str());
        let request = request.password(password.reveal()).user_attributes(attribute(EMAIL, email.as_str())?);
        let signed_up = answered(Call::SignUp, request.send().await)?;
        let user_id = signed_up.user_sub.parse().map_err(|_| unexpected("SignUp", "a strange subject"))?;
        match self.confirmation {
            Confirmation::ByCode => {}
            Confirmation::AtOnce => self.confirm_at_once(user_id).await?,
        }
        Ok(user_id)
    }

    async fn confirm_at_once(&self, user_id: UserId) -> Result<(), IdentityError> {
        let request = self.client.admin_confirm_sign_up().user_pool_id(&self.user_pool_id);
        answered(Call::Administer, request.username(user_id.to_string()).send().await)?;
        let request = self.client.admin_update_user_attributes().user_pool_id(&self.user_pool_id);
        let request =
            request.username(user_id.to_string()).user_attributes(attribute(EMAIL_VERIFIED, "true")?);
        answered(Call::Administer, request.send().await)?;
        Ok(())
    }

    async fn try_confirm(&self, email: &Email, code: &Secret) -> Result<(), IdentityError> {
        let request = self.client.confirm_sign_up().client_id(&self.app_client_id).username(email.as_str());
        let request = request.confirmation_code(code.reveal().trim());
        done(Call::Confirm, request.send().await)
    }

    async fn try_sign_in(&self, email: &Email, password: &Secret) -> Result<SignedIn, IdentityError> {
        let request = self.client.initiate_auth().client_id(&self.app_client_id);
        let request = request
            .auth_flow(AuthFlowType::UserPasswordAuth)
            .auth_parameters("USERNAME", email.as_str())
            .auth_parameters("PASSWORD", password.reveal());
        match answered(Call::SignIn, request.send().await) {
            Ok(answer) => match answer.authentication_result {
                Some(result) => signed_in(result, None),
                None => {
                    tracing::warn!(challenge = ?answer.challenge_name, "a person is asked what she cannot answer here");
                    Err(IdentityRejection::WrongCredentials.into())
                }
            },
            Err(error) => {
                if matches!(error, IdentityError::Rejected(IdentityRejection::NotConfirmed)) {
                    self.remind_to_confirm(email).await;
                }
                Err(error)
            }
        }
    }

    /// Lets Cognito send another code. She is told the same if it does not, and tries again.
    async fn remind_to_confirm(&self, email: &Email) {
        let request = self.client.resend_confirmation_code().client_id(&self.app_client_id);
        if let Err(error) = request.username(email.as_str()).send().await {
            tracing::info!(exception = error.code(), "no other code was sent");
        }
    }

    async fn try_refresh(&self, refresh_token: &Secret) -> Result<SignedIn, IdentityError> {
        let request = self.client.get_tokens_from_refresh_token().client_id(&self.app_client_id);
        let request = request.refresh_token(refresh_token.reveal());
        let answer = answered(Call::Refresh, request.send().await)?;
        let result = answer.authentication_result;
        signed_in(
            result.ok_or_else(|| unexpected("GetTokensFromRefreshToken", "no tokens"))?,
            Some(refresh_token),
        )
    }

    async fn try_sign_out_everywhere(&self, access_token: &Secret) -> Result<(), IdentityError> {
        let request = self.client.global_sign_out().access_token(access_token.reveal());
        done(Call::SignOut, request.send().await)
    }

    async fn try_forgot_password(&self, email: &Email) -> Result<(), IdentityError> {
        let request = self.client.forgot_password().client_id(&self.app_client_id).username(email.as_str());
        done(Call::ForgotPassword, request.send().await)
    }

    async fn try_reset_password(
        &self,
        email: &Email,
        code: &Secret,
        new_password: &Secret,
    ) -> Result<(), IdentityError> {
        let request = self.client.confirm_forgot_password().client_id(&self.app_client_id);
        let request = request
            .username(email.as_str())
            .confirmation_code(code.reveal().trim())
            .password(new_password.reveal());
        done(Call::ResetPassword, request.send().await)
    }
}

/// What Cognito answered, if it did.
fn answered<T>(call: Call, sent: Result<T, impl ProvideErrorMetadata>) -> Result<T, IdentityError> {
    sent.map_err(|error| refusals::told(call, &error))
}

/// The end of a call whose answer says nothing but that it was done.
fn done<T>(call: Call, sent: Result<T, impl ProvideErrorMetadata>) -> Result<(), IdentityError> {
    match sent {
        Err(error) if error.code().is_some_and(|exception| refusals::is_untold(call, exception)) => Ok(()),
        sent => answered(call, sent).map(drop),
    }
}

/// The tokens of an answer. `presented` was the refresh token before; it stays the one where none comes in its place.
fn signed_in(
    result: AuthenticationResultType,
    presented: Option<&Secret>,
) -> Result<SignedIn, IdentityError> {
    let AuthenticationResultType { access_token, refresh_token, expires_in, .. } = result;
    let refresh_token = refresh_token.or_else(|| presented.map(|token| token.reveal().to_owned()));
    match (access_token, refresh_token, u64::try_from(expires_in)) {
        (Some(access_token), Some(refresh_token), Ok(seconds)) => {
            Ok(SignedIn { access_token, expires_in: Duration::from_secs(seconds), refresh_token })
        }
        _ => Err(unexpected("a sign-in", "too few tokens")),
    }
}

fn attribute(name: &str, value: &str) -> Result<AttributeType, IdentityError> {
    let attribute = AttributeType::builder().name(name).value(value).build();
    attribute.map_err(|error| Fault::Internal(error.to_string()).into())
}

fn unexpected(call: &str, what: &str) -> IdentityError {
    Fault::Internal(format!("the user pool answered {call} with {what}")).into()
}

impl IdentityProvider for Cognito {
    fn sign_up<'a>(
        &'a self,
        email: &'a Email,
        password: &'a Secret,
    ) -> Answer<'a, Result<UserId, IdentityError>> {
        Box::pin(self.try_sign_up(email, password))
    }

    fn confirm<'a>(&'a self, email: &'a Email, code: &'a Secret) -> Answer<'a, Result<(), IdentityError>> {
        Box::pin(self.try_confirm(email, code))
    }

    fn sign_in<'a>(
        &'a self,
        email: &'a Email,
        password: &'a Secret,
    ) -> Answer<'a, Result<SignedIn, IdentityError>> {
        Box::pin(self.try_sign_in(email, password))
    }

    fn refresh<'a>(&'a self, refresh_token: &'a Secret) -> Answer<'a, Result<SignedIn, IdentityError>> {
        Box::pin(self.try_refresh(refresh_token))
    }

    // Cognito ends one session by its refresh token only, which who signs out need not send.
    fn sign_out<'a>(&'a self, access_token: &'a Secret) -> Answer<'a, Result<(), IdentityError>> {
        Box::pin(self.try_sign_out_everywhere(access_token))
    }

    fn sign_out_everywhere<'a>(&'a self, access_token: &'a Secret) -> Answer<'a, Result<(), IdentityError>> {
        Box::pin(self.try_sign_out_everywhere(access_token))
    }

    fn forgot_password<'a>(&'a self, email: &'a Email) -> Answer<'a, Result<(), IdentityError>> {
        Box::pin(self.try_forgot_password(email))
    }

    fn reset_password<'a>(
        &'a self,
        email: &'a Email,
        code: &'a Secret,
        new_password: &'a Secret,
    ) -> Answer<'a, Result<(), IdentityError>> {
        Box::pin(self.try_reset_password(email, code, new_password))
    }

    fn public_keys(&self) -> Answer<'_, Result<Vec<PublicKey>, IdentityError>> {
        Box::pin(self.public_keys.get())
    }
}
