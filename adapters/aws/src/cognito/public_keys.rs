//! The public keys of a user pool, which it publishes at a well-known address beside the API.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_http_client::default_connector;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use http_body_util::{BodyExt, Limited};
use ports::{Fault, IdentityError, PublicKey};
use serde::Deserialize;

use crate::kept::Kept;

/// How long the keys are gone on with. A pool's keys are replaced by months (Amazon Cognito, verifying JSON web tokens).
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long the connection, and then the answer, may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most bytes of the answer; two keys have some 900.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where the keys are, and those that were read.
pub struct PublicKeys {
    sdk: SdkConfig,
    address: String,
    keys: Kept<Vec<PublicKey>>,
}

/// A set of keys (RFC 7517, section 5), as far as it is of use here.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    n: String,
    e: String,
}

impl From<Key> for PublicKey {
    fn from(key: Key) -> Self {
        Self { key_id: key.kid, modulus: key.n, exponent: key.e }
    }
}

impl PublicKeys {
    /// The keys of a pool; nothing is sent yet.
    pub fn new(sdk: &SdkConfig, user_pool_id: &str) -> Self {
        let address = format!("{}/{user_pool_id}/.well-known/jwks.json", host(sdk, user_pool_id));
        Self { sdk: sdk.clone(), address, keys: Kept::new("public keys", LIFETIME) }
    }

    /// The keys.
    pub async fn get(&self) -> Result<Vec<PublicKey>, IdentityError> {
        Ok(self.keys.get(self.fetch()).await?)
    }

    async fn fetch(&self) -> Result<Vec<PublicKey>, Fault> {
        let unread =
            |cause: String| Fault::Unavailable(format!("the pool's public keys cannot be read: {cause}"));
        let settings =
            HttpConnectorSettings::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).build();
        let connector = default_connector(&settings, self.sdk.sleep_impl())
            .ok_or_else(|| Fault::Internal("the SDK was built without an HTTPS client".to_owned()))?;
        let request = HttpRequest::get(&self.address).map_err(|error| unread(error.to_string()))?;
        let answer = connector.call(request).await.map_err(|error| unread(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(unread(format!("status {}", answer.status().as_u16())));
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| unread(error.to_string()))?.to_bytes();
        let set: KeySet = serde_json::from_slice(&body).map_err(|error| unread(error.to_string()))?;
        Ok(set.keys.into_iter().map(PublicKey::from).collect())
    }
}

/// The host of the pool's region, which its id begins with; or that of an emulator.
fn host(sdk: &SdkConfig, user_pool_id: &str) -> String {
    match sdk.endpoint_url() {
        Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
        None => {
            let region = user_pool_id.split('_').next().unwrap_or_default();
            format!("https://cognito-idp.{region}.amazonaws.com")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_in_the_regions_well_known_place() {
        let keys = PublicKeys::new(&SdkConfig::builder().build(), "eu-west-1_Ab12cd3");
        let expected = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12cd3/.well-known/jwks.json";
        assert_eq!(keys.address, expected);
        let emulated = SdkConfig::builder().endpoint_url("http://127.0.0.1:4566/").build();
        let keys = PublicKeys::new(&emulated, "eu-west-1_Ab12cd3");
        assert_eq!(keys.address, "http://127.0.0.1:4566/eu-west-1_Ab12cd3/.well-known/jwks.json");
    }
}
