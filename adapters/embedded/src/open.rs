//! Opening: the directory, the lock, the checks, and how each connection is set up.
//!
//! All files are for their owner alone, whatever the umask. Who can write into the directory could put files of her
//! own in their place, so one that anybody can write into is refused. A group may be let in, as platforms do that mount
//! a volume for a group.
//!
//! Every error is one line that names the path, for somebody who has just typed a command.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::journal;
use crate::recover::RecoverError;
use crate::schema::VERSION;
use crate::settle;

/// The name of the one file that holds everything, beside its write-ahead log.
pub(crate) const STORE_FILE: &str = "bank.sqlite3";
/// The name of the file that is locked for as long as the store is open.
const LOCK_FILE: &str = "LOCK";
/// Every file of the store but those of the journal: these two, and SQLite's write-ahead log with its index.
const FILES: [&str; 4] = [LOCK_FILE, STORE_FILE, "bank.sqlite3-wal", "bank.sqlite3-shm"];
/// The longest announcement, in bytes.
const ANNOUNCEMENT_MAX: u64 = 256;
/// What a directory or a file of the store may be to others than its owner: files nothing, and a directory not writable
/// for everybody.
#[cfg(unix)]
const OTHERS: u32 = 0o077;
#[cfg(unix)]
const WRITABLE_FOR_ALL: u32 = 0o002;
/// How long the check of the file's structure may hold up the start. It covers a small store whole.
const CHECK_TIME_MAX: Duration = Duration::from_millis(500);
/// How many steps of SQLite's machine lie between two looks at the clock.
const CHECK_STEPS: i32 = 10_000;
/// How long a connection waits for a lock that somebody else holds on the file, such as `sqlite3` at work on it.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(5);
/// The writer's page cache, in KiB, and by SQLite's convention negative: about what one transaction of the settler touches.
const WRITER_CACHE_KIB: i64 = -32_768;
/// The prepared statements that a connection keeps: more than there are.
const STATEMENTS_MAX: usize = 256;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the data directory open.
    #[error("the data directory {} is in use by {}", .data_dir.display(), serving(.announced.as_deref()))]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
        /// What the other process says it serves on.
        announced: Option<String>,
    },
    /// There is no store to read.
    #[error("there is no store in the data directory {}", .data_dir.display())]
    Missing {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The directory or a file in it cannot be made or written.
    #[error("the data directory {} cannot be written: {reason}", .data_dir.display())]
    NotWritable {
        /// The data directory.
        data_dir: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// Anybody can put files into the directory, or others in the place of the store's.
    #[error("anybody can write into the data directory {}: make it private (chmod 700)", .data_dir.display())]
    Exposed {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// A newer version of the program wrote it.
    #[error("the store {} was written by a newer version (layout {found}, this version knows {VERSION})", .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// The version of its layout.
        found: i64,
    },
    /// The file is damaged, or was never a store.
    #[error("the store {} is corrupted: {reason}", .file.display())]
    Corrupted {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else.
    #[error("the store {} cannot be opened: {reason}", .file.display())]
    Other {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn serving(announced: Option<&str>) -> String {
    announced.map_or_else(
        || "another process".to_owned(),
        |text| format!("another process, which serves on {text}"),
    )
}

impl OpenError {
    pub(crate) fn of(data_dir: &Path, error: &rusqlite::Error) -> Self {
        let (data_dir, file, reason) = (data_dir.to_owned(), data_dir.join(STORE_FILE), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Corrupted { file, reason },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::NotWritable { data_dir, reason }
            }
            Some(_) | None => Self::Other { file, reason },
        }
    }

    /// What lies in the way of a journal that was left behind.
    pub(crate) fn of_journal(data_dir: &Path, error: &RecoverError) -> Self {
        match error {
            RecoverError::Sqlite(error) => Self::of(data_dir, error),
            RecoverError::Journal(journal::ReadError::Io(error)) => {
                Self::Other { file: journal::path(data_dir, 0), reason: error.to_string() }
            }
            RecoverError::Journal(journal::ReadError::Gap { .. }) | RecoverError::Decode(_) => {
                Self::Corrupted { file: journal::path(data_dir, 0), reason: error.to_string() }
            }
            RecoverError::Part { .. } => {
                Self::Corrupted { file: data_dir.join(STORE_FILE), reason: error.to_string() }
            }
        }
    }

    pub(crate) fn not_writable(data_dir: &Path, error: &io::Error) -> Self {
        Self::NotWritable { data_dir: data_dir.to_owned(), reason: error.to_string() }
    }
}

/// Keeps other processes out of a data directory until it is dropped.
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Makes the directory where there is none, for its owner alone, and locks it.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, OpenError> {
        let not_writable = |error: io::Error| OpenError::not_writable(data_dir, &error);
        make_directory(data_dir).map_err(not_writable)?;
        if is_writable_for_all(data_dir).map_err(not_writable)? {
            return Err(OpenError::Exposed { data_dir: data_dir.to_owned() });
        }
        let mut file = owner_only().read(true).open(data_dir.join(LOCK_FILE)).map_err(not_writable)?;
        match file.try_lock() {
            Ok(()) => file.set_len(0).map_err(not_writable)?,
            Err(TryLockError::Error(error)) => return Err(not_writable(error)),
            Err(TryLockError::WouldBlock) => {
                let announced = announcement(&mut file);
                return Err(OpenError::InUse { data_dir: data_dir.to_owned(), announced });
            }
        }
        // SQLite gives its other files the permissions of this one.
        owner_only().open(data_dir.join(STORE_FILE)).map_err(not_writable)?;
        let files = FILES.iter().map(|name| data_dir.join(name));
        for path in files.chain(journal::paths(data_dir).map_err(not_writable)?) {
            make_private(&path).map_err(not_writable)?;
        }
        File::open(data_dir).and_then(|directory| directory.sync_all()).map_err(not_writable)?;
        Ok(Self { file })
    }

    /// Tells those who are kept out what is served here, in one line.
    pub(crate) fn announce(&mut self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.lines().next().unwrap_or("").as_bytes())
    }

    /// Forgets the announcement; the lock goes with the file.
    pub(crate) fn release(self) {
        if let Err(error) = self.file.set_len(0) {
            tracing::warn!(%error, "the lock file still says what was served here");
        }
    }
}

/// What the process that has the directory open says it serves on.
fn announcement(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(ANNOUNCEMENT_MAX).read_to_string(&mut text).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

/// How a file is opened that only its owner may read and write.
pub(crate) fn owner_only() -> OpenOptions {
    let mut options = File::options();
    options.create(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_directory(data_dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data_dir)
}

#[cfg(unix)]
fn is_writable_for_all(data_dir: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(data_dir.metadata()?.permissions().mode() & WRITABLE_FOR_ALL != 0)
}

/// Takes from others what they may do with a file, if it is there: one that was put back from a copy has whatever its
/// maker's umask left.
#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = match path.metadata() {
        Ok(metadata) => metadata.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if mode & OTHERS == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o700))
}

