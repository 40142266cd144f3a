//! The journal: what each group has changed, in the order of the groups, durable before anybody is answered.
//!
//! It is a ring of files of a fixed size, `journal-0` and on. Each holds frames one behind the other:
//!
//! ```text
//!   bytes of the payload (u32) │ checksum (u32) │ number of the group (u64) │ payload          little-endian
//! ```
//!
//! - **Where it ends.** Groups are numbered without a gap. A frame counts if its checksum is right and its number follows
//!   that of the frame before; what lies behind the last one is left from an earlier use of the file and has a lower
//!   number, or was cut short. Which file comes first is told by the numbers in it, so no file is ever renamed.
//! - **What a sync costs.** A file is filled with zeros when it is made, and used again once the database has what it
//!   holds. So a sync writes data only: the file grows no longer, and no block is allocated.
//! - **Bounds.** [`SLOTS_MAX`] files of [`SLOT_BYTES`]. When all are full of what the database does not have, the journal
//!   is full. A frame that is larger than a file makes its file larger.
//!
//! Deliberately absent: a sync that is tried again (see `committer`).

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::open::owner_only;

/// The size of one file.
const SLOT_BYTES: u64 = 16 * 1024 * 1024;
/// The most files.
const SLOTS_MAX: usize = 16;
/// Length, checksum and number.
const HEADER_BYTES: usize = 16;
/// How much of a new file is filled at once.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

const _: () = assert!(SLOT_BYTES.is_multiple_of(ZEROS.len() as u64));

/// Why a group is not in the journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// Nothing of it counts, and a later one may find room.
    #[error("the journal is full")]
    Full,
    /// Nothing of it counts: there was no room on the disk.
    #[error("the journal cannot grow: {0}")]
    NoRoom(#[source] io::Error),
    /// It is not known what is on the disk.
    #[error("the journal failed: {0}")]
    Failed(#[source] io::Error),
}

impl AppendError {
    fn of_write(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom(error),
            _ => Self::Failed(error),
        }
    }
}

/// The journal of the one process that writes.
pub(crate) struct Journal {
    data_dir: PathBuf,
    slots: Vec<Slot>,
    /// Which file is written.
    current: usize,
    /// Where the next frame begins in it.
    offset: u64,
    /// The number of the next group.
    next: u64,
    frame: Vec<u8>,
}

struct Slot {
    file: File,
    /// The newest group in it.
    last: u64,
}

impl Journal {
    /// Begins behind what was found, in a file that the database has no need of any more.
    pub(crate) fn begin(data_dir: &Path, found: &Found) -> io::Result<Self> {
        let mut slots = Vec::new();
        for (path, last) in paths(data_dir)?.iter().zip(&found.newest) {
            let file = File::options().write(true).open(path)?;
            // What a process had written when it was killed was read, and need not be on the disk. Groups behind it will be.
            file.sync_data()?;
            slots.push(Slot { file, last: *last });
        }
        if slots.is_empty() {
            slots.push(Slot { file: make(data_dir, 0)?, last: 0 });
        }
        Ok(Self {
            data_dir: data_dir.to_owned(),
            slots,
            current: 0,
            // No frame has room behind it, so the first one looks for a file.
            offset: SLOT_BYTES,
            next: found.last + 1,
            frame: Vec::new(),
        })
    }

    /// Makes one group durable, and answers its number and the bytes of its frame. `settled` is the last group that the
    /// database has.
    pub(crate) fn append<E: std::error::Error + Send + Sync + 'static>(
        &mut self,
        settled: u64,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(u64, usize), AppendError> {
        self.frame.clear();
        self.frame.resize(HEADER_BYTES, 0);
        encode(&mut self.frame).map_err(|error| AppendError::Failed(io::Error::other(error)))?;
        let number = self.next;
        let payload = u32::try_from(self.frame.len() - HEADER_BYTES).map_err(|_| AppendError::Full)?;
        self.frame[8..HEADER_BYTES].copy_from_slice(&number.to_le_bytes());
        let checksum = crc32fast::hash(&self.frame[8..]);
        self.frame[..4].copy_from_slice(&payload.to_le_bytes());
        self.frame[4..8].copy_from_slice(&checksum.to_le_bytes());

        let bytes = self.frame.len() as u64;
        if self.offset + bytes > SLOT_BYTES {
            self.current = self.free_slot(settled)?;
            self.offset = 0;
        }
        let slot = &mut self.slots[self.current];
        let written =
            slot.file.seek(SeekFrom::Start(self.offset)).and_then(|_| slot.file.write_all(&self.frame));
        written.map_err(AppendError::of_write)?;
        slot.file.sync_data().map_err(AppendError::Failed)?;
        slot.last = number;
        self.offset += bytes;
        self.next = number + 1;
        Ok((number, self.frame.len()))
    }

