//! What the services need of the world they run in, and nothing of any world itself: traits and types only.
//!
//! - [`Store`]: one keyed, transactional store for every service, with the outbox inside its [`Transaction`].
//! - [`Consumer`] and [`Queues`]: messages in, at least once and in no order.
//! - [`Mailer`], [`Directory`]: letters to people, and where they live.
//! - [`Sources`]: the time and fresh identifiers.
//!
//! The contract is that of the weaker world. Absent on purpose: adds, counters, conditional expressions and
//! unconditional overwrites (rules belong to a service's `decide`), ordering between messages, and any way to
//! publish a message outside a transaction.
#![warn(missing_docs)]

mod mail;
mod messages;
mod sources;
mod store;
mod transaction;

pub use mail::{Answer, Directory, Letter, MailError, Mailer};
pub use messages::{
    Consumer, DeadLetter, Delivery, Envelope, Outcome, QueueDepth, Queues, Receipt, Received, Settled,
    Subscription, Verdict,
};
pub use sources::{Clock, Ids, Sources};
pub use store::{
    CommitError, Cursor, Held, Item, Key, Order, Page, Place, Range, Record, Revision, Store, Table,
    Unavailable,
};
pub use transaction::{
    Action, Expect, ITEM_BYTES_MAX, Limit, TRANSACTION_BYTES_MAX, TRANSACTION_ITEMS_MAX, Transaction, Write,
};
