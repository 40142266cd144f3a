//! Moves committed pages from the write-ahead log into the database file, beside the commits and not in their way.
//!
//! SQLite starts the write-ahead log over only when all of it has been moved and nobody reads from it. Under steady
//! load a passive checkpoint never gets that far, since new commits arrive while it runs, and the log would grow
//! without end. So when the log has grown long, the gate that the committer holds for each group is taken for the
//! last few pages: a passive checkpoint first moves nearly all of them, then commits wait for a millisecond or two.
//!
//! A reader that keeps one snapshot (an audit beside a running server) holds the log up for as long as it reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, MAIN_DB};

use crate::locked;

/// The size of a page of the database, and so nearly that of a frame of the write-ahead log.
pub(crate) const PAGE_BYTES: u64 = 4_096;
/// A checkpoint begins whenever the log has grown by so much (64 MiB). A page that is written again and again until then
/// goes into the file once.
const STEP_PAGES: u64 = 16_384;
/// From this length on (256 MiB), the log is made to start over.
const RESTART_PAGES: u64 = 4 * STEP_PAGES;
/// So much may be left for the moment in which commits wait (2 MiB).
const REST_PAGES: u64 = 512;
/// How often it is tried to get the rest that short before commits have to wait for what there is.
const PASSES_MAX: usize = 3;
/// How long the last step waits for readers, who are done in microseconds. Commits wait meanwhile.
const READERS_WAIT: Duration = Duration::from_millis(20);

/// How long the write-ahead log is, as the committer sees it after each commit.
#[derive(Clone, Default)]
pub(crate) struct WalLength(Arc<AtomicU64>);

impl WalLength {
    pub(crate) fn pages(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets a writing connection report the length of the log, and wake the checkpointer at every step.
pub(crate) fn watch(
    connection: &mut Connection,
    length: WalLength,
    wake: SyncSender<()>,
) -> rusqlite::Result<()> {
    let mut last = 0;
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
        let pages = u64::try_from(pages).unwrap_or(0);
        length.0.store(pages, Ordering::Relaxed);
        // Fewer pages than before: the log has started over.
        last = pages.min(last);
        if pages >= last + STEP_PAGES {
            last = pages;
            match wake.try_send(()) {
                // One is waiting already, or the store is being closed.
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
            }
        }
        Ok(())
    }))
}

/// The waker of a checkpointer that has not begun: a thread takes the other end.
pub(crate) fn waker() -> (SyncSender<()>, Receiver<()>) {
    sync_channel(1)
}

/// Runs until the waker is dropped.
pub(crate) fn start(
    connection: Connection,
    length: WalLength,
    gate: Arc<Mutex<()>>,
    woken: Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("checkpoint".to_owned()).spawn(move || {
        for () in woken {
            if let Err(error) = checkpoint(&connection, &length, &gate) {
                // What could not be moved now stays in the log, safe, and is moved by the next one.
                let wal_pages = length.pages();
                match error.sqlite_error_code() {
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                        tracing::debug!(%error, wal_pages, "a reader keeps the checkpoint from finishing");
                    }
                    _ => tracing::warn!(%error, wal_pages, "the checkpoint did not finish"),
                }
            }
        }
    })
}

fn checkpoint(connection: &Connection, length: &WalLength, gate: &Mutex<()>) -> rusqlite::Result<()> {
    let mut moved = run(connection, CheckpointMode::PASSIVE)?;
    if length.pages() < RESTART_PAGES {
        return Ok(());
    }
    for _ in 1..PASSES_MAX {
        if length.pages().saturating_sub(moved) < REST_PAGES {
            break;
        }
        moved = run(connection, CheckpointMode::PASSIVE)?;
    }
    let _commits_wait = locked(gate);
    connection.busy_timeout(READERS_WAIT)?;
    run(connection, CheckpointMode::RESTART)?;
    Ok(())
}

/// How many pages of the log are in the database file afterwards.
pub(crate) fn run(connection: &Connection, mode: CheckpointMode) -> rusqlite::Result<u64> {
    let (_, moved) = connection.wal_checkpoint_v2(Some(MAIN_DB), mode)?;
    Ok(u64::try_from(moved).unwrap_or(0))
}
