//! The query service hears what to project.

use std::process::ExitCode;

use lambda::{CACHED_NONE, run};
use query::Query;
use runtime::Policy;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let query = Query::new(function.store(), function.sources(), CACHED_NONE);
        function.consume(query.events(), Policy::INSIDE).await
    })
}
