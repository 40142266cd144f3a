//! The routes of the query service, behind the gateway.

use std::process::ExitCode;

use lambda::run;
use query::Query;
use runtime::Caching;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let query = Query::new(function.store(), function.sources(), Caching::NONE);
        function.serve(query::routes(query)).await
    })
}
