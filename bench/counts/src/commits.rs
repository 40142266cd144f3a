//! The embedded store with transactions as banking makes them for a deposit: an operation, the first answer to its key, and a
//! command to the ledger.

use std::path::PathBuf;

use banking::domain::{Movement, Operation, Status};
use banking::records::{OPERATIONS, OPERATIONS_EVENTS};
use contracts::Message;
use contracts::banking::MoveCmd;
use contracts::topology::consumers::LEDGER_COMMANDS;
use contracts::topology::kinds_for;
use embedded::{Access, EmbeddedStore, Options};
use futures::future::try_join_all;
use kernel::{AccountId, Currency, Money, OperationId, UserId};
use ports::{Key, Record, Sources, Store, Subscription, Transaction};
use runtime::{Trace, envelope};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// How many transactions are committed at once: as many as wait under a good load.
const BATCH: usize = 128;

pub struct Commits {
    store: EmbeddedStore,
    transactions: Vec<Transaction>,
}

/// What banking keeps for a request with a key.
#[derive(Serialize, Deserialize)]
struct FirstAnswer {
    user_id: UserId,
    idempotency_key: String,
    fingerprint: String,
    answer: OperationId,
}

impl Record for FirstAnswer {
    fn key(&self) -> Key {
        Key::new(OPERATIONS, self.user_id.to_string(), format!("key#{}", self.idempotency_key))
    }
}

impl Commits {
    /// An empty store in this folder, and so many transactions for it.
    pub fn open(data_dir: PathBuf, count: usize) -> Result<Self, Fault> {
        let (sources, _clock) = memory::sources();
        let ledger = Subscription {
            consumer: LEDGER_COMMANDS,
            outboxes: vec![OPERATIONS_EVENTS],
            kinds: kinds_for(LEDGER_COMMANDS),
        };
        let store = EmbeddedStore::open(Options {
            data_dir,
            tables: banking::records::TABLES.to_vec(),
            subscriptions: vec![ledger],
            sources: sources.clone(),
            access: Access::Exclusive,
        })?;
        let euro = "EUR".parse().map_err(Fault::shape)?;
        let transactions = (0..count).map(|_| transaction(&sources, euro)).collect::<Result<_, _>>()?;
        Ok(Self { store, transactions })
    }

    /// Commits all, and closes the store, so that what it puts off is counted too.
    pub async fn commit(&self) -> Result<(), Fault> {
        for batch in self.transactions.chunks(BATCH) {
            try_join_all(batch.iter().map(|transaction| self.store.commit(transaction))).await?;
        }
        self.store.close().await;
        Ok(())
    }
}

fn transaction(sources: &Sources, currency: Currency) -> Result<Transaction, Fault> {
    let (owner, account_id) = (UserId::new(sources.fresh_id()), AccountId::new(sources.fresh_id()));
    let operation_id = OperationId::new(sources.fresh_id());
    let (now, amount) = (sources.now(), Money::from_minor(1_250, currency));
    let description = Some("Savings".to_owned());
    let command = MoveCmd { operation_id, account_id, owner, amount, description: description.clone() };
    let operation = Operation {
        operation_id,
        owner,
        movement: Movement::Deposit { account_id },
        amount,
        description,
        status: Status::Pending,
        created_at: now,
        concluded_at: None,
    };
    let answer = FirstAnswer {
        user_id: owner,
        idempotency_key: sources.fresh_id().to_string(),
        fingerprint: "0".repeat(64),
        answer: operation_id,
    };
    let command = Message::DepositCmd(command);
    let message = envelope(&command, account_id.to_string(), &Trace::begin(sources), now, sources);
    let mut transaction = Transaction::new(sources.fresh_id());
    transaction.create(&operation)?;
    transaction.create(&answer)?;
    transaction.emit(OPERATIONS_EVENTS, message)?;
    Ok(transaction)
}
