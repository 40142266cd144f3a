//! A deployment of its own for every test: the tables of the conformance suite under a prefix nobody else has, at the
//! endpoint that the environment names. Tables stay behind; the emulator goes with all of them.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::env;

use aws::Connection;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use kernel::Timestamp;
use ports::{Clock, Ids, Sources};
use uuid::Uuid;

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the tests' source of time")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap())
    }
}

/// Tokens of transactions belong to the whole account, so identifiers must be new in every test and every run.
struct RandomIds;

impl Ids for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "the tests' source of ids")]
    fn fresh(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// The time and fresh identifiers.
pub fn sources() -> Sources {
    Sources::new(SystemClock, RandomIds)
}

/// What the environment says, without which there is nothing to test against.
pub fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: these tests need a DynamoDB emulator, which `cargo xtask test` starts")
    })
}

/// A new deployment with the tables of the conformance suite.
pub async fn deployment() -> Connection {
    setting("AWS_ENDPOINT_URL");
    let connection = Connection::from_environment(format!("test-{}-", sources().fresh_id())).await;
    let client = Client::new(&connection.sdk);
    let outboxes = [conformance::THINGS_EVENTS, conformance::OTHERS_EVENTS];
    for table in conformance::tables().into_iter().chain(outboxes) {
        create_table(&client, &connection.name_of(table.0)).await;
    }
    connection
}

async fn create_table(client: &Client, name: &str) {
    let mut request = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, key_type) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let key = KeySchemaElement::builder().attribute_name(attribute).key_type(key_type);
        let definition =
            AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::S);
        request = request.key_schema(key.build().unwrap()).attribute_definitions(definition.build().unwrap());
    }
    request.send().await.unwrap();
}
