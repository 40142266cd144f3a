//! The conformance suite on the embedded adapter, each property in a data directory of its own.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use conformance::{MessageWorld, World};
use embedded::{Access, EmbeddedStore, Options};
use kernel::MessageId;
use ports::{Envelope, Sources, Table};
use rusqlite::Connection;

/// Numbers the data directories of one process.
static OPENED: AtomicU32 = AtomicU32::new(0);

struct Embedded {
    store: EmbeddedStore,
    sources: Sources,
    directory: Directory,
}

/// A data directory that goes when it is no longer used.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let number = OPENED.fetch_add(1, Ordering::SeqCst);
        let name = format!("conformance-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// What a disk would hold if the process were killed now.
    fn copied(&self) -> Self {
        loop {
            let (copy, before) = (Self::new(), self.settled());
            for entry in fs::read_dir(&self.0).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                if name != "LOCK" && !name.ends_with("-shm") {
                    fs::copy(entry.path(), copy.0.join(name)).unwrap();
                }
            }
            // Otherwise something was moved meanwhile, and some of it is in no copy.
            if self.settled() == before {
                return copy;
            }
        }
    }

    fn settled(&self) -> i64 {
        let connection = Connection::open(self.0.join("bank.sqlite3")).unwrap();
        connection.query_row("SELECT settled FROM journal", [], |row| row.get(0)).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A directory that stays behind harms nobody; the next `cargo clean` takes it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Embedded {
    fn at(directory: Directory, sources: Sources) -> Self {
        let options = Options {
            data_dir: directory.0.clone(),
            tables: conformance::tables(),
            subscriptions: conformance::subscriptions(),
            sources: sources.clone(),
            access: Access::Exclusive,
        };
        Self { store: EmbeddedStore::open(options).unwrap(), sources, directory }
    }
}

impl World for Embedded {
    type Store = EmbeddedStore;

    async fn open() -> Self {
        let (sources, _) = memory::sources();
        Self::at(Directory::new(), sources)
    }

    fn store(&self) -> EmbeddedStore {
        self.store.clone()
    }

    fn sources(&self) -> Sources {
        self.sources.clone()
    }

    async fn reopen(self) -> Self {
        self.store.close().await;
        Self::at(self.directory, self.sources)
    }

    async fn crash(self) -> Self {
        let copy = self.directory.copied();
        self.store.close().await;
        Self::at(copy, self.sources)
    }
}

impl MessageWorld for Embedded {
    type Queues = EmbeddedStore;

    fn queues(&self) -> EmbeddedStore {
        self.store.clone()
    }

    /// Reads the outbox as anybody with `sqlite3` can.
    async fn outbox_records(&self, outbox: Table) -> Vec<Vec<MessageId>> {
        self.store.flush().await;
        let connection = Connection::open(self.directory.0.join("bank.sqlite3")).unwrap();
        let sql = format!("SELECT messages FROM \"{}\" ORDER BY sequence", outbox.0);
        let mut statement = connection.prepare(&sql).unwrap();
        let records = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let ids = |messages: String| {
            let messages: Vec<Envelope> = serde_json::from_str(&messages).unwrap();
            messages.iter().map(|message| message.message_id).collect()
        };
        records.map(|messages| ids(messages.unwrap())).collect()
    }
}

conformance::store_suite!(Embedded);
conformance::message_suite!(Embedded);
