//! People: how they sign up, show that an address is theirs, and get a new password.

use kernel::{Email, Timestamp, UserId};
use ports::{Answer, Directory, Held, IdentityError, IdentityRejection, Letter, Secret, Store, Unavailable};
use runtime::{Decision, Fault, decide_and_commit};

use crate::domain::{
    self, Attempts, Code, CodeVerdict, Confirmation, OPERATORS, PasswordHash, Purpose, User,
};
use crate::letters::{Place, code_letter};
use crate::records::{self, Address};
use crate::{Identity, record, remove, secrets, write};

/// Nobody has this address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody signed up with this email address")]
pub struct UnknownUser;

/// A person, as the rest of the bank may see her.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// The subject of her tokens.
    pub user_id: UserId,
    /// Her address.
    pub email: Email,
    /// When she signed up.
    pub created_at: Timestamp,
    /// Whether she has shown that the address is hers.
    pub is_confirmed: bool,
    /// The groups she is in.
    pub groups: Vec<String>,
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        let User { user_id, email, confirmed_at, groups, created_at, .. } = user;
        Self { user_id, email, created_at, is_confirmed: confirmed_at.is_some(), groups }
    }
}

/// What a right code does to a person.
#[derive(Clone, Copy)]
enum Effect<'a> {
    Confirm,
    SetPassword(&'a PasswordHash),
}

impl Effect<'_> {
    fn purpose(self) -> Purpose {
        match self {
            Self::Confirm => Purpose::Confirm,
            Self::SetPassword(_) => Purpose::Reset,
        }
    }
}

impl<S: Store> Identity<S> {
    /// Signs a person up, and sends her a code where letters can be sent. That her password is strong enough was seen
    /// before.
    ///
    /// # Errors
    /// [`IdentityRejection::EmailTaken`], or a fault.
    pub async fn sign_up(&self, email: &Email, password: &Secret) -> Result<Person, IdentityError> {
        let place = self.place()?;
        // Nothing is hashed for an address that is taken; it is looked at again below.
        if self.user_by_email(email).await?.is_some() {
            return Err(IdentityRejection::EmailTaken.into());
        }
        let password_hash = self.passwords.hash(password).await?;
        let (user, code) = decide_and_commit(&self.store, || self.try_sign_up(email, &password_hash)).await?;
        if let (Some(place), Some(code)) = (place, code) {
            let letter = self.letter(&user, Purpose::Confirm, &code);
            place.send(Some(user.user_id), async { Ok(Some(letter)) });
        }
        tracing::info!(user_id = %user.user_id, "signed up");
        Ok(user.into())
    }

    async fn try_sign_up(
        &self,
        email: &Email,
        password_hash: &PasswordHash,
    ) -> Result<Decision<(User, Option<String>)>, IdentityError> {
        let address: Option<Held<Address>> = runtime::get(&self.store, records::address_key(email)).await?;
        if address.is_some() {
            return Err(IdentityRejection::EmailTaken.into());
        }
        let (now, user_id) = (self.sources.now(), UserId::new(self.sources.fresh_id()));
        let user = User::new(user_id, email.clone(), password_hash.clone(), self.confirmation(), now);
        let mut transaction = self.transaction();
        transaction.create(&Address { email: email.clone(), user_id })?;
        transaction.create(&user)?;
        let code = match self.confirmation() {
            Confirmation::AtOnce => None,
            Confirmation::ByCode => {
                let code = secrets::fresh_code()?;
                let digest = secrets::digest_code(user_id, Purpose::Confirm, &code);
                transaction.create(&Code::new(user_id, Purpose::Confirm, digest, now))?;
                Some(code)
            }
        };
        Ok(Decision::Commit(transaction, (user, code)))
    }

    /// Confirms an address by the code that was sent to it.
    ///
    /// # Errors
    /// [`IdentityRejection::InvalidCode`], also for an unknown address; [`IdentityRejection::TooManyAttempts`]; or a
    /// fault.
    pub async fn confirm(&self, email: &Email, code: &Secret) -> Result<(), IdentityError> {
        self.spend_code(email, code, Effect::Confirm).await
    }

