//! The rules of identity: who may sign up, sign in, refresh and change a password, and when too many tries were made.
//!
//! Everything here is a pure function over what is stored and what was presented, at a time that is an argument.
//! Absent on purpose: hashing and comparing passwords (`passwords`), making secrets (`secrets`), and any text for
//! people. Secrets come here only as digests, and digests are compared in constant time.

use std::fmt;
use std::time::Duration;

use kernel::{Email, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// The group whose members may use the operators' endpoints.
pub const OPERATORS: &str = "operators";

/// How long a person stays signed in, however often she refreshes.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// How long a code is good for.
pub const CODE_LIFETIME: Duration = Duration::from_mins(15);
/// How often one code may be tried.
pub const CODE_TRIES_MAX: u32 = 5;
/// The least time between two letters with a code for the same purpose, so that nobody's inbox is flooded.
pub const CODE_PAUSE: Duration = Duration::from_mins(1);

/// How many failed tries lock an address.
pub const FAILURES_MAX: u32 = 10;
/// The time in which failed tries are counted together.
pub const FAILURES_WINDOW: Duration = Duration::from_mins(15);
/// How long the first lock lasts; each further one lasts twice as long.
pub const LOCK_FIRST: Duration = Duration::from_mins(1);
/// The longest lock.
pub const LOCK_MAX: Duration = Duration::from_hours(1);
/// After this long without a failed try all is forgotten.
pub const LOCKS_FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

// A lock is over, and a window is past, before they are forgotten.
const _: () = assert!(LOCK_MAX.as_secs() < LOCKS_FORGOTTEN_AFTER.as_secs());
const _: () = assert!(FAILURES_WINDOW.as_secs() < LOCKS_FORGOTTEN_AFTER.as_secs());
const _: () = assert!(CODE_PAUSE.as_secs() < CODE_LIFETIME.as_secs());

/// A password's hash, as a PHC string; it never reaches a log either.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// The SHA-256 of a secret, in hexadecimal digits: all that is kept of refresh tokens and codes.
///
/// Two digests are equal only through [`Digest::is`], which takes the same time wherever they differ.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl Digest {
    /// Whether the two are the same.
    pub fn is(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// Why a try is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The address or the password is wrong; it is not said which.
    WrongCredentials,
    /// The password is right, but the address was never confirmed.
    NotConfirmed,
    /// Too many tries failed for this address.
    TooManyAttempts {
        /// How long the lock lasts.
        retry_after: Duration,
    },
}

/// A person who signed up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct User {
    pub user_id: UserId,
    pub email: Email,
    pub password_hash: PasswordHash,
    /// When she showed that the address is hers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// A session belongs to the generation it was made in. A new password begins a new generation, and so does
    /// signing out everywhere, which ends all sessions there are in one write, however many they be.
    pub generation: u64,
    pub created_at: Timestamp,
}

impl User {
    /// A person as she signs up. Where no letter can be sent, her address counts as confirmed.
    pub fn new(
        user_id: UserId,
        email: Email,
        password_hash: PasswordHash,
        confirmation: Confirmation,
        now: Timestamp,
    ) -> Self {
        let confirmed_at = match confirmation {
            Confirmation::ByCode => None,
            Confirmation::AtOnce => Some(now),
        };
        Self {
            user_id,
            email,
            password_hash,
            confirmed_at,
            groups: Vec::new(),
            generation: 0,
            created_at: now,
        }
    }

    /// She has shown that the address is hers.
    pub fn confirmed(mut self, now: Timestamp) -> Self {
        self.confirmed_at = self.confirmed_at.or(Some(now));
        self
    }

    /// She has a new password, by a code sent to her address, which is thereby confirmed. All her sessions end.
    pub fn with_new_password(mut self, password_hash: PasswordHash, now: Timestamp) -> Self {
        self.password_hash = password_hash;
        self.signed_out_everywhere().confirmed(now)
    }

    /// All her sessions end.
    pub fn signed_out_everywhere(mut self) -> Self {
        self.generation += 1;
        self
    }

    /// She is a member of a group; her tokens say so from the next sign-in or refresh on.
    pub fn with_group(mut self, group: &str) -> Self {
        if !self.groups.iter().any(|own| own == group) {
            self.groups.push(group.to_owned());
        }
        self
    }

    /// She is a member of a group no more; her tokens say so from the next sign-in or refresh on.
    pub fn without_group(mut self, group: &str) -> Self {
        self.groups.retain(|own| own != group);
        self
    }
}

/// How a new address is confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Confirmation {
    /// By a code that is sent to it.
    ByCode,
    /// At once, since no letter can be sent.
    AtOnce,
}

/// What a code is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Purpose {
    /// To show that an address is one's own.
    Confirm,
    /// To set a new password.
    Reset,
}

/// A code that was sent to a person; there is one at a time for each purpose.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Code {
    pub user_id: UserId,
    pub purpose: Purpose,
    pub digest: Digest,
    pub tries: u32,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Code {
    /// A code that is about to be sent.
    pub fn new(user_id: UserId, purpose: Purpose, digest: Digest, now: Timestamp) -> Self {
        Self { user_id, purpose, digest, tries: 0, issued_at: now, expires_at: now + CODE_LIFETIME }
    }
}

/// Whether a new code may be sent now.
pub fn may_issue_code(last: Option<&Code>, now: Timestamp) -> bool {
    last.is_none_or(|last| now.since(last.issued_at) >= CODE_PAUSE)
}

