//! The runtime on the store in memory, in paused time: what takes long in it takes no time here.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod batch;
mod cache;
mod commit;
mod comparison;
mod deliver;
mod first_answers;
mod once;
mod read;
mod trace;
mod waiters;

use kernel::{Timestamp, UserId};
use memory::{Faults, MemoryStore, TestClock};
use ports::{Key, Record, Sources, Store, Subscription, Table};
use runtime::{Caller, Trace};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const NOTES: Table = Table("notes");
const NOTES_EVENTS: Table = Table("notes_events");
const READER: &str = "reader";

/// Something to store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Note {
    name: String,
    count: u64,
}

impl Note {
    fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), count: 0 }
    }
}

impl Record for Note {
    fn key(&self) -> Key {
        Key::new(NOTES, "notes", format!("note#{}", self.name))
    }
}

struct World {
    store: MemoryStore,
    sources: Sources,
    clock: TestClock,
}

fn world() -> World {
    world_with(0, Faults::NONE)
}

fn world_with(seed: u64, faults: Faults) -> World {
    let (sources, clock) = memory::sources();
    let subscription =
        Subscription { consumer: READER, outboxes: vec![NOTES_EVENTS], kinds: vec!["DEPOSIT_CMD"] };
    let store = MemoryStore::with_faults(vec![subscription], sources.clone(), seed, faults);
    World { store, sources, clock }
}

impl World {
    fn now(&self) -> Timestamp {
        self.sources.now()
    }

    /// A person by a small number, who sends a request with this key.
    fn caller(&self, number: u128, idempotency_key: Option<&str>) -> Caller {
        Caller {
            user_id: UserId::new(Uuid::from_u128(number)),
            trace: Trace::begin(&self.sources),
            idempotency_key: idempotency_key.map(str::to_owned),
        }
    }

    async fn count_notes(&self) -> usize {
        let page = self.store.scan(NOTES, None, 1_000).await.unwrap();
        page.items.iter().filter(|item| item.key.sort.starts_with("note#")).count()
    }
}
