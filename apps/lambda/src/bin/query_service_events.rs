//! The query service hears what to project.

use std::process::ExitCode;

use lambda::run;
use query::Query;
use runtime::{Caching, Policy};

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let query = Query::new(function.store(), function.sources(), Caching::NONE);
        function.consume(query.events(), Policy::INSIDE).await
    })
}
