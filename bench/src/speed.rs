//! The trial of speed: every scenario in turn, most of them in a closed loop.

use std::time::{Duration, Instant};

use futures::future::join;
use tokio::runtime::Runtime;

use crate::arguments::{Crowd, SpeedOptions};
use crate::bank::Bank;
use crate::client::Server;
use crate::load::{self, Extent, Measured};
use crate::observe::Observer;
use crate::open_loop::Load;
use crate::report::Report;
use crate::scenario::{Scenario, Way};
use crate::setup::{self, Account};
use crate::step::Step;
use crate::{BenchError, growth, overload, require_success, write};

/// The connections of batches: more of them would only wait for one another in the bank.
const BATCH_CONNECTIONS: u32 = 8;
/// What other people ask for while everybody signs in, a second.
const CALM_RATE: u32 = 200;
/// The most connections that a constant rate may need: a slow answer is no reason to send less.
const OPEN_CONNECTIONS: u32 = 512;
/// How often people sign in again: their tokens are good for a quarter of an hour.
const RENEWAL: Duration = Duration::from_secs(5 * 60);
/// How long a bank without callers is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(1);

/// Measures the bank, prints the figures and draws them.
pub fn run(options: &SpeedOptions, runtime: &Runtime) -> Result<(), BenchError> {
    let chosen = Scenario::chosen(&options.scenario);
    let mut report = Report::new(options);
    match &options.url {
        Some(url) => report.add(&runtime.block_on(measure(options, url, &chosen))?),
        None => measure_here(options, runtime, &chosen, &mut report)?,
    }
    println!("{report}");
    if let Some(path) = &options.output.json {
        write(path, serde_json::to_vec_pretty(&report).unwrap_or_default())?;
    }
    for (name, picture) in report.pictures() {
        write(&options.output.pictures.join(name), picture)?;
    }
    Ok(())
}

/// Measures a bank that is started for it; where the store's growth is wanted, one more.
fn measure_here(
    options: &SpeedOptions,
    runtime: &Runtime,
    chosen: &[Scenario],
    report: &mut Report,
) -> Result<(), BenchError> {
    if chosen != [Scenario::Growth] {
        let bank = Bank::start(&options.bank.bank, &options.bank.work_dir)?;
        std::thread::sleep(IDLE);
        report.idle_memory_bytes = Some(Observer::of(&bank).memory_bytes()?);
        let measured = runtime.block_on(measure(options, bank.url(), chosen));
        // The books are looked at even if a request failed: they say more about it than the request does.
        let audit = bank.stop_and_audit();
        report.add(&measured?);
        report.audit = Some(audit?);
    }
    if chosen.contains(&Scenario::Growth) {
        report.growth = Some(growth::run(options, runtime)?);
    }
    Ok(())
}

async fn measure(
    options: &SpeedOptions,
    url: &str,
    chosen: &[Scenario],
) -> Result<Vec<Measured>, BenchError> {
    let server = Server::parse(url).map_err(BenchError::Setup)?;
    let &SpeedOptions { connections, accounts, people, seconds, warmup_seconds, .. } = options;
    let crowd = Crowd { connections, accounts, people };
    let accounts = setup::accounts(&server, crowd).await.map_err(BenchError::Setup)?;
    let mut signed_in_at = Instant::now();
    let extent = Extent { connections, seconds, warmup_seconds };
    let mut measured: Vec<Measured> = Vec::new();
    for scenario in chosen {
        if signed_in_at.elapsed() > RENEWAL {
            setup::renew(&server, &accounts).await.map_err(BenchError::Setup)?;
            signed_in_at = Instant::now();
        }
        let name = scenario.name();
        println!("measuring {name}: {seconds} s after {warmup_seconds} s");
        match scenario.way() {
            Way::Closed(step) => {
                let connections = if step == Step::AcceptBatch { BATCH_CONNECTIONS } else { connections };
                let extent = Extent { connections, ..extent };
                measured.push(load::run(&name, step, &server, &accounts, extent).await);
            }
            Way::Storm => measured.extend(storm(&name, &server, &accounts, extent).await),
            Way::Open => {
                let rate = match options.rate {
                    Some(rate) => rate,
                    None => (sustained(&measured, &server, &accounts).await? / 2).max(1),
                };
                for step in [Step::Accept, Step::Complete] {
                    measured.push(steady(&name, step, rate, &server, &accounts, extent).await);
                }
            }
            Way::Apart => {}
        }
        for figures in &measured {
            require_success(figures)?;
        }
    }
    Ok(measured)
}

/// How many deposits a second the bank sustains: what was measured already, or is now.
async fn sustained(measured: &[Measured], server: &Server, accounts: &[Account]) -> Result<u32, BenchError> {
    let accepted = measured.iter().find(|figures| figures.name == Scenario::Accepted.name());
    match accepted.and_then(|figures| figures.settled.as_ref()) {
        Some(settled) => Ok(u32::try_from(settled.per_second()).unwrap_or(u32::MAX)),
        None => Ok(overload::capacity(server, accounts).await?.sustained),
    }
}

/// Deposits at a constant rate.
async fn steady(
    name: &str,
    step: Step,
    rate: u32,
    server: &Server,
    accounts: &[Account],
    extent: Extent,
) -> Measured {
    let until = if step == Step::Accept { "accepted" } else { "end to end" };
    let load = Load::begin(step, vec![rate; (extent.warmup_seconds + extent.seconds) as usize]);
    load.run(server, accounts, OPEN_CONNECTIONS).await;
    load.measured(format!("{name}, {until}"), extent.warmup_seconds as usize)
}

/// Sign-ins without a pause, and how long other people's balances take meanwhile.
async fn storm(name: &str, server: &Server, accounts: &[Account], extent: Extent) -> [Measured; 2] {
    let seconds = (extent.warmup_seconds + extent.seconds) as usize;
    let balances = Load::begin(Step::Balance, vec![CALM_RATE; seconds]);
    let sign_ins = load::run(name, Step::SignIn, server, accounts, extent);
    let (sign_ins, ()) = join(sign_ins, balances.run(server, accounts, OPEN_CONNECTIONS)).await;
    [sign_ins, balances.measured(format!("{name}, balances"), extent.warmup_seconds as usize)]
}
