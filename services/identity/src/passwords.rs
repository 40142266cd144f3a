//! Passwords: how strong one must be, and argon2id hashes of them.
//!
//! Hashing takes 19 MiB and some tens of milliseconds, so it is done off the async threads, a bounded number at once
//! with a bounded queue before it; beyond that the bank is busy. The strength of a password is guessed there too.
//!
//! Absent on purpose: rules on which characters a password has, expiry, and a pepper.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use runtime::{Fault, Refusal};
use tokio::sync::Semaphore;
use zxcvbn::{Score, zxcvbn};

use crate::domain::{Email, PasswordHash, Rejection};
use crate::secrets::{self, Secret};

/// Memory, passes and lanes, as the OWASP Password Storage Cheat Sheet has them for argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The fewest and most characters of a password, and its most bytes.
const CHARACTERS_MIN: usize = 8;
const CHARACTERS_MAX: usize = 128;
const BYTES_MAX: usize = 1024;

/// Only so many characters are guessed at. The time of a guess grows without measure with what could be letters in
/// disguise: two seconds for a hundred of them, and a tenth of one for these. More characters never make a password
/// weaker, so one that is strong enough up to here is so as a whole.
const GUESSED_CHARACTERS_MAX: usize = 32;

/// What the password of an unknown address is compared with, so that it takes as long as that of a known one.
/// Should it ever match, nobody is signed in: there is no person it belongs to.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// When to come back to a bank that is busy hashing.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Hashes and compares passwords. Clones share one queue.
#[derive(Clone)]
pub struct Passwords {
    at_once: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Passwords {
    /// `at_once` are hashed at the same time, and `waiting_max` more may wait.
    pub fn new(at_once: usize, waiting_max: usize) -> Self {
        let at_once = at_once.max(1);
        Self {
            at_once: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + waiting_max)),
        }
    }

    /// The hash of a new password, if it is strong enough for the person with this address.
    ///
    /// # Errors
    /// [`Rejection::WeakPassword`], or a fault.
    pub async fn hash(&self, email: &Email, password: &Secret) -> Result<PasswordHash, Refusal<Rejection>> {
        let (email, password) = (email.clone(), password.clone());
        self.run(move || {
            check_strength(&email, password.reveal()).map_err(Refusal::Rejected)?;
            let salt: [u8; 16] = secrets::random()?;
            let hash =
                argon2id()?.hash_password_with_salt(password.reveal().as_bytes(), &salt).map_err(internal)?;
            Ok(PasswordHash(hash.to_string()))
        })
        .await?
    }

    /// Whether the password is the one of this hash. It takes the same time without one.
    pub async fn matches(&self, hash: Option<&PasswordHash>, password: &Secret) -> Result<bool, Fault> {
        if password.reveal().len() > BYTES_MAX {
            return Ok(false);
        }
        let hash = hash.map_or_else(|| NOBODYS_HASH.to_owned(), |hash| hash.0.clone());
        let password = password.clone();
        self.run(move || {
            let hash =
                phc::PasswordHash::new(&hash).map_err(|error| Fault::Unavailable(error.to_string()))?;
            match argon2id()?.verify_password(password.reveal().as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(internal(error)),
            }
        })
        .await?
    }

    /// A request that is given up leaves its work running, so the work itself holds its place until it is done.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let busy = |_| Fault::Busy { retry_after: RETRY_AFTER };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(busy)?;
        let turn = Arc::clone(&self.at_once)
            .acquire_owned()
            .await
            .map_err(|_| Fault::Internal("the queue of passwords is closed".to_owned()))?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, place));
            done
        })
        .await
        .map_err(|error| Fault::Internal(format!("a password could not be hashed: {error}")))
    }
}

fn argon2id() -> Result<Argon2<'static>, Fault> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| Fault::Internal(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn internal(error: password_hash::Error) -> Fault {
    Fault::Internal(format!("argon2: {error}"))
}

/// A password is strong enough from a score of 3 of 4 on: more than 10^8 guesses, the person's address known.
fn check_strength(email: &Email, password: &str) -> Result<(), Rejection> {
    let characters = password.chars().count();
    if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&characters) || password.len() > BYTES_MAX {
        return Err(Rejection::WeakPassword(vec![format!(
            "Use {CHARACTERS_MIN} to {CHARACTERS_MAX} characters."
        )]));
    }
    let guessed: String = password.chars().take(GUESSED_CHARACTERS_MAX).collect();
    let guess = zxcvbn(&guessed, &[email.as_str(), email.local_part()]);
    if guess.score() >= Score::Three {
        return Ok(());
    }
    let mut sentences = Vec::new();
    if let Some(feedback) = guess.feedback() {
        sentences.extend(feedback.warning().map(|warning| warning.to_string()));
        sentences.extend(feedback.suggestions().iter().map(ToString::to_string));
    }
    if sentences.is_empty() {
        sentences.push("This password is easy to guess.".to_owned());
    }
    Err(Rejection::WeakPassword(sentences))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRONG: &str = "correct horse battery staple";

    fn email() -> Email {
        "ada.lovelace@example.org".parse().unwrap()
    }

    #[test]
    fn strength_is_judged() {
        let longest: String = (1..=32_u64).map(|n| format!("{:04x}", n * n * 7_919 % 65_536)).collect();
        for strong in [STRONG, "Tr0ub4dour&3-wren", "æøå æøå blåbær og fløte", &longest] {
            assert_eq!(check_strength(&email(), strong), Ok(()), "{strong}");
        }
        let too_long = format!("{longest}x");
        for weak in ["", "short", "password", "password123", "ada.lovelace", "aaaaaaaaaaaaaaaa", &too_long] {
            let Err(Rejection::WeakPassword(sentences)) = check_strength(&email(), weak) else {
                panic!("{weak} is weak")
            };
            assert!(!sentences.is_empty(), "{weak}");
        }
    }

    #[tokio::test]
    async fn a_hash_matches_its_password_only() {
        let passwords = Passwords::new(2, 8);
        let hash = passwords.hash(&email(), &STRONG.into()).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(passwords.matches(Some(&hash), &STRONG.into()).await.unwrap());
        for wrong in ["", "correct horse battery", &"x".repeat(BYTES_MAX + 1)] {
            assert!(!passwords.matches(Some(&hash), &wrong.into()).await.unwrap());
        }
        let again = passwords.hash(&email(), &STRONG.into()).await.unwrap();
        assert_ne!(hash, again, "every hash has a salt of its own");
    }

    #[tokio::test]
    async fn the_password_of_an_unknown_address_is_compared_with_a_hash_of_the_same_cost() {
        assert!(!Passwords::new(1, 0).matches(None, &STRONG.into()).await.unwrap());
        let nobodys = phc::PasswordHash::new(NOBODYS_HASH).unwrap();
        assert_eq!(
            Params::try_from(&nobodys).map(|params| (params.m_cost(), params.t_cost(), params.p_cost())),
            Ok((MEMORY_KIB, PASSES, LANES))
        );
        assert_eq!(nobodys.hash.map(|hash| hash.len()), Some(Params::DEFAULT_OUTPUT_LEN));
    }

    #[tokio::test]
    async fn a_full_queue_is_busy() {
        let passwords = Passwords::new(1, 1);
        let places = Arc::clone(&passwords.places).try_acquire_many_owned(2).unwrap();
        let refused = passwords.matches(None, &STRONG.into()).await;
        assert!(matches!(refused, Err(Fault::Busy { .. })), "{refused:?}");
        drop(places);
        assert!(!passwords.matches(None, &STRONG.into()).await.unwrap());
    }
}
