//! Between the functions and the emulator: every request passes through and is counted, so that the functions need not
//! know that they are measured.
//!
//! What a write consumed is asked of the emulator. What a read consumed is reckoned here by the rules of DynamoDB
//! (Developer Guide: read consistency and capacity units), as the emulator takes every read for one unit.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;

use super::decimal::Decimal;
use crate::Fault;

/// What the requests that were counted took.
#[derive(Clone, Default, Debug)]
pub(super) struct Tally {
    /// Capacity units written and read, by the table's name.
    pub(super) units: BTreeMap<String, Units>,
    pub(super) store_requests: usize,
    /// Requests to queues, those of the pollers included.
    pub(super) queue_requests: usize,
    /// Requests to queues that a function waits for.
    pub(super) queue_requests_of_functions: usize,
    pub(super) gateway_requests: usize,
    pub(super) invocations: usize,
    pub(super) log_lines: usize,
    pub(super) log_bytes: usize,
}

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Units {
    pub(super) written: Decimal,
    pub(super) read: Decimal,
}

impl Tally {
    pub(super) fn written(&self) -> Decimal {
        self.units.values().map(|units| units.written).sum()
    }

    pub(super) fn read(&self) -> Decimal {
        self.units.values().map(|units| units.read).sum()
    }
}

/// The counting proxy. It lasts as long as the task.
#[derive(Clone)]
pub(super) struct Counter {
    tally: Arc<Mutex<Tally>>,
    /// Where functions find AWS.
    pub(super) url: String,
}

/// A request or an answer: its first line and headers, and its body.
pub(super) struct Message {
    head: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Counter {
    /// Passes everything on to the emulator at this URL.
    pub(super) fn start(emulator: &str) -> Result<Self, Fault> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Fault::file("a free port"))?;
        let address = listener.local_addr().map_err(Fault::file("a free port"))?;
        let counter = Self { tally: Arc::default(), url: format!("http://{address}") };
        let (tally, upstream) =
            (Arc::clone(&counter.tally), emulator.trim_start_matches("http://").to_owned());
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (tally, upstream) = (Arc::clone(&tally), upstream.clone());
                // A connection ends with the function that made it.
                thread::spawn(move || while pass_on(&connection, &upstream, &tally).is_some() {});
            }
        });
        Ok(counter)
    }

    /// What was counted since the last time.
    pub(super) fn take(&self) -> Tally {
        std::mem::take(&mut *self.tally())
    }

    /// The tally, for what does not pass through here.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes one request on and its answer back.
fn pass_on(connection: &TcpStream, upstream: &str, tally: &Mutex<Tally>) -> Option<()> {
    let mut request = Message::read(&mut BufReader::new(connection))?;
    let target = request.header("x-amz-target").unwrap_or_default().to_owned();
    let is_store = target.starts_with("DynamoDB_");
    if is_store && let Ok(Value::Object(mut fields)) = serde_json::from_slice(&request.body) {
        fields.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
        request.body = Value::Object(fields).to_string().into_bytes();
    }
    let answer = request.exchange(upstream)?;
    {
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        if is_store {
            tally.store_requests += 1;
            let asked = serde_json::from_slice(&request.body).ok()?;
            tally.note(&target, &asked, &serde_json::from_slice(&answer.body).ok()?);
        } else if target.starts_with("AmazonSQS.") {
            tally.queue_requests += 1;
            tally.queue_requests_of_functions += 1;
        }
    }
    answer.write(connection, "keep-alive")
}

impl Tally {
    fn note(&mut self, target: &str, asked: &Value, answer: &Value) {
        let name = asked["TableName"].as_str().unwrap_or_default();
        match target.rsplit('.').next() {
            Some("GetItem") => self.read_of(name, asked, units_of(&answer["Item"])),
            Some("Query" | "Scan") => {
                let bytes: usize = items(&answer["Items"]).iter().map(bytes_of).sum();
                self.read_of(name, asked, units(bytes));
            }
            Some("BatchGetItem") => {
                for (name, asked) in asked["RequestItems"].as_object().into_iter().flatten() {
                    let found = items(&answer["Responses"][name]);
                    let absent = items(&asked["Keys"]).len() - found.len();
                    self.read_of(name, asked, found.iter().map(units_of).sum::<usize>() + absent);
                }
            }
            _ => {
                let consumed = match &answer["ConsumedCapacity"] {
                    Value::Array(tables) => tables.as_slice(),
                    table => std::slice::from_ref(table),
                };
                for table in consumed {
                    let name = table["TableName"].as_str().unwrap_or_default();
                    let units = table["CapacityUnits"].to_string().parse().unwrap_or_default();
                    self.units.entry(name.to_owned()).or_default().written += units;
                }
            }
        }
    }

