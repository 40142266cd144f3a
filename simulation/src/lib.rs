//! The simulation: the bank as it is delivered, in one thread and in a time of its own, in the worst of all worlds.
//!
//! A seed stands for a run. It draws who the customers are and what they ask, and what goes wrong: messages come twice,
//! late and in another order, the store conflicts, is busy, does not answer or does not say whether it wrote, consumers and
//! the whole process die between any two steps, somebody sends poison, and the clock is moved. Then everything is mended,
//! the bank comes to rest, and an [`auditor`] that shares no code with it reads all that was left behind.
//!
//! The services, their routes, the runtime and its delivery policy are those of the bank; the store and its queues are
//! those of `memory`. Nothing in a run knows the real time, real chance, or another thread, so the same seed is the
//! same run to the last byte. Absent on purpose: sockets, tokens, disks, and anything that only a real machine can do
//! wrong; the crash tests have those.

pub mod auditor;
mod counter;
mod customer;
mod dice;
mod mail;
mod mishaps;
mod plan;
pub mod record;
mod run;
mod town;
mod world;

pub use run::{Ended, run};
