//! What every service does in the same way: load, decide, commit, and try again where another was first; answer a
//! repeated request as the first time; take messages by a delivery policy; wait for what is under way.
//!
//! Nothing here knows a service or a world: only the ports.
#![warn(missing_docs)]

mod batch;
mod cache;
mod commit;
mod comparison;
mod deliver;
mod fault;
mod once;
mod parts;
mod read;
mod trace;
mod traceparent;
mod waiters;

pub use batch::{Outcomes, Work, read_batch};
pub use cache::{Caching, RecordCache};
pub use commit::{Committed, Decision, commit, decide_and_commit};
pub use comparison::Comparison;
pub use deliver::{Policy, consume, deliver, judge};
pub use fault::Refusal;
pub use once::{Answered, Flight, InFlight, Once, OnceRefused, Ticket};
pub use parts::rounds;
pub use ports::Fault;
pub use read::{get, get_many, query, scan_all};
pub use trace::{Caller, Trace, envelope};
pub use traceparent::{SPANS, Traceparent};
pub use waiters::{Waiters, patience_for};
