//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Measures a bank under load: deposits accepted, deposits seen from end to end, and reads.
#[derive(Parser, Debug)]
#[command(name = "bench", version)]
pub struct Arguments {
    /// The bank's binary; it is started on a fresh data directory, stopped and audited
    #[arg(long, default_value = "target/release/bank", value_name = "PATH")]
    pub bank: PathBuf,
    /// Measure the bank at this address instead, such as http://127.0.0.1:8080
    #[arg(long, conflicts_with = "bank")]
    pub url: Option<String>,
    /// Where the data directory is made; it should lie on the disk that is to be measured
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    pub work_dir: PathBuf,
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
    /// Also write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
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
        for wrong in ["--connections=0", "--accounts=0", "--people=0", "--seconds=0", "--seconds=forever"] {
            assert!(Arguments::try_parse_from(["bench", wrong]).is_err(), "{wrong}");
        }
        assert!(Arguments::try_parse_from(["bench", "--url=http://127.0.0.1:1", "--bank=bank"]).is_err());
    }
}
