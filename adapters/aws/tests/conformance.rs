//! The conformance suite on DynamoDB, each property in a deployment of its own.

mod support;

use aws::{Connection, DynamoStore};
use conformance::World;
use ports::Sources;

struct Dynamo {
    connection: Connection,
    store: DynamoStore,
}

impl Dynamo {
    fn at(connection: Connection) -> Self {
        Self { store: DynamoStore::new(&connection, &[conformance::THINGS]), connection }
    }
}

/// A process keeps nothing of its own, so a world is opened again by connecting anew, whether it ended well or not.
impl World for Dynamo {
    type Store = DynamoStore;

    async fn open() -> Self {
        Self::at(support::deployment().await)
    }

    fn store(&self) -> DynamoStore {
        self.store.clone()
    }

    fn sources(&self) -> Sources {
        support::sources()
    }

    async fn reopen(self) -> Self {
        Self::at(Connection::from_environment(self.connection.prefix).await)
    }

    async fn crash(self) -> Self {
        self.reopen().await
    }
}

conformance::store_suite!(Dynamo);
