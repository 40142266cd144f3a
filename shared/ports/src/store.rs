//! The store port: items under a partition and a sort key, each with a revision.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use kernel::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Transaction;

/// A table of one service. The name is the same in every world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub &'static str);

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Where one item lives. Items of one partition are kept together, ordered by the bytes of `sort`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The table.
    pub table: Table,
    /// What spreads items over machines; never empty.
    pub partition: String,
    /// What orders items in their partition; never empty.
    pub sort: String,
}

impl Key {
    /// The key of an item.
    pub fn new(table: Table, partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { table, partition: partition.into(), sort: sort.into() }
    }
}

/// Where a person is found by her address, the address is in the partition. It is personal, and errors name keys, so of
/// such a partition only the kind is shown.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, partition, sort } = self;
        match partition.split_once('#') {
            Some((kind, name)) if name.contains('@') => write!(f, "{table:?} {kind}#…/{sort}"),
            _ => write!(f, "{table:?} {partition}/{sort}"),
        }
    }
}

/// How often an item was written, or the sequence number of what it shows: it only ever grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of an item that was just created.
    pub const FIRST: Self = Self(1);

    /// The revision after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// An item as stored: a JSON object, read by a [`Record`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Where it lives.
    pub key: Key,
    /// What its next writer must still find.
    pub revision: Revision,
    /// When the store may delete it, which a store may round up to the second. It may do so late, so a reader compares
    /// the time herself.
    pub expires_at: Option<Timestamp>,
    /// A JSON object. Its fields may come back in another order than they were written in.
    pub body: String,
}

/// The layout of one kind of item: its type, and the key it lives under.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// Where this record lives; it must not change while the record exists.
    fn key(&self) -> Key;

    /// When the store may delete the record.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }
}

/// A record as read, with the revision that its writer must still find.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held<R> {
    /// What was read.
    pub record: R,
    /// The revision it had.
    pub revision: Revision,
}

impl<R: Record> Held<R> {
    /// Reads a stored item as a record; an error says that the store holds what this version cannot read.
    pub fn from_item(item: &Item) -> Result<Self, Unavailable> {
        let record = serde_json::from_str(&item.body).map_err(|error| {
            Unavailable(format!("{:?} is unreadable: {}", item.key, without_values(&error.to_string())))
        })?;
        Ok(Self { record, revision: item.revision })
    }
}

/// What serde says of an item, but for the text that it saw there, which may be personal.
fn without_values(error: &str) -> String {
    match (error.find('"'), error.rfind('"')) {
        (Some(first), Some(last)) => format!("{}…{}", &error[..first], &error[last + 1..]),
        _ => error.to_owned(),
    }
}

/// Which way a range is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Smallest sort key first.
    Ascending,
    /// Largest sort key first.
    Descending,
}

/// A part of one partition: `first ≤ sort ≤ last`, read in pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// The table.
    pub table: Table,
    /// The partition.
    pub partition: String,
    /// The smallest sort key wanted.
    pub first: String,
    /// The largest sort key wanted.
    pub last: String,
    /// Which way to read.
    pub order: Order,
    /// Continue behind this sort key: the `next` of the page before.
    pub after: Option<String>,
    /// The most items of one page, at least 1.
    pub limit: usize,
}

impl Range {
    /// All items of a partition whose sort key begins with `prefix`.
    pub fn prefix(
        table: Table,
        partition: impl Into<String>,
        prefix: &str,
        order: Order,
        limit: usize,
    ) -> Self {
        Self {
            table,
            partition: partition.into(),
            first: prefix.to_owned(),
            // The largest character there is, so that every continuation of the prefix is below it.
            last: format!("{prefix}{}", char::MAX),
            order,
            after: None,
            limit,
        }
    }
}

/// One page of an answer. `N` says where the next one begins; a page without it is the last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<N> {
    /// The items, in order.
    pub items: Vec<Item>,
    /// Where to continue, as long as there may be more.
    pub next: Option<N>,
}

/// Where a query continues: the sort key of the last item of the page.
pub type Cursor = String;

/// Where a scan continues: the partition and sort key of the last item of the page.
pub type Place = (String, String);

/// The store cannot answer now; the text is for the log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store is unavailable: {0}")]
pub struct Unavailable(pub String);

/// Why a transaction was not, or was perhaps, committed. Of an [independent](Transaction::independent) one, a part may
/// have been written whatever the reason.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// An expectation did not hold and nothing was written: reload and decide again.
    #[error("{key:?} is not as expected")]
    Conflict {
        /// The first item that was not as expected.
        key: Key,
    },
    /// Not written; try again later.
    #[error("the store is busy")]
    Busy {
        /// How long to wait before trying again.
        retry_after: Duration,
    },
    /// Perhaps written: retry this same transaction, never a new one.
    #[error("it is unknown whether the store committed: {0}")]
    Unknown(String),
    /// Never, and nothing was written: the store does not take this transaction, or not from this process. The text
    /// is for the log.
    #[error("the store refused the transaction: {0}")]
    Refused(String),
}

/// A transactional store of items. Clones share one store.
pub trait Store: Clone + Send + Sync + 'static {
    /// The items under these keys, in their order; `None` where there is none. At most
    /// [`TRANSACTION_ITEMS_MAX`](crate::TRANSACTION_ITEMS_MAX) keys need be fetched at once, more are fetched in parts.
    /// The same key may be given more than once, and is answered each time.
    fn get(&self, keys: &[Key]) -> impl Future<Output = Result<Vec<Option<Item>>, Unavailable>> + Send;

    /// One page of a range of one partition.
    fn query(&self, range: &Range) -> impl Future<Output = Result<Page<Cursor>, Unavailable>> + Send;

    /// One page of a whole table, partition by partition, for audits and rebuilds. The order of the partitions
    /// is the store's own, and writes made meanwhile may or may not be seen.
    fn scan(
        &self,
        table: Table,
        after: Option<&Place>,
        limit: usize,
    ) -> impl Future<Output = Result<Page<Place>, Unavailable>> + Send;

    /// Commits all of the transaction or nothing; of an [independent](Transaction::independent) one, perhaps a part. It
    /// is durable, messages included, when this returns `Ok`.
    fn commit(&self, transaction: &Transaction) -> impl Future<Output = Result<(), CommitError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, Debug)]
    struct Address {
        count: u32,
    }

    impl Record for Address {
        fn key(&self) -> Key {
            Key::new(Table("users"), "email#ada@example.org", "address")
        }
    }

    fn said_of(body: &str) -> String {
        let item = Item {
            key: Address { count: 1 }.key(),
            revision: Revision::FIRST,
            expires_at: None,
            body: body.to_owned(),
        };
        Held::<Address>::from_item(&item).unwrap_err().to_string()
    }

    #[test]
    fn an_item_that_cannot_be_read_is_named_without_what_is_personal() {
        for (body, why) in [
            ("{}", "missing field `count` at line 1 column 2"),
            (
                r#"{"count": "Ada \"Countess\" L."}"#,
                "invalid type: string …, expected u32 at line 1 column 31",
            ),
            ("Ada", "expected value at line 1 column 1"),
        ] {
            let told = format!("the store is unavailable: users email#…/address is unreadable: {why}");
            assert_eq!(said_of(body), told);
        }
    }

    #[test]
    fn other_keys_are_shown_whole() {
        let key = Key::new(Table("users"), "user#01890a5d", "code#reset");
        assert_eq!(format!("{key:?}"), "users user#01890a5d/code#reset");
        assert_eq!(format!("{:?}", Key::new(Table("ledger"), "7", "head")), "ledger 7/head");
    }
}
