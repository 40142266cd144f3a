//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::stage::Stage;

/// A digital bank's core in one process: accounts, deposits, withdrawals, transfers, balances and histories, over HTTP.
#[derive(Parser)]
#[command(name = "bank", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Work on the bank that AWS serves as the stack `bank-NAME`, not on one in a data directory: with `audit`,
    /// `rebuild` and `dead-letters`
    #[arg(long, env = "BANK_STAGE", value_name = "NAME", global = true)]
    pub stage: Option<Stage>,
    /// `bank` alone serves.
    #[command(flatten)]
    pub serve: ServeOptions,
}

impl Cli {
    /// Reads the command line, or ends the process with what is wrong with it.
    pub fn read() -> Self {
        let mut command = Self::command();
        let matches = command.get_matches_mut();
        if let Some(lost) = lost_option(&command, &matches) {
            let message = format!("--{lost} is an option of `bank serve` and goes behind its command");
            command.error(ErrorKind::ArgumentConflict, message).exit();
        }
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// An option of `bank` alone, which serves, that stands before another command and would be without effect. Clap's own
/// `args_conflicts_with_subcommands` would refuse `--stage` there too.
fn lost_option(command: &clap::Command, matches: &clap::ArgMatches) -> Option<String> {
    matches.subcommand_name()?;
    let of_bank_alone = command.get_arguments().filter(|option| !option.is_global_set());
    let mut given = of_bank_alone.map(|option| option.get_id().as_str()).filter(|option| {
        matches.try_contains_id(option).is_ok()
            && matches.value_source(option) == Some(ValueSource::CommandLine)
    });
    given.next().map(|option| option.replace('_', "-"))
}

#[derive(Subcommand)]
pub enum Command {
    /// Serve the bank over HTTP until Ctrl-C or SIGTERM (what `bank` alone does)
    Serve(Box<ServeOptions>),
    /// Serve the web console of a bank elsewhere, such as one on AWS (a bank that serves has its own)
    Console(ConsoleOptions),
    /// Check the books: heads, chains, zero sums and projections; exits with 1 and says what is wrong
    Audit(DataOptions),
    /// Throw the projections for readers away and build them anew from the journal (with the bank stopped)
    Rebuild(DataOptions),
    /// Copy the data directory, with the bank running or stopped: everything that was answered by now
    Backup(BackupOptions),
    /// Read and redrive the messages that could not be handled
    DeadLetters {
        #[command(subcommand)]
        command: DeadLettersCommand,
    },
    /// Say who may use the operator endpoints under /ops
    Operators {
        #[command(subcommand)]
        command: OperatorsCommand,
    },
    /// Ask a bank, here or elsewhere, for the operations of a file; run again, it goes on where it was broken off
    Import(ImportOptions),
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Subcommand)]
pub enum DeadLettersCommand {
    /// List dead letters, oldest first
    List(DataOptions),
    /// Show one dead letter with its message
    Show {
        /// The id that `list` shows
        dead_letter_id: String,
        #[command(flatten)]
        data: DataOptions,
    },
    /// Send a dead letter to its consumer again
    Redrive {
        /// The id that `list` shows
        dead_letter_id: String,
        #[command(flatten)]
        bank: BankOptions,
    },
}

#[derive(Subcommand)]
pub enum OperatorsCommand {
    /// Make a person who signed up an operator, from her next sign-in on
    Add {
        /// The address she signed up with
        email: String,
        #[command(flatten)]
        bank: BankOptions,
    },
    /// Let her be an operator no more, within a quarter of an hour
    Remove {
        /// The address she signed up with
        email: String,
        #[command(flatten)]
        bank: BankOptions,
    },
}

/// Where the bank keeps everything.
#[derive(Args, Clone)]
pub struct DataOptions {
    /// The directory with the store and the signing keys; made if it is not there
    #[arg(long, env = "BANK_DATA_DIR", default_value = "./data", value_name = "DIR")]
    pub data_dir: PathBuf,
}

#[derive(Args, Clone)]
pub struct BackupOptions {
    /// Where the copy is made: a directory that is empty, or not there yet
    pub directory: PathBuf,
    #[command(flatten)]
    pub data: DataOptions,
}

/// A bank that may be serving while the command runs.
#[derive(Args, Clone)]
pub struct BankOptions {
    #[command(flatten)]
    pub data: DataOptions,
    #[command(flatten)]
    pub tokens: TokenOptions,
}

/// What tokens say of the bank.
#[derive(Args, Clone)]
pub struct TokenOptions {
    /// The name tokens are issued under: the same for a bank that serves and for commands that ask it
    #[arg(long, env = "BANK_ISSUER", default_value = "digital-bank", value_name = "NAME")]
    pub issuer: String,
}

#[derive(Args, Clone)]
pub struct ServeOptions {
    #[command(flatten)]
    pub data: DataOptions,
    #[command(flatten)]
    pub tokens: TokenOptions,
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, env = "BANK_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Fill an empty bank with two people, their accounts and a month of movements
    #[arg(long, env = "BANK_DEMO")]
    pub demo: bool,
    /// Whether people are limited to 100 requests a second, and addresses to 20 sign-ins a minute
    #[arg(long, env = "BANK_RATE_LIMIT", default_value = "on", value_name = "ON|OFF")]
    pub rate_limit: Switch,
    /// The web origins whose scripts may call the bank, such as `https://app.example.com`; repeatable
    #[arg(long, env = "BANK_CORS_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<String>,
    /// The proxies whose X-Forwarded-For is believed, as addresses or networks such as 10.0.0.0/8; repeatable
    #[arg(long, env = "BANK_TRUSTED_PROXIES", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxy: Vec<web::Network>,
    /// For how many days browsers are told to keep to HTTPS; set it only where the bank is behind HTTPS
    #[arg(long, env = "BANK_HSTS_DAYS", value_name = "DAYS")]
    pub hsts_days: Option<u32>,
    /// The mail server, such as smtps://user:password@mail.example.com; without one, people are confirmed at once and
    /// read their notifications in the bank only
    #[arg(long, env = "BANK_SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// The sender of letters, such as "The Bank <bank@example.com>"; needed with a mail server
    #[arg(long, env = "BANK_MAIL_FROM", value_name = "ADDRESS", requires = "smtp_url")]
    pub mail_from: Option<String>,
    /// How logs are written to standard error: lines for a person, or JSON for a machine; by default as fits it
    #[arg(long, env = "BANK_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Which logs are written: a level, or levels by module as in RUST_LOG
    #[arg(long, env = "BANK_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// Which requests are logged: `all`, `none`, or a share of their traces such as 0.01; those that failed or were slow
    /// always are
    #[arg(long, env = "BANK_LOG_REQUESTS", default_value = "all", value_name = "SHARE")]
    pub log_requests: web::Share,
    /// Where traces are sent over OTLP, such as http://localhost:4318; OTEL_EXPORTER_OTLP_ENDPOINT does as well
    #[arg(long, env = "BANK_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub otlp_endpoint: Option<String>,
    /// Which traces that begin here are sent: `all`, `none`, or a share such as 0.01; of one that the client began, she
    /// has decided
    #[arg(long, env = "BANK_OTLP_SAMPLE", default_value = "all", value_name = "SHARE")]
    pub otlp_sample: web::Share,
}

#[derive(Args, Clone)]
pub struct ConsoleOptions {
    /// Where the bank's API is, such as `https://bank.example.com/prod`
    #[arg(long, env = "BANK_API_URL", value_name = "URL")]
    pub api_url: String,
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, env = "BANK_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Whether the console is reached over HTTPS, so that browsers send its cookies over nothing else
    #[arg(long, env = "BANK_CONSOLE_HTTPS")]
    pub https: bool,
}

#[derive(Args, Clone)]
pub struct ImportOptions {
    /// CSV with a row of names, or JSON objects one a line (NDJSON); `-` is standard input
    pub file: PathBuf,
    /// Where the bank's API is, such as `https://bank.example.com/prod`
    #[arg(long, env = "BANK_API_URL", value_name = "URL")]
    pub api_url: String,
    /// The address that the customer signed up with; her password is taken from BANK_PASSWORD, or asked for
    #[arg(long, env = "BANK_EMAIL", value_name = "ADDRESS")]
    pub email: String,
    /// How the file is written; by default as its name says
    #[arg(long, env = "BANK_IMPORT_FORMAT", value_name = "FORMAT")]
    pub format: Option<ImportFormat>,
    /// Where the rows that were rejected are written; by default beside the file, as FILE.rejected.csv
    #[arg(long, env = "BANK_IMPORT_REJECTED", value_name = "PATH")]
    pub rejected: Option<PathBuf>,
    /// How many rows are asked for at once
    #[arg(
        long,
        env = "BANK_IMPORT_BATCH",
        default_value_t = 500,
        value_name = "ROWS",
        value_parser = clap::value_parser!(u16).range(1..=500)
    )]
    pub batch: u16,
    /// How many batches are under way at once; with one, the first of two rows with the same key is the one that counts
    #[arg(
        long,
        env = "BANK_IMPORT_IN_FLIGHT",
        default_value_t = 2,
        value_name = "BATCHES",
        value_parser = clap::value_parser!(u8).range(1..=8)
    )]
    pub in_flight: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    Csv,
    Ndjson,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Pretty,
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_stage_may_stand_before_and_behind_the_command() {
        for line in ["bank --stage dev audit", "bank audit --stage dev", "bank dead-letters --stage=dev list"]
        {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.stage.map(|stage| stage.to_string()).as_deref(), Some("dev"), "{line}");
        }
    }

    #[test]
    fn an_option_that_a_command_would_not_hear_is_told() {
        for (line, lost) in [
            ("bank --rate-limit off audit", Some("rate-limit")),
            ("bank --data-dir elsewhere audit", Some("data-dir")),
            ("bank --stage dev audit", None),
            ("bank --rate-limit off", None),
            ("bank audit --data-dir elsewhere", None),
        ] {
            let command = Cli::command();
            let matches = command.clone().try_get_matches_from(line.split(' ')).unwrap();
            assert_eq!(lost_option(&command, &matches).as_deref(), lost, "{line}");
        }
    }

    #[test]
    fn every_option_can_be_an_environment_variable() {
        for command in [Cli::command()].iter().chain(Cli::command().get_subcommands()) {
            for option in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
                let is_own = !["help", "version"].contains(&option.get_id().as_str());
                assert_eq!(option.get_env().is_some(), is_own, "{}", option.get_id());
            }
        }
    }
}