// Elsewhere the rights of the data directory have this part.
#[cfg(not(unix))]
fn is_writable_for_all(_: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The connection that writes, after a look at what the file is.
pub(crate) fn writing(data_dir: &Path) -> Result<Connection, OpenError> {
    let of = |error| OpenError::of(data_dir, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = connect(data_dir, flags).map_err(of)?;
    check_version(&connection, data_dir)?;
    check_structure(&mut connection, data_dir)?;
    // FULL: the write-ahead log is synced at each commit, since the journal is free for other groups then. Each commit is
    // followed by a checkpoint, so that neither has much to sync.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; \
             PRAGMA checkpoint_fullfsync = ON; PRAGMA wal_autocheckpoint = 1; PRAGMA journal_size_limit = 134217728;",
        )
        .map_err(of)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB).map_err(of)?;
    Ok(connection)
}

/// A connection that reads.
pub(crate) fn reading(data_dir: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    connect(data_dir, flags).map_err(|error| OpenError::of(data_dir, &error))
}

/// A connection that reads one snapshot, that of now, for as long as it lives; and the last group that it has.
pub(crate) fn snapshot(data_dir: &Path) -> Result<(Connection, u64), OpenError> {
    if !data_dir.join(STORE_FILE).exists() {
        return Err(OpenError::Missing { data_dir: data_dir.to_owned() });
    }
    let connection = reading(data_dir)?;
    check_version(&connection, data_dir)?;
    // A transaction begins to read with its first statement.
    let begun = connection.execute_batch("BEGIN").and_then(|()| settle::settled(&connection));
    begun.map(|settled| (connection, settled)).map_err(|error| OpenError::of(data_dir, &error))
}

fn connect(data_dir: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(data_dir.join(STORE_FILE), flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.busy_timeout(LOCK_WAIT)?;
    // Otherwise SQLite plans a statement again whenever a parameter is bound that a better plan might come of, such as
    // `sort = ?2`: that was a third of the committer's time in SQLite. There is one good plan here, that of the key.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch("PRAGMA temp_store = MEMORY;")?;
    Ok(connection)
}

fn check_version(connection: &Connection, data_dir: &Path) -> Result<(), OpenError> {
    let found = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    match found.map_err(|error| OpenError::of(data_dir, &error))? {
        found if found > VERSION => Err(OpenError::Newer { file: data_dir.join(STORE_FILE), found }),
        _ => Ok(()),
    }
}

/// Looks at the structure of the file for a bounded time. What lies beyond is found when it is read.
fn check_structure(connection: &mut Connection, data_dir: &Path) -> Result<(), OpenError> {
    let of = |error| OpenError::of(data_dir, &error);
    let until = Instant::now() + CHECK_TIME_MAX;
    connection.progress_handler(CHECK_STEPS, Some(move || Instant::now() > until)).map_err(of)?;
    let found: rusqlite::Result<String> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    connection.progress_handler(0, None::<fn() -> bool>).map_err(of)?;
    match found {
        Ok(text) if text == "ok" => Ok(()),
        Ok(text) => {
            let reason = text.lines().last().unwrap_or_default().to_owned();
            Err(OpenError::Corrupted { file: data_dir.join(STORE_FILE), reason })
        }
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(()),
        Err(error) => Err(of(error)),
    }
}