    /// Sends a code to set a new password with, if somebody has this address. All that is done of it before this
    /// returns is the same if nobody has.
    ///
    /// # Errors
    /// [`Fault::Busy`] when too many letters are under way.
    pub fn forgot_password(&self, email: &Email) -> Result<(), Fault> {
        let Some(place) = self.place()? else {
            tracing::info!("somebody forgot a password, and no mailer is configured to send a code by");
            return Ok(());
        };
        let (identity, email) = (self.clone(), email.clone());
        place.send(None, async move {
            match identity.user_by_email(&email).await? {
                Some(user) => identity.issue_code(&user.record, Purpose::Reset).await,
                None => Ok(None),
            }
        });
        Ok(())
    }

    /// Sets a new password by the code that was sent to the address, which is confirmed thereby, and ends all
    /// sessions of the person.
    ///
    /// # Errors
    /// [`IdentityRejection::InvalidCode`], also for an unknown address; [`IdentityRejection::TooManyAttempts`]; or a
    /// fault.
    pub async fn reset_password(
        &self,
        email: &Email,
        code: &Secret,
        new_password: &Secret,
    ) -> Result<(), IdentityError> {
        // It is hashed before the code is looked at, so that a wrong code takes as long as a right one.
        let password_hash = self.passwords.hash(new_password).await?;
        self.spend_code(email, code, Effect::SetPassword(&password_hash)).await
    }

    /// Makes a person an operator; her tokens say so from her next sign-in or refresh on.
    ///
    /// # Errors
    /// [`UnknownUser`], or a fault.
    pub async fn add_operator(&self, email: &Email) -> Result<Person, runtime::Refusal<UnknownUser>> {
        let user = self.regroup(email, |user| user.with_group(OPERATORS)).await?;
        tracing::info!(user_id = %user.user_id, "is an operator now");
        Ok(user.into())
    }

    /// Lets a person be no operator any more; the access token that she has says otherwise until it expires.
    ///
    /// # Errors
    /// [`UnknownUser`], or a fault.
    pub async fn remove_operator(&self, email: &Email) -> Result<Person, runtime::Refusal<UnknownUser>> {
        let user = self.regroup(email, |user| user.without_group(OPERATORS)).await?;
        tracing::info!(user_id = %user.user_id, "is an operator no more");
        Ok(user.into())
    }

    async fn regroup(
        &self,
        email: &Email,
        change: impl Fn(User) -> User,
    ) -> Result<User, runtime::Refusal<UnknownUser>> {
        decide_and_commit(&self.store, || async {
            let held = self.user_by_email(email).await?.ok_or(runtime::Refusal::Rejected(UnknownUser))?;
            let user = change(held.record);
            let mut transaction = self.transaction();
            transaction.replace(held.revision, &user)?;
            Ok::<_, runtime::Refusal<UnknownUser>>(Decision::Commit(transaction, user))
        })
        .await
    }

