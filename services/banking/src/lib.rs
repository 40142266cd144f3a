//! Banking: the operations that customers ask for, from the request to the ledger's verdict.
//!
//! An operation and its command to the ledger are written in one transaction; the verdict comes back as an event.
//! Banking never knows a balance: whether there is enough is the ledger's to say.

mod audit;
mod consumers;
pub mod domain;
#[cfg(test)]
mod fixture;
mod http;
mod problems;
pub mod records;

use std::time::Duration;

use contracts::accounts::AccountState;
use kernel::{AccountId, OperationId, UserId};
use ports::{Held, Sources, Store, Transaction};
use runtime::{
    Answered, Caller, Decision, Fault, InFlight, Once, RecordCache, Waiters, decide_and_commit, envelope,
    patience_for,
};

pub use consumers::Events;
use domain::{Accounts, Asked, Operation, Rejection, Request, Status};
pub use http::routes;
use records::{KnownAccount, OPERATIONS, OPERATIONS_EVENTS, account_key, operation_key, operations_of};

/// Why banking did not do what was asked.
pub type Refusal = runtime::Refusal<Rejection>;

/// The banking service of one world. Clones are the same service.
#[derive(Clone)]
pub struct Banking<S> {
    store: S,
    sources: Sources,
    in_flight: InFlight,
    accounts: RecordCache<AccountId, KnownAccount>,
    account_waiters: Waiters<AccountId>,
    operation_waiters: Waiters<OperationId>,
}

impl<S: Store> Banking<S> {
    /// `cached_accounts` is zero where this process does not hear the events that keep a cache true.
    pub fn new(store: S, sources: Sources, cached_accounts: u64) -> Self {
        Self {
            store,
            sources,
            in_flight: InFlight::default(),
            accounts: RecordCache::new("banking_accounts", cached_accounts),
            account_waiters: Waiters::default(),
            operation_waiters: Waiters::default(),
        }
    }

    /// The consumer of events.
    pub fn events(&self) -> Events<S> {
        Events(self.clone())
    }

    /// Begins an operation: durable, with its command on the way to the ledger, when this returns.
    ///
    /// # Errors
    /// Every [`Rejection`], a reused or busy key, and the faults of the store.
    pub async fn submit(&self, caller: &Caller, request: &Request) -> Result<Answered<Operation>, Refusal> {
        let _flight = self.in_flight.enter(caller)?;
        decide_and_commit(&self.store, || self.try_submit(caller, request)).await
    }

    async fn try_submit(
        &self,
        caller: &Caller,
        request: &Request,
    ) -> Result<Decision<Answered<Operation>>, Refusal> {
        let now = self.sources.now();
        let once = Once::look::<S, Refusal>(&self.store, OPERATIONS, caller, ("operation", request), now);
        let ticket = match once.await? {
            Once::Replay(Answered { answer: operation_id, .. }) => {
                let answer = self.first_answer(caller.user_id, operation_id).await?;
                return Ok(Decision::Nothing(Answered { answer, is_replay: true }));
            }
            Once::New(ticket) => ticket,
        };
        let own = self.account(request.movement.own_account()).await?;
        let payee = match request.movement.payee() {
            Some(account_id) => self.account(account_id).await?,
            None => None,
        };
        let accounts = Accounts { own: own.as_ref(), payee: payee.as_ref() };
        let asked =
            Asked { owner: caller.user_id, operation_id: OperationId::new(self.sources.fresh_id()), now };
        let (operation, command) = domain::begin(request, &accounts, asked).map_err(Refusal::Rejected)?;
        let mut transaction = Transaction::new(self.sources.fresh_id());
        transaction.create(&operation)?;
        let group = operation.movement.own_account().to_string();
        transaction.emit(OPERATIONS_EVENTS, envelope(&command, group, &caller.trace, now, &self.sources))?;
        ticket.keep(&mut transaction, &operation.operation_id)?;
        Ok(Decision::Commit(transaction, Answered { answer: operation, is_replay: false }))
    }

    /// An operation as it was answered first: nothing of it ever changes but how and when it ended.
    async fn first_answer(&self, owner: UserId, operation_id: OperationId) -> Result<Operation, Fault> {
        let operation = self.operation(owner, operation_id).await?;
        let operation =
            operation.ok_or_else(|| Fault::Internal(format!("operation {operation_id} is gone")))?;
        Ok(Operation { status: Status::Pending, concluded_at: None, ..operation })
    }

    /// One of a customer's operations. Another's is as unknown as one that does not exist.
    pub async fn operation(
        &self,
        owner: UserId,
        operation_id: OperationId,
    ) -> Result<Option<Operation>, Fault> {
        Ok(runtime::get(&self.store, operation_key(owner, operation_id)).await?.map(|held| held.record))
    }

    /// The operation once it has ended, or as it is when `patience` is at its end.
    pub async fn ended(&self, operation: Operation, patience: Duration) -> Result<Operation, Fault> {
        let Operation { owner, operation_id, .. } = operation;
        let look = || async {
            let found = self.operation(owner, operation_id).await?;
            Ok::<_, Fault>(found.filter(|operation| operation.status != Status::Pending))
        };
        let ended = self.operation_waiters.wait(operation_id, patience, look).await?;
        Ok(ended.unwrap_or(operation))
    }

    /// A page of a customer's operations, newest first.
    pub async fn operations(
        &self,
        owner: UserId,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Operation>, Option<String>), Fault> {
        runtime::query(&self.store, &operations_of(owner, after, limit)).await
    }

    /// Any customer's account as far as it is known here, for an operator.
    pub async fn known_account(&self, account_id: AccountId) -> Result<Option<AccountState>, Fault> {
        let known: Option<Held<KnownAccount>> = runtime::get(&self.store, account_key(account_id)).await?;
        Ok(known.map(|held| held.record.0))
    }

    /// An account as far as it is known here. One that was opened a moment ago is waited for.
    async fn account(&self, account_id: AccountId) -> Result<Option<AccountState>, Fault> {
        let patience = patience_for(account_id.made_at(), self.sources.now());
        let load =
            || self.accounts.get_or_load(account_id, runtime::get(&self.store, account_key(account_id)));
        let known: Option<Held<KnownAccount>> = match load().await? {
            None if !patience.is_zero() => self.account_waiters.wait(account_id, patience, load).await?,
            known => known,
        };
        Ok(known.map(|held| held.record.0))
    }

    /// Takes in the newest state of an account, and lets those go on who wait for it.
    fn learn(&self, account: KnownAccount) {
        let (account_id, revision) = (account.0.account_id, account.revision());
        self.accounts.offer(account_id, Held { record: account, revision });
        self.account_waiters.wake(&account_id);
    }
}