    /// A file whose groups are all in the database, or a new one.
    fn free_slot(&mut self, settled: u64) -> Result<usize, AppendError> {
        let is_free = |slot: &Slot| slot.last <= settled;
        if let Some(free) = self.slots.iter().position(is_free) {
            return Ok(free);
        }
        let number = self.slots.len();
        if number == SLOTS_MAX {
            return Err(AppendError::Full);
        }
        let file = make(&self.data_dir, number).map_err(AppendError::NoRoom)?;
        self.slots.push(Slot { file, last: 0 });
        Ok(number)
    }
}

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The files cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Groups are missing in the midst of it.
    #[error("the journal has no group {missing}, but has group {found}")]
    Gap {
        /// The first that is missing.
        missing: u64,
        /// The first behind it.
        found: u64,
    },
}

/// What was found in the files of a journal; by default nothing, and no files.
#[derive(Default)]
pub(crate) struct Found {
    /// The newest group there is, in the journal or in the database.
    pub(crate) last: u64,
    /// The newest group in each file; zero where there is none.
    newest: Vec<u64>,
}

/// Shows `visit` the groups behind group `settled`, each with its number, in their order.
pub(crate) fn read<E: From<ReadError>>(
    data_dir: &Path,
    settled: u64,
    mut visit: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<Found, E> {
    let mut runs = Vec::new();
    let mut newest = Vec::new();
    for path in paths(data_dir).map_err(ReadError::from)? {
        let bytes = std::fs::read(path).map_err(ReadError::from)?;
        let run = run_of(&bytes);
        newest.push(run.map_or(0, |(_, last)| last));
        if let Some((first, _)) = run.filter(|(_, last)| *last > settled) {
            runs.push((first, bytes));
        }
    }
    runs.sort_by_key(|(first, _)| *first);
    let mut last = settled;
    for (first, bytes) in runs {
        if first > last + 1 {
            return Err(ReadError::Gap { missing: last + 1, found: first }.into());
        }
        for (number, payload) in Frames::of(&bytes) {
            if number == last + 1 {
                visit(number, payload)?;
                last = number;
            }
        }
    }
    Ok(Found { last, newest })
}

/// The numbers of the first and the last group in a file.
fn run_of(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut numbers = Frames::of(bytes).map(|(number, _)| number);
    let first = numbers.next()?;
    Some((first, numbers.last().unwrap_or(first)))
}

/// The frames of a file, as far as they count.
struct Frames<'a> {
    rest: &'a [u8],
    previous: Option<u64>,
}

impl<'a> Frames<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, previous: None }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, behind) = self.rest.split_first_chunk()?;
        let (checksum, numbered) = behind.split_first_chunk()?;
        let (number, _) = numbered.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let number = u64::from_le_bytes(*number);
        let (checked, rest) = numbered.split_at_checked(length + 8)?;
        let follows = self.previous.is_none_or(|previous| number == previous + 1);
        if number == 0 || !follows || crc32fast::hash(checked) != u32::from_le_bytes(*checksum) {
            return None;
        }
        self.rest = rest;
        self.previous = Some(number);
        Some((number, &checked[8..]))
    }
}

/// Where a file of the journal is.
pub(crate) fn path(data_dir: &Path, slot: usize) -> PathBuf {
    data_dir.join(format!("journal-{slot}"))
}

/// The files that are there.
pub(crate) fn paths(data_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for slot in 0..SLOTS_MAX {
        let path = path(data_dir, slot);
        if path.try_exists()? {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Makes a file full of zeros, for its owner alone. One that cannot be filled is taken away again.
fn make(data_dir: &Path, slot: usize) -> io::Result<File> {
    let path = path(data_dir, slot);
    let mut file = owner_only().create_new(true).open(&path)?;
    let filled = (0..SLOT_BYTES)
        .step_by(ZEROS.len())
        .try_for_each(|_| file.write_all(&ZEROS))
        .and_then(|()| file.sync_all())
        .and_then(|()| File::open(data_dir)?.sync_all());
    match filled {
        Ok(()) => Ok(file),
        Err(error) => {
            std::fs::remove_file(&path)?;
            Err(error)
        }
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
