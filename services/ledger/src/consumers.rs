//! Commands in. A batch is folded: the commands of an account are judged in their order on the head that the one
//! before left, and each head is written once.

use std::collections::{HashMap, HashSet};

use contracts::topology::consumers::LEDGER_COMMANDS;
use kernel::{AccountId, OperationId, Timestamp};
use ports::{Consumer, Delivery, Held, Key, Outcome, Revision, Store, Transaction};
use runtime::{Decision, Fault, Trace, Work, decide_and_commit, envelope, read_batch};

use crate::Ledger;
use crate::domain::{self, Command, Head, Heads, Verdict};
use crate::records::{LEDGER_EVENTS, VerdictRecord, head_key, verdict_key};

/// Judges commands, each once.
pub struct Commands<S>(pub(crate) Ledger<S>);

impl<S: Store> Consumer for Commands<S> {
    const NAME: &'static str = LEDGER_COMMANDS;

    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let delivered_at = self.0.sources.now();
        let (work, outcomes) = read_batch(batch, Command::try_from);
        // A verdict a command, and a head an account.
        outcomes.of_parts(&work, |_| 1, Command::accounts, |part| self.take(part, delivered_at)).await
    }
}

impl<S: Store> Commands<S> {
    async fn take(&self, part: Vec<&Work<'_, Command>>, delivered_at: Timestamp) -> Result<(), Fault> {
        let mut is_thorough = false;
        let heads = decide_and_commit(&self.0.store, || {
            self.judge(&part, delivered_at, std::mem::replace(&mut is_thorough, true))
        })
        .await?;
        for head in heads {
            let account_id = head.record.account_id;
            self.0.heads.offer(&account_id, head);
        }
        Ok(())
    }

    /// Answers the heads that the commands leave.
    ///
    /// The first try is not thorough: it takes the commands to be new, as almost all are, and the heads to be as they were
    /// left. Where one is not, the transaction conflicts, and a second try looks at everything.
    async fn judge(
        &self,
        work: &[&Work<'_, Command>],
        delivered_at: Timestamp,
        is_thorough: bool,
    ) -> Result<Decision<Vec<Held<Head>>>, Fault> {
        let Ledger { store, sources, .. } = &self.0;
        let mut judged = if is_thorough { judged(store, work).await? } else { HashSet::new() };
        let held = self.heads(work, is_thorough).await?;
        let now = sources.now();
        let mut heads: Heads = held.iter().map(|(id, held)| (*id, held.record.clone())).collect();
        let mut verdicts: Vec<(Verdict, &Work<'_, Command>)> = Vec::with_capacity(work.len());
        for work in work {
            // A verdict is final: a command that comes again, in this batch or years later, gets no second one.
            if judged.insert(work.content.operation_id()) {
                let verdict = domain::decide(&heads, &work.content, now);
                domain::apply(&mut heads, &verdict);
                verdicts.push((verdict, work));
            }
        }
        if verdicts.is_empty() {
            return Ok(Decision::Nothing(Vec::new()));
        }
        let mut transaction = Transaction::new(sources.fresh_id());
        let mut left = Vec::with_capacity(heads.len());
        for (account_id, record) in heads {
            let revision = match held.get(&account_id) {
                None => {
                    transaction.create(&record)?;
                    Revision::FIRST
                }
                Some(held) if held.record != record => {
                    transaction.replace(held.revision, &record)?;
                    held.revision.next()
                }
                // What was refused must have been refused on the head as it is.
                Some(held) => {
                    transaction.require(held)?;
                    held.revision
                }
            };
            left.push(Held { record, revision });
        }
        for (verdict, work) in verdicts {
            let operation_id = work.content.operation_id();
            let trace = Trace::caused_by(Self::NAME, work.delivery);
            let group = &work.delivery.envelope.group;
            let event =
                domain::event(&verdict).map_err(|unbalanced| Fault::Internal(unbalanced.to_string()))?;
            transaction.emit(LEDGER_EVENTS, envelope(&event, group, &trace, now, sources))?;
            transaction.create(&VerdictRecord { operation_id, delivered_at, verdict })?;
        }
        Ok(Decision::Commit(transaction, left))
    }

    /// The heads of the accounts that the commands name, of those that have one: as they were left, as far as that is
    /// known and will do, and all the others in one read.
    async fn heads(
        &self,
        work: &[&Work<'_, Command>],
        is_thorough: bool,
    ) -> Result<HashMap<AccountId, Held<Head>>, Fault> {
        let accounts: HashSet<AccountId> = work.iter().flat_map(|work| work.content.accounts()).collect();
        let mut held = HashMap::with_capacity(accounts.len());
        let mut unread = Vec::new();
        for account_id in accounts {
            match self.0.heads.get(&account_id).filter(|_| !is_thorough) {
                Some(head) => drop(held.insert(account_id, head)),
                None => unread.push(head_key(account_id)),
            }
        }
        let read = runtime::get_many::<S, Head>(&self.0.store, &unread).await?;
        held.extend(read.into_iter().flatten().map(|head| (head.record.account_id, head)));
        Ok(held)
    }
}

/// Which of the operations have their verdict.
async fn judged<S: Store>(store: &S, work: &[&Work<'_, Command>]) -> Result<HashSet<OperationId>, Fault> {
    let operations: HashSet<OperationId> = work.iter().map(|work| work.content.operation_id()).collect();
    let keys: Vec<Key> = operations.iter().map(|id| verdict_key(*id)).collect();
    let verdicts = store.get(&keys).await?;
    let judged = operations.into_iter().zip(verdicts).filter(|(_, verdict)| verdict.is_some());
    Ok(judged.map(|(operation_id, _)| operation_id).collect())
}

#[cfg(test)]
#[path = "consumers_tests.rs"]
mod tests;
