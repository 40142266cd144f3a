//! `bank dead-letters`: reads the messages that could not be handled, and sends them again.
//!
//! In a data directory they are read from one moment of the store, whether a bank serves on it or not. On AWS they are
//! received from the dead-letter queues and given back at once.

use std::io::Write;

use embedded::{Access, EmbeddedStore};
use ports::{DeadLetter, QueueAdmin};
use serde_json::json;
use system::sources;

use crate::cli::{BankOptions, DataOptions, DeadLettersCommand};
use crate::client::{Bank, reach};
use crate::failure::Failure;
use crate::world::open_store;

/// How many dead letters are read at once.
const LETTERS_A_PAGE: usize = 100;
/// The least width of the column of ids, in characters: a UUID's. On AWS they are longer.
const ID_CHARACTERS_MIN: usize = 36;
/// The longest reason that fits a line of the list, in characters.
const REASON_CHARACTERS_MAX: usize = 80;

pub async fn run(command: &DeadLettersCommand) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List(options) => list(&open(options)?).await,
        DeadLettersCommand::Show { dead_letter_id, data } => show(&open(data)?, dead_letter_id).await,
        DeadLettersCommand::Redrive { dead_letter_id, bank } => redrive(dead_letter_id, bank).await,
    }
}

fn open(options: &DataOptions) -> Result<EmbeddedStore, Failure> {
    Ok(open_store(&options.data_dir, Access::ReadOnly, &sources())?)
}

fn unknown(dead_letter_id: &str) -> Failure {
    Failure::new(format!("there is no dead letter {dead_letter_id}"))
}

/// Prints all dead letters, a line each.
pub async fn list(queues: &impl QueueAdmin) -> Result<(), Failure> {
    let printed = Failure::because("the list cannot be printed");
    let mut out = std::io::stdout().lock();
    let mut after: Option<String> = None;
    let mut width = ID_CHARACTERS_MIN;
    loop {
        let letters = queues.dead_letters(after.as_deref(), LETTERS_A_PAGE).await?;
        if letters.is_empty() {
            let nothing = if after.is_none() { "There are no dead letters.\n" } else { "" };
            return write!(out, "{nothing}").map_err(printed);
        }
        if after.is_none() {
            width = letters.iter().map(|letter| letter.dead_letter_id.len()).fold(width, usize::max);
            let names = ["ID", "CONSUMER", "KIND", "TRIES", "DIED AT", "REASON"];
            writeln!(out, "{}", line(width, names)).map_err(&printed)?;
        }
        for letter in &letters {
            writeln!(out, "{}", row(width, letter)).map_err(&printed)?;
        }
        after = letters.last().map(|letter| letter.dead_letter_id.clone());
    }
}

fn row(width: usize, letter: &DeadLetter) -> String {
    let DeadLetter { dead_letter_id, consumer, reason, attempts, died_at, envelope } = letter;
    let reason: String = reason.replace('\n', " ").chars().take(REASON_CHARACTERS_MAX).collect();
    let (attempts, died_at) = (attempts.to_string(), died_at.to_string());
    line(width, [dead_letter_id, consumer, &envelope.kind, &attempts, &died_at, &reason])
}

/// The columns are as wide as what the bank itself puts into them.
fn line(width: usize, [dead_letter_id, consumer, kind, attempts, died_at, reason]: [&str; 6]) -> String {
    format!("{dead_letter_id:<width$}  {consumer:<20}  {kind:<21}  {attempts:>5}  {died_at:<24}  {reason}")
}

/// Prints one dead letter with its message.
pub async fn show(queues: &impl QueueAdmin, dead_letter_id: &str) -> Result<(), Failure> {
    let letter = queues.dead_letter(dead_letter_id).await?.ok_or_else(|| unknown(dead_letter_id))?;
    // The envelope holds its message as it was sent; as a value it is set out like the rest.
    let value = serde_json::to_value(&letter).map_err(Failure::from_error)?;
    writeln!(std::io::stdout(), "{value:#}").map_err(Failure::because("the dead letter cannot be printed"))
}

async fn redrive(dead_letter_id: &str, options: &BankOptions) -> Result<(), Failure> {
    match reach(options)? {
        Bank::Running(client) => {
            // What is put into a path must be an id: nothing else names a dead letter.
            let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if dead_letter_id.is_empty() || !dead_letter_id.bytes().all(is_id) {
                return Err(unknown(dead_letter_id));
            }
            client.post(format!("/ops/dead-letters/{dead_letter_id}/redrive"), json!({})).await?;
            println!("Dead letter {dead_letter_id} is delivered again.");
            Ok(())
        }
        Bank::Stopped(world) => {
            let becomes = "will be delivered again once the bank serves";
            let redriven = redrive_in(&world.store, dead_letter_id, becomes).await;
            world.store.close().await;
            redriven
        }
    }
}

/// Sends a dead letter to its consumer again, and says what becomes of it.
pub async fn redrive_in(
    queues: &impl QueueAdmin,
    dead_letter_id: &str,
    becomes: &str,
) -> Result<(), Failure> {
    if !queues.redrive(dead_letter_id).await? {
        return Err(unknown(dead_letter_id));
    }
    println!("Dead letter {dead_letter_id} {becomes}.");
    Ok(())
}
