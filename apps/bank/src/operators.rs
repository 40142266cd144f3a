//! `bank operators`: says who may use the operator endpoints.

use kernel::Email;
use serde_json::json;

use crate::cli::{BankOptions, OperatorsCommand};
use crate::client::{Bank, reach};
use crate::failure::Failure;

pub async fn run(command: &OperatorsCommand) -> Result<(), Failure> {
    match command {
        OperatorsCommand::Add { email, bank } => add(email, bank).await,
    }
}

async fn add(email: &str, options: &BankOptions) -> Result<(), Failure> {
    let address: Email = email.parse().map_err(|error| Failure::new(format!("{email:?} {error}")))?;
    match reach(options)? {
        Bank::Running(client) => {
            client.post("/ops/operators".to_owned(), json!({ "email": address })).await?;
        }
        Bank::Stopped(world) => {
            let added = world.identity.add_operator(&address).await;
            world.store.close().await;
            added.map_err(Failure::from_error)?;
        }
    }
    println!("{} is an operator from the next sign-in on.", address.as_str());
    Ok(())
}
