//! Events in: the ledger's answers to requests to close. A batch is one transaction.

use std::collections::HashMap;

use contracts::topology::consumers::ACCOUNTS_CLOSINGS;
use kernel::AccountId;
use ports::{Consumer, Delivery, Held, Key, Outcome, Store, Transaction};
use runtime::{Decision, Fault, Trace, Work, decide_and_commit, envelope, read_batch};

use crate::Accounts;
use crate::domain::{self, Account, Conclusion};
use crate::records::{ACCOUNTS_EVENTS, account_key};

/// Closes accounts for good, or opens them again.
pub struct Closings<S>(pub(crate) Accounts<S>);

impl<S: Store> Consumer for Closings<S> {
    const NAME: &'static str = ACCOUNTS_CLOSINGS;

    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let (work, outcomes) = read_batch(batch, |message| Conclusion::try_from(&message));
        // An account is written once, however many answers there are to requests to close it.
        let account = |conclusion: &Conclusion| [conclusion.account_id];
        outcomes.of_parts(&work, |_| 0, account, |part| self.take(part)).await
    }
}

impl<S: Store> Closings<S> {
    async fn take(&self, part: Vec<&Work<'_, Conclusion>>) -> Result<(), Fault> {
        let concluded = decide_and_commit(&self.0.store, || self.conclude(&part)).await?;
        concluded.into_iter().for_each(|account| self.0.learn(account));
        Ok(())
    }

    async fn conclude(&self, part: &[&Work<'_, Conclusion>]) -> Result<Decision<Vec<Account>>, Fault> {
        let sources = &self.0.sources;
        let mut waiting = self.load(part).await?;
        let mut transaction = Transaction::new(sources.fresh_id());
        let mut concluded = Vec::new();
        for Work { delivery, content: conclusion, .. } in part {
            let Some(held) = waiting.get(&conclusion.account_id) else { continue };
            let Some((account, event)) = domain::conclude(&held.record, conclusion) else { continue };
            transaction.replace(held.revision, &account)?;
            if let Some(event) = event {
                let (group, trace) = (account.account_id.to_string(), Trace::caused_by(Self::NAME, delivery));
                transaction.emit(ACCOUNTS_EVENTS, envelope(&event, group, &trace, sources.now(), sources))?;
            }
            // It waits for nothing any more, so that the same answer twice in one batch is written once.
            waiting.remove(&conclusion.account_id);
            concluded.push(account);
        }
        Ok(if transaction.is_empty() {
            Decision::Nothing(concluded)
        } else {
            Decision::Commit(transaction, concluded)
        })
    }

    async fn load(&self, part: &[&Work<'_, Conclusion>]) -> Result<HashMap<AccountId, Held<Account>>, Fault> {
        let keys: HashMap<AccountId, Key> = part
            .iter()
            .map(|Work { content: conclusion, .. }| {
                (conclusion.account_id, account_key(conclusion.owner, conclusion.account_id))
            })
            .collect();
        let keys: Vec<Key> = keys.into_values().collect();
        let stored = runtime::get_many::<S, Account>(&self.0.store, &keys).await?;
        Ok(stored.into_iter().flatten().map(|held| (held.record.account_id, held)).collect())
    }
}

#[cfg(test)]
#[path = "consumers_tests.rs"]
mod tests;
