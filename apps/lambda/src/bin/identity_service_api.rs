//! The routes of the identity service, behind the gateway. People are in a Cognito user pool.

use std::process::ExitCode;
use std::sync::Arc;

use aws::Cognito;
use lambda::{parsed_setting, run, setting};

fn main() -> ExitCode {
    run(env!("CARGO_BIN_NAME"), async |function| {
        let user_pool_id = setting("USER_POOL_ID")?;
        let client_id = setting("USER_POOL_CLIENT_ID")?;
        let confirmation = parsed_setting("CONFIRMATION")?;
        let people = Cognito::new(function.connection(), &user_pool_id, &client_id, confirmation);
        function.serve(identity::routes(Arc::new(people))).await
    })
}
