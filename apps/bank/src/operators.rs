//! `bank operators`: says who may use the operator endpoints.

use kernel::Email;
use serde_json::json;

use crate::cli::OperatorsCommand;
use crate::client::{Bank, reach};
use crate::failure::Failure;

pub async fn run(command: &OperatorsCommand) -> Result<(), Failure> {
    let (OperatorsCommand::Add { email, bank } | OperatorsCommand::Remove { email, bank }) = command;
    let address: Email = email.parse().map_err(|error| Failure::new(format!("{email:?} {error}")))?;
    let (path, done) = match command {
        OperatorsCommand::Add { .. } => ("/ops/operators", "is an operator from the next sign-in on"),
        OperatorsCommand::Remove { .. } => (
            "/ops/operators/remove",
            "is an operator no more, once her last token is a quarter of an hour old",
        ),
    };
    match reach(bank)? {
        Bank::Running(client) => client.post(path.to_owned(), json!({ "email": address })).await?,
        Bank::Stopped(world) => {
            let changed = match command {
                OperatorsCommand::Add { .. } => world.identity.add_operator(&address).await,
                OperatorsCommand::Remove { .. } => world.identity.remove_operator(&address).await,
            };
            world.store.close().await;
            changed.map_err(Failure::from_error)?;
        }
    }
    println!("{} {done}.", address.as_str());
    Ok(())
}
