//! The banking service hears what became of operations and accounts.

use std::process::ExitCode;

use banking::Banking;
use lambda::run;
use runtime::{Caching, Policy};

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let banking = Banking::new(function.store(), function.sources(), Caching::NONE, Caching::NONE);
        function.consume(banking.events(), Policy::INSIDE).await
    })
}
