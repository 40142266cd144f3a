//! Every table of every service, and no other.

use std::collections::BTreeSet;

use contracts::topology::Sender;
use ports::Table;

use crate::template::{PREFIX, Template};

/// The tables that a service keeps its items in. Identity's are missing: on AWS, Cognito keeps people and sessions.
pub const TABLES: [(&str, &[Table]); 5] = [
    ("accounts", accounts::records::TABLES),
    ("banking", banking::records::TABLES),
    ("ledger", ledger::records::TABLES),
    ("notifications", notifications::records::TABLES),
    ("query", query::records::TABLES),
];

fn name(table: &str) -> String {
    format!("{PREFIX}{table}")
}

#[test]
fn there_is_a_table_for_each_of_the_services_tables_and_outboxes() {
    let template = Template::read();
    let made: BTreeSet<String> = template
        .of_type("AWS::DynamoDB::Table")
        .into_iter()
        .map(|table| table.text("TableName").to_owned())
        .collect();
    let tables = TABLES.iter().flat_map(|(_, tables)| tables.iter()).map(|table| name(table.0));
    let outboxes = Sender::ALL.iter().map(|sender| name(sender.outbox()));
    assert_eq!(made, tables.chain(outboxes).collect());
}

#[test]
fn every_table_is_keyed_billed_kept_and_recovered_alike() {
    for table in Template::read().of_type("AWS::DynamoDB::Table") {
        let id = table.id;
        let keys = table.property("KeySchema").to_string();
        assert_eq!(
            keys, r#"[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}]"#,
            "{id}"
        );
        assert_eq!(table.text("BillingMode"), "PAY_PER_REQUEST", "{id}");
        assert_eq!(table.text("TimeToLiveSpecification.AttributeName"), "ttl", "{id}");
        assert_eq!(table.property("TimeToLiveSpecification.Enabled"), true, "{id}");
        let recovery = table.property("PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled");
        assert_eq!(recovery, true, "{id}");
        assert_eq!(table.property("DeletionProtectionEnabled"), true, "{id} in prod");
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            assert_eq!(table.value[policy], "Retain", "{id} in prod: {policy}");
        }
    }
}

#[test]
fn only_outboxes_and_tables_whose_items_carry_messages_have_streams() {
    let template = Template::read();
    let outboxes = Sender::ALL.iter().map(|sender| name(sender.outbox()));
    let streamed: BTreeSet<String> =
        lambda::STREAMED.iter().map(|table| name(table.0)).chain(outboxes).collect();
    for table in template.of_type("AWS::DynamoDB::Table") {
        let is_streamed = streamed.contains(table.text("TableName"));
        let stream = table.property("StreamSpecification.StreamViewType");
        assert_eq!(stream.as_str(), is_streamed.then_some("NEW_IMAGE"), "{}", table.id);
    }
}
