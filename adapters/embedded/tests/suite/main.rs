//! What is particular to the embedded adapter: opening, group commit, the log on disk. What every adapter promises is
//! in the conformance suite.

mod commits;
mod opening;
mod queues;
mod support;
