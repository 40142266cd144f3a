//! The routes of the banking service, behind the gateway.

use std::process::ExitCode;
use std::time::Duration;

use banking::Banking;
use lambda::run;
use runtime::Caching;

/// What is kept of accounts, though another process hears what becomes of them: an account never changes its owner or its
/// currency, and that it was closed is for the ledger to judge in any case.
const ACCOUNTS: Caching = Caching { records: 1_000, believed_for: Duration::from_secs(10) };

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let banking = Banking::new(function.store(), function.sources(), ACCOUNTS, Caching::NONE);
        function.serve(banking::routes(banking)).await
    })
}
