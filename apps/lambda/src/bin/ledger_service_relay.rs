//! Sends what the ledger says to those who hear it.

use std::process::ExitCode;

use contracts::topology::Sender;
use lambda::run;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| function.relay(Sender::Ledger).await)
}
