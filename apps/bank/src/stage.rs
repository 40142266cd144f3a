//! `bank --stage NAME`: the commands for operators on a bank that AWS serves.
//!
//! They work on the tables and queues of the stack `bank-NAME`, with the AWS credentials of whoever types them and within
//! what her role may do; nobody needs to be an operator of the bank. Region, profile and endpoint are those of the AWS
//! command line. Only a build with the feature `aws` has them, so that the bank in one process compiles nothing of AWS.
//!
//! Absent on purpose: `serve`, which the functions do; `backup`, since tables are recovered to any point in time; and
//! `operators`, since no function serves `/ops`.

use std::fmt;
use std::str::FromStr;

use crate::cli::Command;
use crate::failure::Failure;

/// The longest name of a stage, so that the names of the stack's resources stay within what AWS allows.
const NAME_CHARACTERS_MAX: usize = 20;

/// The name of a stage, such as `dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage(String);

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Stage {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let is_of_a_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = (1..=NAME_CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(is_of_a_name);
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(Failure::new(format!(
                "a stage is named by at most {NAME_CHARACTERS_MAX} lower-case letters, digits and hyphens, such as dev"
            )))
        }
    }
}

/// How long a projection may take to show what was judged. Until then an event may be in its outbox's stream, on which
/// no queue's depth tells anything.
#[cfg(feature = "aws")]
const SHOWN_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Runs a command on a stage.
#[cfg(feature = "aws")]
pub async fn run(stage: &Stage, command: &Command) -> Result<(), Failure> {
    use contracts::topology::consumers;
    use system::sources;

    use crate::cli::DeadLettersCommand::{List, Redrive, Show};
    use crate::{audit, dead_letters, rebuild};

    let connection = aws::Connection::from_environment(format!("bank-{stage}-")).await;
    let (store, queues) =
        (aws::DynamoStore::new(&connection, &[]), aws::SqsQueues::new(&connection, consumers::ALL));
    match command {
        Command::Audit(_) => audit::check(store, &queues, sources(), SHOWN_WITHIN).await,
        Command::Rebuild(_) => rebuild::build(store, sources()).await,
        Command::DeadLetters { command } => match command {
            List(_) => dead_letters::list(&queues).await,
            Show { dead_letter_id, .. } => dead_letters::show(&queues, dead_letter_id).await,
            Redrive { dead_letter_id, .. } => {
                dead_letters::redrive_in(&queues, dead_letter_id, "is delivered again").await
            }
        },
        Command::Serve(_)
        | Command::Console(_)
        | Command::Backup(_)
        | Command::Operators { .. }
        | Command::Import(_)
        | Command::Openapi => Err(Failure::new(
            "--stage goes with audit, rebuild and dead-letters; AWS serves the bank of a stage, \
             and says by roles who may operate it",
        )),
    }
}

/// Says which build could do it.
#[cfg(not(feature = "aws"))]
pub async fn run(stage: &Stage, _: &Command) -> Result<(), Failure> {
    Err(Failure::new(format!("built without AWS: cargo run --release --features aws -- --stage {stage} ...")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_names_a_stack() {
        for name in ["dev", "prod", "try-2"] {
            assert_eq!(name.parse::<Stage>().unwrap().to_string(), name);
        }
        for name in ["", "Prod", "prod ", "a.b", "../x", &"a".repeat(NAME_CHARACTERS_MAX + 1)] {
            assert!(name.parse::<Stage>().is_err(), "{name:?}");
        }
    }
}
