//! A copy of a store, made beside the process that writes it or without one.
//!
//! A copy of the file would not do: while it is written it has a part of what is being moved into it, and what was
//! answered a moment ago is in the journal only. This copy is one moment of both, with everything in its file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ports::{Subscription, Table};
use rusqlite::Connection;
use rusqlite::backup::Backup;
use rusqlite::wal::CheckpointMode;

use crate::open::{self, Lock, OpenError, STORE_FILE};
use crate::recover;
use crate::schema::Schema;
use crate::settle;

/// How many pages of 4 KiB are copied at a time.
const PAGES_AT_ONCE: i32 = 10_000;

/// Why a store could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store cannot be read, or the copy cannot be written. The error names which.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is something where the copy was to be.
    #[error("the directory {} is not empty", .0.display())]
    NotEmpty(PathBuf),
}

/// Copies all that is durable now from one data directory to another, which is made if it is not there.
///
/// # Errors
/// One of the two cannot be read or written, or the other is not empty. What there is of the copy then is of no use.
pub fn back_up(
    data_dir: &Path,
    to: &Path,
    tables: &[Table],
    subscriptions: &[Subscription],
) -> Result<(), BackupError> {
    let schema = Schema::new(tables, subscriptions);
    let (source, overlay) = recover::moment(data_dir, &schema)?;
    // If it cannot be read it is not there, or the lock tells what it is.
    if to.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(BackupError::NotEmpty(to.to_owned()));
    }
    let lock = Lock::take(to)?;
    let of = |error| OpenError::of(to, &error);
    copy_pages(&source, &to.join(STORE_FILE)).map_err(of)?;
    let copy = open::writing(to)?;
    let beyond = overlay.begin_to_settle();
    schema
        .create(&copy)
        .and_then(|()| settle::write(&copy, &schema, subscriptions, &beyond, |_| Ok(())))
        .and_then(|()| settle::checkpoint(&copy, CheckpointMode::TRUNCATE))
        .map_err(of)?;
    drop(copy);
    lock.release();
    let synced = File::open(to).and_then(|directory| directory.sync_all());
    Ok(synced.map_err(|error| OpenError::not_writable(to, &error))?)
}

/// The source has a transaction open, so that every page is of the same moment.
fn copy_pages(source: &Connection, to: &Path) -> rusqlite::Result<()> {
    let mut copy = Connection::open(to)?;
    Backup::new(source, &mut copy)?.run_to_completion(PAGES_AT_ONCE, Duration::ZERO, None)
}
