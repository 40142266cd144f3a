//! A user pool as the directory of people's addresses.

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_cognitoidentityprovider::types::AttributeType;
use kernel::UserId;
use ports::{Answer, Directory, Unavailable};

use super::{EMAIL, EMAIL_VERIFIED, client};
use crate::Connection;

/// The addresses of a pool's people. It is apart from [`Cognito`](crate::Cognito), since who writes letters neither
/// signs anybody in nor knows the app client.
pub struct CognitoDirectory {
    client: Client,
    user_pool_id: String,
}

impl CognitoDirectory {
    /// The directory of a pool; nothing is sent yet.
    pub fn new(connection: &Connection, user_pool_id: &str) -> Self {
        Self { client: client(connection), user_pool_id: user_pool_id.to_owned() }
    }

    async fn look_up(&self, user_id: UserId) -> Result<Option<String>, Unavailable> {
        let request = self.client.admin_get_user().user_pool_id(&self.user_pool_id);
        match request.username(user_id.to_string()).send().await {
            Ok(user) => Ok(confirmed_address(&user.user_attributes.unwrap_or_default())),
            Err(error) if error.code() == Some("UserNotFoundException") => Ok(None),
            Err(error) => {
                Err(Unavailable(format!("the user pool does not answer: {}", DisplayErrorContext(error))))
            }
        }
    }
}

/// The address among a person's attributes, if she has shown that it is hers.
fn confirmed_address(attributes: &[AttributeType]) -> Option<String> {
    let value_of =
        |name| attributes.iter().find(|attribute| attribute.name() == name).and_then(AttributeType::value);
    if value_of(EMAIL_VERIFIED) != Some("true") {
        return None;
    }
    value_of(EMAIL).map(str::to_owned)
}

impl Directory for CognitoDirectory {
    fn email_address(&self, user_id: UserId) -> Answer<'_, Result<Option<String>, Unavailable>> {
        Box::pin(self.look_up(user_id))
    }
}
