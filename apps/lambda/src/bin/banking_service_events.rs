//! The banking service hears what became of operations and accounts.

use std::process::ExitCode;

use banking::Banking;
use lambda::{CACHED_NONE, run};
use runtime::Policy;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let banking = Banking::new(function.store(), function.sources(), CACHED_NONE);
        function.consume(banking.events(), Policy::INSIDE).await
    })
}
