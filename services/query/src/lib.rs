//! Query: balances and histories for readers, projected from the events of the others.
//!
//! It decides nothing and asks nobody; what it shows can be thrown away and built anew from the ledger's journal and
//! the accounts.

mod audit;
mod consumers;
pub mod domain;
#[cfg(test)]
mod fixture;
mod http;
mod problems;
pub mod records;

use std::time::Duration;

use contracts::accounts::AccountState;
use kernel::{AccountId, Timestamp, UserId};
use ports::{Held, Revision, Sources, Store};
use runtime::{Caching, Fault, RecordCache, Waiters, patience_for};

pub use consumers::Events;
use domain::{Balance, Rejection, TransactionKind};
pub use http::{TransactionParams, TransactionView, history, routes};
use records::{KnownAccount, TransactionRecord, account_key, accounts_of, balance_key, transactions_of};

/// Why the query service did not answer what was asked.
pub type Refusal = runtime::Refusal<Rejection>;

/// How many pages are looked through for one page of a filtered history.
const FILTERED_PAGES_MAX: usize = 10;

/// What a reader wants to see of an account's history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filter {
    /// Not before this instant.
    pub from: Timestamp,
    /// Not after this instant.
    pub to: Timestamp,
    /// Only this kind.
    pub kind: Option<TransactionKind>,
}

/// An account and what it holds.
pub struct Standing {
    pub account: KnownAccount,
    pub balance: Balance,
}

/// The query service of one world. Clones are the same service.
#[derive(Clone)]
pub struct Query<S> {
    store: S,
    sources: Sources,
    accounts: RecordCache<(UserId, AccountId), KnownAccount>,
    balances: RecordCache<AccountId, Balance>,
    account_waiters: Waiters<AccountId>,
    balance_waiters: Waiters<AccountId>,
}

impl<S: Store> Query<S> {
    /// `caching` is [`Caching::NONE`] where this process does not hear the events that keep a cache true.
    pub fn new(store: S, sources: Sources, caching: Caching) -> Self {
        Self {
            store,
            sources,
            accounts: RecordCache::new("query_accounts", caching),
            balances: RecordCache::new("query_balances", caching),
            account_waiters: Waiters::default(),
            balance_waiters: Waiters::default(),
        }
    }

    /// The consumer of events.
    pub fn events(&self) -> Events<S> {
        Events(self.clone())
    }

    /// An account and its balance, once it has had `version_min` entries.
    ///
    /// # Errors
    /// [`Rejection::AccountNotFound`], also for another's account; [`Rejection::NotProjectedYet`] when `patience` is
    /// at its end.
    pub async fn balance(
        &self,
        owner: UserId,
        account_id: AccountId,
        version_min: u64,
        patience: Duration,
    ) -> Result<Standing, Refusal> {
        let account = self.account(owner, account_id).await?;
        let look = || async {
            let balance = self.stored_balance(&account).await?;
            Ok::<_, Fault>(Some(balance).filter(|balance| balance.version >= version_min))
        };
        let balance = match look().await? {
            Some(balance) => Some(balance),
            None => self.balance_waiters.wait(account_id, patience, look).await?,
        };
        let balance = balance.ok_or(Refusal::Rejected(Rejection::NotProjectedYet))?;
        Ok(Standing { account, balance })
    }

    /// A page of a customer's accounts with their balances, oldest account first.
    pub async fn balances(
        &self,
        owner: UserId,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Standing>, Option<String>), Fault> {
        let (accounts, next) = runtime::query(&self.store, &accounts_of(owner, after, limit)).await?;
        let mut standings = Vec::with_capacity(accounts.len());
        for account in accounts {
            let balance = self.stored_balance(&account).await?;
            standings.push(Standing { account, balance });
        }
        Ok((standings, next))
    }

    /// A page of an account's history, newest first. A page of a filtered history may have fewer rows than asked for,
    /// even none, and still a next one.
    pub async fn transactions(
        &self,
        owner: UserId,
        account_id: AccountId,
        filter: Filter,
        mut after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<TransactionRecord>, Option<String>), Refusal> {
        self.account(owner, account_id).await?;
        let mut rows: Vec<TransactionRecord> = Vec::new();
        for _ in 0..FILTERED_PAGES_MAX {
            let range = transactions_of(account_id, (filter.from, filter.to), after, limit - rows.len());
            let (page, next) = runtime::query::<S, TransactionRecord>(&self.store, &range).await?;
            let is_wanted =
                |row: &TransactionRecord| filter.kind.is_none_or(|kind| row.transaction.kind == kind);
            rows.extend(page.into_iter().filter(is_wanted));
            after = next;
            if after.is_none() || rows.len() == limit {
                break;
            }
        }
        Ok((rows, after))
    }

    /// A row of an account's history, for an operator.
    pub async fn transaction(&self, key: ports::Key) -> Result<Option<TransactionRecord>, Fault> {
        Ok(runtime::get(&self.store, key).await?.map(|held| held.record))
    }

    /// What readers are shown of any account that was opened, for an operator.
    pub async fn shown_balance(&self, account: AccountState) -> Result<Balance, Fault> {
        self.stored_balance(&KnownAccount(account)).await
    }

    /// A customer's account. One that was opened a moment ago is waited for.
    async fn account(&self, owner: UserId, account_id: AccountId) -> Result<KnownAccount, Refusal> {
        let patience = patience_for(account_id.made_at(), self.sources.now());
        let key = (owner, account_id);
        let load =
            || self.accounts.get_or_load(key, runtime::get(&self.store, account_key(owner, account_id)));
        let known: Option<Held<KnownAccount>> = match load().await? {
            None if !patience.is_zero() => self.account_waiters.wait(account_id, patience, load).await?,
            known => known,
        };
        known.map(|held| held.record).ok_or(Refusal::Rejected(Rejection::AccountNotFound))
    }

    /// What an account holds; an account without entries holds nothing since it was opened.
    async fn stored_balance(&self, account: &KnownAccount) -> Result<Balance, Fault> {
        let state = &account.0;
        let load = runtime::get(&self.store, balance_key(state.account_id));
        let stored = self.balances.get_or_load(state.account_id, load).await?;
        Ok(stored.map_or_else(
            || Balance {
                account_id: state.account_id,
                balance: kernel::Money::zero(state.currency),
                version: 0,
                updated_at: state.created_at,
            },
            |held| held.record,
        ))
    }

    fn learn_balance(&self, balance: Balance) {
        self.balances
            .offer(&balance.account_id, Held { record: balance, revision: Revision(balance.version) });
        self.balance_waiters.wake(&balance.account_id);
    }

    fn learn_account(&self, account: KnownAccount) {
        let (owner, account_id, revision) = (account.0.owner, account.0.account_id, account.revision());
        self.accounts.offer(&(owner, account_id), Held { record: account, revision });
        self.account_waiters.wake(&account_id);
    }

    fn forget(&self) {
        self.accounts.clear();
        self.balances.clear();
    }
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
