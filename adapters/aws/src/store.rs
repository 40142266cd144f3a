//! The store port on DynamoDB: a table each, its items read consistently, a transaction as one TransactWriteItems, or as
//! one PutItem where an item can carry its messages.
//!
//! - [`attributes`] is the layout of an item, [`reads`], [`commits`] and [`carrying`] are the requests, and [`failure`] says
//!   what a failed write means.
//! - Every read is strongly consistent, so a service decides on what was last committed. A read is tried again by
//!   the SDK; a write is not, and says honestly when it cannot know what became of it.
//! - A transaction's id is the token of its request: for ten minutes DynamoDB answers the same request committed
//!   again as it did the first time. After that its outbox record still tells; see [`commits`].
//!
//! Absent on purpose: secondary indexes, updates in place, and every condition but those on the revision.

mod attributes;
mod carrying;
mod commits;
mod failure;
mod reads;

use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::{Client, Config};
use futures::FutureExt;
use ports::{CommitError, Cursor, Item, Key, Page, Place, Range, Store, Table, Transaction, Unavailable};

use self::carrying::Unknown;
use crate::Connection;

/// How long a connection to DynamoDB may take. It takes milliseconds, or something is wrong.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one attempt may take, after which its outcome counts as unknown: far beyond any answer that still comes.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the SDK tries a read.
const READ_TRIES_MAX: u32 = 4;
/// The SDK's first pause between two tries of a read.
const READ_PAUSE: Duration = Duration::from_millis(25);
/// The SDK's longest pause between two tries of a read.
const READ_PAUSE_MAX: Duration = Duration::from_millis(500);

/// The tables of one deployment. Clones share the HTTP connections.
#[derive(Clone)]
pub struct DynamoStore {
    client: Client,
    connection: Connection,
    streamed: &'static [Table],
    unknown: Unknown,
}

impl DynamoStore {
    /// The tables of a deployment; nothing is sent yet. A relay reads the streams of those that are `streamed` beside those
    /// of the outboxes, so that their items can carry messages.
    pub fn new(connection: &Connection, streamed: &'static [Table]) -> Self {
        let retries = RetryConfig::standard()
            .with_max_attempts(READ_TRIES_MAX)
            .with_initial_backoff(READ_PAUSE)
            .with_max_backoff(READ_PAUSE_MAX);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config =
            Config::from(&connection.sdk).to_builder().retry_config(retries).timeout_config(timeouts);
        Self {
            client: Client::from_conf(config.build()),
            connection: connection.clone(),
            streamed,
            unknown: Unknown::default(),
        }
    }

    /// What a table is called in this deployment.
    fn name_of(&self, table: Table) -> String {
        self.connection.name_of(table.0)
    }
}

/// The SDK's futures are large and their types deep, so each call is boxed: those of the services that await it stay
/// small, and the compiler need not look through them.
impl Store for DynamoStore {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Unavailable> {
        self.read_items(keys).boxed().await
    }

    async fn query(&self, range: &Range) -> Result<Page<Cursor>, Unavailable> {
        self.read_range(range).boxed().await
    }

    async fn scan(
        &self,
        table: Table,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Page<Place>, Unavailable> {
        self.read_table(table, after, limit).boxed().await
    }

    async fn commit(&self, transaction: &Transaction) -> Result<(), CommitError> {
        self.write(transaction).boxed().await
    }
}
