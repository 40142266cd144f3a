//! What the black-box tests share: a client that speaks plain HTTP to a bank, wherever it runs.
//!
//! - [`Api`], [`Call`], [`Answer`]: requests, and answers that say what was asked when they disappoint.
//! - [`Person`]: somebody with an email address, a password and a pair of tokens.
//! - [`wait_until`]: the only way to wait. It polls, and gives up after `E2E_PATIENCE_MS` (10 seconds by default).
//! - [`Setup`], [`Bank`]: a bank of the test's own, for the tests that kill it. Nothing else assumes that the bank is local.
//!
//! `$API_URL` says where the bank is. A test without one fails: it must not pass by doing nothing. Whoever runs the
//! suite starts the bank without rate limits, as a hundred tests come from one address.
//!
//! Absent on purpose: the bank's own types. A test that shares them would not notice when the wire changes.
#![warn(missing_docs)]

mod api;
mod bank;
mod money;
mod person;
mod wait;

pub use api::{Answer, Api, Call, INVENTED_ID, text};
pub use bank::{Bank, Process, Setup};
pub use money::{decimal, minor};
pub use person::{Operation, Person};
pub use wait::{patience, wait_until};
