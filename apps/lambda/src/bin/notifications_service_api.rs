//! The routes of the notifications service, behind the gateway.

use std::process::ExitCode;

use lambda::run;
use notifications::Notifications;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let notifications = Notifications::new(function.store(), function.sources(), None);
        function.serve(notifications::routes(notifications)).await
    })
}
