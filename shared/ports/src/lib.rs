//! What the services need of the world they run in, and nothing of any world itself: traits and types only.
//!
//! - [`Store`]: one keyed, transactional store for every service, with the outbox inside its [`Transaction`].
//! - [`Consumer`] and [`Queues`]: messages in, at least once and in no order; [`QueueAdmin`] for the operator.
//! - [`IdentityProvider`]: who people are; [`Mailer`], [`Directory`]: letters to them, and where they live.
//! - [`Sources`]: the time and fresh identifiers.
//!
//! The contract is that of the weaker world. Absent on purpose: adds, counters, conditional expressions and
//! unconditional overwrites (rules belong to a service's `decide`), ordering between messages, and any way to
//! publish a message outside a transaction.
#![warn(missing_docs)]

mod fault;
mod mail;
mod messages;
mod people;
mod sources;
mod store;
mod transaction;

pub use fault::Fault;
pub use mail::{Answer, Directory, Letter, MailError, Mailer};
pub use messages::{
    Consumer, DeadLetter, Delivery, Envelope, Outcome, QueueAdmin, QueueDepth, Queues, Receipt, Received,
    Settled, Subscription, Verdict,
};
pub use people::{IdentityError, IdentityProvider, IdentityRejection, PublicKey, Secret, SignedIn};
pub use sources::{Clock, Ids, Sources};
pub use store::{
    CommitError, Cursor, Held, Item, Key, Order, Page, Place, Range, Record, Revision, Store, Table,
    Unavailable,
};
pub use transaction::{
    Action, Expect, ITEM_BYTES_MAX, Limit, PARTITION_BYTES_MAX, SORT_BYTES_MAX, TRANSACTION_BYTES_MAX,
    TRANSACTION_ITEMS_MAX, Transaction, Write,
};
