//! A request with an Idempotency-Key has its effect once, however often it is sent.
//!
//! The first answer is kept in the transaction of the effect itself, so there is no moment in which one is durable
//! and the other is not, and nothing can be left "in progress". Modelled on the IETF draft
//! `draft-ietf-httpapi-idempotency-key-header`: the same request gets the first answer, another request with the
//! same key is refused, and one that comes while the first is under way is told so.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::{Timestamp, UserId, hexadecimal};
use ports::{Held, Key, Limit, Record, Revision, Store, Table, Transaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{Caller, Fault, read};

/// How long a first answer is kept: a day, as long as clients of payment interfaces are used to.
const KEPT_FOR: Duration = Duration::from_hours(24);

/// An answer, and whether it is that of an earlier request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered<T> {
    /// The answer.
    pub answer: T,
    /// Whether the effect was made by an earlier request.
    pub is_replay: bool,
}

/// Why a request with a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OnceRefused {
    /// The key was used for another request.
    #[error("the Idempotency-Key was used for another request")]
    KeyReused,
    /// The first request with this key has not been answered yet.
    #[error("a request with this Idempotency-Key is under way")]
    InFlight,
}

/// The keys of the requests that this process is working on.
#[derive(Clone, Default)]
pub struct InFlight(Arc<Mutex<HashSet<(UserId, String)>>>);

/// Holds a key until it is dropped.
pub struct Flight {
    in_flight: InFlight,
    entry: Option<(UserId, String)>,
}

