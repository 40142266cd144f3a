//! The command line: the trials of a bank, each with its own options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::scenario::Scenario;

/// Puts load on a bank.
#[derive(Parser, Debug)]
#[command(name = "bench", version)]
pub struct Arguments {
    /// What is tried.
    #[command(subcommand)]
    pub trial: Trial,
}

/// What is tried.
#[derive(Subcommand, Debug)]
pub enum Trial {
    /// How fast: every scenario in turn
    Speed(SpeedOptions),
    /// How fast beside others: PostgreSQL, cala-ledger and a plain journal on the same machine, in turn
    Peers(PeersOptions),
    /// Too much: several times the load that the bank accepts, and what becomes of it
    Overload(OverloadOptions),
    /// For long: a steady load, and whether memory and disk stay bounded
    Soak(SoakOptions),
}

/// The options of a trial of speed.
#[derive(Args, Debug)]
pub struct SpeedOptions {
    #[command(flatten)]
    pub bank: BankOptions,
    /// Measure the bank at this address instead, such as http://127.0.0.1:8080
    #[arg(long, conflicts_with = "bank")]
    pub url: Option<String>,
    /// What is measured; may be given several times, and is everything if it is not
    #[arg(long, value_enum, value_name = "NAME")]
    pub scenario: Vec<Scenario>,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub connections: u32,
    /// Accounts that the load is spread over
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub accounts: u32,
    /// People who own the accounts
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub people: u32,
    /// How long each scenario is measured
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// How long each scenario runs before it is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    pub warmup_seconds: u32,
    /// Requests a second of the scenario steady; without it, half of what the bank turns out to sustain
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// How many operations the store of the scenario growth grows to
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    pub operations: u64,
    #[command(flatten)]
    pub output: OutputOptions,
}

/// The options of a comparison.
#[derive(Args, Debug)]
pub struct PeersOptions {
    #[command(flatten)]
    pub bank: BankOptions,
    /// The binary of the package in bench/peers/cala; without it, cala-ledger is left out
    #[arg(long, value_name = "PATH")]
    pub cala: Option<PathBuf>,
    /// The binary of the package in bench/ledger; without it, the ledger alone is left out
    #[arg(long, value_name = "PATH")]
    pub ledger: Option<PathBuf>,
    /// How often each is measured, one after the other; the figure of each is its median
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// How long each is measured in a round
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub seconds: u32,
    /// Accounts that each load is spread over
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub accounts: u32,
    #[command(flatten)]
    pub output: OutputOptions,
}

/// Where the figures go, besides the terminal.
#[derive(Args, Debug)]
pub struct OutputOptions {
    /// Also write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where pictures of them are left
    #[arg(long, default_value = "target/bench", value_name = "FOLDER")]
    pub pictures: PathBuf,
}

/// The options of a trial of overload.
#[derive(Args, Debug)]
pub struct OverloadOptions {
    #[command(flatten)]
    pub bank: BankOptions,
    /// How long there is too much to do
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub seconds: u32,
    /// How many times what the bank accepts at most is asked of it
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..=20))]
    pub times: u32,
    /// Judge nothing that depends on how fast the machine is, or on what else it does
    #[arg(long)]
    pub untimed: bool,
}

/// The options of a soak.
#[derive(Args, Debug)]
pub struct SoakOptions {
    #[command(flatten)]
    pub bank: BankOptions,
    /// How long it takes
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_080))]
    pub minutes: u32,
    /// Requests a second; without it, half of what the bank turns out to sustain
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: Option<u32>,
    /// Where the samples are written, a line a second
    #[arg(long, default_value = "target/bench/soak.csv", value_name = "FILE")]
    pub csv: PathBuf,
    /// Where the picture of them is written
    #[arg(long, default_value = "target/bench/soak.svg", value_name = "FILE")]
    pub plot: PathBuf,
}

/// Which bank is tried, and where it keeps its data.
#[derive(Args, Debug)]
pub struct BankOptions {
    /// The bank's binary; it is started on a fresh data directory, stopped and audited
    #[arg(long, default_value = "target/release/bank", value_name = "PATH")]
    pub bank: PathBuf,
    /// Where the data directory is made; it should lie on the disk that is to be measured
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    pub work_dir: PathBuf,
}

/// Who is there before the load begins.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// The connections over which they are signed up.
    pub connections: u32,
    /// How many accounts there are.
    pub accounts: u32,
    /// How many people own them.
    pub people: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn figures_that_make_no_sense_are_refused() {
        for wrong in [
            "speed --connections=0",
            "speed --accounts=0",
            "speed --people=0",
            "speed --seconds=0",
            "speed --seconds=forever",
            "speed --url=http://127.0.0.1:1 --bank=bank",
            "speed --scenario=everything",
            "speed --rate=0",
            "speed --operations=9",
            "peers --rounds=0",
            "peers --seconds=0",
            "overload --seconds=0",
            "overload --times=1",
            "soak --minutes=0",
            "soak --rate=0",
        ] {
            let words = ["bench"].into_iter().chain(wrong.split(' '));
            assert!(Arguments::try_parse_from(words).is_err(), "{wrong}");
        }
    }

    #[test]
    fn scenarios_add_up() {
        let words = ["bench", "speed", "--scenario", "mixed", "--scenario=hot-account"];
        let Trial::Speed(options) = Arguments::try_parse_from(words).unwrap().trial else {
            panic!("a trial of speed was asked for");
        };
        assert_eq!(options.scenario, [Scenario::Mixed, Scenario::HotAccount]);
    }
}
