//! The whole bank in process, asked over HTTP as its customers ask: every service, on a fresh data directory.
//!
//! - `operations` is the table of all operations: who may ask, and what the ids in a request name.
//! - `document` holds the OpenAPI document, as it is served, against the table and against itself. So an endpoint
//!   without a row fails here, and so does a row without an endpoint.
//! - `authorization` and `idempotency` ask every operation of the table what its row promises.
//! - `troubled` asks a bank some of whose consumers fail.
//! - `operators` asks what operators are told of people, the books and the flow.
//! - `flow` takes money through the bank once; `documentation` reads what a browser is given at `/docs`.
//!
//! Whatever is asked, `bank` compares the answer with the document, status and members: what is not documented fails.
//! Absent on purpose: sockets, the command line, crashes and load, which the end-to-end suite has.

mod authorization;
pub mod bank;
mod document;
mod documentation;
mod flow;
mod idempotency;
mod operations;
mod operators;
mod schema;
mod tokens;
mod troubled;
