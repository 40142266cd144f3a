//! `bank import`: asks a bank, here or elsewhere, for the operations of a file, as one of its customers.
//!
//! Rows go in batches, a few of them at once, and never more of the file is in memory than these. What is rejected is
//! written to a file of its own with the reason, and the import goes on. It may be broken off and run again: a row has the
//! same key each time, so what was begun is not begun twice, for as long as the bank keeps keys, which is a day.
//!
//! Absent on purpose: the ledger's verdicts, which come later and are found in the customer's list of operations; an order
//! among rows; and a note of how far it came, since asking for a row again costs little and cannot be wrong.

mod client;
mod password;
mod rows;

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, stream};

use self::client::{Client, Verdict};
use self::rows::{Rejected, Row, batches, rows};
use crate::cli::{ImportFormat, ImportOptions};
use crate::failure::Failure;
use crate::progress::Progress;

/// After how many rows a script is told how far it is.
const ROWS_A_LINE: u64 = 10_000;
/// The name of a file for standard input.
const STANDARD_INPUT: &str = "-";

/// Asks for the operations of the file; it fails if a row was rejected.
pub async fn import(options: &ImportOptions) -> Result<(), Failure> {
    let source = Source::open(options)?;
    let password = password::read()?;
    let (url, email) = (options.api_url.clone(), options.email.clone());
    let client = tokio::task::spawn_blocking(move || Client::sign_in(&url, email, password));
    let client = Arc::new(client.await.map_err(Failure::because("the bank was not asked"))??);

    let progress = Progress::along("rows", source.bytes);
    let mut report = Report::to(source.rejected);
    let batches = batches(rows(source.input, &source.name, source.format)?, options.batch.into());
    let mut answers = stream::iter(batches)
        .map(|batch| submit(Arc::clone(&client), batch))
        .buffered(options.in_flight.into());
    while let Some(answered) = answers.next().await {
        let answered = answered.map_err(|failure| report.broken_off(&failure))?;
        for Answered { number, end, verdict } in answered {
            report.note(number, verdict)?;
            progress.reach(end, report.rows);
        }
    }
    progress.end();
    report.conclude()
}

/// What became of a row.
struct Answered {
    number: u64,
    end: u64,
    verdict: Verdict,
}

/// Asks for the operations of a batch. A row that could not be read has its answer already.
async fn submit(client: Arc<Client>, batch: Result<Vec<Row>, Failure>) -> Result<Vec<Answered>, Failure> {
    let batch = batch?;
    let asked = tokio::task::spawn_blocking(move || {
        let orders: Vec<_> = batch.iter().filter_map(|row| row.order.clone().ok()).collect();
        let mut verdicts = client.submit(&orders)?.into_iter();
        let answered = batch.into_iter().filter_map(|Row { number, end, order }| {
            let verdict = match order {
                Ok(_) => verdicts.next()?,
                Err(rejected) => Verdict::Rejected(rejected),
            };
            Some(Answered { number, end, verdict })
        });
        Ok(answered.collect())
    });
    asked.await.map_err(Failure::because("the bank was not asked"))?
}

/// Where the rows come from, and where those that are rejected go.
struct Source {
    input: Box<dyn Read + Send>,
    /// What the keys of its rows are made from.
    name: String,
    format: ImportFormat,
    /// How long it is, where that is known.
    bytes: Option<u64>,
    rejected: PathBuf,
}

impl Source {
    fn open(options: &ImportOptions) -> Result<Self, Failure> {
        let path = &options.file;
        let shown = path.display();
        let by_name = match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Some(ImportFormat::Csv),
            Some("ndjson" | "jsonl") => Some(ImportFormat::Ndjson),
            _ => None,
        };
        let format = options.format.or(by_name).ok_or_else(|| {
            Failure::new(format!("how is {shown} written? Say --format csv or --format ndjson"))
        })?;
        if path == Path::new(STANDARD_INPUT) {
            let rejected = options.rejected.clone().unwrap_or_else(|| PathBuf::from("import.rejected.csv"));
            let input = Box::new(io::stdin());
            return Ok(Self { input, name: STANDARD_INPUT.to_owned(), format, bytes: None, rejected });
        }
        let unreadable = |error: io::Error| Failure::new(format!("{shown} cannot be read: {error}"));
        let input = File::open(path).map_err(unreadable)?;
        let bytes = Some(input.metadata().map_err(unreadable)?.len());
        let rejected = options.rejected.clone().unwrap_or_else(|| path.with_extension("rejected.csv"));
        if rejected
            .canonicalize()
            .is_ok_and(|rejected| path.canonicalize().is_ok_and(|path| path == rejected))
        {
            return Err(Failure::new(format!(
                "{shown} would be written over: --rejected names the same file"
            )));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { input: Box::new(input), name, format, bytes, rejected })
    }
}

/// What became of the rows so far, and the file of those that were rejected, once there is one.
struct Report {
    rows: u64,
    accepted: u64,
    replayed: u64,
    rejected: u64,
    path: PathBuf,
    written: Option<csv::Writer<File>>,
    /// Whether nobody sees a bar.
    is_for_script: bool,
}

impl Report {
    fn to(path: PathBuf) -> Self {
        let is_for_script = !io::stderr().is_terminal();
        Self { rows: 0, accepted: 0, replayed: 0, rejected: 0, path, written: None, is_for_script }
    }

    fn note(&mut self, number: u64, verdict: Verdict) -> Result<(), Failure> {
        self.rows += 1;
        match verdict {
            Verdict::Accepted => self.accepted += 1,
            Verdict::Replayed => self.replayed += 1,
            Verdict::Rejected(rejected) => {
                self.rejected += 1;
                self.write(number, &rejected).map_err(self.unwritable())?;
            }
        }
        if self.is_for_script && self.rows.is_multiple_of(ROWS_A_LINE) {
            self.tell()?;
        }
        Ok(())
    }

    fn write(&mut self, number: u64, Rejected { code, detail }: &Rejected) -> csv::Result<()> {
        let writer = match &mut self.written {
            Some(writer) => writer,
            None => {
                let mut writer = csv::Writer::from_path(&self.path)?;
                writer.write_record(["row", "code", "detail"])?;
                self.written.insert(writer)
            }
        };
        writer.write_record([&number.to_string(), code, detail])
    }

    fn unwritable<E: std::fmt::Display>(&self) -> impl Fn(E) -> Failure + use<E> {
        let path = self.path.display().to_string();
        move |error| Failure::new(format!("{path} cannot be written: {error}"))
    }

    fn tell(&self) -> Result<(), Failure> {
        let Self { rows, accepted, replayed, rejected, .. } = self;
        writeln!(
            io::stdout(),
            "{rows} rows: {accepted} accepted, {replayed} accepted before, {rejected} rejected"
        )
        .map_err(Failure::because("the terminal cannot be written to"))
    }

    /// Why the import ends before the file does, and what to do.
    fn broken_off(&self, failure: &Failure) -> Failure {
        Failure::new(format!("{failure} (behind {} rows; run it again, which goes on)", self.rows))
    }

    fn conclude(mut self) -> Result<(), Failure> {
        self.tell()?;
        let unwritable = self.unwritable();
        match &mut self.written {
            Some(writer) => writer.flush().map_err(unwritable)?,
            // What an earlier import left there is not true of this one.
            None => match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
                _ => {}
            },
        }
        match self.rejected {
            0 => Ok(()),
            rejected => Err(Failure::new(format!(
                "{rejected} of {} rows were rejected: see {}",
                self.rows,
                self.path.display()
            ))),
        }
    }
}
