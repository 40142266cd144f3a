//! `bank rebuild`: throws the projections for readers away and builds them anew from the journal and the accounts.
//!
//! It may be interrupted and begun again. Messages that were still on their way are applied once the bank serves; they
//! change nothing that is as new as they are.
//!
//! On AWS consumers go on projecting meanwhile. Nothing is lost by that: the journal is read only after everything was
//! thrown away, so it has every verdict behind what went; what comes later comes as a message; and neither writes over
//! what is newer. But until the end readers see a part of their history, and balances that are missing.

use accounts::Accounts;
use contracts::Message;
use ledger::Ledger;
use ports::{Place, Sources, Store};
use query::Query;
use runtime::{Caching, Fault};
use system::sources;

use crate::cli::DataOptions;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::world::open_existing_store;

pub async fn rebuild(options: &DataOptions) -> Result<(), Failure> {
    let sources = sources();
    let store = open_existing_store(&options.data_dir, &sources)?;
    let built = build(store.clone(), sources).await;
    store.close().await;
    built
}

/// Builds the projections in a store anew, and says from how much.
pub async fn build<S: Store>(store: S, sources: Sources) -> Result<(), Failure> {
    let query = Query::new(store.clone(), sources.clone(), Caching::NONE);
    let progress = Progress::begin("projected items thrown away");
    query.clear(|items| progress.advance(items)).await?;
    progress.end();

    let accounts = Accounts::new(store.clone(), sources.clone(), Caching::NONE);
    let ledger = Ledger::new(store, sources, Caching::NONE);
    let progress = Progress::begin("events projected");
    let events = project(&query, &progress, async |after| accounts.events(after).await).await?;
    let verdicts = project(&query, &progress, async |after| ledger.events(after).await).await?;
    progress.end();
    println!(
        "The projections are built anew from {events} events of accounts and {verdicts} verdicts of the ledger."
    );
    Ok(())
}

/// Projects all events that a service makes again, a page at a time, and counts them.
async fn project<S: Store>(
    query: &Query<S>,
    progress: &Progress,
    page: impl AsyncFn(Option<&Place>) -> Result<(Vec<Message>, Option<Place>), Fault>,
) -> Result<u64, Failure> {
    let (mut count, mut after) = (0, None);
    loop {
        let (events, next) = page(after.as_ref()).await?;
        query.rebuild(&events).await?;
        count += events.len() as u64;
        progress.advance(events.len() as u64);
        match next {
            Some(next) => after = Some(next),
            None => return Ok(count),
        }
    }
}
