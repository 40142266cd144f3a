//! Everything that is derived from the ledger, held against it, while the bank may go on moving.
//!
//! What is derived is read behind what it is derived from. What is behind then may be on its way, so it is looked at again
//! until it has caught up or has had time enough. An account that never stands still for so long is judged by its
//! history alone: its balance is never the same as any head that was read before it.
//!
//! Memory: what is looked at again, which is bounded.

use std::time::Duration;

use banking::Banking;
use contracts::Message;
use kernel::{AccountId, Money};
use ledger::Ledger;
use ledger::domain::Head;
use ports::{Sources, Store};
use query::Query;
use runtime::{Caching, Comparison, Fault};
use tokio::time::Instant;

use crate::progress::Begin;

/// How many events or heads are compared at once: one read of DynamoDB.
const COMPARED_AT_ONCE: usize = 100;
/// The most parts that are looked at again: of a hundred events, or of one head. Where more is behind, a consumer has
/// stopped.
const LATE_MAX: usize = 1_000;
/// The pause before what is behind is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The services whose records are held against one another.
pub struct Services<S> {
    pub ledger: Ledger<S>,
    pub query: Query<S>,
    pub banking: Banking<S>,
    pub progress: Begin,
}

/// What the ledger said, and others show.
enum Said {
    /// What it judged.
    Events(Vec<Message>),
    /// What an account held.
    Head(Head),
}

/// What was not shown as the ledger said it when it was compared, and until when it may be so.
struct Late {
    said: Said,
    until: Instant,
}

/// What was found by comparing.
#[derive(Default)]
pub struct Derived {
    pub transactions: Comparison,
    pub balances: Comparison,
    pub operations: Comparison,
}

impl Derived {
    pub fn all(&self) -> [&Comparison; 3] {
        [&self.transactions, &self.balances, &self.operations]
    }

    /// How much has not heard of its event yet.
    pub fn behind(&self) -> u64 {
        self.all().iter().map(|comparison| comparison.behind).sum()
    }

    fn add(&mut self, other: Self) {
        self.transactions.add(other.transactions);
        self.balances.add(other.balances);
        self.operations.add(other.operations);
    }

    fn is_as_said(&self) -> bool {
        self.all().iter().all(|comparison| comparison.behind + comparison.findings_count == 0)
    }
}

impl<S: Store> Services<S> {
    pub fn new(store: S, sources: Sources, progress: Begin) -> Self {
        Self {
            ledger: Ledger::new(store.clone(), sources.clone(), Caching::NONE),
            query: Query::new(store.clone(), sources.clone(), Caching::NONE),
            banking: Banking::new(store, sources, Caching::NONE, Caching::NONE),
            progress,
        }
    }

    /// Compares all there is with the ledger; `accounts` are those it has. What is derived may take `shown_within` to
    /// follow: no time where one moment is read.
    pub async fn compare(
        &self,
        accounts: impl Iterator<Item = AccountId>,
        shown_within: Duration,
    ) -> Result<Derived, Fault> {
        let mut derived = Derived::default();
        let mut late = Vec::new();
        let late_max = if shown_within.is_zero() { 0 } else { LATE_MAX };
        let progress = (self.progress)("events against projections");
        let mut after = None;
        loop {
            let (events, next) = self.ledger.events(after.as_ref()).await?;
            for events in events.chunks(COMPARED_AT_ONCE) {
                let said = Said::Events(events.to_vec());
                let compared = self.compare_said(&said).await?;
                note(&mut derived, &mut late, late_max, said, compared);
            }
            progress.advance(events.len() as u64);
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        progress.end();

        let accounts: Vec<AccountId> = accounts.collect();
        for accounts in accounts.chunks(COMPARED_AT_ONCE) {
            // They are read anew, because the ledger may have gone on since it was audited.
            let heads = self.ledger.heads(accounts).await?;
            let compared = self.compare_heads(&heads).await?;
            if compared.is_as_said() || late_max == 0 {
                derived.add(compared);
                continue;
            }
            for head in heads {
                let said = Said::Head(head);
                let compared = self.compare_said(&said).await?;
                note(&mut derived, &mut late, late_max, said, compared);
            }
        }
        self.look_again(&mut derived, late, shown_within).await?;
        Ok(derived)
    }

    async fn compare_said(&self, said: &Said) -> Result<Derived, Fault> {
        match said {
            Said::Head(head) => self.compare_heads(std::slice::from_ref(head)).await,
            Said::Events(events) => Ok(Derived {
                transactions: self.query.compare_transactions(events).await?,
                operations: self.banking.compare(events).await?,
                ..Derived::default()
            }),
        }
    }

    async fn compare_heads(&self, heads: &[Head]) -> Result<Derived, Fault> {
        let standings: Vec<(AccountId, Money, u64)> =
            heads.iter().map(|head| (head.account_id, head.balance, head.version)).collect();
        Ok(Derived { balances: self.query.compare_balances(&standings).await?, ..Derived::default() })
    }

    /// Compares what was late again and again, until all of it is as the ledger said or has had time enough.
    async fn look_again(
        &self,
        derived: &mut Derived,
        late: Vec<Said>,
        shown_within: Duration,
    ) -> Result<(), Fault> {
        let began = Instant::now();
        let until = began + shown_within;
        let mut late: Vec<Late> = late.into_iter().map(|said| Late { said, until }).collect();
        let progress = (self.progress)("looks at what was behind");
        while !late.is_empty() && began.elapsed() < shown_within * 2 {
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            progress.advance(1);
            let mut still_late = Vec::new();
            for Late { said, until } in late {
                let compared = self.compare_said(&said).await?;
                if compared.is_as_said() {
                    derived.add(compared);
                } else if let Some(head) = self.moved_on(&said).await? {
                    still_late.push(Late { said: Said::Head(head), until: Instant::now() + shown_within });
                } else if Instant::now() < until {
                    still_late.push(Late { said, until });
                } else {
                    derived.add(compared);
                }
            }
            late = still_late;
        }
        progress.end();
        derived.balances.compared += late.len() as u64;
        Ok(())
    }

    /// The head of an account that has moved since; so a balance that is newer than the head that was read is no fault.
    async fn moved_on(&self, said: &Said) -> Result<Option<Head>, Fault> {
        let Said::Head(before) = said else { return Ok(None) };
        let now = self.ledger.heads(&[before.account_id]).await?.pop();
        Ok(now.filter(|now| now.version != before.version))
    }
}

/// Adds what was compared, or keeps it to be looked at again.
fn note(derived: &mut Derived, late: &mut Vec<Said>, late_max: usize, said: Said, compared: Derived) {
    if compared.is_as_said() || late.len() >= late_max {
        derived.add(compared);
    } else {
        late.push(said);
    }
}

#[cfg(test)]
#[path = "derived_tests.rs"]
mod tests;
