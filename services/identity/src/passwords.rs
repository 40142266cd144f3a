//! Passwords as they are kept: argon2id hashes.
//!
//! Hashing takes 19 MiB and some tens of milliseconds, so it is done by [`Workers`]. Absent on purpose: a pepper.

use argon2::password_hash::phc;
use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use ports::Secret;
use runtime::Fault;

use crate::domain::PasswordHash;
use crate::secrets;
use crate::strength::BYTES_MAX;
use crate::workers::Workers;

/// Memory, passes and lanes, as the OWASP Password Storage Cheat Sheet has them for argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What the password of an unknown address is compared with, so that it takes as long as that of a known one.
/// Should it ever match, nobody is signed in: there is no person it belongs to.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and compares passwords. Clones share one queue.
#[derive(Clone)]
pub struct Passwords(Workers);

impl Passwords {
    /// `at_once` are hashed at the same time, and `waiting_max` more may wait.
    pub fn new(at_once: usize, waiting_max: usize) -> Self {
        Self(Workers::new(at_once, waiting_max))
    }

    /// The hash of a new password, whose strength was judged before.
    ///
    /// # Errors
    /// A fault.
    pub async fn hash(&self, password: &Secret) -> Result<PasswordHash, Fault> {
        let password = password.clone();
        let hash = move || {
            let salt: [u8; 16] = secrets::random()?;
            let hash =
                argon2id()?.hash_password_with_salt(password.reveal().as_bytes(), &salt).map_err(internal)?;
            Ok(PasswordHash(hash.to_string()))
        };
        self.0.run(hash).await?
    }

    /// Whether the password is the one of this hash. It takes the same time without one.
    pub async fn matches(&self, hash: Option<&PasswordHash>, password: &Secret) -> Result<bool, Fault> {
        if password.reveal().len() > BYTES_MAX {
            return Ok(false);
        }
        let hash = hash.map_or_else(|| NOBODYS_HASH.to_owned(), |hash| hash.0.clone());
        let password = password.clone();
        let compare = move || {
            let hash =
                phc::PasswordHash::new(&hash).map_err(|error| Fault::Unavailable(error.to_string()))?;
            match argon2id()?.verify_password(password.reveal().as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(internal(error)),
            }
        };
        self.0.run(compare).await?
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

#[cfg(test)]
mod tests {
    use super::*;

    const STRONG: &str = "correct horse battery staple";

    #[tokio::test]
    async fn a_hash_matches_its_password_only() {
        let passwords = Passwords::new(2, 8);
        let hash = passwords.hash(&STRONG.into()).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(passwords.matches(Some(&hash), &STRONG.into()).await.unwrap());
        for wrong in ["", "correct horse battery", &"x".repeat(BYTES_MAX + 1)] {
            assert!(!passwords.matches(Some(&hash), &wrong.into()).await.unwrap());
        }
        let again = passwords.hash(&STRONG.into()).await.unwrap();
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
}
