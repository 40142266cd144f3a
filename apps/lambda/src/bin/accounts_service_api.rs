//! The routes of the accounts service, behind the gateway.

use std::process::ExitCode;

use accounts::Accounts;
use lambda::{CACHED_NONE, run};

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let accounts = Accounts::new(function.store(), function.sources(), CACHED_NONE);
        function.serve(accounts::routes(accounts)).await
    })
}
