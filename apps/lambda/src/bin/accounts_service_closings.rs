//! The accounts service hears whether the ledger closed an account.

use std::process::ExitCode;

use accounts::Accounts;
use lambda::{CACHED_NONE, run};
use runtime::Policy;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let accounts = Accounts::new(function.store(), function.sources(), CACHED_NONE);
        function.consume(accounts.closings(), Policy::INSIDE).await
    })
}
