//! What lies behind the API of a deployed bank: the functions' policies, and what becomes of a message that cannot be
//! read. They run against an emulator that enforces policies, with the bank deployed as the stage `dev`.
//!
//! - `$AWS_ENDPOINT_URL` and the other settings of AWS say where, with credentials that may do everything.
//! - `$BANK_BINARY` is the bank's command line with its feature `aws`.
//!
//! A test without them fails: it must not pass by doing nothing.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use contracts::topology::consumers::LEDGER_COMMANDS;
use serde_json::Value;

const STAGE: &str = "dev";
const PREFIX: &str = "bank-dev-";

/// How long a message may take from a queue to the dead letters, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The functions, and the tables that each writes to. Whoever has an outbox's relay only reads it, as a stream.
const WRITERS: [(&str, &[&str]); 14] = [
    ("accounts_service_api", &["accounts", "accounts_events"]),
    ("accounts_service_closings", &["accounts", "accounts_events"]),
    ("accounts_service_relay", &[]),
    ("banking_service_api", &["operations", "operations_events"]),
    ("banking_service_events", &["operations", "banking_accounts_projection"]),
    ("banking_service_relay", &[]),
    ("identity_service_api", &[]),
    ("ledger_service_commands", &["ledger", "ledger_events"]),
    ("ledger_service_relay", &[]),
    ("notifications_service_api", &["notifications", "preferences"]),
    ("notifications_service_emails", &[]),
    ("notifications_service_events", &["notifications"]),
    ("query_service_api", &[]),
    ("query_service_events", &["transactions", "balances", "query_accounts_projection"]),
];

fn setting(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{name} is not set: `cargo xtask test` deploys the bank into an emulator and sets it"),
    }
}

/// The role of a deployed function. The emulator does not check the signature of the account's own key.
fn role_of(function: &str) -> String {
    let endpoint = setting("AWS_ENDPOINT_URL");
    let scope = format!("{}/20260101/us-east-1/lambda/aws4_request", setting("AWS_ACCESS_KEY_ID"));
    let mut answer = ureq::get(format!("{endpoint}/2015-03-31/functions/{PREFIX}{function}/configuration"))
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        )
        .call()
        .unwrap();
    let configuration: Value = answer.body_mut().read_json().unwrap();
    configuration["Role"].as_str().expect("a function has a role").to_owned()
}

/// A store as the function reaches it.
async fn store_of(account: &SdkConfig, function: &str) -> aws_sdk_dynamodb::Client {
    let role = AssumeRoleProvider::builder(role_of(function)).session_name(function).configure(account);
    let credentials = aws_sdk_dynamodb::config::SharedCredentialsProvider::new(role.build().await);
    aws_sdk_dynamodb::Client::new(&account.clone().into_builder().credentials_provider(credentials).build())
}

/// Whether the function may write to the table. The write would replace an item that is not there, so it changes
/// nothing.
async fn may_write(store: &aws_sdk_dynamodb::Client, table: &str) -> bool {
    let nowhere = || AttributeValue::S("no such item".to_owned());
    let put = store.put_item().table_name(format!("{PREFIX}{table}"));
    let put = put.item("pk", nowhere()).item("sk", nowhere()).condition_expression("attribute_exists(pk)");
    let error = put.send().await.expect_err("the item is not there").into_service_error();
    match error.code() {
        Some("ConditionalCheckFailedException") => true,
        Some("AccessDeniedException") => false,
        code => panic!("{table}: {code:?}: {error}"),
    }
}

#[tokio::test]
async fn a_write_outside_a_functions_policy_is_denied() {
    let account = aws_config::load_from_env().await;
    let mut tables: Vec<&str> = WRITERS.iter().flat_map(|(_, tables)| *tables).copied().collect();
    tables.sort_unstable();
    tables.dedup();
    assert_eq!(tables.len(), 12);
    for (function, own) in WRITERS {
        let store = store_of(&account, function).await;
        let mut written = Vec::new();
        for table in &tables {
            if may_write(&store, table).await {
                written.push(*table);
            }
        }
        let mut own = own.to_vec();
        own.sort_unstable();
        assert_eq!(written, own, "{function}");
    }
}

/// Runs the bank's command line on the deployed stage.
fn bank(arguments: &[&str]) -> String {
    let mut command = Command::new(setting("BANK_BINARY"));
    let output = command.args(["--stage", STAGE, "dead-letters"]).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The ids of the ledger's dead letters that cannot be read.
fn unreadable() -> Vec<String> {
    let list = bank(&["list"]);
    let lines = list.lines().filter(|line| line.contains(LEDGER_COMMANDS) && line.contains("UNREADABLE"));
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn wait_for_one_not_among(known: &[String]) -> String {
    let started = Instant::now();
    loop {
        if let Some(letter) = unreadable().into_iter().find(|letter| !known.contains(letter)) {
            return letter;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "the message is not among the dead letters: {}",
            bank(&["list"])
        );
        thread::sleep(Duration::from_millis(200));
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_a_dead_letter_that_can_be_sent_again() {
    const POISON: &str = "this was never a message";
    let queues = aws_sdk_sqs::Client::new(&aws_config::load_from_env().await);
    let queue = queues.get_queue_url().queue_name(format!("{PREFIX}{LEDGER_COMMANDS}")).send().await.unwrap();
    let known = unreadable();
    queues.send_message().queue_url(queue.queue_url().unwrap()).message_body(POISON).send().await.unwrap();

    let letter = wait_for_one_not_among(&known);
    assert!(bank(&["show", &letter]).contains(POISON));
    bank(&["redrive", &letter]);
    // It is delivered again and fails again, as it cannot be read now either: then it is another dead letter.
    let again = wait_for_one_not_among(&[known.as_slice(), std::slice::from_ref(&letter)].concat());
    assert!(bank(&["show", &again]).contains(POISON));
    assert!(!unreadable().contains(&letter), "the dead letter was sent again and kept as well");
}
