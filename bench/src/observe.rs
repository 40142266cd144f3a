//! What a running bank takes: its memory as the kernel counts it, its files, what is in them, and what waits.
//!
//! The rows are counted in the store itself, by a connection that is opened for the count and closed behind it, so
//! that it keeps no snapshot which would hold up a checkpoint. Memory is known on Linux only.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection as Sqlite, ErrorCode, OpenFlags, params};

use crate::bank::Bank;
use crate::client::{ClientError, Connection, OK, Outgoing, Server};

const STORE_FILE: &str = "bank.sqlite3";
/// How long the store may be locked by the bank.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Why something could not be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    #[error("the memory of the bank is not known: {0}")]
    Memory(#[source] std::io::Error),
    #[error("the store of the bank cannot be looked at: {0}")]
    Store(#[from] rusqlite::Error),
    #[error("an observation was broken off")]
    BrokenOff,
}

/// A bank that is looked at from outside.
#[derive(Clone)]
pub struct Observer {
    process_id: u32,
    data_dir: PathBuf,
}

/// What was seen at one moment.
#[derive(Clone, Copy, Default, Debug)]
pub struct Observation {
    /// The memory of the process that is in use (its resident set), in bytes.
    pub memory_bytes: u64,
    /// The files of the data directory without the write-ahead log, in bytes.
    pub store_bytes: u64,
    /// The write-ahead log, in bytes.
    pub wal_bytes: u64,
    /// Records in the log of messages, of all services.
    pub log_records: u64,
    /// Rows that are kept for a time: first answers and notifications.
    pub passing_rows: u64,
    /// Messages that wait for a consumer, of the consumer that is furthest behind; none if the bank did not say.
    pub waiting: Option<u64>,
}

impl Observer {
    /// One who looks at a bank that was started here.
    pub fn of(bank: &Bank) -> Self {
        Self { process_id: bank.process_id(), data_dir: bank.data_dir() }
    }

    /// Looks at everything once.
    pub async fn observe(&self, server: &Server) -> Result<Observation, ObserveError> {
        let observer = self.clone();
        let seen = tokio::task::spawn_blocking(move || observer.look());
        let seen = seen.await.unwrap_or(Err(ObserveError::BrokenOff))?;
        // A bank that is at its limit need not say how it is.
        let waiting = match Connection::open(server).await {
            Ok(mut connection) => waiting(&mut connection).await.unwrap_or(None),
            Err(_) => None,
        };
        Ok(Observation { waiting, ..seen })
    }

    fn look(&self) -> Result<Observation, ObserveError> {
        let wal = self.data_dir.join(format!("{STORE_FILE}-wal"));
        let wal_bytes = fs::metadata(wal).map_or(0, |file| file.len());
        let store = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let named = |pattern: &str| -> rusqlite::Result<Vec<String>> {
            let sql = "SELECT tbl_name FROM sqlite_schema WHERE name LIKE ?1 ESCAPE '\\'";
            store.prepare(sql)?.query_map([pattern], |row| row.get(0))?.collect()
        };
        let count = |tables: Vec<String>, condition: &str| -> rusqlite::Result<u64> {
            let counts = tables.iter().map(|table| {
                let sql = format!("SELECT count(*) FROM \"{table}\" {condition}");
                store.query_row(&sql, [], |row| row.get::<_, i64>(0))
            });
            counts.map(|count| count.map(|count| u64::try_from(count).unwrap_or(0))).sum()
        };
        Ok(Observation {
            memory_bytes: self.memory_bytes()?,
            store_bytes: bytes_in(&self.data_dir).saturating_sub(wal_bytes),
            wal_bytes,
            log_records: count(named("%\\_events")?, "")?,
            passing_rows: count(named("%\\_expiry")?, "WHERE expires_at IS NOT NULL")?,
            waiting: None,
        })
    }

    /// Lets the rows of a table that live for `lifetime` end once they are `kept` old: a bank that forgets after days
    /// shows within minutes that it does.
    pub async fn age(
        &self,
        table: &'static str,
        lifetime: Duration,
        kept: Duration,
    ) -> Result<(), ObserveError> {
        let observer = self.clone();
        let aged = tokio::task::spawn_blocking(move || observer.end_rows(table, lifetime - kept));
        aged.await.unwrap_or(Err(ObserveError::BrokenOff))
    }

    /// Lets those rows end that would live no longer than this.
    fn end_rows(&self, table: &str, left: Duration) -> Result<(), ObserveError> {
        let store = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let sql = format!(
            "WITH clock (now) AS (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)) \
             UPDATE \"{table}\" SET expires_at = (SELECT now FROM clock) WHERE rowid IN \
             (SELECT rowid FROM \"{table}\", clock WHERE expires_at > now AND expires_at <= now + ?1)"
        );
        let left_ms = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
        match store.execute(&sql, params![left_ms]) {
            // The bank writes without a pause: the rows end with the next look.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(()),
            ended => Ok(ended.map(|_| ())?),
        }
    }

    fn open(&self, access: OpenFlags) -> rusqlite::Result<Sqlite> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = Sqlite::open_with_flags(self.data_dir.join(STORE_FILE), flags)?;
        store.busy_timeout(LOCK_WAIT)?;
        // A connection of another process must not begin a checkpoint: that is the bank's own work.
        store.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(store)
    }

    /// The memory of the process that is in use, in bytes.
    pub fn memory_bytes(&self) -> Result<u64, ObserveError> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process_id));
        Ok(resident_bytes(&status.map_err(ObserveError::Memory)?).unwrap_or(0))
    }
}

