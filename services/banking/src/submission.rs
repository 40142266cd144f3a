//! Beginning operations, one or many: each is durable, with its command on the way to the ledger, when it is answered.
//!
//! Many are begun in one transaction, because that costs little more than one of them. They share nothing but that: one
//! that is refused is not in the transaction, and the others are as if they had come alone. At most [`TOGETHER_MAX`] fit.
//!
//! Absent on purpose: a batch that fails or succeeds as a whole, and an order among its operations.

use std::collections::{BTreeSet, HashMap};

use contracts::accounts::AccountState;
use futures::future::try_join_all;
use kernel::{AccountId, OperationId, Timestamp};
use ports::{Held, Key, Revision, Store, TRANSACTION_ITEMS_MAX, Transaction};
use runtime::{
    Answered, Caller, Decision, Fault, Flight, Once, OnceRefused, Ticket, decide_and_commit, envelope,
};

use crate::domain::{self, Accounts, Asked, Operation, Request, Status};
use crate::records::{KnownAccount, OPERATIONS, OPERATIONS_EVENTS, account_key, operation_key};
use crate::{Banking, Refusal};

/// The most operations that are begun in one transaction: each is an item and so is its first answer, and all of their
/// commands are one more.
pub const TOGETHER_MAX: usize = (TRANSACTION_ITEMS_MAX - 1) / 2;

/// What the keys of operations are for, by whatever route one was asked for.
const ROUTE: &str = "operation";

/// What became of each of many requests.
type Answers = Vec<Result<Answered<Operation>, Refusal>>;

impl<S: Store> Banking<S> {
    /// Begins an operation: durable, with its command on the way to the ledger, when this returns.
    ///
    /// # Errors
    /// Every [`Rejection`](domain::Rejection), a reused or busy key, and the faults of the store.
    pub async fn submit(&self, caller: &Caller, request: &Request) -> Result<Answered<Operation>, Refusal> {
        let _flight = self.in_flight.enter(caller)?;
        let mut is_thorough = false;
        let answered = decide_and_commit(&self.store, || {
            self.try_submit(caller, request, std::mem::replace(&mut is_thorough, true))
        })
        .await?;
        self.remember(begun(&answered));
        Ok(answered)
    }

    /// Begins up to [`TOGETHER_MAX`] operations, each for itself, and answers them in order.
    ///
    /// # Errors
    /// The faults of the store: then none was begun, or it is unknown which, and all may be asked for again by their keys.
    pub async fn submit_all(&self, asked: &[(Caller, Request)]) -> Result<Answers, Fault> {
        let flights: Vec<Result<Flight, OnceRefused>> =
            asked.iter().map(|(caller, _)| self.in_flight.enter(caller)).collect();
        let free: Vec<&(Caller, Request)> =
            asked.iter().zip(&flights).filter(|(_, flight)| flight.is_ok()).map(|(asked, _)| asked).collect();
        let mut is_thorough = false;
        let answers = decide_and_commit(&self.store, || {
            self.try_submit_all(&free, std::mem::replace(&mut is_thorough, true))
        })
        .await?;
        self.remember(answers.iter().flatten().filter_map(begun));
        let mut answers = answers.into_iter();
        let each = flights.iter().filter_map(|flight| match flight {
            Ok(_) => answers.next(),
            Err(refused) => Some(Err((*refused).into())),
        });
        Ok(each.collect())
    }

    /// The first try is not thorough: it takes the key to be new, as almost all are, and waits for no account. Where the
    /// key is not new the transaction conflicts, and nobody is refused before a second try that looks and waits.
    async fn try_submit(
        &self,
        caller: &Caller,
        request: &Request,
        is_thorough: bool,
    ) -> Result<Decision<Answered<Operation>>, Refusal> {
        let now = self.sources.now();
        let asked = (ROUTE, request);
        let once = if is_thorough {
            Once::look::<S, Refusal>(&self.store, OPERATIONS, caller, asked, now).await?
        } else {
            Once::unseen(OPERATIONS, caller, asked, now)?
        };
        let ticket = match once {
            Once::Replay(Answered { answer: operation_id, .. }) => {
                let stored = self.operation(caller.user_id, operation_id).await?;
                return Ok(Decision::Nothing(replayed(operation_id, stored)?));
            }
            Once::New(ticket) => ticket,
        };
        let own = self.account(request.movement.own_account(), is_thorough).await?;
        let payee = match request.movement.payee() {
            Some(account_id) => self.account(account_id, is_thorough).await?,
            None => None,
        };
        let accounts = Accounts { own: own.as_ref(), payee: payee.as_ref() };
        let mut transaction = Transaction::new(self.sources.fresh_id());
        match self.begin((caller, request), &accounts, now, ticket, &mut transaction) {
            Ok(answer) => Ok(Decision::Commit(transaction, answer)),
            Err(Refusal::Rejected(_)) if !is_thorough => Ok(Decision::Again),
            Err(refusal) => Err(refusal),
        }
    }

