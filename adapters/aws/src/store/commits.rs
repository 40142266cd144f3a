//! Writing: a transaction is one TransactWriteItems, an independent one is a conditional write for each of its items, and
//! one item that can carry its messages is [one item](super::carrying).
//!
//! What is known not to be written because of others' traffic is tried again here a few times, with a pause that
//! doubles and jitters. Everything else is told at once, as the port has it.
//!
//! **The same transaction committed again.** For ten minutes its token makes DynamoDB answer as it did the first time.
//! Later, or where DynamoDB has forgotten, the record in the outbox says that this very transaction was committed,
//! and it is no conflict but done. What is left is a transaction without messages that is committed again after more
//! than ten minutes, and an independent one committed again at any time: they may find their own writes and answer
//! Conflict. Who reads again then finds her effect made.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Config;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem};
use futures::future::join_all;
use metrics::counter;
use ports::{Action, CommitError, Expect, Table, Transaction, Write};
use uuid::Uuid;

use super::DynamoStore;
use super::attributes::{self, Attributes, Misfit};
use super::failure::{self, Failure};

/// How often one write is tried that others are in the way of: a third of a second with all its pauses.
const TRIES_MAX: usize = 6;
/// The longest first pause between two tries, in milliseconds; it doubles with every try.
const PAUSE_MS: u64 = 10;
/// How long a caller should wait where that was not enough.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many writes of an independent transaction are under way at once.
const PARALLEL_WRITES_MAX: usize = 16;

/// Every pause takes its jitter from a random byte of the transaction's id, of which a UUID of version 7 has eight
/// at its end.
const _: () = assert!(TRIES_MAX <= 8);

/// The condition on an item that must not be there.
const ABSENT: &str = "attribute_not_exists(pk)";

impl DynamoStore {
    /// Commits a transaction.
    pub(super) async fn write(&self, transaction: &Transaction) -> Result<(), CommitError> {
        if transaction.is_empty() {
            return Ok(());
        }
        self.send(transaction).await.map_err(|failure| told(failure, transaction))
    }

    async fn send(&self, transaction: &Transaction) -> Result<(), Failure> {
        if transaction.is_independent() {
            return self.write_each(transaction).await;
        }
        match self.carrier(transaction)? {
            Some((write, item)) => self.write_carrier(transaction.id(), write, item).await,
            None => self.write_together(transaction).await,
        }
    }

    /// All or nothing. The outbox record comes first, so that of many unexpected items it is the one that counts.
    async fn write_together(&self, transaction: &Transaction) -> Result<(), Failure> {
        let mut items = Vec::with_capacity(transaction.writes().len() + 1);
        items.extend(self.outbox_record(transaction)?);
        for write in transaction.writes() {
            items.push(self.item_of(write)?);
        }
        let request = self.client.transact_write_items().set_transact_items(Some(items));
        let request = request.client_request_token(transaction.id().to_string());
        let written = persistently(transaction.id(), || async {
            let attempt = request.clone().customize().config_override(one_attempt());
            attempt.send().await.map(drop).map_err(|error| failure::of_transaction(&error))
        });
        match (written.await, transaction.outbox()) {
            (Err(Failure::Unexpected(0)), Some(_)) => Ok(()),
            (Err(Failure::Unexpected(place)), Some(_)) => Err(Failure::Unexpected(place - 1)),
            (written, _) => written,
        }
    }

    /// Each by itself; the weightiest failure is told.
    async fn write_each(&self, transaction: &Transaction) -> Result<(), Failure> {
        let mut failures = Vec::new();
        for (part, writes) in transaction.writes().chunks(PARALLEL_WRITES_MAX).enumerate() {
            let written = join_all(writes.iter().map(|write| self.write_alone(transaction.id(), write)));
            for (index, written) in written.await.into_iter().enumerate() {
                failures.extend(written.err().map(|failure| match failure {
                    Failure::Unexpected(_) => Failure::Unexpected(part * PARALLEL_WRITES_MAX + index),
                    failure => failure,
                }));
            }
        }
        failures.into_iter().min().map_or(Ok(()), Err)
    }

    async fn write_alone(&self, transaction_id: Uuid, write: &Write) -> Result<(), Failure> {
        if let Action::Put { revision, expires_at, body } = &write.action {
            let item = attributes::item_attributes(&write.key, *revision, *expires_at, body)?;
            let (expression, values) = condition(write.expect);
            return self.put(transaction_id, write.key.table, item, expression, values).await;
        }
        // Nothing deletes often enough for the one unit that a DeleteItem would save.
        let request = self.client.transact_write_items().transact_items(self.item_of(write)?);
        persistently(transaction_id, || async {
            let attempt = request.clone().customize().config_override(one_attempt());
            attempt.send().await.map(drop).map_err(|error| failure::of_transaction(&error))
        })
        .await
    }

