//! Events in: every projection is an upsert guarded by "newer than what is stored", so order does not matter.
//!
//! A batch is written without reading first: each event carries the state it led to. Only where something was there
//! already, because a message came twice or late or its batch was written in part, is the store asked what to leave out.
//! No item needs another, so the writes are independent: a reader may see a row of history a moment before its balance.

use std::collections::BTreeMap;
use std::convert::Infallible;

use contracts::topology::consumers::QUERY_EVENTS;
use kernel::AccountId;
use ports::{Consumer, Delivery, Outcome, Record, Revision, Store, Transaction};
use runtime::{Decision, Fault, Work, decide_and_commit, read_batch};

use crate::Query;
use crate::domain::{Balance, Changes, changes};
use crate::records::{KnownAccount, TransactionRecord};

/// Keeps the projections.
pub struct Events<S>(pub(crate) Query<S>);

impl<S: Store> Consumer for Events<S> {
    const NAME: &'static str = QUERY_EVENTS;

    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let (work, outcomes) = read_batch(batch, |message| Ok::<_, Infallible>(changes(&message)));
        let rows = |changes: &Changes| changes.transactions.len();
        let project = |part: Vec<_>| self.0.project(part.into_iter().map(|work: &Work<_>| &work.content));
        outcomes.of_parts(&work, rows, Changes::shared, project).await
    }
}

/// What a part of a batch writes, in an order that is the same in every run: every row, and the newest balance and state
/// of each account.
struct Projected {
    transactions: Vec<TransactionRecord>,
    balances: BTreeMap<AccountId, Balance>,
    accounts: BTreeMap<AccountId, KnownAccount>,
}

impl<S: Store> Query<S> {
    /// Writes what some events change. Together they must fit one transaction.
    pub(crate) async fn project(&self, changes: impl Iterator<Item = &Changes>) -> Result<(), Fault> {
        let projected = self.fold(changes);
        let mut tries = 0;
        let newest = decide_and_commit(&self.store, || {
            tries += 1;
            self.write(&projected, tries > 1)
        })
        .await?;
        newest.balances.into_iter().for_each(|balance| self.learn_balance(balance));
        newest.accounts.into_iter().for_each(|account| self.learn_account(account));
        Ok(())
    }

    fn fold<'a>(&self, changes: impl Iterator<Item = &'a Changes>) -> Projected {
        let projected_at = self.sources.now();
        let mut projected =
            Projected { transactions: Vec::new(), balances: BTreeMap::new(), accounts: BTreeMap::new() };
        for Changes { transactions, balances, account } in changes {
            for transaction in transactions {
                let record = TransactionRecord { transaction: transaction.clone(), projected_at };
                // The same message may come twice in one batch.
                if !projected.transactions.iter().any(|known| known.transaction == record.transaction) {
                    projected.transactions.push(record);
                }
            }
            for balance in balances {
                let newest = projected.balances.entry(balance.account_id).or_insert(*balance);
                if newest.version < balance.version {
                    *newest = *balance;
                }
            }
            if let Some(state) = account {
                let known = KnownAccount(state.clone());
                let newest = projected.accounts.entry(state.account_id).or_insert_with(|| known.clone());
                if newest.revision() < known.revision() {
                    *newest = known;
                }
            }
        }
        projected
    }

    async fn write(&self, projected: &Projected, look_first: bool) -> Result<Decision<Newest>, Fault> {
        let mut newest = Newest::default();
        let mut writer = Writer {
            query: self,
            look_first,
            transaction: Transaction::independent(self.sources.fresh_id()),
        };
        for transaction in &projected.transactions {
            writer.supersede(transaction, Revision::FIRST).await?;
        }
        for balance in projected.balances.values() {
            if writer.supersede(balance, Revision(balance.version)).await? {
                newest.balances.push(*balance);
            }
        }
        for account in projected.accounts.values() {
            if writer.supersede(account, account.revision()).await? {
                newest.accounts.push(account.clone());
            }
        }
        let transaction = writer.transaction;
        Ok(if transaction.is_empty() {
            Decision::Nothing(newest)
        } else {
            Decision::Commit(transaction, newest)
        })
    }
}

/// What is as new as the store, and so may be remembered. An event that comes again after a restart is not: what has
/// happened since is in the store, and not in memory any more.
#[derive(Default)]
struct Newest {
    balances: Vec<Balance>,
    accounts: Vec<KnownAccount>,
}

struct Writer<'a, S> {
    query: &'a Query<S>,
    look_first: bool,
    transaction: Transaction,
}

impl<S: Store> Writer<'_, S> {
    /// Whether the store holds this record then, and not a newer one.
    async fn supersede<R: Record>(&mut self, newer: &R, revision: Revision) -> Result<bool, Fault> {
        if self.look_first {
            let stored = self.query.store.get(&[newer.key()]).await?.pop().flatten();
            if let Some(stored) = stored.filter(|stored| stored.revision >= revision) {
                return Ok(stored.revision == revision);
            }
        }
        self.transaction.supersede(newer, revision)?;
        Ok(true)
    }
}

#[cfg(test)]
#[path = "consumers_tests.rs"]
mod tests;
