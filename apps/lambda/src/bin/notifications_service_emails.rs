//! The notifications service hears what to write letters about. Where no sender is set up there are none.

use std::process::ExitCode;
use std::sync::Arc;

use aws::{CognitoDirectory, SesMailer, Setting};
use lambda::{optional_setting, run, setting};
use notifications::{Letters, Notifications};
use runtime::Policy;

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let connection = function.connection();
        let letters = match optional_setting("MAIL_FROM_PARAMETER") {
            None => None,
            Some(sender) => Some(Letters {
                mailer: Arc::new(SesMailer::new(connection, Setting::new(connection, &sender))),
                directory: Arc::new(CognitoDirectory::new(connection, &setting("USER_POOL_ID")?)),
            }),
        };
        let notifications = Notifications::new(function.store(), function.sources(), letters);
        function.consume(notifications.emails(), Policy::OUTSIDE).await
    })
}
