//! The composition root: every service of the bank on one embedded store, wired by the topology.

use std::path::Path;
use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use contracts::topology::{consumers, kinds_for, outboxes_for};
use embedded::{Access, EmbeddedStore, OpenError, Options};
use futures::future::join_all;
use ports::{Consumer, Mailer, Sources, Subscription, Table};
use runtime::{Caching, Policy, consume};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use utoipa_axum::router::OpenApiRouter;

use crate::failure::Failure;
use crate::pressure::{Pressure, relieve};

/// How many accounts are kept in memory, by each service that caches them.
const CACHED: Caching = Caching::heard(100_000);
/// How many operations are: those that are under way, and some that have just ended.
const CACHED_OPERATIONS: Caching = Caching::heard(20_000);

/// The bank in one process.
#[derive(Clone)]
pub struct World {
    pub store: EmbeddedStore,
    pub sources: Sources,
    pub accounts: accounts::Accounts<EmbeddedStore>,
    pub banking: banking::Banking<EmbeddedStore>,
    pub ledger: ledger::Ledger<EmbeddedStore>,
    pub query: query::Query<EmbeddedStore>,
    pub notifications: notifications::Notifications<EmbeddedStore>,
    pub identity: identity::Identity<EmbeddedStore>,
}

/// Every table of every service.
pub fn tables() -> Vec<Table> {
    [
        accounts::records::TABLES,
        banking::records::TABLES,
        identity::TABLES,
        ledger::records::TABLES,
        notifications::records::TABLES,
        query::records::TABLES,
    ]
    .concat()
}

/// Every consumer, with what the topology sends it.
pub fn subscriptions() -> Vec<Subscription> {
    let subscription = |consumer: &&'static str| Subscription {
        consumer,
        outboxes: outboxes_for(consumer).into_iter().map(Table).collect(),
        kinds: kinds_for(consumer),
    };
    consumers::ALL.iter().map(subscription).collect()
}

/// Opens the store that all services share.
pub fn open_store(data_dir: &Path, access: Access, sources: &Sources) -> Result<EmbeddedStore, OpenError> {
    let options = Options {
        data_dir: data_dir.to_owned(),
        tables: tables(),
        subscriptions: subscriptions(),
        sources: sources.clone(),
        access,
    };
    EmbeddedStore::open(options)
}

/// Opens the store for a command that works on one that is there: a mistyped directory is not made into a bank.
pub fn open_existing_store(data_dir: &Path, sources: &Sources) -> Result<EmbeddedStore, OpenError> {
    drop(open_store(data_dir, Access::ReadOnly, sources)?);
    open_store(data_dir, Access::Exclusive, sources)
}

impl World {
    pub fn new(
        store: EmbeddedStore,
        sources: Sources,
        keys: identity::Keys,
        issuer: &str,
        mailer: Option<Arc<dyn Mailer>>,
    ) -> Self {
        let identity = identity::Identity::new(
            store.clone(),
            sources.clone(),
            identity::Settings::new(issuer),
            mailer.clone(),
            keys,
        );
        let letters =
            mailer.map(|mailer| notifications::Letters { mailer, directory: Arc::new(identity.clone()) });
        Self {
            accounts: accounts::Accounts::new(store.clone(), sources.clone(), CACHED),
            banking: banking::Banking::new(store.clone(), sources.clone(), CACHED, CACHED_OPERATIONS),
            ledger: ledger::Ledger::new(store.clone(), sources.clone(), CACHED),
            query: query::Query::new(store.clone(), sources.clone(), CACHED),
            notifications: notifications::Notifications::new(store.clone(), sources.clone(), letters),
            identity,
            store,
            sources,
        }
    }

    /// The services of a bank that serves nobody, for a command that works on the store itself. No token is made or read
    /// here, so the keys are thrown away with it.
    pub fn at_rest(store: EmbeddedStore, sources: Sources) -> Result<Self, Failure> {
        let keys = identity::Keys::ephemeral().map_err(Failure::from_error)?;
        Ok(Self::new(store, sources, keys, "nobody", None))
    }

    /// Every route of every service, with its part of the OpenAPI document.
    pub fn routes(&self) -> OpenApiRouter {
        OpenApiRouter::new()
            .merge(identity::routes(Arc::new(self.identity.clone())))
            .merge(accounts::routes(self.accounts.clone()))
            .merge(
                banking::routes(self.banking.clone())
                    .layer(from_fn_with_state(Pressure::of(self.store.clone()), relieve)),
            )
            .merge(query::routes(self.query.clone()))
            .merge(notifications::routes(self.notifications.clone()))
    }

    /// Starts every consumer. Each ends its batch and stops once `shutdown` turns true.
    pub fn start_consumers(&self, shutdown: &watch::Receiver<bool>) -> Consumers {
        let tasks = vec![
            self.start(self.ledger.commands(), Policy::INSIDE, shutdown),
            self.start(self.accounts.closings(), Policy::INSIDE, shutdown),
            self.start(self.banking.events(), Policy::INSIDE, shutdown),
            self.start(self.query.events(), Policy::INSIDE, shutdown),
            self.start(self.notifications.events(), Policy::INSIDE, shutdown),
            self.start(self.notifications.emails(), Policy::OUTSIDE, shutdown),
        ];
        Consumers(tasks)
    }

    fn start<C: Consumer>(
        &self,
        consumer: C,
        policy: Policy,
        shutdown: &watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        tokio::spawn(consume(
            self.store.clone(),
            Arc::new(consumer),
            policy,
            self.sources.clone(),
            shutdown.clone(),
        ))
    }
}

/// The consumers that are running.
pub struct Consumers(Vec<JoinHandle<()>>);

impl Consumers {
    /// Tells whether they still are.
    pub fn liveness(&self) -> Liveness {
        Liveness(self.0.iter().map(JoinHandle::abort_handle).collect())
    }

    /// Waits until all have stopped.
    pub async fn stopped(self) {
        join_all(self.0).await;
    }
}

/// Whether all consumers run.
#[derive(Clone)]
pub struct Liveness(Arc<[AbortHandle]>);

impl Liveness {
    pub fn are_running(&self) -> bool {
        self.0.iter().all(|task| !task.is_finished())
    }
}
