//! What the HTTP of every service has in common, the same in one process and on Lambda.
//!
//! - [`finish`] puts the edge around a router: correlation id and trace, limits, measures, one line of log for a
//!   request, security headers, entity tags, and a problem for whatever goes wrong.
//! - [`authenticate`] reads bearer tokens; a gateway that has checked them already puts the [`Principal`] in itself.
//! - [`Signed`], [`Operator`], [`Traced`], [`Body`], [`PathId`], [`Params`] and [`Wait`] read a request; each refuses it
//!   with a [`Problem`] (RFC 9457).
//! - [`AmountText`], [`Listing`], [`Paging`], [`cursor`], [`answered`] and [`lines`] are the shapes on the wire.
//!
//! Bounds: a body of 64 KiB, one of 1 MiB where many things come at once, 30 seconds a request, a fixed number of requests in flight and of remembered tokens,
//! people and addresses. Absent on purpose: sessions, cookies, content negotiation, compression, and any
//! knowledge of a service or of the world it runs in.
#![warn(missing_docs)]

mod address;
mod amount;
mod answer;
mod authentication;
mod body;
pub mod cursor;
mod documented;
mod edge;
mod entity_tag;
mod extract;
mod headers;
mod limits;
mod listing;
mod measures;
mod passage;
mod principal;
mod problem;
mod settings;
mod share;
mod signed;
#[cfg(test)]
mod tests;
mod wrong;

pub use address::{InvalidNetwork, Network};
pub use amount::{AmountText, parse_currency};
pub use answer::{accepts_lines, answered, lines};
pub use authentication::{Verifier, authenticate};
pub use axum::http::StatusCode;
pub use body::{BATCH_BYTES_MAX, BATCHES, BODY_BYTES_MAX, Body, read_json};
pub use documented::{WriteHeaders, describe, problem_responses};
pub use edge::finish;
pub use extract::{Identifier, Params, PathId, WAIT_MAX, Wait};
pub use limits::RateLimits;
pub use listing::{LIMIT_DEFAULT, LIMIT_MAX, Listing, Page, Paging};
pub use passage::charge;
pub use principal::{OPERATORS, Principal, Refused};
pub use problem::{FieldError, Problem, not_found};
pub use settings::{BATCHES_MAX, HttpSettings, REQUESTS_MAX, WAITING_REQUESTS_MAX};
pub use share::{InvalidShare, Share};
pub use signed::{Operator, Signed, Traced, check_idempotency_key};

#[doc(hidden)]
pub use utoipa;