    /// Writes one item under a condition.
    pub(super) async fn put(
        &self,
        transaction_id: Uuid,
        table: Table,
        item: Attributes,
        condition: &str,
        values: Option<Attributes>,
    ) -> Result<(), Failure> {
        let request = self.client.put_item().table_name(self.name_of(table)).set_item(Some(item));
        let request = request.condition_expression(condition).set_expression_attribute_values(values);
        persistently(transaction_id, || async {
            let attempt = request.clone().customize().config_override(one_attempt());
            attempt.send().await.map(drop).map_err(|error| failure::of_write(&error))
        })
        .await
    }

    fn outbox_record(&self, transaction: &Transaction) -> Result<Option<TransactWriteItem>, Failure> {
        let Some((outbox, messages)) = transaction.outbox() else {
            return Ok(None);
        };
        let record = Put::builder()
            .table_name(self.name_of(outbox))
            .set_item(Some(attributes::outbox_attributes(transaction.id(), messages)?))
            .condition_expression(ABSENT)
            .build()?;
        Ok(Some(TransactWriteItem::builder().put(record).build()))
    }

    fn item_of(&self, write: &Write) -> Result<TransactWriteItem, Failure> {
        let (expression, values) = condition(write.expect);
        let table = self.name_of(write.key.table);
        let key = || attributes::key_attributes(&write.key.partition, &write.key.sort);
        let item = TransactWriteItem::builder();
        let item = match &write.action {
            Action::Put { revision, expires_at, body } => item.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(attributes::item_attributes(&write.key, *revision, *expires_at, body)?))
                    .condition_expression(expression)
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
            Action::Delete => item.delete(
                Delete::builder()
                    .table_name(table)
                    .set_key(Some(key()))
                    .condition_expression(expression)
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
            Action::Check => item.condition_check(
                ConditionCheck::builder()
                    .table_name(table)
                    .set_key(Some(key()))
                    .condition_expression(expression)
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
        };
        Ok(item.build())
    }
}

impl From<Misfit> for Failure {
    fn from(misfit: Misfit) -> Self {
        Self::Refused(misfit.to_string())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// An expectation as DynamoDB's condition, and the values it speaks of.
pub(super) fn condition(expect: Expect) -> (&'static str, Option<Attributes>) {
    let values =
        |revision| Some(HashMap::from([(":revision".to_owned(), attributes::revision_attribute(revision))]));
    match expect {
        Expect::Absent => (ABSENT, None),
        Expect::Exactly(revision) => ("rev = :revision", values(revision)),
        Expect::OlderThan(revision) => ("attribute_not_exists(pk) OR rev < :revision", values(revision)),
    }
}

/// A request is sent once: see [`failure`].
fn one_attempt() -> Builder {
    Config::builder().retry_config(RetryConfig::disabled())
}

/// Tries a write again where it was not written because of others' traffic.
async fn persistently<F>(transaction_id: Uuid, attempt: impl Fn() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    for tries in 1..TRIES_MAX {
        match attempt().await {
            Err(Failure::Contended | Failure::Throttled) => pause(tries, transaction_id).await,
            written => return written,
        }
    }
    attempt().await
}

/// Waits between a half and the whole of a pause that doubles with every try. The jitter comes from the random bits
/// of the transaction's id, another byte for each try.
async fn pause(tries: usize, transaction_id: Uuid) {
    let most_ms = PAUSE_MS << (tries - 1);
    let jitter_ms = u64::from(transaction_id.as_bytes()[16 - tries]) * most_ms / 255;
    tokio::time::sleep(Duration::from_millis(most_ms / 2 + jitter_ms / 2)).await;
}

/// A failure in the words of the port.
fn told(failure: Failure, transaction: &Transaction) -> CommitError {
    match failure {
        Failure::Unknown(reason) => CommitError::Unknown(reason),
        Failure::Refused(reason) => CommitError::Refused(reason),
        Failure::Unexpected(place) => {
            counter!("store_conflicts_total").increment(1);
            CommitError::Conflict { key: transaction.writes()[place].key.clone() }
        }
        Failure::Throttled | Failure::Contended => {
            counter!("store_busy_total").increment(1);
            CommitError::Busy { retry_after: RETRY_AFTER }
        }
    }
}