    /// The person with this address.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn find_user(&self, email: &Email) -> Result<Option<Person>, Fault> {
        Ok(self.user_by_email(email).await?.map(|held| held.record.into()))
    }

    /// The person with this id.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn person(&self, user_id: UserId) -> Result<Option<Person>, Fault> {
        let user: Option<Held<User>> = runtime::get(&self.store, records::user_key(user_id)).await?;
        Ok(user.map(|held| held.record.into()))
    }

    /// Sends a person a new code to confirm her address by, after a sign-in that was right but for that. Where the
    /// post is full she is told the same, and tries again.
    pub(crate) fn remind_to_confirm(&self, user: User) {
        let Ok(Some(place)) = self.place() else { return };
        let identity = self.clone();
        place.send(Some(user.user_id), async move { identity.issue_code(&user, Purpose::Confirm).await });
    }

    /// A place for a letter; none where no letter can be sent.
    fn place(&self) -> Result<Option<Place>, Fault> {
        self.post.as_ref().map(crate::letters::Post::reserve).transpose()
    }

    /// A new code for a person and the letter that brings it; none if one was sent just before.
    async fn issue_code(&self, user: &User, purpose: Purpose) -> Result<Option<Letter>, Fault> {
        let code = decide_and_commit(&self.store, || self.try_issue_code(user.user_id, purpose)).await?;
        Ok(code.map(|code| self.letter(user, purpose, &code)))
    }

    async fn try_issue_code(
        &self,
        user_id: UserId,
        purpose: Purpose,
    ) -> Result<Decision<Option<String>>, Fault> {
        let held: Option<Held<Code>> = runtime::get(&self.store, records::code_key(user_id, purpose)).await?;
        let now = self.sources.now();
        if !domain::may_issue_code(record(held.as_ref()), now) {
            return Ok(Decision::Nothing(None));
        }
        let code = secrets::fresh_code()?;
        let next = Code::new(user_id, purpose, secrets::digest_code(user_id, purpose, &code), now);
        let mut transaction = self.transaction();
        write(&mut transaction, held.as_ref(), &next)?;
        Ok(Decision::Commit(transaction, Some(code)))
    }

    fn letter(&self, user: &User, purpose: Purpose, code: &str) -> Letter {
        code_letter(self.sources.fresh_id().to_string(), &user.email, purpose, code)
    }

    async fn spend_code(
        &self,
        email: &Email,
        code: &Secret,
        effect: Effect<'_>,
    ) -> Result<(), IdentityError> {
        let spent = decide_and_commit(&self.store, || self.try_spend_code(email, code, effect)).await?;
        let user_id = spent?;
        match effect {
            Effect::Confirm => tracing::info!(%user_id, "confirmed her address"),
            Effect::SetPassword(_) => tracing::info!(%user_id, "set a new password; all her sessions ended"),
        }
        Ok(())
    }

    /// Every refusal writes once, whether the address is known or not, so that the time it takes tells nothing.
    async fn try_spend_code(
        &self,
        email: &Email,
        presented: &Secret,
        effect: Effect<'_>,
    ) -> Result<Decision<Result<UserId, IdentityRejection>>, IdentityError> {
        let (now, purpose) = (self.sources.now(), effect.purpose());
        let address = secrets::digest_address(email);
        let attempts = self.attempts(&address).await?;
        domain::may_try(record(attempts.as_ref()), now).map_err(IdentityRejection::from)?;
        let user = self.user_by_email(email).await?;
        let user_id = record(user.as_ref()).map(|user| user.user_id).unwrap_or_else(|| self.nobody());
        let held: Option<Held<Code>> = runtime::get(&self.store, records::code_key(user_id, purpose)).await?;
        let digest = secrets::digest_code(user_id, purpose, presented.reveal());
        let mut transaction = self.transaction();
        let verdict = domain::present_code(record(held.as_ref()), &digest, now);
        let next_code = match (verdict, user) {
            (CodeVerdict::Right, Some(user)) => {
                let next = match effect {
                    Effect::Confirm => user.record.confirmed(now),
                    Effect::SetPassword(hash) => user.record.with_new_password(hash.clone(), now),
                };
                transaction.replace(user.revision, &next)?;
                remove(&mut transaction, held.as_ref())?;
                remove(&mut transaction, attempts.as_ref())?;
                return Ok(Decision::Commit(transaction, Ok(user_id)));
            }
            (CodeVerdict::Wrong(code), _) => Some(code),
            (CodeVerdict::Right | CodeVerdict::Void, _) => None,
        };
        if let Some(next_code) = next_code {
            write(&mut transaction, held.as_ref(), &next_code)?;
        }
        let failed = Attempts::failed(record(attempts.as_ref()), address, now);
        write(&mut transaction, attempts.as_ref(), &failed)?;
        Ok(Decision::Commit(transaction, Err(IdentityRejection::InvalidCode)))
    }

    /// An id that nobody has, for looking as long for nobody's code as for somebody's.
    fn nobody(&self) -> UserId {
        UserId::new(self.sources.fresh_id())
    }
}

impl<S: Store> Directory for Identity<S> {
    fn email_address(&self, user_id: UserId) -> Answer<'_, Result<Option<String>, Unavailable>> {
        Box::pin(async move {
            let user: Option<Held<User>> = runtime::get(&self.store, records::user_key(user_id))
                .await
                .map_err(|fault| Unavailable(fault.to_string()))?;
            let confirmed = user.map(|user| user.record).filter(|user| user.confirmed_at.is_some());
            Ok(confirmed.map(|user| user.email.into()))
        })
    }
}
