//! The rows of a file: CSV with a row of names, or JSON objects one a line (NDJSON). They are read one at a time, so a file
//! may be of any length; a row may not, and amounts stay the digits that they were written as.
//!
//! A row that cannot be read is told apart from a file that cannot: the first is rejected alone, the second ends the import.
//! What a row asks for is the bank's to judge.
//!
//! A row without a key of its own gets one from the file's name, its number and what it says. So the same file means the
//! same operations however often it is imported, rows may be added at its end, and a row that was put right is a new one.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};
use std::iter::{Peekable, from_fn};

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use kernel::hexadecimal;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use web::AmountText;

use crate::cli::ImportFormat;
use crate::failure::Failure;

/// The most bytes of a row, as it is written in the file.
const ROW_BYTES_MAX: u64 = 64 * 1024;
/// The most bytes of a row, as it is sent. The longest that the bank would take has about half of them, and 500 of them
/// are a batch that it takes.
const SENT_BYTES_MAX: usize = 2 * 1024;
const _: () = assert!(SENT_BYTES_MAX * 500 + 1_024 <= web::BATCH_BYTES_MAX);

/// A row, by its number: the first line of the file, which in CSV is that of the names, has number 1.
pub struct Row {
    pub number: u64,
    /// Where in the file it ends, in bytes.
    pub end: u64,
    pub order: Result<Order, Rejected>,
}

/// What a row asks for, as the bank takes it.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub kind: String,
    #[serde(default)]
    pub idempotency_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_account_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_account_id: Option<String>,
    #[serde(deserialize_with = "digits")]
    pub amount: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Why a row is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejected {
    pub code: String,
    pub detail: String,
}

/// An amount as it is written, whether a text or a number.
fn digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    AmountText::deserialize(deserializer).map(|amount| amount.as_str().to_owned())
}

/// A column of CSV: its name, and where its fields go.
type Column = (&'static str, fn(&mut Order, String));

const COLUMNS: [Column; 8] = [
    ("kind", |order, text| order.kind = text),
    ("idempotency_key", |order, text| order.idempotency_key = text),
    ("account_id", |order, text| order.account_id = Some(text)),
    ("from_account_id", |order, text| order.from_account_id = Some(text)),
    ("to_account_id", |order, text| order.to_account_id = Some(text)),
    ("amount", |order, text| order.amount = text),
    ("currency", |order, text| order.currency = Some(text)),
    ("description", |order, text| order.description = Some(text)),
];

/// The columns that every file has.
const NEEDED: [&str; 2] = ["kind", "amount"];

/// The rows of a file, in order. The first error of the file ends them.
pub fn rows<R: Read + Send + 'static>(
    input: R,
    name: &str,
    format: ImportFormat,
) -> Result<Box<dyn Iterator<Item = Result<Row, Failure>> + Send>, Failure> {
    let name = name.to_owned();
    let named = move |row: Result<Row, Failure>| row.map(|row| Row { order: sendable(&name, &row), ..row });
    Ok(match format {
        ImportFormat::Csv => Box::new(csv_rows(input)?.map(named)),
        ImportFormat::Ndjson => Box::new(line_rows(BufReader::new(input)).map(named)),
    })
}

/// Gives a row its key, unless it has one, and refuses one that is too long to be sent.
fn sendable(name: &str, row: &Row) -> Result<Order, Rejected> {
    let mut order = row.order.clone()?;
    let written = json(&order);
    if order.idempotency_key.is_empty() {
        let hash = Sha256::new().chain_update(name).chain_update([0]).chain_update(row.number.to_le_bytes());
        let hash = hexadecimal(&hash.chain_update(&written).finalize());
        order.idempotency_key = format!("import-{}", &hash[..32]);
    }
    if written.len() > SENT_BYTES_MAX { Err(too_long()) } else { Ok(order) }
}

/// A structure of texts can always be written.
fn json(order: &Order) -> Vec<u8> {
    serde_json::to_vec(order).unwrap_or_default()
}

fn too_long() -> Rejected {
    unreadable(format!("The row is longer than {SENT_BYTES_MAX} bytes."))
}

fn unreadable(detail: impl Into<String>) -> Rejected {
    Rejected { code: "UNREADABLE_ROW".to_owned(), detail: detail.into() }
}

fn csv_rows<R: Read>(input: R) -> Result<impl Iterator<Item = Result<Row, Failure>>, Failure> {
    let input = Bounded { input, since_row: 0 };
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(input);
    let columns = columns(reader.headers().map_err(Failure::because("the row of names cannot be read"))?)?;
    let (mut record, mut number) = (StringRecord::new(), 1);
    Ok(from_fn(move || {
        reader.get_mut().since_row = 0;
        let read = reader.read_record(&mut record);
        number += 1;
        let order = match read {
            Ok(false) => return None,
            Ok(true) => order(&columns, &record),
            Err(error) => match error.into_kind() {
                ErrorKind::Utf8 { .. } => Err(unreadable("The row is not UTF-8.")),
                ErrorKind::Io(error) => return Some(Err(unread(number, error))),
                _ => Err(unreadable("The row is not CSV.")),
            },
        };
        Some(Ok(Row { number, end: reader.position().byte(), order }))
    }))
}

