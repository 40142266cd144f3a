//! The layout of the one SQLite file, and every statement that the adapter runs on a table of its own naming.
//!
//! - A table for each item table of a service: `partition`, `sort`, `revision`, `expires_at`, `body`. It has rowids: new
//!   bodies lie side by side whatever their keys are, and the index over the keys stays narrow. Without rowids the
//!   bodies would be the index, about eight to a page at every level, and each write would touch more pages.
//! - A table for each outbox: one row a transaction that emitted, its messages a JSON array.
//! - `queue_cursors`, `queue_retries`, `queue_dead_letters`: how far each consumer is, and what it was not done with.
//! - `journal`: up to which group the database has everything. What came after is in the journal's files.
//! - `moving`: up to which group the database may have something. What it has beyond `journal` is a part.
//!
//! Everything a person would read is text, so that `sqlite3 bank.sqlite3` shows it. `PRAGMA user_version` carries
//! the version of the layout. Version 1 had no journal and version 2 moved all of it at once; both become version 3 by what
//! is missing.

use std::collections::BTreeMap;

use ports::{Subscription, Table};
use rusqlite::Connection;

/// The version of this layout. A store with a higher one was written by a newer program and is left alone.
pub(crate) const VERSION: i64 = 3;

/// The tables of the queues and of the journal. `WITHOUT ROWID` stores a row in its key's own tree; messages are too large for that.
const QUEUES: &str = "
    CREATE TABLE IF NOT EXISTS queue_cursors (
        consumer TEXT NOT NULL,
        outbox   TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        PRIMARY KEY (consumer, outbox)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS queue_retries (
        retry_id INTEGER PRIMARY KEY,
        consumer TEXT NOT NULL,
        due_at   INTEGER NOT NULL,
        attempt  INTEGER NOT NULL,
        reason   TEXT NOT NULL,
        envelope TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS queue_retries_due ON queue_retries (consumer, due_at);
    CREATE TABLE IF NOT EXISTS queue_dead_letters (
        dead_letter_id TEXT PRIMARY KEY,
        consumer       TEXT NOT NULL,
        reason         TEXT NOT NULL,
        attempts       INTEGER NOT NULL,
        died_at        INTEGER NOT NULL,
        envelope       TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS queue_dead_letters_consumer ON queue_dead_letters (consumer);
    CREATE TABLE IF NOT EXISTS journal (
        only    INTEGER PRIMARY KEY CHECK (only = 1),
        settled INTEGER NOT NULL
    ) STRICT;
    INSERT OR IGNORE INTO journal (only, settled) VALUES (1, 0);
    CREATE TABLE IF NOT EXISTS moving (
        only  INTEGER PRIMARY KEY CHECK (only = 1),
        up_to INTEGER NOT NULL
    ) STRICT;
    INSERT OR IGNORE INTO moving (only, up_to) VALUES (1, 0);
";

/// The statements on one item table.
pub(crate) struct ItemStatements {
    pub(crate) revision: String,
    pub(crate) last: String,
    pub(crate) last_partition: String,
    pub(crate) read: String,
    pub(crate) put: String,
    pub(crate) delete: String,
    pub(crate) ascending: String,
    pub(crate) descending: String,
    pub(crate) scan: String,
    pub(crate) sweep: String,
}

impl ItemStatements {
    fn new(table: Table) -> Self {
        let name = table.0;
        let columns = "partition, sort, revision, expires_at, body";
        // A page continues behind ?4, which is a bound of the range then. No sort key is empty, so '' excludes nothing.
        let range = format!(
            "SELECT {columns} FROM \"{name}\" WHERE partition = ?1 AND sort >= ?2 AND sort <= ?3 AND sort <> ?4 ORDER BY sort"
        );
        Self {
            revision: format!("SELECT revision FROM \"{name}\" WHERE partition = ?1 AND sort = ?2"),
            last: format!(
                "SELECT sort, CASE WHEN expires_at IS NULL THEN revision END FROM \"{name}\" WHERE partition = ?1 \
                 ORDER BY sort DESC LIMIT 1"
            ),
            last_partition: format!("SELECT max(partition) FROM \"{name}\""),
            read: format!("SELECT {columns} FROM \"{name}\" WHERE partition = ?1 AND sort = ?2"),
            put: format!(
                "INSERT INTO \"{name}\" ({columns}) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (partition, sort) DO UPDATE \
                 SET revision = excluded.revision, expires_at = excluded.expires_at, body = excluded.body"
            ),
            delete: format!("DELETE FROM \"{name}\" WHERE partition = ?1 AND sort = ?2"),
            ascending: format!("{range} ASC LIMIT ?5"),
            descending: format!("{range} DESC LIMIT ?5"),
            scan: format!(
                "SELECT {columns} FROM \"{name}\" WHERE (partition, sort) > (?1, ?2) ORDER BY partition, sort LIMIT ?3"
            ),
            sweep: format!(
                "DELETE FROM \"{name}\" WHERE rowid IN \
                 (SELECT rowid FROM \"{name}\" WHERE expires_at <= ?1 LIMIT ?2)"
            ),
        }
    }
}

/// The statements on one outbox.
pub(crate) struct OutboxStatements {
    pub(crate) append: String,
    pub(crate) records: String,
    pub(crate) last: String,
    pub(crate) waiting: String,
    pub(crate) oldest: String,
    pub(crate) trim: String,
}

impl OutboxStatements {
    fn new(outbox: Table) -> Self {
        let name = outbox.0;
        // ?1 and ?2 are the position of a consumer: a record, and how many of its messages were delivered. ?3 is a
        // JSON array of its kinds.
        let waiting = format!(
            "FROM \"{name}\" AS record, json_each(record.messages) AS message \
             WHERE record.sequence >= ?1 AND (record.sequence > ?1 OR message.key >= ?2) \
             AND message.value ->> 'kind' IN (SELECT value FROM json_each(?3))"
        );
        Self {
            append: format!(
                "INSERT INTO \"{name}\" (sequence, transaction_id, committed_at, messages) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT DO NOTHING"
            ),
            records: format!(
                "SELECT sequence, messages FROM \"{name}\" WHERE sequence >= ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3"
            ),
            last: format!("SELECT max(sequence) FROM \"{name}\""),
            waiting: format!("SELECT count(*) {waiting} AND record.sequence < ?4"),
            oldest: format!(
                "SELECT message.value ->> 'occurred_at' {waiting} ORDER BY record.sequence, message.key LIMIT 1"
            ),
            trim: format!(
                "DELETE FROM \"{name}\" WHERE sequence <= min(?1, (SELECT min(sequence) FROM \"{name}\") + ?2 - 1)"
            ),
        }
    }
}

/// The tables of one store, and the statements on each.
pub(crate) struct Schema {
    pub(crate) items: BTreeMap<Table, ItemStatements>,
    pub(crate) outboxes: BTreeMap<Table, OutboxStatements>,
}

impl Schema {
    /// The tables that services and subscriptions name; those named twice count once.
    pub(crate) fn new(tables: &[Table], subscriptions: &[Subscription]) -> Self {
        let outboxes = subscriptions.iter().flat_map(|subscription| &subscription.outboxes);
        Self {
            items: tables.iter().map(|table| (*table, ItemStatements::new(*table))).collect(),
            outboxes: outboxes.map(|outbox| (*outbox, OutboxStatements::new(*outbox))).collect(),
        }
    }

    /// The table or outbox of this name.
    pub(crate) fn table(&self, name: &str) -> Option<Table> {
        self.items.keys().chain(self.outboxes.keys()).find(|table| table.0 == name).copied()
    }

    /// Makes every table that is not there yet, and marks the file with the version of the layout.
    pub(crate) fn create(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statements = format!("BEGIN IMMEDIATE; {QUEUES} PRAGMA user_version = {VERSION};");
        for Table(name) in self.items.keys() {
            statements.push_str(&format!(
                "CREATE TABLE IF NOT EXISTS \"{name}\" (
                    partition  TEXT NOT NULL,
                    sort       TEXT NOT NULL,
                    revision   INTEGER NOT NULL,
                    expires_at INTEGER,
                    body       TEXT NOT NULL,
                    PRIMARY KEY (partition, sort)
                ) STRICT;
                CREATE INDEX IF NOT EXISTS \"{name}_expiry\" ON \"{name}\" (expires_at) WHERE expires_at IS NOT NULL;"
            ));
        }
        for Table(name) in self.outboxes.keys() {
            statements.push_str(&format!(
                "CREATE TABLE IF NOT EXISTS \"{name}\" (
                    sequence       INTEGER PRIMARY KEY,
                    transaction_id TEXT NOT NULL,
                    committed_at   INTEGER NOT NULL,
                    messages       TEXT NOT NULL
                ) STRICT;"
            ));
        }
        statements.push_str("COMMIT;");
        connection.execute_batch(&statements)
    }
}

/// SQLite has signed integers only. Revisions and sequences count up from one and never come near the end.
pub(crate) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The other way: nothing negative is ever written.
pub(crate) fn read_back(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
