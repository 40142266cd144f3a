//! `bank rebuild`: throws the projections for readers away and builds them anew from the journal and the accounts.
//!
//! It may be interrupted and begun again. Messages that were still on their way are applied once the bank serves; they
//! change nothing that is as new as they are.

use contracts::Message;
use ports::Place;
use runtime::Fault;

use crate::cli::DataOptions;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::sources::sources;
use crate::world::{World, open_existing_store};

pub async fn rebuild(options: &DataOptions) -> Result<(), Failure> {
    let sources = sources();
    let store = open_existing_store(&options.data_dir, &sources)?;
    let world = World::at_rest(store.clone(), sources)?;
    let rebuilt = run(&world).await;
    store.close().await;
    let (accounts, verdicts) = rebuilt?;
    println!(
        "The projections are built anew from {accounts} events of accounts and {verdicts} verdicts of the ledger."
    );
    Ok(())
}

async fn run(world: &World) -> Result<(u64, u64), Failure> {
    let progress = Progress::begin("projected items thrown away");
    world.query.clear(|items| progress.advance(items)).await?;
    progress.end();

    let progress = Progress::begin("events projected");
    let accounts = project(world, &progress, async |after| world.accounts.events(after).await).await?;
    let verdicts = project(world, &progress, async |after| world.ledger.events(after).await).await?;
    progress.end();
    Ok((accounts, verdicts))
}

/// Projects all events that a service makes again, a page at a time, and counts them.
async fn project(
    world: &World,
    progress: &Progress,
    page: impl AsyncFn(Option<&Place>) -> Result<(Vec<Message>, Option<Place>), Fault>,
) -> Result<u64, Failure> {
    let (mut count, mut after) = (0, None);
    loop {
        let (events, next) = page(after.as_ref()).await?;
        world.query.rebuild(&events).await?;
        count += events.len() as u64;
        progress.advance(events.len() as u64);
        match next {
            Some(next) => after = Some(next),
            None => return Ok(count),
        }
    }
}
