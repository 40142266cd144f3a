//! The bank on AWS without its triggers: the real functions and the emulator's tables and queues, between which this
//! carries records and messages in batches as large as it likes.
//!
//! What the triggers would be charged for is counted here: an invocation for each batch, and for each batch of messages
//! one request that receives and one that deletes it. Streams are read for nothing by Lambda (Amazon DynamoDB pricing).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::counter::{Counter, Message, Tally};
use crate::emulator::Emulator;
use crate::function::Function;
use crate::{Fault, Workspace};

/// What the names of tables and queues begin with.
pub(super) const PREFIX: &str = "counted-";

/// Every table, as template.yaml has them.
const TABLES: [&str; 12] = [
    "accounts",
    "accounts_events",
    "balances",
    "banking_accounts_projection",
    "ledger",
    "ledger_events",
    "notifications",
    "operations",
    "operations_events",
    "preferences",
    "query_accounts_projection",
    "transactions",
];

/// The tables with a stream, and who relays their messages.
const RELAYS: [(&str, &str); 5] = [
    ("accounts", "accounts_service_relay"),
    ("accounts_events", "accounts_service_relay"),
    ("operations", "banking_service_relay"),
    ("operations_events", "banking_service_relay"),
    ("ledger_events", "ledger_service_relay"),
];

/// The queues, and who takes their messages.
const CONSUMERS: [(&str, &str); 6] = [
    ("ledger_commands", "ledger_service_commands"),
    ("accounts_closings", "accounts_service_closings"),
    ("banking_events", "banking_service_events"),
    ("query_events", "query_service_events"),
    ("notifications_events", "notifications_service_events"),
    ("notifications_emails", "notifications_service_emails"),
];

/// The queue of what can never be sent.
const FAILURES: &str = "relay_failures";

/// A running bank.
pub(super) struct Bank {
    counter: Counter,
    emulator: String,
    binaries: PathBuf,
    log: PathBuf,
    settings: Vec<(String, String)>,
    queues: BTreeMap<&'static str, String>,
    functions: BTreeMap<&'static str, Function>,
    /// The transactions whose messages were relayed.
    relayed: BTreeSet<String>,
}

impl Bank {
    /// Makes the tables and queues. A function is started when there is something for it.
    pub(super) fn open(workspace: &Workspace, emulator: &Emulator) -> Result<Self, Fault> {
        let counter = Counter::start(&emulator.url)?;
        let mut settings: Vec<(String, String)> =
            emulator.settings().map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        settings.retain(|(name, _)| name != "AWS_ENDPOINT_URL");
        settings.extend([
            ("AWS_ENDPOINT_URL".to_owned(), counter.url.clone()),
            ("RESOURCE_PREFIX".to_owned(), PREFIX.to_owned()),
            ("CORS_ORIGINS".to_owned(), String::new()),
            ("USER_POOL_ID".to_owned(), "us-east-1_counted".to_owned()),
        ]);
        let mut bank = Self {
            counter,
            emulator: emulator.url.clone(),
            binaries: workspace.target.join("debug"),
            log: emulator.folder().join("functions.log"),
            settings,
            queues: BTreeMap::new(),
            functions: BTreeMap::new(),
            relayed: BTreeSet::new(),
        };
        for table in TABLES {
            bank.create_table(table)?;
        }
        for queue in CONSUMERS.map(|(queue, _)| queue).into_iter().chain([FAILURES]) {
            let answer =
                bank.ask("AmazonSQS.CreateQueue", &json!({"QueueName": format!("{PREFIX}{queue}")}))?;
            let url = answer["QueueUrl"].as_str().unwrap_or_default().to_owned();
            bank.settings.push((format!("QUEUE_URL_{}", queue.to_uppercase()), url.clone()));
            bank.queues.insert(queue, url);
        }
        let failures = bank.queues[FAILURES].clone();
        bank.settings.push(("FAILURE_QUEUE_URL".to_owned(), failures.clone()));
        bank.settings.push(("DEAD_LETTER_QUEUE_URL".to_owned(), failures));
        Ok(bank)
    }

