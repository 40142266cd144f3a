//! Commands in. A batch is folded: the commands of an account are judged in their order on the head that the one
//! before left, and each head is written once.

use std::collections::{HashMap, HashSet};

use contracts::topology::consumers::LEDGER_COMMANDS;
use kernel::{AccountId, OperationId, Timestamp};
use ports::{Consumer, Delivery, Held, Key, Outcome, Sources, Store, Transaction};
use runtime::{Decision, Fault, Trace, Work, decide_and_commit, envelope, read_batch};

use crate::domain::{self, Command, Head, Heads, Verdict};
use crate::records::{LEDGER_EVENTS, VerdictRecord, head_key, verdict_key};

/// Judges commands, each once.
pub struct Commands<S> {
    pub(crate) store: S,
    pub(crate) sources: Sources,
}

impl<S: Store> Consumer for Commands<S> {
    const NAME: &'static str = LEDGER_COMMANDS;

    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let delivered_at = self.sources.now();
        let (work, outcomes) = read_batch(batch, Command::try_from);
        let take = |part: Vec<_>| async move {
            decide_and_commit(&self.store, || self.judge(&part, delivered_at)).await
        };
        // A verdict a command, and a head an account.
        outcomes.of_parts(&work, |_| 1, Command::accounts, take).await
    }
}

impl<S: Store> Commands<S> {
    async fn judge(
        &self,
        work: &[&Work<'_, Command>],
        delivered_at: Timestamp,
    ) -> Result<Decision<()>, Fault> {
        let books = Books::load(&self.store, work).await?;
        let now = self.sources.now();
        let mut heads: Heads = books.heads.iter().map(|(id, held)| (*id, held.record.clone())).collect();
        let mut verdicts: Vec<(Verdict, &Work<'_, Command>)> = Vec::with_capacity(work.len());
        let mut judged = books.judged;
        for work in work {
            // A verdict is final: a command that comes again, in this batch or years later, gets no second one.
            if judged.insert(work.content.operation_id()) {
                let verdict = domain::decide(&heads, &work.content, now);
                domain::apply(&mut heads, &verdict);
                verdicts.push((verdict, work));
            }
        }
        if verdicts.is_empty() {
            return Ok(Decision::Nothing(()));
        }
        let mut transaction = Transaction::new(self.sources.fresh_id());
        for head in heads.values() {
            match books.heads.get(&head.account_id) {
                None => transaction.create(head)?,
                Some(held) if held.record != *head => transaction.replace(held.revision, head)?,
                Some(_) => {}
            }
        }
        for (verdict, work) in verdicts {
            let operation_id = work.content.operation_id();
            let trace = Trace::caused_by(Self::NAME, work.delivery);
            let group = &work.delivery.envelope.group;
            let event =
                domain::event(&verdict).map_err(|unbalanced| Fault::Internal(unbalanced.to_string()))?;
            transaction.emit(LEDGER_EVENTS, envelope(&event, group, &trace, now, &self.sources))?;
            transaction.create(&VerdictRecord { operation_id, delivered_at, verdict })?;
        }
        Ok(Decision::Commit(transaction, ()))
    }
}

/// What the store holds of the accounts and operations of some commands.
struct Books {
    heads: HashMap<AccountId, Held<Head>>,
    judged: HashSet<OperationId>,
}

impl Books {
    async fn load<S: Store>(store: &S, work: &[&Work<'_, Command>]) -> Result<Self, Fault> {
        let accounts: HashSet<AccountId> = work.iter().flat_map(|work| work.content.accounts()).collect();
        let operations: HashSet<OperationId> = work.iter().map(|work| work.content.operation_id()).collect();
        let head_keys = accounts.iter().map(|id| head_key(*id));
        let keys: Vec<Key> = head_keys.chain(operations.iter().map(|id| verdict_key(*id))).collect();
        let items = store.get(&keys).await?;
        let (head_items, verdict_items) = items.split_at(accounts.len());
        let mut heads = HashMap::with_capacity(accounts.len());
        for item in head_items.iter().flatten() {
            let held: Held<Head> = Held::from_item(item)?;
            heads.insert(held.record.account_id, held);
        }
        let judged = operations.iter().zip(verdict_items).filter(|(_, item)| item.is_some());
        Ok(Self { heads, judged: judged.map(|(operation_id, _)| *operation_id).collect() })
    }
}

#[cfg(test)]
#[path = "consumers_tests.rs"]
mod tests;
