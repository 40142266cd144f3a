//! How fast the functions start and answer, and what they take for it: the release binaries as they are deployed, on a
//! stub of Lambda's runtime interface.
//!
//! Every function is given an event that needs no store. Two are given a deposit as well, with the emulator as their
//! store: there the time on the processor tells what is the function's own. The figures are medians over the starts,
//! and percentiles over all events behind the first of each start. What Lambda does before it starts a process is not
//! in them.

mod events;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::emulator::{Emulator, Policies};
use crate::function::Function;
use crate::process::run_at_most;
use crate::python::{EMULATOR, SAM};
use crate::{Fault, Workspace};
use events::{DEPOSIT, Event, Exchange, PREFIX, TABLES, WITHOUT_STORE};

/// How often each function is started.
const STARTS: usize = 10;

/// The events that a function is handed behind its first.
const WARM_EVENTS: usize = 100;

/// How long the functions may take to build where nothing is built yet.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);

/// How functions are built to be deployed; `.github/workflows/deploy.yml` has the same.
const BUILD_SETTINGS: [(&str, &str); 4] = [
    // The machine's own compiler and linker, as nothing is built for another machine.
    ("CARGO_LAMBDA_COMPILER", "cargo"),
    ("CARGO_PROFILE_RELEASE_LTO", "thin"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
];

/// The settings that some function must have to start, though nothing it is handed here makes use of them.
const SETTINGS: [(&str, &str); 14] = [
    ("RESOURCE_PREFIX", PREFIX),
    ("CORS_ORIGINS", ""),
    ("QUEUE_URL", "http://127.0.0.1/queue"),
    ("DEAD_LETTER_QUEUE_URL", "http://127.0.0.1/queue"),
    ("FAILURE_QUEUE_URL", "http://127.0.0.1/queue"),
    ("QUEUE_URL_ACCOUNTS_CLOSINGS", "http://127.0.0.1/queue"),
    ("QUEUE_URL_BANKING_EVENTS", "http://127.0.0.1/queue"),
    ("QUEUE_URL_LEDGER_COMMANDS", "http://127.0.0.1/queue"),
    ("QUEUE_URL_NOTIFICATIONS_EMAILS", "http://127.0.0.1/queue"),
    ("QUEUE_URL_NOTIFICATIONS_EVENTS", "http://127.0.0.1/queue"),
    ("QUEUE_URL_QUERY_EVENTS", "http://127.0.0.1/queue"),
    ("USER_POOL_ID", "us-east-1_measured"),
    ("USER_POOL_CLIENT_ID", "measured"),
    ("CONFIRMATION", "BY_CODE"),
];

/// The authorities that TLS trusts, in one file: where Lambda's image has it, and Debian.
const CERTIFICATES: [&str; 2] =
    ["/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/certs/ca-certificates.crt"];

/// Measures every function and prints a table.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Fault> {
    EMULATOR.install(workspace)?;
    SAM.install(workspace)?;
    build(workspace)?;
    let folder = workspace.target.join("measured");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Fault::file(&folder))?;
    }
    let emulator = Emulator::start(workspace, &folder, Policies::Ignored)?;
    let bench = Bench::new(workspace, &emulator);
    for table in TABLES {
        events::create_table(&emulator.url, table)?;
    }
    println!("\n{}\n{}", Row::HEADINGS, Row::RULE);
    for function in functions(workspace)? {
        let exchange = WITHOUT_STORE.iter().find(|exchange| function.ends_with(exchange.function));
        if let Some(exchange) = exchange {
            println!("{}", bench.measure(&function, exchange)?);
        }
    }
    for exchange in DEPOSIT {
        println!("{}", bench.measure(exchange.function, exchange)?);
    }
    Ok(())
}

fn build(workspace: &Workspace) -> Result<(), Fault> {
    let mut command = SAM.command(workspace, "cargo-lambda");
    command.args(["lambda", "build", "--release", "--locked", "--package", "lambda"]).envs(BUILD_SETTINGS);
    run_at_most(command.current_dir(&workspace.root), BUILD_LIMIT)
}

