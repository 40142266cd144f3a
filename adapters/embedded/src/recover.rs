//! What a start makes of a journal: the layers in front of the database, as they were when the process before ended.
//!
//! Nothing is moved into the database before the store serves. The settler does that, as it always does.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use crate::changes::{Changes, DecodeError};
use crate::journal::{self, Found};
use crate::open::{self, OpenError};
use crate::overlay::Overlay;
use crate::schema::Schema;
use crate::settle;

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

/// Adds to the layers what the journal has and the database has not.
pub(crate) fn replay(
    data_dir: &Path,
    connection: &Connection,
    schema: &Schema,
    overlay: &Overlay,
) -> Result<Found, RecoverError> {
    let settled = overlay.read().last();
    let found = journal::read(data_dir, settled, |number, frame| {
        overlay.add(number, Changes::decode(frame, schema)?, frame.len());
        Ok::<(), RecoverError>(())
    })?;
    match settle::moving(connection)? {
        moving if moving > found.last => Err(RecoverError::Part { moving, last: found.last }),
        _ => Ok(found),
    }
}

/// One moment of a store: a connection that reads the database as it is then, and what the journal has beyond it.
///
/// The process that writes may free a file of the journal while it is read here. Then groups are missing, and a later
/// moment is looked at.
pub(crate) fn moment(data_dir: &Path, schema: &Schema) -> Result<(Connection, Overlay), OpenError> {
    let mut tries = 1;
    loop {
        let (connection, settled) = open::snapshot(data_dir)?;
        let overlay = Overlay::new(settled, BTreeMap::new());
        match replay(data_dir, &connection, schema, &overlay) {
            Ok(_) => return Ok((connection, overlay)),
            Err(RecoverError::Journal(journal::ReadError::Gap { .. })) if tries < MOMENTS_MAX => tries += 1,
            Err(error) => return Err(OpenError::of_journal(data_dir, &error)),
        }
    }
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
