//! The accounts service hears whether the ledger closed an account.

use std::process::ExitCode;

use accounts::Accounts;
use lambda::run;
use runtime::{Caching, Policy};

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let accounts = Accounts::new(function.store(), function.sources(), Caching::NONE);
        function.consume(accounts.closings(), Policy::INSIDE).await
    })
}
