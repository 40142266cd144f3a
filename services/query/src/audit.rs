//! Holding the projections against the ledger's events, for audits, and building them anew.

use contracts::Message;
use kernel::{AccountId, Money};
use ports::{Key, Place, Store, Table, Transaction};
use runtime::{Comparison, Decision, Fault, decide_and_commit, rounds};

use crate::Query;
use crate::domain::{Balance, Changes, changes};
use crate::records::{TABLES, TRANSACTIONS, TransactionRecord, balance_key, transaction_key};

/// How many items are deleted in one transaction.
const DELETIONS: usize = ports::TRANSACTION_ITEMS_MAX;

impl<S: Store> Query<S> {
    /// Compares the history with some of the ledger's events.
    pub async fn compare_transactions(&self, events: &[Message]) -> Result<Comparison, Fault> {
        let mut comparison = Comparison::default();
        let expected: Vec<_> = events.iter().flat_map(|event| changes(event).transactions).collect();
        let keys: Vec<Key> = expected
            .iter()
            .map(|row| {
                transaction_key(row.account_id, row.occurred_at, row.account_version, row.operation_id)
            })
            .collect();
        let stored = runtime::get_many::<S, TransactionRecord>(&self.store, &keys).await?;
        for (expected, stored) in expected.iter().zip(stored) {
            comparison.compared += 1;
            match stored {
                None => comparison.lag(format!(
                    "the history of account {} lacks operation {}",
                    expected.account_id, expected.operation_id
                )),
                Some(stored) if stored.record.transaction != *expected => comparison.find(format!(
                    "the history of account {} shows operation {} otherwise than the ledger",
                    expected.account_id, expected.operation_id
                )),
                Some(_) => {}
            }
        }
        Ok(comparison)
    }

    /// Compares balances with what the ledger's heads hold after how many entries.
    pub async fn compare_balances(&self, heads: &[(AccountId, Money, u64)]) -> Result<Comparison, Fault> {
        let mut comparison = Comparison::default();
        let keys: Vec<Key> = heads.iter().map(|(account_id, ..)| balance_key(*account_id)).collect();
        let stored = runtime::get_many::<S, Balance>(&self.store, &keys).await?;
        for ((account_id, balance, version), stored) in heads.iter().zip(stored) {
            comparison.compared += 1;
            let (shown, shown_version) = match &stored {
                Some(stored) => (stored.record.balance, stored.record.version),
                None => (Money::zero(balance.currency), 0),
            };
            if shown_version < *version {
                comparison.lag(format!(
                    "the balance of account {account_id} is shown after {shown_version} of {version} entries"
                ));
            } else if (shown, shown_version) != (*balance, *version) {
                comparison.find(format!(
                    "the balance of account {account_id} is shown as {shown} after {shown_version} entries; the ledger has {balance} after {version}"
                ));
            }
        }
        Ok(comparison)
    }

    /// How many rows of history there are.
    pub async fn count_transactions(&self) -> Result<u64, Fault> {
        let mut count = 0;
        runtime::scan_all::<S, Fault>(&self.store, TRANSACTIONS, |_| {
            count += 1;
            Ok(())
        })
        .await?;
        Ok(count)
    }

    /// Throws away all projections there are when it begins. `progress` hears how many items are gone.
    pub async fn clear(&self, mut progress: impl FnMut(u64) + Send) -> Result<(), Fault> {
        for table in TABLES {
            let mut after = None;
            loop {
                let clear_page = || self.try_clear_page(*table, after.as_ref());
                let (gone, next) = decide_and_commit(&self.store, clear_page).await?;
                progress(gone);
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        self.forget();
        Ok(())
    }

    /// Where somebody writes meanwhile, the page is looked at again.
    async fn try_clear_page(
        &self,
        table: Table,
        after: Option<&Place>,
    ) -> Result<Decision<(u64, Option<Place>)>, Fault> {
        let page = self.store.scan(table, after, DELETIONS).await?;
        let mut transaction = Transaction::independent(self.sources.fresh_id());
        for item in &page.items {
            transaction.delete(item.key.clone(), item.revision)?;
        }
        let answer = (page.items.len() as u64, page.next);
        Ok(if page.items.is_empty() {
            Decision::Nothing(answer)
        } else {
            Decision::Commit(transaction, answer)
        })
    }

    /// Projects events that were made again from the journal. Those that are projected already change nothing.
    pub async fn rebuild(&self, events: &[Message]) -> Result<(), Fault> {
        let changed: Vec<Changes> = events.iter().map(changes).collect();
        let rounds = rounds(&changed, |changes| changes.transactions.len(), Changes::shared);
        for part in rounds.into_iter().flatten() {
            self.project(part.into_iter()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
