//! The bank itself as the keeper of its people: [`Identity`] behind the port.

use kernel::{Email, UserId};
use ports::{Answer, IdentityError, IdentityProvider, IdentityRejection, PublicKey, Secret, SignedIn, Store};

use crate::domain::Rejection;
use crate::{Claims, Identity};

impl From<Rejection> for IdentityRejection {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::WrongCredentials => Self::WrongCredentials,
            Rejection::NotConfirmed => Self::NotConfirmed,
            Rejection::TooManyAttempts { retry_after } => Self::TooManyAttempts { retry_after },
        }
    }
}

impl<S: Store> IdentityProvider for Identity<S> {
    fn sign_up<'a>(
        &'a self,
        email: &'a Email,
        password: &'a Secret,
    ) -> Answer<'a, Result<UserId, IdentityError>> {
        Box::pin(async { Ok(Identity::sign_up(self, email, password).await?.user_id) })
    }

    fn confirm<'a>(&'a self, email: &'a Email, code: &'a Secret) -> Answer<'a, Result<(), IdentityError>> {
        Box::pin(Identity::confirm(self, email, code))
    }

    fn sign_in<'a>(
        &'a self,
        email: &'a Email,
        password: &'a Secret,
    ) -> Answer<'a, Result<SignedIn, IdentityError>> {
        Box::pin(Identity::sign_in(self, email, password))
    }

    fn refresh<'a>(&'a self, refresh_token: &'a Secret) -> Answer<'a, Result<SignedIn, IdentityError>> {
        Box::pin(Identity::refresh(self, refresh_token))
    }

    fn sign_out<'a>(&'a self, access_token: &'a Secret) -> Answer<'a, Result<(), IdentityError>> {
        Box::pin(async { Ok(Identity::sign_out(self, &self.claims(access_token)?).await?) })
    }

    fn sign_out_everywhere<'a>(&'a self, access_token: &'a Secret) -> Answer<'a, Result<(), IdentityError>> {
        Box::pin(async { Ok(Identity::sign_out_everywhere(self, &self.claims(access_token)?).await?) })
    }

    fn forgot_password<'a>(&'a self, email: &'a Email) -> Answer<'a, Result<(), IdentityError>> {
        Box::pin(async { Ok(Identity::forgot_password(self, email)?) })
    }

    fn reset_password<'a>(
        &'a self,
        email: &'a Email,
        code: &'a Secret,
        new_password: &'a Secret,
    ) -> Answer<'a, Result<(), IdentityError>> {
        Box::pin(Identity::reset_password(self, email, code, new_password))
    }

    fn public_keys(&self) -> Answer<'_, Result<Vec<PublicKey>, IdentityError>> {
        Box::pin(async { Ok(self.tokens.keys().public().to_vec()) })
    }
}

impl<S: Store> Identity<S> {
    /// What an access token of this bank says.
    fn claims(&self, access_token: &Secret) -> Result<Claims, IdentityRejection> {
        self.tokens.read(access_token.reveal()).map_err(|_| IdentityRejection::InvalidAccessToken)
    }
}