    /// Sends a request through the gateway and answers its body.
    pub(super) fn request(&mut self, request: &Request<'_>) -> Result<Value, Fault> {
        let answer = self.invoke(request.function, &request.event())?;
        self.counter.tally().gateway_requests += 1;
        let is_done = answer["statusCode"].as_u64().is_some_and(|status| status < 300);
        let body = answer["body"].as_str().and_then(|body| serde_json::from_str(body).ok());
        body.filter(|_| is_done).ok_or_else(|| output(request.path, &answer))
    }

    /// Carries records and messages until nothing is left, this many at once.
    pub(super) fn settle(&mut self, batch_max: usize) -> Result<(), Fault> {
        loop {
            let mut is_idle = true;
            for (table, relay) in RELAYS {
                let records = self.new_records(table)?;
                for batch in records.chunks(batch_max) {
                    is_idle = false;
                    let answer = self.invoke(relay, &json!({"Records": batch}))?;
                    expect_no_failures(relay, &answer)?;
                }
            }
            for (queue, consumer) in CONSUMERS {
                while let Some(messages) = self.receive(queue, batch_max)? {
                    is_idle = false;
                    let answer = self.invoke(consumer, &json!({"Records": messages}))?;
                    expect_no_failures(consumer, &answer)?;
                    self.counter.tally().queue_requests += 2;
                }
            }
            if is_idle {
                return Ok(());
            }
        }
    }

    /// What was counted since the last time, the lines of the log included.
    pub(super) fn take_tally(&mut self) -> Result<Tally, Fault> {
        let log = fs::read(&self.log).map_err(Fault::file(&self.log))?;
        fs::write(&self.log, "").map_err(Fault::file(&self.log))?;
        let mut tally = self.counter.take();
        tally.log_bytes = log.len();
        tally.log_lines = log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        Ok(tally)
    }

    fn invoke(&mut self, name: &'static str, event: &Value) -> Result<Value, Fault> {
        if !self.functions.contains_key(name) {
            let mut settings = self.settings.clone();
            if let Some((queue, _)) = CONSUMERS.iter().find(|(_, consumer)| *consumer == name) {
                settings.push(("QUEUE_URL".to_owned(), self.queues[queue].clone()));
            }
            let function = Function::start(&self.binaries.join(name), &settings, &self.log)?;
            self.functions.insert(name, function);
        }
        let Some(function) = self.functions.get_mut(name) else { unreachable!("it was started above") };
        self.counter.tally().invocations += 1;
        let answer = function.handle(&event.to_string())?.body;
        serde_json::from_str(&answer).map_err(|_| output(name, &answer.into()))
    }

    /// The items of a table whose messages were not relayed yet, as its stream hands them over: they are named by their
    /// transaction in an outbox, and name it elsewhere.
    fn new_records(&mut self, table: &str) -> Result<Vec<Value>, Fault> {
        let answer = self.ask("DynamoDB_20120810.Scan", &json!({"TableName": format!("{PREFIX}{table}")}))?;
        let mut records = Vec::new();
        let items = answer["Items"].as_array().into_iter().flatten();
        for item in items.filter(|item| item.get("messages").is_some()) {
            let transaction_id = item["sent_by"]["S"].as_str().or(item["pk"]["S"].as_str());
            let transaction_id = transaction_id.unwrap_or_default().to_owned();
            if self.relayed.insert(transaction_id.clone()) {
                records.push(json!({
                    "eventID": transaction_id, "eventName": "INSERT", "eventVersion": "1.1",
                    "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
                    "eventSourceARN": format!("arn:aws:dynamodb:us-east-1:000000000000:table/{PREFIX}{table}/stream/1"),
                    "dynamodb": {
                        "ApproximateCreationDateTime": 1_795_341_600,
                        "Keys": {"pk": item["pk"], "sk": item["sk"]},
                        "NewImage": item,
                        "SequenceNumber": format!("{}", self.relayed.len()),
                        "SizeBytes": 1_000,
                        "StreamViewType": "NEW_IMAGE",
                    },
                }));
            }
        }
        Ok(records)
    }

