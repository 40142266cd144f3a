//! An SQS for unit tests: it keeps every request, and answers for each entry of a batch by a rule.

use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::http::{HttpRequest, HttpResponse};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// What becomes of one entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Yes,
    /// SQS says that the sender is at fault.
    Never,
    /// SQS says that it is at fault itself.
    NotNow,
}

/// The fake. Clones share what was asked.
#[derive(Clone)]
pub(crate) struct FakeSqs {
    rule: fn(&str, &Value) -> Takes,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl fmt::Debug for FakeSqs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeSqs")
    }
}

impl FakeSqs {
    /// One that answers for the entries of each queue's batches by `rule`.
    pub fn new(rule: fn(&str, &Value) -> Takes) -> Self {
        Self { rule, asked: Arc::default() }
    }

    pub fn client(&self) -> Client {
        let connector = SharedHttpConnector::new(self.clone());
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()));
        Client::from_conf(config.build())
    }

    /// The batches for one queue: the entries of each.
    pub fn batches(&self, queue_url: &str) -> Vec<Vec<Value>> {
        let asked = self.asked.lock().unwrap();
        let to_queue = asked.iter().filter(|request| request["QueueUrl"] == queue_url);
        to_queue.map(|request| request["Entries"].as_array().unwrap().clone()).collect()
    }

    /// The bodies of all messages for one queue, in the order they were sent.
    pub fn bodies(&self, queue_url: &str) -> Vec<String> {
        let entries = self.batches(queue_url).into_iter().flatten();
        entries.map(|entry| entry["MessageBody"].as_str().unwrap().to_owned()).collect()
    }

    fn answer(&self, request: &HttpRequest) -> Value {
        let request: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let queue_url = request["QueueUrl"].as_str().unwrap();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in request["Entries"].as_array().unwrap() {
            let takes = (self.rule)(queue_url, entry);
            let id = &entry["Id"];
            if takes == Takes::Yes {
                successful.push(json!({ "Id": id, "MessageId": "m", "MD5OfMessageBody": "x" }));
            } else {
                failed.push(json!({ "Id": id, "SenderFault": takes == Takes::Never, "Code": "Told" }));
            }
        }
        self.asked.lock().unwrap().push(request);
        json!({ "Successful": successful, "Failed": failed })
    }
}

impl HttpConnector for FakeSqs {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = SdkBody::from(self.answer(&request).to_string());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
    }
}
