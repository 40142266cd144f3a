//! People: how they sign up and in, whoever keeps them, and the secrets they send.

use std::fmt;
use std::time::Duration;

use kernel::{Email, UserId};
use serde::Deserialize;

use crate::{Answer, Fault, Limit};

/// A password, token or code that somebody sent. It can be read from a request, and neither printed nor sent on.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a person who is signed in gets. Both tokens are for her alone.
#[derive(Clone)]
pub struct SignedIn {
    /// A JSON Web Token that says who she is, for every request.
    pub access_token: String,
    /// How long the access token is good.
    pub expires_in: Duration,
    /// Gets the next tokens as long as she stays signed in.
    pub refresh_token: String,
}

/// A public key that access tokens are verified by: RSA, for signatures with RS256 (RFC 7518, sections 3.3 and 6.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey {
    /// What tokens name it by.
    pub key_id: String,
    /// The modulus, in base64url.
    pub modulus: String,
    /// The exponent, in base64url.
    pub exponent: String,
}

/// The provider says no, in words for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityRejection {
    /// The password is too weak: why, in sentences none of which contains it.
    #[error("The password is too easy to guess.")]
    WeakPassword(Vec<String>),
    /// The address is one that the provider does not take.
    #[error("The email address is not one that can be used here.")]
    UnusableEmail,
    /// Somebody signed up with this address before.
    #[error("Somebody signed up with this email address before.")]
    EmailTaken,
    /// The address or the password is wrong; it is not said which.
    #[error("The email address or the password is wrong.")]
    WrongCredentials,
    /// The address was never confirmed.
    #[error("The email address is not confirmed yet. Confirm it with the code that was sent to it.")]
    NotConfirmed,
    /// There is no such code for this address, or no longer.
    #[error("The code is wrong or no longer good. Ask for another.")]
    InvalidCode,
    /// The token is unknown, expired, used before, or of a session that has ended.
    #[error("The refresh token is not good any more. Sign in again.")]
    InvalidRefreshToken,
    /// It is no access token of this provider, or has expired.
    #[error("The access token is not valid.")]
    InvalidAccessToken,
    /// Too many tries failed for this address.
    #[error("Too many tries failed for this email address. Try again later.")]
    TooManyAttempts {
        /// How long until another try is heard.
        retry_after: Duration,
    },
}

/// Why a provider did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IdentityError {
    /// It said no.
    #[error(transparent)]
    Rejected(#[from] IdentityRejection),
    /// The machine failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<Limit> for IdentityError {
    fn from(error: Limit) -> Self {
        Self::Fault(error.into())
    }
}

/// Keeps people, their passwords and their sessions: the bank itself, or a user pool.
///
/// No answer but that of [`sign_up`](Self::sign_up) tells a stranger whether somebody has an address and confirmed it.
/// How strong a password must be is the bank's own rule and was judged before; a provider may ask for more.
pub trait IdentityProvider: Send + Sync + 'static {
    /// Signs a person up. Where letters can be sent, a code is sent to her, and she cannot sign in before it comes back.
    fn sign_up<'a>(
        &'a self,
        email: &'a Email,
        password: &'a Secret,
    ) -> Answer<'a, Result<UserId, IdentityError>>;

    /// Confirms an address by the code that was sent to it.
    fn confirm<'a>(&'a self, email: &'a Email, code: &'a Secret) -> Answer<'a, Result<(), IdentityError>>;

    /// Signs a person in. One who is right but not confirmed is sent another code.
    fn sign_in<'a>(
        &'a self,
        email: &'a Email,
        password: &'a Secret,
    ) -> Answer<'a, Result<SignedIn, IdentityError>>;

    /// Gives the next tokens of a session. A token that was replaced by another is not taken again.
    fn refresh<'a>(&'a self, refresh_token: &'a Secret) -> Answer<'a, Result<SignedIn, IdentityError>>;

    /// Ends at least the session of an access token; nothing happens if it has ended before. The access token itself is
    /// good until it expires.
    fn sign_out<'a>(&'a self, access_token: &'a Secret) -> Answer<'a, Result<(), IdentityError>>;

    /// Ends all sessions of the person whose access token it is. Her access tokens are good until they expire.
    fn sign_out_everywhere<'a>(&'a self, access_token: &'a Secret) -> Answer<'a, Result<(), IdentityError>>;

    /// Sends a code to set a new password with, if somebody has this address.
    fn forgot_password<'a>(&'a self, email: &'a Email) -> Answer<'a, Result<(), IdentityError>>;

    /// Sets a new password by the code that was sent to the address.
    fn reset_password<'a>(
        &'a self,
        email: &'a Email,
        code: &'a Secret,
        new_password: &'a Secret,
    ) -> Answer<'a, Result<(), IdentityError>>;

    /// The keys that access tokens are verified by.
    fn public_keys(&self) -> Answer<'_, Result<Vec<PublicKey>, IdentityError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert!(!format!("{:?}", Secret::from("correct horse")).contains("horse"));
    }
}
