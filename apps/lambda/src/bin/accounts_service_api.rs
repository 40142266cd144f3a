//! The routes of the accounts service, behind the gateway.

use std::process::ExitCode;

use accounts::Accounts;
use lambda::run;
use runtime::Caching;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let accounts = Accounts::new(function.store(), function.sources(), Caching::NONE);
        function.serve(accounts::routes(accounts)).await
    })
}
