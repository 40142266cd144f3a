//! The world of one run: a store that outlives everything, and the process on it, which may die at any moment.
//!
//! The services, their routes and consumers, and the delivery loop are those of the bank as it is delivered, put together
//! by the topology. What dies is dropped where it waits: whatever it had not written is lost, and its messages come
//! again. Absent on purpose: sign-up and tokens. Whoever asks is believed to be who she says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use contracts::topology::{consumers, kinds_for, outboxes_for};
use memory::{Faults, MemoryStore, TestClock};
use ports::{Consumer, Sources, Subscription, Table};
use runtime::{Caching, Policy, consume};
use tokio::sync::{Semaphore, watch};
use utoipa_axum::router::OpenApiRouter;
use web::{HttpSettings, RateLimits};

use crate::mail::{Addresses, PostOffice};
use crate::plan::Plan;

/// A run's world. Clones are the same one.
#[derive(Clone)]
pub struct World {
    /// What is durable.
    pub store: MemoryStore,
    /// The time and the identifiers of all.
    pub sources: Sources,
    /// Moves the time.
    pub clock: TestClock,
    /// Takes the letters.
    pub post_office: PostOffice,
    settings: Settings,
    process: Arc<Mutex<Option<Process>>>,
}

/// What a process is started with.
#[derive(Clone, Copy)]
struct Settings {
    batch_max: usize,
    cached_accounts: usize,
}

/// A process that runs.
struct Process {
    services: Services,
    router: Router,
    death: Death,
    /// The consumers that run.
    consumers: Vec<(&'static str, Death)>,
}

/// What ends all who wait for it, in the order in which they came. A `watch` would wake them in an order of chance.
#[derive(Clone)]
pub struct Death(Arc<Semaphore>);

impl Death {
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    fn strike(&self) {
        self.0.close();
    }

    /// Ends once it struck.
    pub async fn struck(&self) {
        // There are no permits, so nothing but the end is acquired.
        let _ = self.0.acquire().await;
    }
}

#[derive(Clone)]
struct Services {
    accounts: accounts::Accounts<MemoryStore>,
    banking: banking::Banking<MemoryStore>,
    ledger: ledger::Ledger<MemoryStore>,
    query: query::Query<MemoryStore>,
    notifications: notifications::Notifications<MemoryStore>,
}

/// Every table of every service that a run has.
pub fn tables() -> Vec<Table> {
    [
        accounts::records::TABLES,
        banking::records::TABLES,
        ledger::records::TABLES,
        notifications::records::TABLES,
        query::records::TABLES,
    ]
    .concat()
}

fn subscriptions() -> Vec<Subscription> {
    let subscription = |consumer: &&'static str| Subscription {
        consumer,
        outboxes: outboxes_for(consumer).into_iter().map(Table).collect(),
        kinds: kinds_for(consumer),
    };
    consumers::ALL.iter().map(subscription).collect()
}

impl World {
    /// A world that nobody has used, without a process.
    pub fn new(plan: &Plan) -> Self {
        let (sources, clock) = memory::sources();
        let store = MemoryStore::with_faults(subscriptions(), sources.clone(), plan.seed, plan.faults);
        Self {
            store,
            sources,
            clock,
            post_office: PostOffice::new(plan.seed, plan.mail_later_per_mille),
            settings: Settings {
                batch_max: usize::try_from(plan.batch_max).unwrap_or(1),
                cached_accounts: plan.cached_accounts,
            },
            process: Arc::default(),
        }
    }

    /// Starts a process on what is stored, with all its consumers.
    pub fn start(&self) {
        let services = self.services();
        let router = web::finish(services.router(), settings(), self.sources.clone());
        let process = Process { services, router, death: Death::new(), consumers: Vec::new() };
        *self.process() = Some(process);
        consumers::ALL.iter().for_each(|consumer| self.start_consumer(consumer));
    }

    /// The process is gone, with all that it had not written.
    pub fn kill(&self) {
        if let Some(process) = self.process().take() {
            process.death.strike();
            process.consumers.iter().for_each(|(_, death)| death.strike());
        }
        self.store.crash();
    }

