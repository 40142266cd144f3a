//! Events in: verdicts end operations, and accounts are known by their newest state.
//!
//! No operation or account needs another, so the writes of a batch are independent. Where one of them fails, what was
//! written already is read anew and left out.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

use contracts::Message;
use contracts::accounts::AccountState;
use contracts::topology::consumers::BANKING_EVENTS;
use kernel::{AccountId, OperationId};
use ports::{Consumer, Delivery, Held, Key, Outcome, Store, Transaction};
use runtime::{Decision, Fault, Work, decide_and_commit, read_batch};

use crate::Banking;
use crate::domain::{Ending, Operation, ending};
use crate::records::{KnownAccount, account_key, operation_key};

/// Operations as they have ended, and accounts as they are known now.
type Newest = (Vec<Held<Operation>>, Vec<KnownAccount>);

/// Ends operations and keeps the accounts known.
pub struct Events<S>(pub(crate) Banking<S>);

impl<S: Store> Consumer for Events<S> {
    const NAME: &'static str = BANKING_EVENTS;

    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let (work, outcomes) = read_batch(batch, Ok::<_, Infallible>);
        // An operation that ends is an item of its own, and an account is written once in its newest state.
        let own = |event: &Message| usize::from(known_account(event).is_none());
        let account = |event: &Message| known_account(event).map(|state| state.account_id);
        outcomes.of_parts(&work, own, account, |part| self.take(part)).await
    }
}

impl<S: Store> Events<S> {
    async fn take(&self, part: Vec<&Work<'_, Message>>) -> Result<(), Fault> {
        let endings: Vec<Ending> = part.iter().filter_map(|work| ending(&work.content)).collect();
        let accounts = newest_accounts(part.iter().map(|work| &work.content));
        let mut is_thorough = false;
        let (ended, newest) = decide_and_commit(&self.0.store, || {
            self.project(&endings, &accounts, std::mem::replace(&mut is_thorough, true))
        })
        .await?;
        self.0.remember(ended);
        newest.into_iter().for_each(|account| self.0.learn(account));
        endings.iter().for_each(|ending| self.0.operation_waiters.wake(&ending.operation_id));
        Ok(())
    }

    /// Answers the operations that have ended, and the accounts that are as new as the store, and so may be remembered. An
    /// event that comes again after a restart is not: what has happened since is in the store, and not in memory any more.
    ///
    /// The first try is not thorough: it takes operations to be as they are remembered, where they are.
    async fn project(
        &self,
        endings: &[Ending],
        accounts: &BTreeMap<AccountId, KnownAccount>,
        is_thorough: bool,
    ) -> Result<Decision<Newest>, Fault> {
        let (store, now) = (&self.0.store, self.0.sources.now());
        let mut transaction = Transaction::independent(self.0.sources.fresh_id());
        let mut operations = self.operations(endings, is_thorough).await?;
        let mut ended = Vec::with_capacity(operations.len());
        for ending in endings {
            // It is taken out of the map, so that the same event twice in one batch is written once.
            let Some(Held { mut record, mut revision }) = operations.remove(&ending.operation_id) else {
                continue;
            };
            // One that has ended stays as it is; the event was delivered before.
            if !record.has_ended() {
                record.status = ending.status.clone();
                record.concluded_at = Some(now);
                transaction.replace(revision, &record)?;
                revision = revision.next();
            }
            ended.push(Held { record, revision });
        }
        let keys: Vec<Key> = accounts.keys().map(|account_id| account_key(*account_id)).collect();
        let stored = runtime::get_many::<S, KnownAccount>(store, &keys).await?;
        let mut newest = Vec::with_capacity(accounts.len());
        for (account, stored) in accounts.values().zip(stored) {
            let stored = stored.map(|stored| stored.revision);
            if stored.is_none_or(|stored| stored < account.revision()) {
                transaction.supersede(account, account.revision())?;
            }
            if stored.is_none_or(|stored| stored <= account.revision()) {
                newest.push(account.clone());
            }
        }
        Ok(if transaction.is_empty() {
            Decision::Nothing((ended, newest))
        } else {
            Decision::Commit(transaction, (ended, newest))
        })
    }

    /// The operations that end: as they are remembered, as far as that will do, and all the others in one read.
    async fn operations(
        &self,
        endings: &[Ending],
        is_thorough: bool,
    ) -> Result<HashMap<OperationId, Held<Operation>>, Fault> {
        let mut operations = HashMap::with_capacity(endings.len());
        let mut unread = Vec::new();
        for ending in endings {
            match self.0.operations.get(&(ending.owner, ending.operation_id)).filter(|_| !is_thorough) {
                Some(held) => drop(operations.insert(ending.operation_id, held)),
                None => unread.push(operation_key(ending.owner, ending.operation_id)),
            }
        }
        let read = runtime::get_many::<S, Operation>(&self.0.store, &unread).await?;
        operations.extend(read.into_iter().flatten().map(|held| (held.record.operation_id, held)));
        Ok(operations)
    }
}

/// The newest state of each account that the events speak of, in an order that is the same in every run.
fn newest_accounts<'a>(events: impl Iterator<Item = &'a Message>) -> BTreeMap<AccountId, KnownAccount> {
    let mut newest: BTreeMap<AccountId, KnownAccount> = BTreeMap::new();
    for state in events.filter_map(known_account) {
        let is_newer = |known: &KnownAccount| known.0.revision < state.revision;
        if newest.get(&state.account_id).is_none_or(is_newer) {
            newest.insert(state.account_id, KnownAccount(state.clone()));
        }
    }
    newest
}

/// The state of an account that an event tells.
fn known_account(event: &Message) -> Option<&AccountState> {
    match event {
        Message::CreateAccount(state) | Message::CloseAccount(state) => Some(state),
        _ => None,
    }
}

#[cfg(test)]
#[path = "consumers_tests.rs"]
mod tests;