impl InFlight {
    /// Takes the caller's key, if she sent one, until the answer is dropped.
    ///
    /// # Errors
    /// [`OnceRefused::InFlight`] while another request of hers holds the key in this process. Between processes the
    /// store decides: one transaction creates the first answer, the others find it.
    pub fn enter(&self, caller: &Caller) -> Result<Flight, OnceRefused> {
        let entry = caller.idempotency_key.clone().map(|key| (caller.user_id, key));
        if let Some(entry) = &entry
            && !self.keys().insert(entry.clone())
        {
            return Err(OnceRefused::InFlight);
        }
        Ok(Flight { in_flight: self.clone(), entry })
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<(UserId, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(entry) = &self.entry {
            self.in_flight.keys().remove(entry);
        }
    }
}

/// The first answer to a request with a key; it lies beside the caller's other items in the service's own table.
#[derive(Serialize, Deserialize)]
struct FirstAnswer {
    #[serde(skip, default = "nowhere")]
    table: Table,
    user_id: UserId,
    idempotency_key: String,
    fingerprint: String,
    answer: Box<RawValue>,
    expires_at: Timestamp,
}

/// The table of an item that was read is known to its reader.
fn nowhere() -> Table {
    Table("")
}

fn key_of(table: Table, user_id: UserId, idempotency_key: &str) -> Key {
    Key::new(table, user_id.to_string(), format!("key#{idempotency_key}"))
}

impl Record for FirstAnswer {
    fn key(&self) -> Key {
        key_of(self.table, self.user_id, &self.idempotency_key)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// What is known of a request before it is decided.
pub enum Once<T> {
    /// It was answered before, like this.
    Replay(Answered<T>),
    /// It is new: the ticket keeps its answer.
    New(Ticket),
}

/// Keeps the answer of a new request; without a key there is nothing to keep.
pub struct Ticket(Option<NewAnswer>);

struct NewAnswer {
    keyed: Keyed,
    expires_at: Timestamp,
    /// The revision of an answer that expired and was not deleted yet.
    expired: Option<Revision>,
}

/// A request that was sent with a key.
struct Keyed {
    table: Table,
    user_id: UserId,
    idempotency_key: String,
    fingerprint: String,
}

impl<T: DeserializeOwned> Once<T> {
    /// Looks for the first answer to this request. `route` and `request` are what must be the same.
    pub async fn look<S, E>(
        store: &S,
        table: Table,
        caller: &Caller,
        (route, request): (&str, &impl Serialize),
        now: Timestamp,
    ) -> Result<Self, E>
    where
        S: Store,
        E: From<Fault> + From<OnceRefused>,
    {
        let Some(keyed) = Keyed::read(table, caller, (route, request))? else {
            return Ok(Self::New(Ticket(None)));
        };
        let held = read::get(store, keyed.key()).await?;
        Ok(Self::judge(keyed, held, now)??)
    }

    /// Takes this request to be new without a look. If it is not, the transaction that keeps its answer conflicts, and
    /// there is something to [`look`](Self::look) for.
    ///
    /// # Errors
    /// [`Fault::Internal`] if the request has no JSON form.
    pub fn unseen(
        table: Table,
        caller: &Caller,
        (route, request): (&str, &impl Serialize),
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let keyed = Keyed::read(table, caller, (route, request))?;
        Ok(Self::New(Ticket(keyed.map(|keyed| NewAnswer::new(keyed, now, None)))))
    }

    /// Looks for the first answers to many requests at once, each of which is told for itself. `route` is that of them all.
    pub async fn look_all<'a, S, R>(
        store: &S,
        table: Table,
        (route, requests): (&str, impl IntoIterator<Item = (&'a Caller, &'a R)>),
        now: Timestamp,
    ) -> Result<Vec<Result<Self, OnceRefused>>, Fault>
    where
        S: Store,
        R: Serialize + 'a,
    {
        let asked: Vec<Option<Keyed>> = requests
            .into_iter()
            .map(|(caller, request)| Keyed::read(table, caller, (route, request)))
            .collect::<Result<_, _>>()?;
        let keys: Vec<Key> = asked.iter().flatten().map(Keyed::key).collect();
        let mut held = read::get_many(store, &keys).await?.into_iter();
        let judged = asked.into_iter().map(|keyed| match keyed {
            Some(keyed) => Self::judge(keyed, held.next().flatten(), now),
            None => Ok(Ok(Self::New(Ticket(None)))),
        });
        judged.collect()
    }

    /// What the item under its key makes of a request.
    fn judge(
        keyed: Keyed,
        held: Option<Held<FirstAnswer>>,
        now: Timestamp,
    ) -> Result<Result<Self, OnceRefused>, Fault> {
        let mut expired = None;
        if let Some(Held { record, revision }) = held {
            if record.expires_at > now {
                if record.fingerprint != keyed.fingerprint {
                    return Ok(Err(OnceRefused::KeyReused));
                }
                let answer = serde_json::from_str(record.answer.get())
                    .map_err(|error| Fault::Internal(format!("a first answer is unreadable: {error}")))?;
                return Ok(Ok(Self::Replay(Answered { answer, is_replay: true })));
            }
            expired = Some(revision);
        }
        Ok(Ok(Self::New(Ticket(Some(NewAnswer::new(keyed, now, expired))))))
    }
}

impl NewAnswer {
    fn new(keyed: Keyed, now: Timestamp, expired: Option<Revision>) -> Self {
        Self { keyed, expires_at: now + KEPT_FOR, expired }
    }
}

impl Keyed {
    /// The request by its key, if it has one.
    fn read(
        table: Table,
        caller: &Caller,
        (route, request): (&str, &impl Serialize),
    ) -> Result<Option<Self>, Fault> {
        let Some(idempotency_key) = caller.idempotency_key.clone() else {
            return Ok(None);
        };
        let fingerprint = fingerprint(route, request)?;
        Ok(Some(Self { table, user_id: caller.user_id, idempotency_key, fingerprint }))
    }

    fn key(&self) -> Key {
        key_of(self.table, self.user_id, &self.idempotency_key)
    }
}

impl Ticket {
    /// Lets the transaction of the effect keep its answer too.
    ///
    /// # Errors
    /// When the transaction is full.
    pub fn keep<T: Serialize>(self, transaction: &mut Transaction, answer: &T) -> Result<(), Fault> {
        let Some(new) = self.0 else {
            return Ok(());
        };
        let answer =
            serde_json::value::to_raw_value(answer).map_err(|error| Fault::Internal(error.to_string()))?;
        let NewAnswer { keyed, expires_at, expired } = new;
        let Keyed { table, user_id, idempotency_key, fingerprint } = keyed;
        let first = FirstAnswer { table, user_id, idempotency_key, fingerprint, answer, expires_at };
        let written: Result<(), Limit> = match expired {
            Some(revision) => transaction.replace(revision, &first),
            None => transaction.create(&first),
        };
        Ok(written?)
    }
}

/// SHA-256 over the route and the request as this bank understood it, so that white space and the order of fields
/// make no difference.
fn fingerprint(route: &str, request: &impl Serialize) -> Result<String, Fault> {
    let request = serde_json::to_vec(request).map_err(|error| Fault::Internal(error.to_string()))?;
    let digest = Sha256::new().chain_update(route).chain_update([0]).chain_update(request).finalize();
    Ok(hexadecimal(&digest))
}
