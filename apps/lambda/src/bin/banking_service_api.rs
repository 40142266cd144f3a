//! The routes of the banking service, behind the gateway.

use std::process::ExitCode;

use banking::Banking;
use lambda::{CACHED_NONE, run};

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let banking = Banking::new(function.store(), function.sources(), CACHED_NONE);
        function.serve(banking::routes(banking)).await
    })
}
