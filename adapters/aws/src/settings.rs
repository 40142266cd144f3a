//! Settings that operators change without a deployment: parameters of Systems Manager, read when they are first needed
//! and kept in the process for five minutes.
//!
//! A function that needs no setting reads none, and one that does reads it with the first work that asks for it: the
//! request costs some ten milliseconds, which no cold start should pay. What is known at deployment comes by the
//! environment instead.
//!
//! Absent on purpose: secrets, since the stack has none (its app client is public, all else is done by roles), and the
//! extension that caches parameters beside a function, which starts with it and takes longer than the one request.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::DisplayErrorContext;
use ports::Unavailable;

use crate::Connection;
use crate::kept::Kept;

/// How long a value is gone on with, and so how long a change takes to be seen.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// One parameter. Clones share what was read.
#[derive(Clone)]
pub struct Setting {
    client: Client,
    name: Arc<str>,
    value: Arc<Kept<Arc<str>>>,
}

impl Setting {
    /// The parameter of this name, such as `/bank-dev/mail_from`; nothing is sent yet.
    pub fn new(connection: &Connection, name: &str) -> Self {
        Self {
            client: Client::new(&connection.sdk),
            name: name.into(),
            value: Arc::new(Kept::new("setting", LIFETIME)),
        }
    }

    /// Its value, at most five minutes old unless Systems Manager does not answer.
    ///
    /// # Errors
    /// When it cannot be read, or there is no such parameter.
    pub async fn value(&self) -> Result<Arc<str>, Unavailable> {
        self.value.get(self.read()).await
    }

    async fn read(&self) -> Result<Arc<str>, Unavailable> {
        let unread =
            |cause: String| Unavailable(format!("the setting {} cannot be read: {cause}", self.name));
        let read = self.client.get_parameter().name(&*self.name).send().await;
        let read = read.map_err(|error| unread(DisplayErrorContext(error).to_string()))?;
        let value = read.parameter.and_then(|parameter| parameter.value);
        Ok(value.ok_or_else(|| unread("it has no value".to_owned()))?.into())
    }
}
