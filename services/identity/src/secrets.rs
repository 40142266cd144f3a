//! Secrets that the bank makes.
//!
//! The bank's own come from the cryptographic generator of AWS-LC and not from `ports::Sources`: what a simulation
//! can foresee and replay is just what a secret must not be. Nothing else in identity depends on chance.
//!
//! Of a secret that the bank made only a digest is kept. A refresh token has 256 bits that no one can try out, so
//! SHA-256 is enough for it. A code of eight digits could be found from its digest by whoever reads the store; she
//! would have a quarter of an hour, and could as well write to the store of people.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Email, SessionId, UserId, hexadecimal};
use ports::Secret;
use runtime::Fault;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::{Digest, Purpose, RefreshDigests};

/// Bytes that nobody can foresee.
pub fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Fault::Unavailable("the system has no randomness".to_owned()))?;
    Ok(bytes)
}

/// A code of eight digits. The remainder favours no code by more than one in 2^37.
pub fn fresh_code() -> Result<String, Fault> {
    const CODES: u64 = 100_000_000;
    Ok(format!("{:08}", u64::from_be_bytes(random()?) % CODES))
}

/// What is kept of a code. It counts for one person and purpose only.
pub fn digest_code(user_id: UserId, purpose: Purpose, code: &str) -> Digest {
    let label: &[u8] = match purpose {
        Purpose::Confirm => b"confirm",
        Purpose::Reset => b"reset",
    };
    digest(&[label, user_id.uuid().as_bytes(), code.trim().as_bytes()])
}

/// What failed tries for an address are kept under.
pub fn digest_address(email: &Email) -> Digest {
    digest(&[b"address", email.as_str().as_bytes()])
}

/// Each part goes in behind its length, so that no two lists of parts have one digest by being cut differently.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    Digest(hexadecimal(&hasher.finalize()))
}

/// A refresh token: whose it is, then 256 bits that all tokens of its session share, then 256 of its own.
///
/// The shared part tells an old token of the session from a guess, so that reuse is seen without keeping old tokens.
pub struct RefreshToken {
    user_id: UserId,
    session_id: SessionId,
    family: [u8; 32],
    secret: [u8; 32],
}

impl RefreshToken {
    const BYTES: usize = 16 + 16 + 32 + 32;
    /// In base64 without padding, which needs none here.
    const TEXT_BYTES: usize = Self::BYTES / 3 * 4;

    /// The first token of a session.
    pub fn fresh(user_id: UserId, session_id: SessionId) -> Result<Self, Fault> {
        Ok(Self { user_id, session_id, family: random()?, secret: random()? })
    }

    /// The next token of the same session.
    pub fn next(&self) -> Result<Self, Fault> {
        Ok(Self { secret: random()?, ..*self })
    }

    /// The token that a text is, if it is any.
    pub fn parse(presented: &Secret) -> Option<Self> {
        if presented.reveal().len() != Self::TEXT_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(presented.reveal()).ok()?;
        let (user_id, rest) = bytes.split_first_chunk()?;
        let (session_id, rest) = rest.split_first_chunk()?;
        let (family, rest) = rest.split_first_chunk()?;
        Some(Self {
            user_id: UserId::new(Uuid::from_bytes(*user_id)),
            session_id: SessionId::new(Uuid::from_bytes(*session_id)),
            family: *family,
            secret: rest.try_into().ok()?,
        })
    }

    /// The token as it is handed to its owner, and to nobody else.
    pub fn text(&self) -> String {
        let (user_id, session_id) = (self.user_id.uuid(), self.session_id.uuid());
        let parts: [&[u8]; 4] = [user_id.as_bytes(), session_id.as_bytes(), &self.family, &self.secret];
        URL_SAFE_NO_PAD.encode(parts.concat())
    }

    /// Whose session it is of.
    pub fn user_id(&self) -> UserId {
        self.user_id
    }

    /// Which session it is of.
    pub fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// What is kept of it.
    pub fn digests(&self) -> RefreshDigests {
        RefreshDigests {
            family: digest(&[b"family", &self.family]),
            secret: digest(&[b"refresh", &self.secret]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> RefreshToken {
        RefreshToken::fresh(UserId::new(Uuid::max()), SessionId::new(Uuid::nil())).unwrap()
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = token();
        let read = RefreshToken::parse(&token.text().as_str().into()).unwrap();
        assert_eq!((read.user_id(), read.session_id()), (token.user_id(), token.session_id()));
        assert_eq!(read.digests(), token.digests());
    }

    #[test]
    fn the_next_token_shares_the_family_only() {
        let first = token();
        let (first, second) = (first.digests(), first.next().unwrap().digests());
        assert_eq!(first.family, second.family);
        assert_ne!(first.secret, second.secret);
    }

    #[test]
    fn other_texts_are_no_token() {
        let text = token().text();
        let altered = format!("!{}", &text[1..]);
        for given in ["", "token", &text[..127], &format!("{text}A"), &altered] {
            assert!(RefreshToken::parse(&Secret::from(given)).is_none(), "{given}");
        }
    }

    #[test]
    fn a_code_is_of_eight_digits_and_never_the_same() {
        let codes: std::collections::BTreeSet<String> = (0..50).map(|_| fresh_code().unwrap()).collect();
        assert!(codes.len() > 45, "{codes:?}");
        assert!(codes.iter().all(|code| code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit())));
    }

    #[test]
    fn a_code_counts_for_one_person_and_purpose() {
        let (ada, eve) = (UserId::new(Uuid::max()), UserId::new(Uuid::nil()));
        let kept = digest_code(ada, Purpose::Reset, "12345678");
        assert_eq!(kept, digest_code(ada, Purpose::Reset, " 12345678\n"));
        assert_ne!(kept, digest_code(ada, Purpose::Confirm, "12345678"));
        assert_ne!(kept, digest_code(eve, Purpose::Reset, "12345678"));
        assert_ne!(kept, digest_code(ada, Purpose::Reset, "12345679"));
    }
}
