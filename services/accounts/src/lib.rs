//! Accounts: what customers own, from the opening to the closing.
//!
//! An account and the event that tells of it are written in one transaction. Closing is free of races: the account is
//! CLOSING until the ledger, which alone knows whether it is empty, answers that very request. There is no limit to the
//! number of a customer's accounts, because counting them would need an item that every opening writes.

mod consumers;
pub mod domain;
mod http;
mod problems;
pub mod records;

use std::time::Duration;

use contracts::Message;
use kernel::{AccountId, OperationId, UserId};
use ports::{Held, Place, Sources, Store, Transaction};
use runtime::{
    Answered, Caching, Caller, Decision, Fault, InFlight, Once, RecordCache, Waiters, decide_and_commit,
    envelope,
};

pub use consumers::Closings;
use domain::{Account, Asked, Rejection, Request};
pub use http::routes;
use records::{ACCOUNTS, ACCOUNTS_EVENTS, account_key, accounts_of, held};

/// How many items a rebuild reads at once.
const PAGE_ITEMS: usize = 1_000;

/// Why the accounts service did not do what was asked.
pub type Refusal = runtime::Refusal<Rejection>;

/// The accounts service of one world. Clones are the same service.
#[derive(Clone)]
pub struct Accounts<S> {
    store: S,
    sources: Sources,
    in_flight: InFlight,
    cache: RecordCache<(UserId, AccountId), Account>,
    waiters: Waiters<AccountId>,
}

impl<S: Store> Accounts<S> {
    /// `caching` is [`Caching::NONE`] where this process does not hear the events that keep a cache true.
    pub fn new(store: S, sources: Sources, caching: Caching) -> Self {
        Self {
            store,
            sources,
            in_flight: InFlight::default(),
            cache: RecordCache::new("accounts", caching),
            waiters: Waiters::default(),
        }
    }

    /// The consumer of the ledger's answers to requests to close.
    pub fn closings(&self) -> Closings<S> {
        Closings(self.clone())
    }

    /// Opens an account: durable, with its event on the way to the others, when this returns.
    ///
    /// # Errors
    /// [`Rejection::InvalidName`], a reused or busy key, and the faults of the store.
    pub async fn open(&self, caller: &Caller, request: &Request) -> Result<Answered<Account>, Refusal> {
        let _flight = self.in_flight.enter(caller)?;
        let answered = decide_and_commit(&self.store, || self.try_open(caller, request)).await?;
        Ok(self.learn_first(answered))
    }

    async fn try_open(
        &self,
        caller: &Caller,
        request: &Request,
    ) -> Result<Decision<Answered<Account>>, Refusal> {
        let now = self.sources.now();
        let look = Once::look::<S, Refusal>(&self.store, ACCOUNTS, caller, ("open", request), now);
        let ticket = match look.await? {
            Once::Replay(answered) => return Ok(Decision::Nothing(answered)),
            Once::New(ticket) => ticket,
        };
        let account_id = AccountId::new(self.sources.fresh_id());
        let asked = Asked { owner: caller.user_id, account_id, now };
        let (account, event) = domain::open(request, asked).map_err(Refusal::Rejected)?;
        let mut transaction = Transaction::new(self.sources.fresh_id());
        transaction.create(&account)?;
        let group = account_id.to_string();
        transaction.emit(ACCOUNTS_EVENTS, envelope(&event, group, &caller.trace, now, &self.sources))?;
        ticket.keep(&mut transaction, &account)?;
        Ok(Decision::Commit(transaction, Answered { answer: account, is_replay: false }))
    }

    /// Begins to close an account: durable, with its command on the way to the ledger, when this returns.
    ///
    /// # Errors
    /// [`Rejection::AccountNotFound`], also for another's account; [`Rejection::AccountNotOpen`]; a reused or busy key,
    /// and the faults of the store.
    pub async fn close(&self, caller: &Caller, account_id: AccountId) -> Result<Answered<Account>, Refusal> {
        let _flight = self.in_flight.enter(caller)?;
        let answered = decide_and_commit(&self.store, || self.try_close(caller, account_id)).await?;
        Ok(self.learn_first(answered))
    }

    async fn try_close(
        &self,
        caller: &Caller,
        account_id: AccountId,
    ) -> Result<Decision<Answered<Account>>, Refusal> {
        let now = self.sources.now();
        let look = Once::look::<S, Refusal>(&self.store, ACCOUNTS, caller, ("close", &account_id), now);
        let ticket = match look.await? {
            Once::Replay(answered) => return Ok(Decision::Nothing(answered)),
            Once::New(ticket) => ticket,
        };
        // Read from the store itself: what is decided here is written over the revision that was read.
        let stored: Option<Held<Account>> =
            runtime::get(&self.store, account_key(caller.user_id, account_id)).await?;
        let operation_id = OperationId::new(self.sources.fresh_id());
        let account = stored.as_ref().map(|held| &held.record);
        let (account, command) = domain::close(account, operation_id).map_err(Refusal::Rejected)?;
        let mut transaction = Transaction::new(self.sources.fresh_id());
        if let Some(held) = &stored {
            transaction.replace(held.revision, &account)?;
        }
        let group = account_id.to_string();
        transaction.emit(ACCOUNTS_EVENTS, envelope(&command, group, &caller.trace, now, &self.sources))?;
        ticket.keep(&mut transaction, &account)?;
        Ok(Decision::Commit(transaction, Answered { answer: account, is_replay: false }))
    }

    /// The account once the ledger has answered the request to close that it waits for, or as it is when `patience`
    /// is at its end.
    pub async fn concluded(&self, account: Account, patience: Duration) -> Result<Account, Fault> {
        let Account { owner, account_id, .. } = account;
        let waiting = &account;
        let look = || async move {
            let found = self.account(owner, account_id).await?;
            Ok::<_, Fault>(found.filter(|found| !found.waits_as(waiting)))
        };
        let concluded = self.waiters.wait(account_id, patience, look).await?;
        Ok(concluded.unwrap_or(account))
    }

    /// One of a customer's accounts. Another's is as unknown as one that does not exist.
    pub async fn account(&self, owner: UserId, account_id: AccountId) -> Result<Option<Account>, Fault> {
        let load = runtime::get(&self.store, account_key(owner, account_id));
        Ok(self.cache.get_or_load((owner, account_id), load).await?.map(|held| held.record))
    }

    /// A page of a customer's accounts, oldest first.
    pub async fn accounts(
        &self,
        owner: UserId,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Account>, Option<String>), Fault> {
        runtime::query(&self.store, &accounts_of(owner, after, limit)).await
    }

    /// One page of the events that the others heard, made again from the accounts, for the rebuilding of projections;
    /// and where the next page begins.
    pub async fn events(&self, after: Option<&Place>) -> Result<(Vec<Message>, Option<Place>), Fault> {
        let page = self.store.scan(ACCOUNTS, after, PAGE_ITEMS).await?;
        let mut events = Vec::new();
        for item in &page.items {
            events.extend(records::read(item)?.iter().flat_map(domain::events));
        }
        Ok((events, page.next))
    }

    fn learn_first(&self, answered: Answered<Account>) -> Answered<Account> {
        // What a repeated request is answered is the account as it was then.
        if !answered.is_replay {
            self.learn(answered.answer.clone());
        }
        answered
    }

    /// Takes in what was just written, and lets those go on who wait for it.
    fn learn(&self, account: Account) {
        let (owner, account_id) = (account.owner, account.account_id);
        self.cache.offer(&(owner, account_id), held(account));
        self.waiters.wake(&account_id);
    }
}
