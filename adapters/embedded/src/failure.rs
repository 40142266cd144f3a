//! What an error of SQLite means for the group it happened in, and for the committer.

use rusqlite::{Connection, ErrorCode};

/// Why a group was not written.
pub(crate) enum GroupError {
    /// Nothing of it is there, and the next one may succeed.
    NotWritten(rusqlite::Error),
    /// It is not known what is there.
    Fatal(rusqlite::Error),
}

/// Before the COMMIT only a disk that cannot be read, or a file that is no store any more, ends the committer.
pub(crate) fn is_fatal(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
}

/// At the COMMIT everything does but a full disk, and a lock that somebody else holds on the file.
pub(crate) fn is_fatal_at_commit(code: ErrorCode) -> bool {
    !matches!(code, ErrorCode::DiskFull | ErrorCode::DatabaseBusy)
}

/// Takes back what was written since BEGIN, and says what the error means.
pub(crate) fn roll_back(
    connection: &Connection,
    error: rusqlite::Error,
    is_fatal: fn(ErrorCode) -> bool,
) -> GroupError {
    // SQLite has rolled back already after some errors.
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        return GroupError::Fatal(error);
    }
    match error.sqlite_error_code() {
        Some(code) if is_fatal(code) => GroupError::Fatal(error),
        Some(_) | None => GroupError::NotWritten(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_the_group_back_and_the_store_goes_on() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (x); PRAGMA max_page_count = 10; BEGIN IMMEDIATE").unwrap();
        connection.execute("INSERT INTO t VALUES ('small')", []).unwrap();
        let error = connection.execute("INSERT INTO t VALUES (zeroblob(1000000))", []).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DiskFull));
        assert!(matches!(roll_back(&connection, error, is_fatal), GroupError::NotWritten(_)));
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM t"), 0);
        connection.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES ('small'); COMMIT").unwrap();
        assert_eq!(count("SELECT count(*) FROM t"), 1);
    }

    #[test]
    fn what_ends_the_committer() {
        for (code, before, at_commit) in [
            (ErrorCode::DiskFull, false, false),
            (ErrorCode::DatabaseBusy, false, false),
            (ErrorCode::ConstraintViolation, false, true),
            (ErrorCode::SystemIoFailure, true, true),
            (ErrorCode::DatabaseCorrupt, true, true),
        ] {
            assert_eq!((is_fatal(code), is_fatal_at_commit(code)), (before, at_commit), "{code:?}");
        }
    }
}
