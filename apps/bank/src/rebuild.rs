//! `bank rebuild`: throws the projections for readers away and builds them anew from the journal and the accounts.
//!
//! It may be interrupted and begun again. Messages that were still on their way are applied once the bank serves; they
//! change nothing that is as new as they are.

use embedded::Access;
use identity::Keys;

use crate::cli::DataOptions;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::sources::sources;
use crate::world::{World, open_store};

pub async fn rebuild(options: &DataOptions) -> Result<(), Failure> {
    let sources = sources();
    let store = open_store(&options.data_dir, Access::Exclusive, &sources)?;
    let keys = Keys::ephemeral().map_err(Failure::from_error)?;
    let world = World::new(store.clone(), sources, keys, "rebuild", None);
    let rebuilt = run(&world).await;
    store.close().await;
    let (accounts, events) = rebuilt?;
    println!("The projections are built anew from {accounts} accounts and {events} verdicts of the ledger.");
    Ok(())
}

async fn run(world: &World) -> Result<(u64, u64), Failure> {
    let progress = Progress::begin("projected items thrown away");
    world.query.clear(|items| progress.advance(items)).await?;
    progress.end();

    let progress = Progress::begin("events projected");
    let (mut accounts, mut after) = (0, None);
    loop {
        let (events, next) = world.accounts.events(after.as_ref()).await?;
        world.query.rebuild(&events).await?;
        accounts += events.len() as u64;
        progress.advance(events.len() as u64);
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let (mut verdicts, mut after) = (0, None);
    loop {
        let (events, next) = world.ledger.events(after.as_ref()).await?;
        world.query.rebuild(&events).await?;
        verdicts += events.len() as u64;
        progress.advance(events.len() as u64);
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    progress.end();
    Ok((accounts, verdicts))
}
