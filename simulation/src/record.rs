//! What a run leaves behind for the auditor: what was asked and answered, and everything that was stored and sent.
//!
//! All of it is text, numbers and JSON as they are on the wire or in the store, so that whoever reads it shares no type
//! with those who wrote it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A request as it left its sender, and what came back.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its place among all exchanges.
    pub number: u64,
    /// Who asked.
    pub user: String,
    /// GET or POST.
    pub method: &'static str,
    /// With the query.
    pub path: String,
    /// The Idempotency-Key.
    pub key: Option<String>,
    /// Whether she waits for the end of what she asks for.
    pub is_waiting: bool,
    /// What she sent.
    pub body: Value,
    /// The moment she asked, in the order of all that was seen outside.
    pub asked_at: u64,
    /// The moment she heard or gave up, in the same order.
    pub ended_at: u64,
    /// What she heard; nothing where she gave up or the process died.
    pub answer: Option<Answer>,
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Whether it is said to be the answer to an earlier request.
    pub is_replay: bool,
    /// The document.
    pub body: Value,
}

impl Exchange {
    /// The answer, where it says that it was done.
    pub fn granted(&self) -> Option<&Answer> {
        self.answer.as_ref().filter(|answer| (200..300).contains(&answer.status))
    }

    /// The path without the query.
    pub fn route(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

/// An item as it lies in the store.
#[derive(Clone, Debug)]
pub struct StoredItem {
    /// Its partition key.
    pub partition: String,
    /// Its sort key.
    pub sort: String,
    /// The document.
    pub body: Value,
}

/// A letter that the mail server took.
#[derive(Clone, Debug)]
pub struct PostedLetter {
    /// The same for every attempt.
    pub letter_id: String,
    /// Whom it was for.
    pub to: String,
}

/// Everything that is known of a run once it has come to rest.
#[derive(Clone, Default, Debug)]
pub struct Record {
    /// Who the customers are.
    pub users: Vec<String>,
    /// What was asked while the bank was disturbed, and after it in peace.
    pub exchanges: Vec<Exchange>,
    /// The number of the first exchange that was made in peace.
    pub peace_from: u64,
    /// Every item, by table.
    pub tables: BTreeMap<String, Vec<StoredItem>>,
    /// Every record of every outbox in the order of their commits: its messages, as they are carried.
    pub outboxes: BTreeMap<String, Vec<Vec<Value>>>,
    /// The dead letters.
    pub dead_letters: Vec<Value>,
    /// What nobody can read: the message, and a consumer who hears its kind.
    pub poison: BTreeSet<(String, String)>,
    /// The letters.
    pub letters: Vec<PostedLetter>,
    /// What happened outside, a line each, in order.
    pub trace: Vec<String>,
}

impl Record {
    /// The items of a table.
    pub fn table(&self, name: &str) -> &[StoredItem] {
        self.tables.get(name).map_or(&[], Vec::as_slice)
    }

    /// The messages of an outbox that are not poison, in order.
    pub fn messages<'a>(&'a self, outbox: &str) -> impl Iterator<Item = &'a Value> {
        let records = self.outboxes.get(outbox).map_or(&[][..], Vec::as_slice);
        records.iter().flatten().filter(|message| !self.is_poison(message))
    }

    fn is_poison(&self, message: &Value) -> bool {
        let message_id = message["message_id"].as_str().unwrap_or_default();
        let first = (message_id.to_owned(), String::new());
        self.poison.range(first..).next().is_some_and(|(poison, _)| poison == message_id)
    }

    /// The exchanges made after the bank had come to rest.
    pub fn in_peace(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().filter(|exchange| exchange.number >= self.peace_from)
    }
}