    /// Takes messages out of a queue, as its poller hands them over.
    fn receive(&mut self, queue: &str, messages_max: usize) -> Result<Option<Vec<Value>>, Fault> {
        let url = self.queues[queue].clone();
        let wanted =
            json!({"QueueUrl": url, "MaxNumberOfMessages": messages_max.min(10), "WaitTimeSeconds": 0});
        let answer = self.ask("AmazonSQS.ReceiveMessage", &wanted)?;
        let mut messages = Vec::new();
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let receipt = &message["ReceiptHandle"];
            self.ask("AmazonSQS.DeleteMessage", &json!({"QueueUrl": url, "ReceiptHandle": receipt}))?;
            messages.push(json!({
                "messageId": message["MessageId"], "receiptHandle": receipt, "body": message["Body"],
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1795341600000"},
                "messageAttributes": {}, "md5OfBody": message["MD5OfBody"], "eventSource": "aws:sqs",
                "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{PREFIX}{queue}"), "awsRegion": "us-east-1",
            }));
        }
        Ok((!messages.is_empty()).then_some(messages))
    }

    fn create_table(&self, table: &str) -> Result<(), Fault> {
        let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
        let body = json!({
            "TableName": format!("{PREFIX}{table}"),
            "AttributeDefinitions": [attribute("pk"), attribute("sk")],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "BillingMode": "PAY_PER_REQUEST",
        });
        self.ask("DynamoDB_20120810.CreateTable", &body).map(drop)
    }

    /// Asks the emulator itself, so that nothing is counted.
    fn ask(&self, target: &str, body: &Value) -> Result<Value, Fault> {
        let service = if target.starts_with("AmazonSQS.") { "sqs" } else { "dynamodb" };
        let address = self.emulator.trim_start_matches("http://");
        let request = Message::request(
            &[
                ("host", address),
                ("content-type", "application/x-amz-json-1.0"),
                ("x-amz-target", target),
                (
                    "authorization",
                    &format!(
                        "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/{service}/aws4_request, \
                         SignedHeaders=host, Signature=0"
                    ),
                ),
            ],
            &body.to_string(),
        );
        let answer = request.exchange(address).ok_or_else(|| output(target, &"there is no answer".into()))?;
        serde_json::from_slice(&answer.body).map_err(|_| output(target, &"the answer is no JSON".into()))
    }
}

/// A request of a customer.
pub(super) struct Request<'a> {
    pub(super) function: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) user_id: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: Option<Value>,
}

impl Request<'_> {
    /// The event that the gateway makes of it.
    fn event(&self) -> Value {
        let many = |pairs: &[(&str, &str)]| -> Value {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!([value])))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let mut headers = vec![("Content-Type", "application/json"), ("Authorization", "Bearer e30.e30.e30")];
        headers.extend(self.headers);
        json!({
            "resource": self.path, "path": self.path, "httpMethod": self.method,
            "multiValueHeaders": many(&headers),
            "multiValueQueryStringParameters": many(self.query),
            "requestContext": {
                "authorizer": {"claims": {
                    "sub": self.user_id, "token_use": "access", "scope": "aws.cognito.signin.user.admin",
                }},
            },
            "body": self.body.as_ref().map(Value::to_string),
            "isBase64Encoded": false,
        })
    }
}

fn expect_no_failures(function: &str, answer: &Value) -> Result<(), Fault> {
    let is_empty = answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty);
    if is_empty { Ok(()) } else { Err(output(function, answer)) }
}

fn output(command: &str, answer: &Value) -> Fault {
    Fault::Output { command: command.to_owned(), reason: answer.to_string() }
}
