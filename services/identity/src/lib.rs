//! Identity: people sign up, confirm their address, sign in, refresh, sign out, and set a new password.
//!
//! The routes stand on the port [`ports::IdentityProvider`]. [`Identity`] is the bank itself as the keeper of its people;
//! another world may have a user pool in this part, and tokens of both look alike to the other services. It sends and
//! receives no messages: no other service hears anything of a person but the id in her tokens.
//!
//! - `http` has the routes, `problems` what refusals become there, `strength` the bank's rule on passwords: these hold in
//!   every world. All else is the bank's own keeping.
//! - `domain` has the rules, pure; `records` the layout of the tables `users` and `sessions`.
//! - `people` and `sessions` load, decide and commit; `provider` puts them behind the port.
//! - `passwords` are hashed with argon2id; `secrets` makes tokens and codes, and digests of them; `keys` sign the access
//!   tokens of `tokens`; `letters` bring codes; `workers` keep what takes a processor off the async threads.
//!
//! What a stranger can learn: whether an address is taken, by signing up with it, and nothing from any other
//! endpoint, neither by its answer nor by the time it takes. Absent on purpose: changing an address, deleting a
//! person, a second factor, and Idempotency-Keys, which belong to a person and there is none yet.
#![warn(missing_docs)]

mod domain;
mod http;
mod keys;
mod letters;
mod passwords;
mod people;
mod problems;
mod provider;
mod records;
mod secrets;
mod sessions;
mod strength;
mod tokens;
mod workers;

use std::sync::Arc;

use kernel::Email;
use ports::{Held, Mailer, Record, Sources, Store, Transaction};
use runtime::Fault;

pub use domain::OPERATORS;
pub use http::routes;
pub use keys::{Keys, KeysError};
pub use people::{Person, UnknownUser};
pub use problems::invalid_email;
pub use records::TABLES;
pub use tokens::{ACCESS_LIFETIME, Claims, Tokens, mint_operator_token};

use domain::{Attempts, Confirmation, Digest, User};
use letters::Post;
use passwords::Passwords;

/// What may differ from one bank to another.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `iss` of tokens: the bank's address.
    pub issuer: String,
    /// How many passwords are hashed at the same time, each with 19 MiB.
    pub hashes_at_once: usize,
    /// How many more may wait for that; beyond it the bank is busy.
    pub hashes_waiting_max: usize,
}

impl Settings {
    /// Settings for a small machine.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), hashes_at_once: 2, hashes_waiting_max: 64 }
    }
}

/// The identity service. Clones are the same service.
#[derive(Clone)]
pub struct Identity<S> {
    store: S,
    sources: Sources,
    tokens: Tokens,
    passwords: Passwords,
    post: Option<Post>,
}

impl<S: Store> Identity<S> {
    /// Puts the service together. Without a mailer people are confirmed at once, and no password can be reset.
    pub fn new(
        store: S,
        sources: Sources,
        settings: Settings,
        mailer: Option<Arc<dyn Mailer>>,
        keys: Keys,
    ) -> Self {
        let Settings { issuer, hashes_at_once, hashes_waiting_max } = settings;
        Self {
            store,
            tokens: Tokens::new(keys, &issuer, sources.clone()),
            passwords: Passwords::new(hashes_at_once, hashes_waiting_max),
            post: mailer.map(Post::new),
            sources,
        }
    }

    /// What verifies access tokens, for `web::authenticate`.
    pub fn verifier(&self) -> Tokens {
        self.tokens.clone()
    }

    fn confirmation(&self) -> Confirmation {
        if self.post.is_some() { Confirmation::ByCode } else { Confirmation::AtOnce }
    }

    fn transaction(&self) -> Transaction {
        Transaction::new(self.sources.fresh_id())
    }

    /// The person with this address.
    async fn user_by_email(&self, email: &Email) -> Result<Option<Held<User>>, Fault> {
        let address: Option<Held<records::Address>> =
            runtime::get(&self.store, records::address_key(email)).await?;
        match address {
            Some(address) => runtime::get(&self.store, records::user_key(address.record.user_id)).await,
            None => Ok(None),
        }
    }

    /// The failed tries for an address.
    async fn attempts(&self, address: &Digest) -> Result<Option<Held<Attempts>>, Fault> {
        runtime::get(&self.store, records::attempts_key(address)).await
    }
}

/// The record of what was held, if anything was.
fn record<R>(held: Option<&Held<R>>) -> Option<&R> {
    held.map(|held| &held.record)
}

/// Writes a record, over the one that was read if there was one.
fn write<R: Record>(transaction: &mut Transaction, held: Option<&Held<R>>, next: &R) -> Result<(), Fault> {
    match held {
        Some(held) => transaction.replace(held.revision, next)?,
        None => transaction.create(next)?,
    }
    Ok(())
}

/// Removes a record, if one was read.
fn remove<R: Record>(transaction: &mut Transaction, held: Option<&Held<R>>) -> Result<(), Fault> {
    if let Some(held) = held {
        transaction.delete(held.record.key(), held.revision)?;
    }
    Ok(())
}