/// The resident set in `/proc/…/status`, which counts in units of 1,024 bytes.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|units| units * 1_024)
}

/// The size of all files in a directory. One that goes away meanwhile counts as none.
pub fn bytes_in(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// How many messages wait for the consumer that is furthest behind; none if the bank did not say.
pub async fn waiting(connection: &mut Connection) -> Result<Option<u64>, ClientError> {
    let answer = connection.send(Outgoing::get("/metrics")).await?;
    let is_told = answer.status == OK;
    Ok(is_told.then(|| most_waiting(&String::from_utf8_lossy(&answer.body))).flatten())
}

/// The largest value of the gauge `queue_depth`.
fn most_waiting(metrics: &str) -> Option<u64> {
    let lines = metrics.lines().filter(|line| line.starts_with("queue_depth{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_what_the_kernel_says() {
        assert_eq!(resident_bytes("Name:\tbank\nVmRSS:\t   12345 kB\nThreads:\t9\n"), Some(12_641_280));
        assert_eq!(resident_bytes("Name:\tbank\n"), None);
    }

    #[test]
    fn the_consumer_that_is_furthest_behind_is_found() {
        let metrics = "# TYPE queue_depth gauge\nqueue_depth{consumer=\"a\"} 3\nqueue_depth{consumer=\"b\"} 41\n\
                       queue_age_seconds{consumer=\"a\"} 99\n";
        assert_eq!(most_waiting(metrics), Some(41));
        assert_eq!(most_waiting(""), None);
    }

    #[test]
    fn rows_that_have_been_kept_for_long_enough_end_now() {
        let data_dir = std::env::temp_dir().join(format!("bench-observe-{}", std::process::id()));
        fs::create_dir_all(&data_dir).unwrap();
        let store = Sqlite::open(data_dir.join(STORE_FILE)).unwrap();
        let rows = "CREATE TABLE answers (name TEXT, expires_at INTEGER); \
                    CREATE INDEX answers_expiry ON answers (expires_at); \
                    CREATE TABLE answers_events (sequence INTEGER); \
                    INSERT INTO answers_events VALUES (1), (2), (3); \
                    INSERT INTO answers SELECT 'new', unixepoch() * 1000 + 60000 UNION ALL \
                    SELECT 'old', unixepoch() * 1000 + 30000 UNION ALL SELECT 'kept', NULL";
        store.execute_batch(rows).unwrap();
        let observer = Observer { process_id: std::process::id(), data_dir: data_dir.clone() };
        observer.end_rows("answers", Duration::from_secs(40)).unwrap();
        let ended = "SELECT group_concat(name) FROM answers WHERE expires_at <= unixepoch('subsec') * 1000";
        let ended: String = store.query_row(ended, [], |row| row.get(0)).unwrap();
        let seen = observer.look().unwrap();
        fs::remove_dir_all(&data_dir).unwrap();
        assert_eq!((ended.as_str(), seen.passing_rows, seen.log_records), ("old", 2, 3));
        assert!(seen.memory_bytes > 0 && seen.store_bytes > 0, "{seen:?}");
    }
}
