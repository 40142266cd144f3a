//! What is particular to the embedded adapter: opening, group commit, the log on disk. What every adapter promises is
//! in the conformance suite.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

mod backups;
mod commits;
mod opening;
mod queues;
mod support;
