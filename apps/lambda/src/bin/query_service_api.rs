//! The routes of the query service, behind the gateway.

use std::process::ExitCode;

use lambda::{CACHED_NONE, run};
use query::Query;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let query = Query::new(function.store(), function.sources(), CACHED_NONE);
        function.serve(query::routes(query)).await
    })
}