/// The columns that a row of names has, in its order.
fn columns(names: &StringRecord) -> Result<Vec<Column>, Failure> {
    let mut columns: Vec<Column> = Vec::with_capacity(names.len());
    for name in names {
        let name = name.trim_start_matches('\u{feff}');
        let Some(column) = COLUMNS.iter().find(|(known, _)| *known == name) else {
            let known = COLUMNS.map(|(known, _)| known).join(", ");
            return Err(Failure::new(format!("the column {name:?} is not known; there are {known}")));
        };
        if columns.iter().any(|(other, _)| other == &column.0) {
            return Err(Failure::new(format!("there are two columns {name:?}")));
        }
        columns.push(*column);
    }
    match NEEDED.iter().find(|needed| !columns.iter().any(|(name, _)| name == *needed)) {
        Some(missing) => Err(Failure::new(format!("there is no column {missing:?} in the row of names"))),
        None => Ok(columns),
    }
}

fn order(columns: &[Column], record: &StringRecord) -> Result<Order, Rejected> {
    if record.len() != columns.len() {
        let (fields, names) = (record.len(), columns.len());
        return Err(unreadable(format!("The row has {fields} fields, and the row of names {names}.")));
    }
    let mut order = Order::default();
    for ((_, put), field) in columns.iter().zip(record) {
        if !field.is_empty() {
            put(&mut order, field.to_owned());
        }
    }
    Ok(order)
}

fn line_rows(mut input: impl BufRead) -> impl Iterator<Item = Result<Row, Failure>> {
    let (mut line, mut number, mut end) = (Vec::new(), 0, 0);
    from_fn(move || {
        loop {
            line.clear();
            number += 1;
            let read = input.by_ref().take(ROW_BYTES_MAX + 1).read_until(b'\n', &mut line);
            match read {
                Ok(0) => return None,
                Ok(bytes) if bytes as u64 > ROW_BYTES_MAX => return Some(Err(unread(number, endless()))),
                Ok(bytes) => end += bytes as u64,
                Err(error) => return Some(Err(unread(number, error))),
            }
            if !line.trim_ascii().is_empty() {
                return Some(Ok(Row { number, end, order: read_line(&line) }));
            }
        }
    })
}

fn read_line(line: &[u8]) -> Result<Order, Rejected> {
    // serde would take a list for a structure, its fields by their order.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(unreadable("The line is not a JSON object."));
    }
    serde_json::from_slice(line).map_err(|error| {
        unreadable(format!(
            "The line is not a JSON object with the fields of an operation: see column {}.",
            error.column()
        ))
    })
}

fn unread(number: u64, error: io::Error) -> Failure {
    Failure::because(&format!("row {number} cannot be read"))(error)
}

fn endless() -> io::Error {
    io::Error::other(format!("it is longer than {ROW_BYTES_MAX} bytes"))
}

/// A reader that gives up on a row without an end, rather than have all of it in memory.
struct Bounded<R> {
    input: R,
    since_row: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_row > ROW_BYTES_MAX {
            return Err(endless());
        }
        let bytes = self.input.read(buffer)?;
        self.since_row += bytes as u64;
        Ok(bytes)
    }
}

/// Puts rows together into batches of at most so many. A key stands once in a batch, so one that comes again begins the
/// next. The first error is the last item.
pub fn batches(
    rows: impl Iterator<Item = Result<Row, Failure>>,
    rows_max: usize,
) -> impl Iterator<Item = Result<Vec<Row>, Failure>> {
    let mut rows = rows.peekable();
    let mut is_over = false;
    from_fn(move || {
        if is_over {
            return None;
        }
        let batch = batch(&mut rows, rows_max);
        is_over = batch.is_err();
        Some(batch).filter(|batch| batch.as_ref().is_ok_and(|rows| !rows.is_empty()) || is_over)
    })
}

fn batch(
    rows: &mut Peekable<impl Iterator<Item = Result<Row, Failure>>>,
    rows_max: usize,
) -> Result<Vec<Row>, Failure> {
    let mut batch: Vec<Row> = Vec::new();
    let mut keys = HashSet::new();
    while batch.len() < rows_max {
        let is_new = |row: &Result<Row, Failure>| match row {
            Ok(Row { order: Ok(order), .. }) => keys.insert(order.idempotency_key.clone()),
            // What was read before a fault of the file is asked for before it is told.
            Err(_) => batch.is_empty(),
            Ok(_) => true,
        };
        match rows.next_if(is_new) {
            Some(row) => batch.push(row?),
            None => break,
        }
    }
    Ok(batch)
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
