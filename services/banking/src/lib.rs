//! Banking: the operations that customers ask for, from the request to the ledger's verdict.
//!
//! An operation and its command to the ledger are written in one transaction; the verdict comes back as an event.
//! Banking never knows a balance: whether there is enough is the ledger's to say.

mod audit;
mod consumers;
pub mod domain;
#[cfg(test)]
mod fixture;
mod http;
mod problems;
pub mod records;
mod submission;

use std::time::Duration;

use contracts::accounts::AccountState;
use kernel::{AccountId, OperationId, UserId};
use ports::{Held, Sources, Store};
use runtime::{Caching, Fault, InFlight, RecordCache, Waiters, patience_for};

pub use consumers::Events;
use domain::{Operation, Rejection};
pub use http::{BATCH_OPERATIONS_MAX, BATCH_PARTS_AT_ONCE, routes};
use records::{KnownAccount, account_key, operation_key, operations_of};
pub use submission::TOGETHER_MAX;

/// Why banking did not do what was asked.
pub type Refusal = runtime::Refusal<Rejection>;

/// The banking service of one world. Clones are the same service.
#[derive(Clone)]
pub struct Banking<S> {
    store: S,
    sources: Sources,
    in_flight: InFlight,
    accounts: RecordCache<AccountId, KnownAccount>,
    operations: RecordCache<(UserId, OperationId), Operation>,
    account_waiters: Waiters<AccountId>,
    operation_waiters: Waiters<OperationId>,
}

impl<S: Store> Banking<S> {
    /// Where this process does not hear what becomes of accounts, one that was closed may be believed to be open for as long
    /// as `accounts` says: then its operations are begun, and the ledger refuses them. `operations` is [`Caching::NONE`]
    /// where they are begun and ended in different processes.
    pub fn new(store: S, sources: Sources, accounts: Caching, operations: Caching) -> Self {
        Self {
            store,
            sources,
            in_flight: InFlight::default(),
            accounts: RecordCache::new("banking_accounts", accounts),
            operations: RecordCache::new("banking_operations", operations),
            account_waiters: Waiters::default(),
            operation_waiters: Waiters::default(),
        }
    }

    /// The consumer of events.
    pub fn events(&self) -> Events<S> {
        Events(self.clone())
    }

    /// One of a customer's operations. Another's is as unknown as one that does not exist.
    pub async fn operation(
        &self,
        owner: UserId,
        operation_id: OperationId,
    ) -> Result<Option<Operation>, Fault> {
        match self.operations.get(&(owner, operation_id)) {
            // An end is for good; one that is remembered as PENDING may have ended since.
            Some(held) if held.record.has_ended() => Ok(Some(held.record)),
            _ => Ok(runtime::get(&self.store, operation_key(owner, operation_id))
                .await?
                .map(|held| held.record)),
        }
    }

    /// The operation once it has ended, or as it is when `patience` is at its end.
    pub async fn ended(&self, operation: Operation, patience: Duration) -> Result<Operation, Fault> {
        let Operation { owner, operation_id, .. } = operation;
        let mut has_looked = false;
        let look = || {
            let is_first = !std::mem::replace(&mut has_looked, true);
            async move {
                match self.operations.get(&(owner, operation_id)) {
                    // It was begun a moment ago, and whoever ends it here remembers that.
                    Some(held) if is_first && !held.record.has_ended() => Ok::<_, Fault>(None),
                    _ => Ok(self.operation(owner, operation_id).await?.filter(Operation::has_ended)),
                }
            }
        };
        let ended = self.operation_waiters.wait(operation_id, patience, look).await?;
        Ok(ended.unwrap_or(operation))
    }

    /// A page of a customer's operations, newest first.
    pub async fn operations(
        &self,
        owner: UserId,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Operation>, Option<String>), Fault> {
        runtime::query(&self.store, &operations_of(owner, after, limit)).await
    }

    /// Any customer's account as far as it is known here, for an operator.
    pub async fn known_account(&self, account_id: AccountId) -> Result<Option<AccountState>, Fault> {
        let known: Option<Held<KnownAccount>> = runtime::get(&self.store, account_key(account_id)).await?;
        Ok(known.map(|held| held.record.0))
    }

    /// An account as far as it is known here. One that was opened a moment ago is waited for.
    async fn account(&self, account_id: AccountId, waits: bool) -> Result<Option<AccountState>, Fault> {
        let patience = patience_for(account_id.made_at(), self.sources.now());
        let load =
            || self.accounts.get_or_load(account_id, runtime::get(&self.store, account_key(account_id)));
        let known: Option<Held<KnownAccount>> = match load().await? {
            None if waits && !patience.is_zero() => {
                self.account_waiters.wait(account_id, patience, load).await?
            }
            known => known,
        };
        Ok(known.map(|held| held.record.0))
    }

    /// Remembers operations as they were written.
    fn remember(&self, written: impl IntoIterator<Item = Held<Operation>>) {
        for held in written {
            let Operation { owner, operation_id, .. } = held.record;
            self.operations.offer(&(owner, operation_id), held);
        }
    }

    /// Takes in the newest state of an account, and lets those go on who wait for it.
    fn learn(&self, account: KnownAccount) {
        let (account_id, revision) = (account.0.account_id, account.revision());
        self.accounts.offer(&account_id, Held { record: account, revision });
        self.account_waiters.wake(&account_id);
    }
}
