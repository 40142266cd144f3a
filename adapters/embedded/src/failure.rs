//! What an error of SQLite means for the store.

use rusqlite::{Connection, ErrorCode};

/// Whether it is not known any more what is on the disk: everything but a full disk, and a lock that somebody else holds
/// on the file.
pub(crate) fn ends_the_store(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Takes back what was written since BEGIN, and answers the error that matters more.
pub(crate) fn roll_back(connection: &Connection, error: rusqlite::Error) -> rusqlite::Error {
    // SQLite has rolled back already after some errors.
    if connection.is_autocommit() {
        return error;
    }
    connection.execute_batch("ROLLBACK").err().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_the_transaction_back_and_the_store_goes_on() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (x); PRAGMA max_page_count = 10; BEGIN IMMEDIATE").unwrap();
        connection.execute("INSERT INTO t VALUES ('small')", []).unwrap();
        let error = connection.execute("INSERT INTO t VALUES (zeroblob(1000000))", []).unwrap_err();
        assert!(!ends_the_store(&roll_back(&connection, error)));
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM t"), 0);
        connection.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES ('small'); COMMIT").unwrap();
        assert_eq!(count("SELECT count(*) FROM t"), 1);
    }

    #[test]
    fn what_ends_the_store() {
        for (code, ends) in [
            (rusqlite::ffi::SQLITE_FULL, false),
            (rusqlite::ffi::SQLITE_BUSY, false),
            (rusqlite::ffi::SQLITE_CONSTRAINT, true),
            (rusqlite::ffi::SQLITE_IOERR, true),
            (rusqlite::ffi::SQLITE_CORRUPT, true),
        ] {
            let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            assert_eq!(ends_the_store(&error), ends, "{code}");
        }
        assert!(ends_the_store(&rusqlite::Error::InvalidQuery));
    }
}
