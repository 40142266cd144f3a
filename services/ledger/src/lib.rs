//! The ledger: the only judge of money. It hears commands, gives each a verdict that is final, and tells the others.
//!
//! Its journal is only ever added to, every entry is balanced by construction, and the entries of an account form a
//! chain of hashes that ends in the account's head. It has no HTTP interface: nobody asks it anything but by command.

mod audit;
mod consumers;
pub mod domain;
#[cfg(test)]
mod fixture;
pub mod records;

use audit::Audit;
use contracts::Message;
use domain::Head;
use kernel::{AccountId, OperationId};
use ports::{Key, Place, Sources, Store};
use runtime::{Caching, Fault, RecordCache};

pub use audit::{Books, TrialBalance};
pub use consumers::Commands;
use records::{LEDGER, LedgerItem, VerdictRecord, head_key, verdict_key};

/// How many items an audit or a rebuild reads at once.
const PAGE_ITEMS: usize = 1_000;

/// The ledger of one world.
#[derive(Clone)]
pub struct Ledger<S> {
    store: S,
    sources: Sources,
    heads: RecordCache<AccountId, Head>,
}

impl<S: Store> Ledger<S> {
    /// `caching` is [`Caching::NONE`] where commands for one account may be judged by another process the next time. Every
    /// verdict holds only if the heads are still as they were, so nothing but time is lost where it is not.
    pub fn new(store: S, sources: Sources, caching: Caching) -> Self {
        Self { store, sources, heads: RecordCache::new("ledger_heads", caching) }
    }

    /// The consumer of commands.
    pub fn commands(&self) -> Commands<S> {
        Commands(self.clone())
    }

    /// What became of an operation, if it came to the ledger.
    pub async fn verdict(&self, operation_id: OperationId) -> Result<Option<VerdictRecord>, Fault> {
        Ok(runtime::get(&self.store, verdict_key(operation_id)).await?.map(|held| held.record))
    }

    /// One page of the events there ever were, made again from the journal, for the rebuilding of projections; and
    /// where the next page begins.
    pub async fn events(&self, after: Option<&Place>) -> Result<(Vec<Message>, Option<Place>), Fault> {
        let page = self.store.scan(LEDGER, after, PAGE_ITEMS).await?;
        let mut events = Vec::new();
        for item in &page.items {
            if let LedgerItem::Verdict(record) = LedgerItem::read(item)? {
                let event = domain::event(&record.verdict);
                events.push(event.map_err(|unbalanced| Fault::Unavailable(unbalanced.to_string()))?);
            }
        }
        Ok((events, page.next))
    }

    /// The heads of these accounts, of those that have one.
    pub async fn heads(&self, accounts: &[AccountId]) -> Result<Vec<Head>, Fault> {
        let keys: Vec<Key> = accounts.iter().map(|account_id| head_key(*account_id)).collect();
        let held = runtime::get_many::<S, Head>(&self.store, &keys).await?;
        Ok(held.into_iter().flatten().map(|held| held.record).collect())
    }

    /// Goes through the whole journal and checks it against the heads; twice where they differ, so that it may run
    /// beside commands that are judged. `progress` hears how many items were read.
    pub async fn audit(&self, mut progress: impl FnMut(u64) + Send) -> Result<Books, Fault> {
        let mut audit = Audit::default();
        self.read(&mut progress, |item| audit.take(item)).await?;
        let unsettled = audit.unsettled();
        if !unsettled.is_empty() {
            audit.begin_again(&unsettled, self.heads(&unsettled).await?);
            self.read(&mut progress, |item| audit.take_again(item)).await?;
            audit.end_again(self.heads(&unsettled).await?);
        }
        Ok(audit.finish())
    }

    /// Shows `visit` every item of the ledger.
    async fn read(
        &self,
        progress: &mut (impl FnMut(u64) + Send),
        mut visit: impl FnMut(LedgerItem) + Send,
    ) -> Result<(), Fault> {
        let mut after = None;
        loop {
            let page = self.store.scan(LEDGER, after.as_ref(), PAGE_ITEMS).await?;
            for item in &page.items {
                visit(LedgerItem::read(item)?);
            }
            progress(page.items.len() as u64);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}