    /// The same for many: if any key is not new, or any request is refused, all keys are looked for.
    async fn try_submit_all(
        &self,
        asked: &[&(Caller, Request)],
        is_thorough: bool,
    ) -> Result<Decision<Answers>, Fault> {
        let now = self.sources.now();
        let found = if is_thorough {
            let requests = asked.iter().map(|(caller, request)| (caller, request));
            Once::look_all(&self.store, OPERATIONS, (ROUTE, requests), now).await?
        } else {
            let unseen = |(caller, request): &&(Caller, Request)| {
                Once::unseen(OPERATIONS, caller, (ROUTE, request), now).map(Ok)
            };
            asked.iter().map(unseen).collect::<Result<_, _>>()?
        };
        let (mut keys, mut account_ids) = (Vec::new(), BTreeSet::new());
        for ((caller, request), once) in asked.iter().zip(&found) {
            match once {
                Ok(Once::Replay(first)) => keys.push(operation_key(caller.user_id, first.answer)),
                Ok(Once::New(_)) => {
                    account_ids.insert(request.movement.own_account());
                    account_ids.extend(request.movement.payee());
                }
                Err(_) => {}
            }
        }
        let mut stored = runtime::get_many::<S, Operation>(&self.store, &keys).await?.into_iter();
        let known = self.accounts_of(account_ids, is_thorough).await?;

        let mut transaction = Transaction::new(self.sources.fresh_id());
        let mut answers = Vec::with_capacity(asked.len());
        for ((caller, request), once) in asked.iter().zip(found) {
            let answer = match once {
                Ok(Once::Replay(first)) => {
                    let stored = stored.next().flatten().map(|held| held.record);
                    Ok(replayed(first.answer, stored)?)
                }
                Ok(Once::New(ticket)) => {
                    let payee = request.movement.payee().and_then(|account_id| known.get(&account_id));
                    let accounts = Accounts { own: known.get(&request.movement.own_account()), payee };
                    self.begin((caller, request), &accounts, now, ticket, &mut transaction)
                }
                Err(refused) => Err(refused.into()),
            };
            match answer {
                Err(Refusal::Fault(fault)) => return Err(fault),
                Err(_) if !is_thorough => return Ok(Decision::Again),
                answer => answers.push(answer),
            }
        }
        Ok(if transaction.is_empty() {
            Decision::Nothing(answers)
        } else {
            Decision::Commit(transaction, answers)
        })
    }

    /// Decides, and has the transaction write what was decided: the operation, its command and its first answer. A refusal
    /// leaves the transaction as it was.
    fn begin(
        &self,
        (caller, request): (&Caller, &Request),
        accounts: &Accounts<'_>,
        now: Timestamp,
        ticket: Ticket,
        transaction: &mut Transaction,
    ) -> Result<Answered<Operation>, Refusal> {
        let asked =
            Asked { owner: caller.user_id, operation_id: OperationId::new(self.sources.fresh_id()), now };
        let (operation, command) = domain::begin(request, accounts, asked).map_err(Refusal::Rejected)?;
        transaction.create(&operation)?;
        let group = operation.movement.own_account().to_string();
        transaction.emit(OPERATIONS_EVENTS, envelope(&command, group, &caller.trace, now, &self.sources))?;
        ticket.keep(transaction, &operation.operation_id)?;
        Ok(Answered { answer: operation, is_replay: false })
    }

    /// The accounts with these identifiers, as far as they are known here: from the cache, or all the others in one read.
    /// If it `waits`, it does so for those that were opened a moment ago, side by side.
    async fn accounts_of(
        &self,
        account_ids: BTreeSet<AccountId>,
        waits: bool,
    ) -> Result<HashMap<AccountId, AccountState>, Fault> {
        let mut known = HashMap::with_capacity(account_ids.len());
        let mut unread = Vec::new();
        for account_id in account_ids {
            match self.accounts.get(&account_id) {
                Some(held) => drop(known.insert(account_id, held.record.0)),
                None => unread.push(account_id),
            }
        }
        let keys: Vec<Key> = unread.iter().map(|account_id| account_key(*account_id)).collect();
        let stored = runtime::get_many::<S, KnownAccount>(&self.store, &keys).await?;
        let mut absent = Vec::new();
        for (account_id, held) in unread.into_iter().zip(stored) {
            match held {
                Some(held) => {
                    self.accounts.offer(&account_id, Held { record: held.record.clone(), ..held });
                    known.insert(account_id, held.record.0);
                }
                None => absent.push(account_id),
            }
        }
        if !waits {
            return Ok(known);
        }
        let waited = try_join_all(absent.iter().map(|account_id| self.account(*account_id, true))).await?;
        known.extend(absent.into_iter().zip(waited).filter_map(|(id, state)| Some((id, state?))));
        Ok(known)
    }
}

/// The operation that was begun, if this is not the answer to an earlier request.
fn begun(answered: &Answered<Operation>) -> Option<Held<Operation>> {
    let record = answered.answer.clone();
    (!answered.is_replay).then_some(Held { record, revision: Revision::FIRST })
}

/// An operation as it was answered first: nothing of it ever changes but how and when it ended.
fn replayed(operation_id: OperationId, stored: Option<Operation>) -> Result<Answered<Operation>, Fault> {
    let operation = stored.ok_or_else(|| Fault::Internal(format!("operation {operation_id} is gone")))?;
    let answer = Operation { status: Status::Pending, concluded_at: None, ..operation };
    Ok(Answered { answer, is_replay: true })
}

#[cfg(test)]
#[path = "submission_tests.rs"]
mod tests;
