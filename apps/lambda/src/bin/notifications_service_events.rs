//! The notifications service hears what to tell people in their inboxes.

use std::process::ExitCode;

use lambda::run;
use notifications::Notifications;
use runtime::Policy;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let notifications = Notifications::new(function.store(), function.sources(), None);
        function.consume(notifications.events(), Policy::INSIDE).await
    })
}
