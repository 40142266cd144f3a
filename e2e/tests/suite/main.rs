//! The black-box suite: what a person, a script and an intruder see of a bank over HTTP, at `$API_URL`.
//!
//! Every test makes its own people, so tests run side by side and in any order, on a bank that already has
//! customers. The tests in [`local`] look at what only the one-process bank has; leave them out elsewhere.

mod accounts;
mod authorization;
mod bad_input;
mod batches;
mod conservation;
mod documents;
mod history;
mod idempotency;
mod identity;
mod inbox;
mod local;
mod operations;
mod tokens;
