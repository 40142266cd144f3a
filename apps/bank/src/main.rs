//! `bank`: the whole bank in one process, and its command line.

mod audit;
mod backup;
mod cli;
mod client;
mod console;
mod dead_letters;
mod demo;
mod failure;
mod import;
mod operators;
mod ops;
mod pressure;
mod progress;
mod rebuild;
mod routes;
mod serve;
mod server;
mod smtp;
mod stage;
#[cfg(test)]
mod tests;
mod timeline;
mod trial_balance;
mod world;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Many small allocations from many threads are what this process does all day.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bank: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(cli: Cli) -> Result<(), Failure> {
    let command = cli.command.unwrap_or(Command::Serve(Box::new(cli.serve)));
    if let Some(stage) = cli.stage {
        return stage::run(&stage, &command).await;
    }
    match command {
        Command::Serve(options) => serve::serve(&options).await,
        Command::Console(options) => console::serve(&options).await,
        Command::Audit(options) => audit::audit(&options).await,
        Command::Rebuild(options) => rebuild::rebuild(&options).await,
        Command::Backup(options) => backup::back_up(&options),
        Command::DeadLetters { command } => dead_letters::run(&command).await,
        Command::Operators { command } => operators::run(&command).await,
        Command::Import(options) => import::import(&options).await,
        Command::Openapi => openapi().await,
    }
}

/// The document comes from the routers, and these need a bank: one in a fresh directory that nobody serves from.
async fn openapi() -> Result<(), Failure> {
    let sources = system::sources();
    let data_dir = std::env::temp_dir().join(format!("bank-openapi-{}", sources.fresh_id()));
    let store = world::open_store(&data_dir, embedded::Access::Exclusive, &sources)?;
    let world = world::World::at_rest(store.clone(), sources)?;
    let printed = routes::print_openapi(&world);
    store.close().await;
    std::fs::remove_dir_all(&data_dir)
        .map_err(Failure::because("the scratch directory cannot be removed"))?;
    printed
}
