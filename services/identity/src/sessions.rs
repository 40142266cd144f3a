//! Sessions: how people sign in, stay so, and sign out.
//!
//! Signing in and out leaves a line in the log with the person's id, and so do a sign-in that failed and an old refresh
//! token, for whoever looks into what was done in her name. No line has an address.

use std::sync::atomic::{AtomicBool, Ordering};

use kernel::{Email, SessionId, UserId};
use ports::{Held, IdentityError, IdentityRejection, Secret, SignedIn, Store};
use runtime::{Decision, Fault, decide_and_commit};

use crate::domain::{self, Attempts, Judging, PasswordCheck, Refresh, Rejection, Session, User};
use crate::records;
use crate::secrets::{self, RefreshToken};
use crate::tokens::{ACCESS_LIFETIME, Claims};
use crate::{Identity, record, remove, write};

/// What one try to sign in came to.
enum SignIn {
    Session(Box<User>, RefreshToken),
    NotConfirmed(Box<User>),
    /// The address or the password is wrong; whose address it is, and whether this try locked it.
    Wrong {
        user_id: Option<UserId>,
        is_locked: bool,
    },
    Rejected(Rejection),
}

/// What one try to refresh came to.
enum Refreshed {
    Session(Box<User>, RefreshToken),
    Reused,
    Refused,
}

impl<S: Store> Identity<S> {
    /// Signs a person in.
    ///
    /// # Errors
    /// [`IdentityRejection::WrongCredentials`], [`IdentityRejection::NotConfirmed`], [`IdentityRejection::TooManyAttempts`], or a fault.
    pub async fn sign_in(&self, email: &Email, password: &Secret) -> Result<SignedIn, IdentityError> {
        let address = secrets::digest_address(email);
        let attempts = self.attempts(&address).await?;
        domain::may_try(record(attempts.as_ref()), self.sources.now()).map_err(IdentityRejection::from)?;
        let user = self.user_by_email(email).await?;
        let hash = record(user.as_ref()).map(|user| &user.password_hash);
        let check = match (self.passwords.matches(hash, password).await?, hash) {
            (true, Some(hash)) => PasswordCheck::Matches(hash),
            _ => PasswordCheck::Differs,
        };
        match decide_and_commit(&self.store, || self.try_sign_in(email, check)).await? {
            SignIn::Session(user, token) => {
                tracing::info!(user_id = %user.user_id, session_id = %token.session_id(), "signed in");
                Ok(self.signed_in(*user, &token)?)
            }
            SignIn::Wrong { user_id, is_locked } => {
                tracing::info!(user_id = user_id.map(tracing::field::display), is_locked, "a sign-in failed");
                Err(IdentityRejection::WrongCredentials.into())
            }
            SignIn::NotConfirmed(user) => {
                self.remind_to_confirm(*user);
                Err(IdentityRejection::NotConfirmed.into())
            }
            SignIn::Rejected(rejection) => Err(IdentityRejection::from(rejection).into()),
        }
    }

    async fn try_sign_in(&self, email: &Email, check: PasswordCheck<'_>) -> Result<Decision<SignIn>, Fault> {
        let address = secrets::digest_address(email);
        let attempts = self.attempts(&address).await?;
        let held = self.user_by_email(email).await?;
        let now = self.sources.now();
        let mut transaction = self.transaction();
        let rejection = match domain::sign_in(record(held.as_ref()), check, record(attempts.as_ref()), now) {
            Ok(user) => {
                let token = RefreshToken::fresh(user.user_id, SessionId::new(self.sources.fresh_id()))?;
                transaction.create(&Session::new(user, token.session_id(), token.digests(), now))?;
                remove(&mut transaction, attempts.as_ref())?;
                let user = Box::new(user.clone());
                // A new password set meanwhile would otherwise leave a session of the old one behind.
                if let Some(held) = &held {
                    transaction.require(held)?;
                }
                return Ok(Decision::Commit(transaction, SignIn::Session(user, token)));
            }
            Err(rejection) => rejection,
        };
        match (&rejection, held) {
            (Rejection::WrongCredentials, held) => {
                let failed = Attempts::failed(record(attempts.as_ref()), address, now);
                write(&mut transaction, attempts.as_ref(), &failed)?;
                let user_id = held.map(|held| held.record.user_id);
                let is_locked = domain::may_try(Some(&failed), now).is_err();
                Ok(Decision::Commit(transaction, SignIn::Wrong { user_id, is_locked }))
            }
            (Rejection::NotConfirmed, Some(held)) => {
                Ok(Decision::Nothing(SignIn::NotConfirmed(Box::new(held.record))))
            }
            _ => Ok(Decision::Nothing(SignIn::Rejected(rejection))),
        }
    }