    /// One consumer is gone, if it runs, with all that it had not written.
    pub fn kill_consumer(&self, consumer: &'static str) {
        if let Some(process) = self.process().as_mut() {
            let is_it = |(name, _): &mut (&'static str, Death)| *name == consumer;
            process.consumers.extract_if(.., is_it).for_each(|(_, death)| death.strike());
        }
        self.store.release(consumer);
    }

    /// Starts a consumer of the process, if there is one and the consumer does not run.
    pub fn start_consumer(&self, consumer: &'static str) {
        let mut process = self.process();
        let Some(process) = process.as_mut() else { return };
        if process.consumers.iter().any(|(name, _)| *name == consumer) {
            return;
        }
        let death = Death::new();
        process.consumers.push((consumer, death.clone()));
        let services = process.services.clone();
        let world = self.clone();
        match consumer {
            consumers::LEDGER_COMMANDS => world.spawn(services.ledger.commands(), Policy::INSIDE, death),
            consumers::ACCOUNTS_CLOSINGS => world.spawn(services.accounts.closings(), Policy::INSIDE, death),
            consumers::BANKING_EVENTS => world.spawn(services.banking.events(), Policy::INSIDE, death),
            consumers::QUERY_EVENTS => world.spawn(services.query.events(), Policy::INSIDE, death),
            consumers::NOTIFICATIONS_EVENTS => {
                world.spawn(services.notifications.events(), Policy::INSIDE, death);
            }
            consumers::NOTIFICATIONS_EMAILS => {
                world.spawn(services.notifications.emails(), Policy::OUTSIDE, death);
            }
            unknown => unreachable!("the topology names {unknown}, which no service has"),
        }
    }

    /// The routes of the process that runs, and what tells that it died; none while there is no process.
    pub fn door(&self) -> Option<(Router, Death)> {
        self.process().as_ref().map(|process| (process.router.clone(), process.death.clone()))
    }

    /// From now on nothing goes wrong, so that the run can come to its end.
    pub fn end_faults(&self) {
        self.store.set_faults(Faults::NONE);
        self.post_office.take_everything();
    }

    fn spawn<C: Consumer>(self, consumer: C, policy: Policy, death: Death) {
        let policy = Policy { batch_max: policy.batch_max.min(self.settings.batch_max), ..policy };
        tokio::spawn(async move {
            // It is never told to end in good order: it dies.
            let (_running, shutdown) = watch::channel(false);
            let consuming = consume(self.store, Arc::new(consumer), policy, self.sources, shutdown);
            tokio::select! {
                biased;
                () = death.struck() => {}
                () = consuming => {}
            }
        });
    }

    fn services(&self) -> Services {
        let (store, sources) = (&self.store, &self.sources);
        let caching = Caching::heard(self.settings.cached_accounts);
        let letters = notifications::Letters {
            mailer: Arc::new(self.post_office.clone()),
            directory: Arc::new(Addresses),
        };
        Services {
            accounts: accounts::Accounts::new(store.clone(), sources.clone(), caching),
            banking: banking::Banking::new(store.clone(), sources.clone(), caching, caching),
            ledger: ledger::Ledger::new(store.clone(), sources.clone(), caching),
            query: query::Query::new(store.clone(), sources.clone(), caching),
            notifications: notifications::Notifications::new(store.clone(), sources.clone(), Some(letters)),
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Services {
    fn router(&self) -> Router {
        let (router, _document) = OpenApiRouter::new()
            .merge(accounts::routes(self.accounts.clone()))
            .merge(banking::routes(self.banking.clone()))
            .merge(query::routes(self.query.clone()))
            .merge(notifications::routes(self.notifications.clone()))
            .split_for_parts();
        router
    }
}

/// Limits of rates count real seconds, which a run does not have.
fn settings() -> HttpSettings {
    HttpSettings { rate_limits: RateLimits::OFF, ..HttpSettings::default() }
}

/// How long something waits that comes again and again.
pub async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
