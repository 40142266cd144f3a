//! The bank on the memory adapter: its routes within the edge and the authentication that it has when it is delivered, and
//! the consumers that a deposit passes.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Request, StatusCode};
use contracts::topology::{consumers, kinds_for, outboxes_for};
use http_body_util::BodyExt;
use kernel::{Timestamp, UserId};
use memory::MemoryStore;
use ports::{Consumer, Queues, Received, Settled, Sources, Subscription, Table, Verdict};
use runtime::{Caching, Policy, judge};
use serde_json::{Value, json};
use tower::ServiceExt;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;
use web::{HttpSettings, Principal, Refused, Verifier};

use crate::fault::Fault;

/// How many people deposit, each into an account of her own.
const CUSTOMERS: u128 = 64;
/// As many accounts as the bank in one process keeps in memory.
const CACHED: Caching = Caching::heard(100_000);
/// What a token has behind the person's id, so that it is as long as one that is signed.
const SIGNATURE_BYTES: usize = 700;
/// How long a token is good.
const TOKEN_LIFETIME: Duration = Duration::from_mins(15);

/// A request to be answered.
pub type Deposit = Request<Body>;

pub struct Bank {
    store: MemoryStore,
    sources: Sources,
    router: Router,
    customers: Vec<Customer>,
    pub ledger: ledger::Commands<MemoryStore>,
    pub banking: banking::Events<MemoryStore>,
    pub query: query::Events<MemoryStore>,
    pub notifications: notifications::Events<MemoryStore>,
}

struct Customer {
    authorization: String,
    account_id: String,
}

/// Believes a token. The bank reads a real one once and remembers it, so its signature is no part of a deposit.
struct Believing(Sources);

impl Verifier for Believing {
    fn verify(&self, token: &str) -> Result<(Principal, Timestamp), Refused> {
        let user_id = token.split('.').next().and_then(|id| id.parse().ok()).ok_or(Refused::Invalid)?;
        Ok((Principal { user_id, groups: Vec::new() }, self.0.now() + TOKEN_LIFETIME))
    }
}

impl Bank {
    /// A bank whose customers have their accounts.
    pub async fn open() -> Result<Self, Fault> {
        let (sources, _clock) = memory::sources();
        let store = MemoryStore::new(subscriptions(), sources.clone());
        let accounts = accounts::Accounts::new(store.clone(), sources.clone(), CACHED);
        let banking = banking::Banking::new(store.clone(), sources.clone(), CACHED, CACHED);
        let query = query::Query::new(store.clone(), sources.clone(), CACHED);
        let notifications = notifications::Notifications::new(store.clone(), sources.clone(), None);
        let (router, _document) = OpenApiRouter::new()
            .merge(accounts::routes(accounts))
            .merge(banking::routes(banking.clone()))
            .merge(query::routes(query.clone()))
            .merge(notifications::routes(notifications.clone()))
            .split_for_parts();
        let router = web::authenticate(router, Believing(sources.clone()), sources.clone());
        let mut bank = Self {
            router: web::finish(router, HttpSettings::default(), sources.clone()),
            customers: Vec::new(),
            ledger: ledger::Ledger::new(store.clone(), sources.clone(), CACHED).commands(),
            banking: banking.events(),
            query: query.events(),
            notifications: notifications.events(),
            store,
            sources,
        };
        for number in 1..=CUSTOMERS {
            let customer = bank.open_account(UserId::new(Uuid::from_u128(number))).await?;
            bank.customers.push(customer);
        }
        let opened = bank.customers.len();
        bank.drain(&bank.banking, opened).await?;
        bank.drain(&bank.query, opened).await?;
        bank.drain(&bank.notifications, opened).await?;
        Ok(bank)
    }

    async fn open_account(&self, user_id: UserId) -> Result<Customer, Fault> {
        let authorization = format!("Bearer {user_id}.{}", "s".repeat(SIGNATURE_BYTES));
        let body = json!({"name": "Current account", "currency": "EUR"});
        let request = post("/accounts", &authorization, &user_id.to_string(), &body)?;
        let answer = self.answer(request, StatusCode::CREATED).await?;
        let account: Value = serde_json::from_slice(&answer).map_err(Fault::shape)?;
        let account_id = account["account_id"].as_str().unwrap_or_default().to_owned();
        Ok(Customer { authorization, account_id })
    }

    /// So many deposits, to one account after the other. The keys are others in each round.
    pub fn deposits(&self, round: usize, count: usize) -> Result<Vec<Deposit>, Fault> {
        let deposit = |(number, customer): (usize, &Customer)| {
            let key = Uuid::from_u64_pair(round as u64, number as u64).to_string();
            let body =
                json!({"account_id": customer.account_id, "amount": "12.50", "description": "Savings"});
            post("/deposit", &customer.authorization, &key, &body)
        };
        self.customers.iter().cycle().take(count).enumerate().map(deposit).collect()
    }

    /// Has all deposits answered, one after the other.
    pub async fn accept(&self, deposits: Vec<Deposit>) -> Result<(), Fault> {
        for deposit in deposits {
            self.answer(deposit, StatusCode::OK).await?;
        }
        Ok(())
    }

    async fn answer(&self, request: Request<Body>, expected: StatusCode) -> Result<Vec<u8>, Fault> {
        let answer = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(Fault::shape)?.to_bytes();
        if status != expected {
            return Err(Fault::Answer { status, body: String::from_utf8_lossy(&body).into_owned() });
        }
        Ok(body.into())
    }

    /// Has a consumer take so many messages, all of which have to be waiting.
    pub async fn drain<C: Consumer>(&self, consumer: &C, messages: usize) -> Result<(), Fault> {
        let mut taken = 0;
        while taken < messages {
            let received = self.store.receive(C::NAME, Policy::INSIDE.batch_max).await?;
            taken += received.len();
            let (receipts, batch): (Vec<_>, Vec<_>) =
                received.into_iter().map(|Received { receipt, delivery }| (receipt, delivery)).unzip();
            let verdicts = judge(consumer, Policy::INSIDE, &self.sources, &batch).await;
            if let Some(other) = verdicts.iter().find(|verdict| **verdict != Verdict::Done) {
                return Err(Fault::Verdict(other.clone()));
            }
            let settled = receipts.into_iter().zip(verdicts);
            let settled = settled.map(|(receipt, verdict)| Settled { receipt, verdict }).collect();
            self.store.settle(C::NAME, settled).await?;
        }
        Ok(())
    }
}

fn post(path: &str, authorization: &str, key: &str, body: &Value) -> Result<Request<Body>, Fault> {
    Request::post(path)
        .header(HOST, "127.0.0.1:8080")
        .header(AUTHORIZATION, authorization)
        .header(CONTENT_TYPE, "application/json")
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()))
        .map_err(Fault::shape)
}

fn subscriptions() -> Vec<Subscription> {
    let subscription = |consumer: &&'static str| Subscription {
        consumer,
        outboxes: outboxes_for(consumer).into_iter().map(Table).collect(),
        kinds: kinds_for(consumer),
    };
    consumers::ALL.iter().map(subscription).collect()
}
