//! What the customers of a run know of each other: their accounts, their operations, and the keys they have used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::UserId;

use crate::counter::Ask;

/// An account that was opened.
#[derive(Clone, Debug)]
pub struct KnownAccount {
    /// Its identifier.
    pub account_id: String,
    /// Whose it is.
    pub owner: UserId,
    /// What it holds.
    pub currency: &'static str,
}

/// What everybody knows. Clones are the same town.
#[derive(Clone, Default)]
pub struct Town(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    labels: u64,
    accounts: Vec<KnownAccount>,
    operations: Vec<(UserId, String)>,
    keyed: Vec<(UserId, Ask)>,
}

impl Town {
    /// A word that nobody has used.
    pub fn label(&self) -> String {
        let mut known = self.known();
        known.labels += 1;
        format!("w{}", known.labels)
    }

    /// Learns of an account.
    pub fn add_account(&self, account: KnownAccount) {
        let mut known = self.known();
        if known.accounts.iter().all(|other| other.account_id != account.account_id) {
            known.accounts.push(account);
        }
    }

    /// Learns of an operation.
    pub fn add_operation(&self, owner: UserId, operation_id: &str) {
        self.known().operations.push((owner, operation_id.to_owned()));
    }

    /// Learns of a request with a key.
    pub fn add_keyed(&self, user: UserId, ask: &Ask) {
        self.known().keyed.push((user, ask.clone()));
    }

    /// The accounts for which this holds, the oldest first.
    pub fn accounts(&self, is_wanted: impl Fn(&KnownAccount) -> bool) -> Vec<KnownAccount> {
        self.known().accounts.iter().filter(|account| is_wanted(account)).cloned().collect()
    }

    /// The operations of those for whom this holds.
    pub fn operations(&self, is_wanted: impl Fn(UserId) -> bool) -> Vec<String> {
        let known = self.known();
        let wanted = known.operations.iter().filter(|(owner, _)| is_wanted(*owner));
        wanted.map(|(_, operation_id)| operation_id.clone()).collect()
    }

    /// The requests with a key of those for whom this holds.
    pub fn keyed(&self, is_wanted: impl Fn(UserId) -> bool) -> Vec<Ask> {
        let known = self.known();
        known.keyed.iter().filter(|(user, _)| is_wanted(*user)).map(|(_, ask)| ask.clone()).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
