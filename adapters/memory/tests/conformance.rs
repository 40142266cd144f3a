//! The conformance suite on the memory adapter: as it is, and with every fault that the ports allow.

use conformance::{MessageWorld, World};
use kernel::MessageId;
use memory::{Faults, MemoryStore};
use ports::{Sources, Table};

/// What a process that ends leaves behind is all there is, so a world is opened again by forgetting its receipts.
struct Memory {
    store: MemoryStore,
    sources: Sources,
}

impl Memory {
    fn new(faults: Faults) -> Self {
        let (sources, _) = memory::sources();
        let store = MemoryStore::with_faults(conformance::subscriptions(), sources.clone(), 42, faults);
        Self { store, sources }
    }

    fn restarted(self) -> Self {
        self.store.crash();
        self
    }

    fn outbox_records(&self, outbox: Table) -> Vec<Vec<MessageId>> {
        let records = self.store.outbox_records(outbox);
        records.iter().map(|record| record.iter().map(|envelope| envelope.message_id).collect()).collect()
    }
}

/// Opens a memory world under another name, with these faults.
macro_rules! worlds {
    ($($name:ident: $faults:expr;)*) => {$(
        struct $name(Memory);

        impl World for $name {
            type Store = MemoryStore;

            async fn open() -> Self {
                Self(Memory::new($faults))
            }

            fn store(&self) -> MemoryStore {
                self.0.store.clone()
            }

            fn sources(&self) -> Sources {
                self.0.sources.clone()
            }

            async fn reopen(self) -> Self {
                Self(self.0.restarted())
            }

            async fn crash(self) -> Self {
                Self(self.0.restarted())
            }
        }

        impl MessageWorld for $name {
            type Queues = MemoryStore;

            fn queues(&self) -> MemoryStore {
                self.0.store.clone()
            }

            async fn outbox_records(&self, outbox: Table) -> Vec<Vec<MessageId>> {
                self.0.outbox_records(outbox)
            }
        }
    )*};
}

worlds! {
    Plain: Faults::NONE;
    Unsure: Faults { busy_per_mille: 200, unknown_per_mille: 300, ..Faults::NONE };
    Hostile: Faults {
        duplicated_per_mille: 100,
        reordered_per_mille: 300,
        delayed_per_mille: 200,
        delay_ms_max: 60,
        conflict_per_mille: 100,
        busy_per_mille: 100,
        unknown_per_mille: 200,
        unavailable_per_mille: 0,
        latency_ms_max: 5,
    };
}

mod plain {
    use super::Plain;

    conformance::store_suite!(Plain);
    conformance::message_suite!(Plain);
}

mod unsure {
    use super::Unsure;

    conformance::store_suite!(Unsure);
    conformance::message_suite!(Unsure);
}

mod hostile {
    use super::Hostile;

    conformance::endurance_suite!(Hostile);
}
