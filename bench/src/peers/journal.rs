//! The limit: what a plain journal does on this disk. Groups of transactions are appended to a file that was written
//! before, so that its size and its blocks are settled, and each group is synchronised before the next.
//!
//! Absent on purpose: everything else that a bank does.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::PeerError;

/// A transaction with everything that is kept of it takes so much.
const TRANSACTION_BYTES: usize = 4 << 10;
/// A group of transactions.
pub const GROUP: u64 = 128;
const GROUPS_IN_FILE: u64 = 512;

/// How many transactions a second are durable.
pub fn measure(work_dir: &Path, seconds: u32) -> Result<u64, PeerError> {
    let path = work_dir.join(format!("journal-{:08x}", rand::random::<u32>()));
    let measured = append(&path, Duration::from_secs(seconds.into())).map_err(PeerError::file(&path));
    fs::remove_file(&path).map_err(PeerError::file(&path))?;
    measured
}

fn append(path: &Path, wanted: Duration) -> std::io::Result<u64> {
    let mut file = File::create(path)?;
    let group = vec![1; TRANSACTION_BYTES * GROUP as usize];
    for _ in 0..GROUPS_IN_FILE {
        file.write_all(&group)?;
    }
    file.sync_all()?;
    let begun = Instant::now();
    let mut groups = 0_u64;
    while begun.elapsed() < wanted {
        if groups.is_multiple_of(GROUPS_IN_FILE) {
            file.seek(SeekFrom::Start(0))?;
        }
        file.write_all(&group)?;
        file.sync_data()?;
        groups += 1;
    }
    Ok(crate::report::per_second(groups * GROUP, begun.elapsed()))
}
