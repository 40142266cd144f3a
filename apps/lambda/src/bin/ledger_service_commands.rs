//! The ledger hears commands.

use std::process::ExitCode;

use lambda::run;
use ledger::Ledger;
use runtime::Policy;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let ledger = Ledger::new(function.store(), function.sources());
        function.consume(ledger.commands(), Policy::INSIDE).await
    })
}
