//! The mail server of a run, and the addresses of its people. A letter is taken, or is to be sent again later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::UserId;
use ports::{Answer, Directory, Letter, MailError, Mailer, Unavailable};

use crate::dice::Dice;
use crate::record::PostedLetter;

/// Whose draws these are among all of a run.
const DRAWS: u64 = 1_000_001;

/// Takes letters. Clones are the same one.
#[derive(Clone)]
pub struct PostOffice(Arc<Mutex<State>>);

struct State {
    dice: Dice,
    later_per_mille: u64,
    letters: Vec<PostedLetter>,
}

impl PostOffice {
    /// One that turns away so many of a thousand letters; half of those it has taken nevertheless.
    pub fn new(seed: u64, later_per_mille: u64) -> Self {
        let state = State { dice: Dice::new(seed, DRAWS), later_per_mille, letters: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// From now on no letter is turned away.
    pub fn take_everything(&self) {
        self.state().later_per_mille = 0;
    }

    /// The letters that were taken.
    pub fn letters(&self) -> Vec<PostedLetter> {
        self.state().letters.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailer for PostOffice {
    fn send<'a>(&'a self, letter: &'a Letter) -> Answer<'a, Result<(), MailError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut state = self.state();
            let most = state.later_per_mille;
            let is_turned_away = most > 0 && state.dice.between(1, 1_000) <= most;
            if is_turned_away && state.dice.percent(50) {
                return Err(MailError::Later("come back later".to_owned()));
            }
            let posted = PostedLetter { letter_id: letter.letter_id.clone(), to: letter.to.clone() };
            state.letters.push(posted);
            if is_turned_away { Err(MailError::Later("the answer was lost".to_owned())) } else { Ok(()) }
        })
    }
}

/// Everybody has an address, made of who she is.
pub struct Addresses;

impl Directory for Addresses {
    fn email_address(&self, user_id: UserId) -> Answer<'_, Result<Option<String>, Unavailable>> {
        Box::pin(async move { Ok(Some(format!("{user_id}@example.com"))) })
    }
}
