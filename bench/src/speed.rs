//! The trial of speed: every scenario in turn, in a closed loop.

use tokio::runtime::Runtime;

use crate::arguments::{Crowd, SpeedOptions};
use crate::bank::Bank;
use crate::client::Server;
use crate::load::{self, Extent};
use crate::report::Report;
use crate::scenario::Scenario;
use crate::{BenchError, require_success, setup, write};

/// Measures the bank, and prints the figures.
pub fn run(options: &SpeedOptions, runtime: &Runtime) -> Result<(), BenchError> {
    let report = match &options.url {
        Some(url) => runtime.block_on(measure(options, url))?,
        None => {
            let bank = Bank::start(&options.bank.bank, &options.bank.work_dir)?;
            let measured = runtime.block_on(measure(options, bank.url()));
            // The books are looked at even if a request failed: they say more about it than the request does.
            let audit = bank.stop_and_audit();
            let mut report = measured?;
            report.audit = Some(audit?);
            report
        }
    };
    println!("{report}");
    match &options.json {
        Some(path) => write(path, serde_json::to_vec_pretty(&report).unwrap_or_default()),
        None => Ok(()),
    }
}

async fn measure(options: &SpeedOptions, url: &str) -> Result<Report, BenchError> {
    let server = Server::parse(url).map_err(BenchError::Setup)?;
    let &SpeedOptions { connections, accounts, people, seconds, warmup_seconds, .. } = options;
    let crowd = Crowd { connections, accounts, people };
    let accounts = setup::accounts(&server, crowd).await.map_err(BenchError::Setup)?;
    let extent = Extent { connections, seconds, warmup_seconds };
    let mut measured = Vec::new();
    for scenario in Scenario::ALL {
        println!("measuring {}: {seconds} s after {warmup_seconds} s", scenario.name());
        let figures = load::run(*scenario, &server, &accounts, extent).await;
        require_success(&figures)?;
        measured.push(figures);
    }
    Ok(Report::new(options, &measured))
}
