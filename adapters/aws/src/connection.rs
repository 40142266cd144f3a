//! How a process reaches AWS: the credentials, region and endpoint of its environment, and the names of one
//! deployment's resources.
//!
//! All standard settings of the SDK are honoured, so that `AWS_ENDPOINT_URL` leads to an emulator. How often something
//! is tried, and how long it may take, is for each adapter to say: only it knows what may be sent twice.

use aws_config::SdkConfig;

/// A deployment, as a process reaches it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Credentials, region and endpoint.
    pub sdk: SdkConfig,
    /// What the names of the deployment's tables and queues begin with, such as `bank-dev-`.
    pub prefix: String,
}

impl Connection {
    /// The deployment whose resources' names begin with `prefix`, by the standard settings of the environment.
    pub async fn from_environment(prefix: impl Into<String>) -> Self {
        Self { sdk: aws_config::load_from_env().await, prefix: prefix.into() }
    }

    /// The name of a table or queue in this deployment.
    pub fn name_of(&self, resource: &str) -> String {
        format!("{}{resource}", self.prefix)
    }
}