    /// A read that need not be consistent consumes half.
    fn read_of(&mut self, table: &str, asked: &Value, units: usize) {
        let units = Decimal::from(units).divided_by(if asked["ConsistentRead"] == true { 1 } else { 2 });
        self.units.entry(table.to_owned()).or_default().read += units;
    }
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// A unit is a read of up to four kilobytes, and looking for what is absent takes one too.
fn units(bytes: usize) -> usize {
    bytes.div_ceil(4_096).max(1)
}

fn units_of(item: &Value) -> usize {
    units(bytes_of(item))
}

/// The size of an item or a value (Developer Guide: DynamoDB item sizes and formats), the numbers a little too large.
fn bytes_of(item: &Value) -> usize {
    let fields = item.as_object().into_iter().flatten();
    fields.map(|(name, attribute)| name.len() + attribute_bytes(attribute)).sum()
}

fn attribute_bytes(attribute: &Value) -> usize {
    let Some((kind, value)) = attribute.as_object().and_then(|attribute| attribute.iter().next()) else {
        return 0;
    };
    match kind.as_str() {
        "M" => 3 + value.as_object().map_or(0, serde_json::Map::len) + bytes_of(value),
        "L" => 3 + items(value).iter().map(|value| 1 + attribute_bytes(value)).sum::<usize>(),
        _ => value.as_str().map_or(1, str::len),
    }
}

impl Message {
    /// A request of one's own, which all go to the root.
    pub(super) fn request(headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let head = std::iter::once("POST / HTTP/1.1".to_owned()).chain(headers).collect();
        Self { head, body: body.as_bytes().to_vec() }
    }

    /// Sends a request on a connection of its own, and reads the answer.
    pub(super) fn exchange(&self, address: &str) -> Option<Self> {
        let connection = TcpStream::connect(address).ok()?;
        self.write(&connection, "close")?;
        Self::read(&mut BufReader::new(&connection))
    }

    /// Reads a message that tells its length, or one in chunks.
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            head.push(line.to_owned());
        }
        let mut message = Self { head, body: Vec::new() };
        if let Some(length) = message.header("content-length") {
            message.body = vec![0; length.parse().ok()?];
            reader.read_exact(&mut message.body).ok()?;
        } else if message.header("transfer-encoding").is_some() {
            while let Some(chunk) = read_chunk(reader)? {
                message.body.extend(chunk);
            }
        }
        Some(message)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Writes the message with its length, and what becomes of the connection behind it.
    fn write(&self, mut connection: &TcpStream, afterwards: &str) -> Option<()> {
        let is_own = |line: &&String| {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            ["content-length", "transfer-encoding", "connection", "x-amz-crc32"].contains(&name.as_str())
        };
        let mut text: String =
            self.head.iter().filter(|line| !is_own(line)).map(|line| format!("{line}\r\n")).collect();
        text += &format!("connection: {afterwards}\r\ncontent-length: {}\r\n\r\n", self.body.len());
        connection.write_all(&[text.as_bytes(), &self.body].concat()).ok()
    }
}

/// The next chunk of a body; the last one is empty.
fn read_chunk(reader: &mut impl BufRead) -> Option<Option<Vec<u8>>> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let length = usize::from_str_radix(line.trim(), 16).ok()?;
    // The chunk, and the end of its line.
    let mut chunk = vec![0; length + 2];
    reader.read_exact(&mut chunk).ok()?;
    chunk.truncate(length);
    Some((length > 0).then_some(chunk))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(target: &str, asked: &Value, answer: &Value) -> String {
        let mut tally = Tally::default();
        tally.note(target, asked, answer);
        tally.read().to_string()
    }

    #[test]
    fn reads_are_reckoned_by_size_and_consistency() {
        let item = |bytes: usize| json!({"a": {"S": "x".repeat(bytes - 1)}});
        let asked = json!({"TableName": "t", "ConsistentRead": true});
        for (bytes, units) in [(10, "1.00"), (4_096, "1.00"), (4_097, "2.00")] {
            assert_eq!(read("DynamoDB_20120810.GetItem", &asked, &json!({"Item": item(bytes)})), units);
        }
        assert_eq!(read("DynamoDB_20120810.GetItem", &json!({"TableName": "t"}), &json!({})), "0.50");
        let page = json!({"Items": [item(3_000), item(3_000), item(3_000)]});
        assert_eq!(read("DynamoDB_20120810.Query", &asked, &page), "3.00");
        let asked = json!({"RequestItems": {"t": {"ConsistentRead": true, "Keys": [{}, {}, {}]}}});
        let found = json!({"Responses": {"t": [item(100), item(5_000)]}});
        assert_eq!(read("DynamoDB_20120810.BatchGetItem", &asked, &found), "4.00");
    }

    #[test]
    fn writes_are_what_the_store_says() {
        let mut tally = Tally::default();
        let consumed =
            json!([{"TableName": "t", "CapacityUnits": 4.0}, {"TableName": "u", "CapacityUnits": 2.0}]);
        tally.note(
            "DynamoDB_20120810.TransactWriteItems",
            &json!({}),
            &json!({"ConsumedCapacity": consumed}),
        );
        tally.note("DynamoDB_20120810.PutItem", &json!({}), &json!({"ConsumedCapacity": consumed[1]}));
        assert_eq!([tally.written(), tally.read(), tally.units["u"].written], [8, 0, 4].map(Decimal::from));
    }

    #[test]
    fn a_body_in_chunks_is_read_whole() {
        let text =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nrest";
        let message = Message::read(&mut text.as_bytes()).unwrap();
        assert_eq!(message.body, b"abcde");
    }
}