/// What presenting a code comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CodeVerdict {
    /// It is right, and used up thereby.
    Right,
    /// It is wrong, and one try less is left.
    Wrong(Code),
    /// There is none that could be right.
    Void,
}

/// Judges a code that was presented.
pub fn present_code(held: Option<&Code>, presented: &Digest, now: Timestamp) -> CodeVerdict {
    match held {
        Some(code) if code.expires_at > now && code.tries < CODE_TRIES_MAX => {
            if code.digest.is(presented) {
                CodeVerdict::Right
            } else {
                CodeVerdict::Wrong(Code { tries: code.tries + 1, ..code.clone() })
            }
        }
        _ => CodeVerdict::Void,
    }
}

/// The failed tries for one address, known or unknown. Only the digest of the address is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempts {
    pub address: Digest,
    /// Failed tries since `since`.
    pub failures: u32,
    pub since: Timestamp,
    /// How often the address was locked lately.
    pub locks: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<Timestamp>,
    pub expires_at: Timestamp,
}

impl Attempts {
    /// The tries with one more that failed. `held` are those before it.
    pub fn failed(held: Option<&Self>, address: Digest, now: Timestamp) -> Self {
        let expires_at = now + LOCKS_FORGOTTEN_AFTER;
        let first = Self { address, failures: 0, since: now, locks: 0, locked_until: None, expires_at };
        let mut attempts = match held.filter(|held| held.expires_at > now) {
            Some(held) => Self { expires_at, ..held.clone() },
            None => first,
        };
        if now.since(attempts.since) >= FAILURES_WINDOW {
            attempts.failures = 0;
            attempts.since = now;
        }
        attempts.failures += 1;
        if attempts.failures >= FAILURES_MAX {
            let lock = LOCK_FIRST.saturating_mul(2_u32.saturating_pow(attempts.locks)).min(LOCK_MAX);
            attempts.locked_until = Some(now + lock);
            attempts.locks += 1;
            attempts.failures = 0;
            attempts.since = now;
        }
        attempts
    }
}

/// Refuses a try for an address that is locked.
pub fn may_try(attempts: Option<&Attempts>, now: Timestamp) -> Result<(), Rejection> {
    match attempts.and_then(|attempts| attempts.locked_until) {
        Some(until) if until > now => Err(Rejection::TooManyAttempts { retry_after: until.since(now) }),
        _ => Ok(()),
    }
}

/// A sign-in, until it is signed out or expires.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    pub user_id: UserId,
    pub session_id: SessionId,
    /// The generation of the person's sessions it belongs to.
    pub generation: u64,
    /// What all refresh tokens of this session have in common.
    pub family: Digest,
    /// The refresh token that is good now.
    pub current: Digest,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Session {
    /// The session of a person who signs in now, with the digests of its first refresh token.
    pub fn new(user: &User, session_id: SessionId, token: RefreshDigests, now: Timestamp) -> Self {
        Self {
            user_id: user.user_id,
            session_id,
            generation: user.generation,
            family: token.family,
            current: token.secret,
            created_at: now,
            expires_at: now + SESSION_LIFETIME,
        }
    }

    /// The session with its next refresh token.
    pub fn rotated(&self, next: Digest) -> Self {
        Self { current: next, ..self.clone() }
    }
}

/// What is kept of a refresh token, or known of one that was presented.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefreshDigests {
    /// Of the part that all tokens of a session have in common.
    pub family: Digest,
    /// Of the part that no other token has.
    pub secret: Digest,
}

/// What presenting a refresh token comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refresh {
    /// It is the current one: the session goes on with another.
    Rotate,
    /// It is an old one, so two have it and one of them is a thief: the session ends.
    End,
    /// It is none of this session, the session is over already, or another request was first.
    Refuse,
}

/// Whether a request to refresh is judged for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judging {
    First,
    /// Its token was the current one, and then another request was first to write.
    AfterRace,
}

/// Judges a refresh token. Whoever has an old token of a session has its family too, so reuse is seen however old
/// the token is; and one who only knows a session's id cannot end it by a guess.
///
/// Of two refreshes at the same time with the same token one wins. The other is refused and the session lives on, for
/// a token that was good when it came is no old one.
pub fn refresh(
    session: &Session,
    user: &User,
    presented: &RefreshDigests,
    judging: Judging,
    now: Timestamp,
) -> Refresh {
    let is_over = session.expires_at <= now || session.generation != user.generation;
    if is_over || !session.family.is(&presented.family) {
        return Refresh::Refuse;
    }
    if session.current.is(&presented.secret) {
        return Refresh::Rotate;
    }
    match judging {
        Judging::First => Refresh::End,
        Judging::AfterRace => Refresh::Refuse,
    }
}

/// Judges a sign-in whose password was compared before: only then is it said that an address is not confirmed.
pub fn sign_in<'a>(
    user: Option<&'a User>,
    password: PasswordCheck<'_>,
    attempts: Option<&Attempts>,
    now: Timestamp,
) -> Result<&'a User, Rejection> {
    // Looked at again here, so that many tries at the same time do not get more answers than one after another.
    may_try(attempts, now)?;
    match (user, password) {
        // The password may have been changed while it was compared.
        (Some(user), PasswordCheck::Matches(hash)) if user.password_hash == *hash => {
            match user.confirmed_at {
                Some(_) => Ok(user),
                None => Err(Rejection::NotConfirmed),
            }
        }
        _ => Err(Rejection::WrongCredentials),
    }
}

/// What comparing a password came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordCheck<'a> {
    /// It is the one of this hash.
    Matches(&'a PasswordHash),
    /// It is another.
    Differs,
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
