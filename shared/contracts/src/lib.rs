//! Every command and event of the bank, a file a service, and the topology: who sends what to whom.
//!
//! The JSON of a message is a contract between services that are deployed apart. A message may gain fields that
//! have a default; anything else is a new version of it. `tests/wire.rs` holds every shape.
#![warn(missing_docs)]

pub mod accounts;
pub mod banking;
pub mod ledger;
mod message;
pub mod topology;

pub use message::{DecodeError, Kind, Message, VERSION};