/// Every function there is, by the name of its source.
fn functions(workspace: &Workspace) -> Result<Vec<String>, Fault> {
    let folder = workspace.root.join("apps/lambda/src/bin");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(Fault::file(&folder))? {
        let path = entry.map_err(Fault::file(&folder))?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Where functions are measured.
struct Bench {
    binaries: PathBuf,
    log: PathBuf,
    settings: Vec<(String, String)>,
}

impl Bench {
    fn new(workspace: &Workspace, emulator: &Emulator) -> Self {
        let certificates = CERTIFICATES.into_iter().find(|path| Path::new(path).exists());
        let certificates = certificates.map(|path| ("SSL_CERT_FILE", path));
        let settings = SETTINGS.into_iter().chain(certificates).chain(emulator.settings());
        Self {
            binaries: workspace.target.join("lambda"),
            log: emulator.folder().join("functions.log"),
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    fn measure(&self, function: &str, exchange: &Exchange) -> Result<Row, Fault> {
        let binary = self.binaries.join(function).join("bootstrap");
        let size = fs::metadata(&binary).map_err(Fault::file(&binary))?.len();
        let mut event = Event::default();
        if let Some(before) = exchange.before {
            let binary = self.binaries.join(before.function).join("bootstrap");
            self.hand(&mut Function::start(&binary, &self.settings, &self.log)?, before, &mut event)?;
        }
        let mut samples = Samples::default();
        for _ in 0..STARTS {
            self.sample(&binary, exchange, &mut event, &mut samples)?;
        }
        Ok(Row { function: function.to_owned(), event: exchange.name, size, samples })
    }

    fn sample(
        &self,
        binary: &Path,
        exchange: &Exchange,
        event: &mut Event,
        samples: &mut Samples,
    ) -> Result<(), Fault> {
        let mut function = Function::start(binary, &self.settings, &self.log)?;
        let first = self.hand(&mut function, exchange, event)?;
        samples.initialisations.push(function.initialisation);
        samples.cold.push(function.initialisation + first);
        let before = function.processor_time()?;
        for _ in 0..WARM_EVENTS {
            samples.warm.push(self.hand(&mut function, exchange, event)?);
        }
        let spent = function.processor_time()? - before;
        samples.processor.push(spent / u32::try_from(WARM_EVENTS).unwrap_or(u32::MAX));
        samples.memory.push(function.memory()?);
        Ok(())
    }

    /// Hands a function the next event and tells how long it took for the right answer.
    fn hand(
        &self,
        function: &mut Function,
        exchange: &Exchange,
        event: &mut Event,
    ) -> Result<Duration, Fault> {
        let answer = function.handle(&event.next(exchange))?;
        if answer.body.contains(exchange.answer) {
            Ok(answer.took)
        } else {
            Err(Fault::Output { command: exchange.function.to_owned(), reason: answer.body })
        }
    }
}

#[derive(Default)]
struct Samples {
    initialisations: Vec<Duration>,
    /// From the start of the process to its first answer.
    cold: Vec<Duration>,
    warm: Vec<Duration>,
    /// On the processor, an event.
    processor: Vec<Duration>,
    memory: Vec<u64>,
}

/// One row of the table.
struct Row {
    function: String,
    event: &'static str,
    size: u64,
    samples: Samples,
}

impl Row {
    const HEADINGS: &str =
        "| function | event | binary | init | first answer | warm p50 | p90 | processor | memory |";
    const RULE: &str = "|---|---|--:|--:|--:|--:|--:|--:|--:|";
}

impl std::fmt::Display for Row {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Samples { initialisations, cold, warm, processor, memory } = &self.samples;
        write!(
            formatter,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.function,
            self.event,
            megabytes(self.size),
            milliseconds(percentile(initialisations, 50)),
            milliseconds(percentile(cold, 50)),
            milliseconds(percentile(warm, 50)),
            milliseconds(percentile(warm, 90)),
            milliseconds(percentile(processor, 50)),
            megabytes(percentile(memory, 50)),
        )
    }
}

/// The smallest value that this percentage of all values do not exceed.
fn percentile<T: Copy + Ord + Default>(values: &[T], percentage: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percentage).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> String {
    let microseconds = duration.as_micros();
    format!("{}.{:02} ms", microseconds / 1_000, microseconds % 1_000 / 10)
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let values: Vec<u64> = (1..=10).rev().collect();
        assert_eq!([50, 90, 100, 1].map(|percentage| percentile(&values, percentage)), [5, 9, 10, 1]);
        assert_eq!(percentile::<u64>(&[], 50), 0);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(milliseconds(Duration::from_micros(12_345)), "12.34 ms");
        assert_eq!(megabytes(12_345_678), "12.3 MB");
    }
}