    /// Gives the next tokens of a session for its current refresh token. An old one ends the session,
    /// however lately it was the current one.
    ///
    /// # Errors
    /// [`IdentityRejection::InvalidRefreshToken`], or a fault.
    pub async fn refresh(&self, presented: &Secret) -> Result<SignedIn, IdentityError> {
        let presented = RefreshToken::parse(presented).ok_or(IdentityRejection::InvalidRefreshToken)?;
        let was_current = AtomicBool::new(false);
        match decide_and_commit(&self.store, || self.try_refresh(&presented, &was_current)).await? {
            Refreshed::Session(user, token) => Ok(self.signed_in(*user, &token)?),
            Refreshed::Refused => Err(IdentityRejection::InvalidRefreshToken.into()),
            Refreshed::Reused => {
                let (user_id, session_id) = (presented.user_id(), presented.session_id());
                tracing::warn!(%user_id, %session_id, "a refresh token was used again; its session was ended");
                Err(IdentityRejection::InvalidRefreshToken.into())
            }
        }
    }

    /// One try. `was_current` keeps from try to try whether the token was the current one, for then it is not old but
    /// has lost a race.
    async fn try_refresh(
        &self,
        presented: &RefreshToken,
        was_current: &AtomicBool,
    ) -> Result<Decision<Refreshed>, Fault> {
        let session_key = records::session_key(presented.user_id(), presented.session_id());
        let session: Option<Held<Session>> = runtime::get(&self.store, session_key.clone()).await?;
        let user: Option<Held<User>> =
            runtime::get(&self.store, records::user_key(presented.user_id())).await?;
        let (Some(session), Some(user)) = (session, user) else {
            return Ok(Decision::Nothing(Refreshed::Refused));
        };
        let now = self.sources.now();
        let mut transaction = self.transaction();
        let judging = if was_current.load(Ordering::Relaxed) { Judging::AfterRace } else { Judging::First };
        let digests = presented.digests();
        let refreshed = match domain::refresh(&session.record, &user.record, &digests, judging, now) {
            Refresh::Refuse => return Ok(Decision::Nothing(Refreshed::Refused)),
            Refresh::End => {
                transaction.delete(session_key, session.revision)?;
                Refreshed::Reused
            }
            Refresh::Rotate => {
                was_current.store(true, Ordering::Relaxed);
                let token = presented.next()?;
                transaction.replace(session.revision, &session.record.rotated(token.digests().secret))?;
                transaction.require(&user)?;
                Refreshed::Session(Box::new(user.record), token)
            }
        };
        Ok(Decision::Commit(transaction, refreshed))
    }

    /// Ends the session that an access token belongs to; nothing happens if it has ended before.
    ///
    /// # Errors
    /// A fault.
    pub async fn sign_out(&self, claims: &Claims) -> Result<(), Fault> {
        let Some(session_id) = claims.sid else { return Ok(()) };
        let key = records::session_key(claims.sub, session_id);
        decide_and_commit(&self.store, || async {
            let held: Option<Held<Session>> = runtime::get(&self.store, key.clone()).await?;
            let mut transaction = self.transaction();
            remove(&mut transaction, held.as_ref())?;
            Ok::<_, Fault>(if transaction.is_empty() {
                Decision::Nothing(())
            } else {
                Decision::Commit(transaction, ())
            })
        })
        .await?;
        tracing::info!(user_id = %claims.sub, %session_id, "signed out");
        Ok(())
    }

    /// Ends all sessions of the person whom an access token belongs to.
    ///
    /// # Errors
    /// A fault.
    pub async fn sign_out_everywhere(&self, claims: &Claims) -> Result<(), Fault> {
        decide_and_commit(&self.store, || async {
            let held: Option<Held<User>> = runtime::get(&self.store, records::user_key(claims.sub)).await?;
            let Some(held) = held else { return Ok::<_, Fault>(Decision::Nothing(())) };
            let mut transaction = self.transaction();
            transaction.replace(held.revision, &held.record.signed_out_everywhere())?;
            Ok(Decision::Commit(transaction, ()))
        })
        .await?;
        tracing::info!(user_id = %claims.sub, "signed out everywhere");
        Ok(())
    }

    fn signed_in(&self, user: User, token: &RefreshToken) -> Result<SignedIn, Fault> {
        Ok(SignedIn {
            access_token: self.tokens.mint(user.user_id, user.groups, token.session_id())?,
            expires_in: ACCESS_LIFETIME,
            refresh_token: token.text(),
        })
    }
}
