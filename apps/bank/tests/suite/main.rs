//! The command line, driven as a person does: the real binary on directories of the test's own.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod audit;
mod commands;
mod crowd;
mod demo;
mod import;
mod mail;
mod mail_server;
mod operating;
mod secrecy;
mod support;
mod traces;
mod wire;
