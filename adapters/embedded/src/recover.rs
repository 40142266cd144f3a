//! What a start makes of a journal: it goes into the database, or into memory where the store is only read.

use std::path::Path;

use ports::Subscription;
use rusqlite::Connection;

use crate::changes::{Changes, DecodeError};
use crate::journal;
use crate::open::{self, OpenError};
use crate::overlay::{Overlay, Unsettled};
use crate::schema::Schema;
use crate::settle::{self, WORTH_BYTES};

/// How often it is tried to read one moment of a store beside the process that writes it.
const MOMENTS_MAX: usize = 10;

/// Why a journal could not be taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoverError {
    #[error(transparent)]
    Journal(#[from] journal::ReadError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(
        "it has a part of group {moving}, and its journal ends at {last}: it was copied without it (`bank backup` copies all)"
    )]
    Part {
        /// The last group of which the database may have a part.
        moving: u64,
        /// The last group of the journal.
        last: u64,
    },
}

/// Refuses a database that has a part of what its journal does not have.
fn check_whole(connection: &Connection, last: u64) -> Result<(), RecoverError> {
    match settle::moving(connection)? {
        moving if moving > last => Err(RecoverError::Part { moving, last }),
        _ => Ok(()),
    }
}

/// Moves what the journal has and the database has not into the database, and answers the last group.
pub(crate) fn into_database(
    data_dir: &Path,
    connection: &Connection,
    schema: &Schema,
    subscriptions: &[Subscription],
) -> Result<u64, RecoverError> {
    let settled = settle::settled(connection)?;
    let mut last = settled;
    let mut changes = Changes::default();
    let mut bytes = 0;
    let settle = |changes: &mut Changes, last, bytes| {
        let unsettled = Unsettled { changes: std::mem::take(changes).into(), last, bytes };
        settle::write(connection, schema, subscriptions, &unsettled, |_| Ok(()))
    };
    journal::read(data_dir, settled, |frame| {
        changes.extend(Changes::decode(frame, schema)?);
        last += 1;
        bytes += frame.len();
        if bytes >= WORTH_BYTES {
            settle(&mut changes, last, bytes)?;
            bytes = 0;
        }
        Ok::<(), RecoverError>(())
    })?;
    check_whole(connection, last)?;
    if last > settled {
        settle(&mut changes, last, bytes)?;
        tracing::info!(groups = last - settled, "groups of the journal were moved into the database");
    }
    Ok(last)
}

/// One moment of a store: a connection that reads the database as it is then, and what the journal has beyond it.
///
/// The process that writes may free a file of the journal while it is read here. Then groups are missing, and a later
/// moment is looked at.
pub(crate) fn into_memory(data_dir: &Path, schema: &Schema) -> Result<(Connection, Overlay), OpenError> {
    for _ in 1..MOMENTS_MAX {
        match moment(data_dir, schema) {
            Err(MomentError::Recover(RecoverError::Journal(journal::ReadError::Gap { .. }))) => {}
            result => return result.map_err(|error| error.into_open_error(data_dir)),
        }
    }
    moment(data_dir, schema).map_err(|error| error.into_open_error(data_dir))
}

enum MomentError {
    Open(OpenError),
    Recover(RecoverError),
}

impl MomentError {
    fn into_open_error(self, data_dir: &Path) -> OpenError {
        match self {
            Self::Open(error) => error,
            Self::Recover(error) => OpenError::of_journal(data_dir, &error),
        }
    }
}

fn moment(data_dir: &Path, schema: &Schema) -> Result<(Connection, Overlay), MomentError> {
    let (connection, settled) = open::snapshot(data_dir).map_err(MomentError::Open)?;
    let mut changes = Changes::default();
    let last = journal::read(data_dir, settled, |frame| {
        changes.extend(Changes::decode(frame, schema)?);
        Ok::<(), RecoverError>(())
    });
    let last = last.map_err(MomentError::Recover)?;
    check_whole(&connection, last).map_err(MomentError::Recover)?;
    Ok((connection, Overlay::of(changes, last)))
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
