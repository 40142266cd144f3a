//! What the functions are handed, as the gateway, a stream and a queue's poller word it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::Fault;

/// What the names of the tables begin with.
pub(super) const PREFIX: &str = "measured-";

/// The tables that a deposit is written to, up to the ledger's verdict.
pub(super) const TABLES: [&str; 5] =
    ["banking_accounts_projection", "operations", "operations_events", "ledger", "ledger_events"];

/// The owner of the account, and the account.
const ADA: &str = "01890a5d-ac96-774b-bcce-b302099a8004";
const ACCOUNT: &str = "01890a5d-ac96-774b-bcce-b302099a8002";

/// An event, and what is to become of it.
pub(super) struct Exchange {
    pub(super) name: &'static str,
    /// The function it is for, or how the names of those functions end.
    pub(super) function: &'static str,
    /// What has to be handled before, once.
    pub(super) before: Option<&'static Exchange>,
    event: fn(u64) -> Value,
    /// What is in the right answer.
    pub(super) answer: &'static str,
}

const EMPTY_BATCH: Exchange = Exchange {
    name: "empty batch",
    function: "",
    before: None,
    event: |_| json!({"Records": []}),
    answer: r#""batchItemFailures":[]"#,
};

/// What each function can be handed without a store; the first that fits its name.
pub(super) const WITHOUT_STORE: &[Exchange] = &[
    Exchange {
        name: "GET of no route",
        function: "_api",
        before: None,
        event: |_| request("GET", "/nowhere", None),
        answer: r#""statusCode":404"#,
    },
    EMPTY_BATCH,
];

/// A deposit on its way, with the store.
pub(super) const DEPOSIT: &[Exchange] = &[
    Exchange {
        name: "deposit",
        function: "banking_service_api",
        before: Some(&ACCOUNT_OPENED),
        event: |_| {
            let body = json!({"account_id": ACCOUNT, "amount": "12.50"});
            request("POST", "/deposit", Some(&body))
        },
        answer: r#""statusCode":200"#,
    },
    Exchange {
        name: "deposit",
        function: "ledger_service_commands",
        before: None,
        event: |number| {
            let operation_id = identifier(number);
            let amount = json!({"amount": "12.50", "currency": "EUR"});
            let body =
                json!({"operation_id": operation_id, "account_id": ACCOUNT, "owner": ADA, "amount": amount});
            delivery("DEPOSIT_CMD", number, &body)
        },
        answer: EMPTY_BATCH.answer,
    },
];

const ACCOUNT_OPENED: Exchange = Exchange {
    name: "account opened",
    function: "banking_service_events",
    before: None,
    event: |number| {
        let body = json!({
            "account_id": ACCOUNT, "owner": ADA, "name": "Everyday", "currency": "EUR", "status": "OPEN",
            "revision": 1, "created_at": "2026-11-22T10:00:00.000Z",
        });
        delivery("CREATE_ACCOUNT_EVENT", number, &body)
    },
    answer: EMPTY_BATCH.answer,
};

/// Makes events that differ, so that none is taken for another again.
#[derive(Default)]
pub(super) struct Event(u64);

impl Event {
    pub(super) fn next(&mut self, exchange: &Exchange) -> String {
        self.0 += 1;
        (exchange.event)(self.0).to_string()
    }
}

/// A UUID of version 7 that ends with the number.
fn identifier(number: u64) -> String {
    format!("01890a5d-ac96-774b-bcce-{number:012}")
}

/// A request of Ada, as the gateway hands it over. What the bank does not read is there as well: a function has to read
/// past it.
fn request(method: &str, path: &str, body: Option<&Value>) -> Value {
    let headers = [
        ("Accept", "application/json"),
        ("Authorization", "Bearer eyJraWQiOiJtZWFzdXJlZCIsImFsZyI6IlJTMjU2In0.e30.c2lnbmF0dXJl"),
        ("Content-Type", "application/json"),
        ("Host", "api.example.com"),
        ("User-Agent", "measured/1.0"),
        ("X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
    ];
    let single: serde_json::Map<_, _> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let multiple: serde_json::Map<_, _> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
    json!({
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": single,
        "multiValueHeaders": multiple,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "resourceId": "abc123",
            "resourcePath": path,
            "httpMethod": method,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "accountId": "000000000000",
            "apiId": "abcdef1234",
            "stage": "dev",
            "identity": {"sourceIp": "203.0.113.9", "userAgent": "measured/1.0"},
            "authorizer": {"claims": {"sub": ADA, "token_use": "access", "scope": "aws.cognito.signin.user.admin"}},
        },
        "body": body.map(Value::to_string),
        "isBase64Encoded": false,
    })
}

/// One message, as the queue's poller hands it over.
fn delivery(kind: &str, number: u64, body: &Value) -> Value {
    let envelope = json!({
        "message_id": identifier(number),
        "kind": kind,
        "version": 1,
        "group": ACCOUNT,
        "correlation_id": "measured",
        "traceparent": "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-00",
        "occurred_at": "2026-11-22T10:00:00.000Z",
        "body": body,
    });
    json!({"Records": [{
        "messageId": identifier(number),
        "receiptHandle": "measured",
        "body": envelope.to_string(),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1795341600000",
            "SenderId": "measured",
            "ApproximateFirstReceiveTimestamp": "1795341600001",
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:measured",
        "awsRegion": "us-east-1",
    }]})
}

/// Makes a table as the template does. One request is no reason for a library.
pub(super) fn create_table(url: &str, table: &str) -> Result<(), Fault> {
    let address = url.trim_start_matches("http://");
    let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let body = json!({
        "TableName": format!("{PREFIX}{table}"),
        "AttributeDefinitions": [attribute("pk"), attribute("sk")],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "BillingMode": "PAY_PER_REQUEST",
    })
    .to_string();
    let ask = || -> std::io::Result<String> {
        let mut connection = TcpStream::connect(address)?;
        write!(
            connection,
            "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\
             content-type: application/x-amz-json-1.0\r\nx-amz-target: DynamoDB_20120810.CreateTable\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(Fault::file("the emulator"))?;
    if answer.starts_with("HTTP/1.1 200") {
        Ok(())
    } else {
        Err(Fault::Output { command: "CreateTable".to_owned(), reason: answer })
    }
}
