//! How strong a password must be: the bank's own rule, wherever people are kept.
//!
//! Guessing takes up to a tenth of a second, so it is done by [`Workers`]. Absent on purpose: rules on which characters
//! a password has, and expiry.

use kernel::Email;
use ports::{IdentityError, IdentityRejection, Secret};
use zxcvbn::{Score, zxcvbn};

use crate::workers::Workers;

/// The fewest and most characters of a password, and its most bytes.
const CHARACTERS_MIN: usize = 8;
const CHARACTERS_MAX: usize = 128;
pub const BYTES_MAX: usize = 1024;

/// Only so many characters are guessed at. The time of a guess grows without measure with what could be letters in
/// disguise: two seconds for a hundred of them, and a tenth of one for these. More characters never make a password
/// weaker, so one that is strong enough up to here is so as a whole.
const GUESSED_CHARACTERS_MAX: usize = 32;

/// How many passwords are guessed at the same time, and how many more may wait.
const GUESSES_AT_ONCE: usize = 2;
const GUESSES_WAITING_MAX: usize = 64;

/// Judges new passwords. Clones share one queue.
#[derive(Clone)]
pub struct Strength(Workers);

impl Strength {
    /// A judge with a queue of its own.
    pub fn new() -> Self {
        Self(Workers::new(GUESSES_AT_ONCE, GUESSES_WAITING_MAX))
    }

    /// Judges a new password of the person with this address.
    ///
    /// # Errors
    /// [`IdentityRejection::WeakPassword`], or a fault.
    pub async fn judge(&self, email: &Email, password: &Secret) -> Result<(), IdentityError> {
        let (email, password) = (email.clone(), password.clone());
        Ok(self.0.run(move || judge(&email, password.reveal())).await??)
    }
}

/// A password is strong enough from a score of 3 of 4 on: more than 10^8 guesses, the person's address known.
///
/// It is one line that neither begins nor ends with a space, since a user pool takes no other
/// (Amazon Cognito, SignUp, the pattern of `Password`).
fn judge(email: &Email, password: &str) -> Result<(), IdentityRejection> {
    let weak = |sentence: String| Err(IdentityRejection::WeakPassword(vec![sentence]));
    let characters = password.chars().count();
    if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&characters) || password.len() > BYTES_MAX {
        return weak(format!("Use {CHARACTERS_MIN} to {CHARACTERS_MAX} characters."));
    }
    if password.trim() != password || password.contains(char::is_control) {
        return weak("Use one line that neither begins nor ends with a space.".to_owned());
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
    Err(IdentityRejection::WeakPassword(sentences))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_is_judged() {
        let email = "ada.lovelace@example.org".parse().unwrap();
        let longest: String = (1..=32_u64).map(|n| format!("{:04x}", n * n * 7_919 % 65_536)).collect();
        for strong in
            ["correct horse battery staple", "Tr0ub4dour&3-wren", "æøå æøå blåbær og fløte", &longest]
        {
            assert_eq!(judge(&email, strong), Ok(()), "{strong}");
        }
        let too_long = format!("{longest}x");
        let weak_ones = [
            "",
            "short",
            "password",
            "password123",
            "ada.lovelace",
            "aaaaaaaaaaaaaaaa",
            &too_long,
            " correct horse battery staple",
            "correct horse battery staple\n",
            "correct horse\nbattery staple",
        ];
        for weak in weak_ones {
            let Err(IdentityRejection::WeakPassword(sentences)) = judge(&email, weak) else {
                panic!("{weak} is weak")
            };
            assert!(!sentences.is_empty(), "{weak}");
        }
    }
}
