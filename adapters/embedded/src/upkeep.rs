//! What the store forgets: records of the log that everybody has passed, and items whose time is over.
//!
//! Both go in batches inside a transaction of the settler. A full batch means that there is more, and the next one follows
//! soon.

use std::collections::BTreeMap;

use kernel::Timestamp;
use ports::Table;
use rusqlite::{Connection, params};

use crate::schema::{Schema, stored};

/// The most records of one outbox that are deleted at once.
const TRIM_RECORDS_MAX: u32 = 20_000;
/// The most items of one table that are deleted at once.
const SWEEP_ITEMS_MAX: u32 = 5_000;

/// Deletes a batch of what all consumers have passed, and of what has expired. True if there may be more.
pub(crate) fn tidy(
    connection: &Connection,
    schema: &Schema,
    passed_by_all: &BTreeMap<Table, u64>,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let mut has_more = false;
    for (outbox, statements) in &schema.outboxes {
        let passed = passed_by_all.get(outbox).copied().unwrap_or(0);
        let trimmed = connection
            .prepare_cached(&statements.trim)?
            .execute(params![stored(passed), TRIM_RECORDS_MAX])?;
        has_more |= trimmed == TRIM_RECORDS_MAX as usize;
    }
    for statements in schema.items.values() {
        let swept = connection
            .prepare_cached(&statements.sweep)?
            .execute(params![now.as_millis(), SWEEP_ITEMS_MAX])?;
        has_more |= swept == SWEEP_ITEMS_MAX as usize;
    }
    Ok(has_more)
}
