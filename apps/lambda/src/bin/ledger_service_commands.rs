//! The ledger hears commands.

use std::process::ExitCode;

use lambda::run;
use ledger::Ledger;
use runtime::{Caching, Policy};

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let ledger = Ledger::new(function.store(), function.sources(), Caching::NONE);
        function.consume(ledger.commands(), Policy::INSIDE).await
    })
}
