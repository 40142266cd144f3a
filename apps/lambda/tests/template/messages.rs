//! Who sends what to whom: the outboxes, relays, queues and consumers of the topology, and no other.

use std::collections::{BTreeMap, BTreeSet};

use contracts::topology::{ROUTES, Sender, consumers};
use ports::Table;
use runtime::Policy;
use serde_json::{Value, json};

use crate::functions::FUNCTION;
use crate::template::{PREFIX, Resource, Template};

const QUEUE: &str = "AWS::SQS::Queue";
const MAPPING: &str = "AWS::Lambda::EventSourceMapping";

/// Where the relays' failures are told.
const FAILURES: &str = "RelayFailuresQueue";

/// By how much the time that a message is hidden exceeds the timeout of its function (AWS: "Using Lambda with Amazon
/// SQS", at least six times, and the batching window on top).
const TIMEOUTS_HIDDEN: u64 = 6;

fn policy(consumer: &str) -> Policy {
    if consumer == consumers::NOTIFICATIONS_EMAILS { Policy::OUTSIDE } else { Policy::INSIDE }
}

fn receivers(sender: Sender) -> BTreeSet<&'static str> {
    let sent = ROUTES.iter().filter(|route| route.sender == sender);
    sent.flat_map(|route| route.receivers.iter().copied()).collect()
}

fn queue<'a>(template: &'a Template, consumer: &str) -> Resource<'a> {
    template.only(QUEUE, "QueueName", &format!("{PREFIX}{consumer}"))
}

fn dead_letters<'a>(template: &'a Template, consumer: &str) -> Resource<'a> {
    template.only(QUEUE, "QueueName", &format!("{PREFIX}{consumer}-dead"))
}

/// The function that a mapping calls. It is called by its alias, so that a new version is tried on a part of the work.
fn function_of<'a>(template: &'a Template, mapping: Resource<'_>) -> Resource<'a> {
    let alias = mapping.text("FunctionName");
    let id = alias.strip_suffix(".Alias").unwrap_or_else(|| panic!("{alias} is no alias"));
    template.resource(id)
}

fn environment<'a>(function: Resource<'a>, beginning: &str) -> BTreeMap<&'a str, &'a str> {
    let variables = function.property("Environment.Variables").as_object();
    let variables = variables.into_iter().flatten().filter(|(name, _)| name.starts_with(beginning));
    variables.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
}

/// The streams that a sender's relay reads, and what each tells it of: of an outbox what is new, of another table what
/// carries messages.
fn streams(sender: Sender) -> Vec<(&'static str, Value)> {
    let new = json!({ "eventName": ["INSERT"] });
    let carrying = json!({ "dynamodb": { "NewImage": { "sent_by": { "S": [{ "exists": true }] } } } });
    let tables: &[Table] = match sender {
        Sender::Accounts => accounts::records::TABLES,
        Sender::Banking => banking::records::TABLES,
        Sender::Ledger => ledger::records::TABLES,
    };
    let carriers = tables.iter().filter(|table| lambda::STREAMED.contains(table));
    let carriers = carriers.map(|table| (table.0, carrying.clone()));
    carriers.chain([(sender.outbox(), new)]).collect()
}

fn stream_of(template: &Template, table: &str) -> String {
    template.only("AWS::DynamoDB::Table", "TableName", &format!("{PREFIX}{table}")).attribute("StreamArn")
}

fn relay_of(template: &Template, sender: Sender) -> Resource<'_> {
    let stream = stream_of(template, sender.outbox());
    function_of(template, template.only(MAPPING, "EventSourceArn", &stream))
}

#[test]
fn every_stream_has_its_services_relay_which_is_told_of_what_is_new_and_gives_nothing_up_silently() {
    let template = Template::read();
    for sender in Sender::ALL {
        let relay = relay_of(&template, *sender);
        let mut read = Vec::new();
        for (table, pattern) in streams(*sender) {
            let stream = stream_of(&template, table);
            let mapping = template.only(MAPPING, "EventSourceArn", &stream);
            read.push(stream);
            let id = mapping.id;
            assert_eq!(function_of(&template, mapping).id, relay.id, "{id}");
            let filters = json!([{ "Pattern": pattern.to_string() }]);
            assert_eq!(mapping.property("FilterCriteria.Filters"), &filters, "{id}");
            assert_eq!(mapping.text("StartingPosition"), "TRIM_HORIZON", "{id}");
            assert_eq!(
                mapping.property("FunctionResponseTypes"),
                &json!(["ReportBatchItemFailures"]),
                "{id}"
            );
            assert_eq!(mapping.property("BisectBatchOnFunctionError"), true, "{id}");
            assert!(mapping.number("MaximumRetryAttempts") >= 10, "{id}");
            assert!((3_600..86_400).contains(&mapping.number("MaximumRecordAgeInSeconds")), "{id}");
            assert_eq!(
                mapping.text("DestinationConfig.OnFailure.Destination"),
                format!("{FAILURES}.Arn"),
                "{id}"
            );
        }
        read.sort_unstable();
        for action in ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"] {
            assert_eq!(relay.allowed(&format!("dynamodb:{action}")), read, "{}: {action}", relay.id);
        }
    }
}

#[test]
fn every_relay_knows_and_may_send_to_its_receivers_and_to_nobody_else() {
    let template = Template::read();
    for sender in Sender::ALL {
        let relay = relay_of(&template, *sender);
        let queues: Vec<_> =
            receivers(*sender).into_iter().map(|receiver| (receiver, queue(&template, receiver))).collect();

        let known: BTreeMap<String, &str> = queues
            .iter()
            .map(|(receiver, queue)| (format!("QUEUE_URL_{}", receiver.to_uppercase()), queue.id))
            .collect();
        let told = environment(relay, "QUEUE_URL_");
        assert_eq!(told, known.iter().map(|(name, id)| (name.as_str(), *id)).collect(), "{}", relay.id);
        assert_eq!(relay.text("Environment.Variables.FAILURE_QUEUE_URL"), FAILURES, "{}", relay.id);

        let mut allowed: Vec<String> = queues.iter().map(|(_, queue)| queue.attribute("Arn")).collect();
        allowed.push(format!("{FAILURES}.Arn"));
        allowed.sort_unstable();
        assert_eq!(relay.allowed("sqs:SendMessage"), allowed, "{}", relay.id);
    }
}

#[test]
fn every_consumer_has_a_queue_whose_dead_letters_are_kept() {
    let template = Template::read();
    for consumer in consumers::ALL {
        let (queue, dead) = (queue(&template, consumer), dead_letters(&template, consumer));
        assert_eq!(queue.text("RedrivePolicy.deadLetterTargetArn"), dead.attribute("Arn"));
        let tries = u64::from(policy(consumer).attempts_max);
        assert_eq!(queue.number("RedrivePolicy.maxReceiveCount"), tries, "{consumer}");
        for queue in [queue, dead] {
            assert_eq!(queue.property("SqsManagedSseEnabled"), true, "{}", queue.id);
            assert_eq!(queue.number("MessageRetentionPeriod"), 14 * 24 * 60 * 60, "{}", queue.id);
        }
    }
}

#[test]
fn every_queue_is_read_by_one_function_that_answers_for_each_message() {
    let template = Template::read();
    for consumer in consumers::ALL {
        let (queue, dead) = (queue(&template, consumer), dead_letters(&template, consumer));
        let mapping = template.only(MAPPING, "EventSourceArn", &queue.attribute("Arn"));
        assert_eq!(
            mapping.property("FunctionResponseTypes"),
            &json!(["ReportBatchItemFailures"]),
            "{consumer}"
        );
        assert!(mapping.number("ScalingConfig.MaximumConcurrency") >= 2, "{consumer}");

        let function = function_of(&template, mapping);
        assert_eq!(function.text("Environment.Variables.QUEUE_URL"), queue.id);
        assert_eq!(function.text("Environment.Variables.DEAD_LETTER_QUEUE_URL"), dead.id);
        for action in ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"] {
            let queues = function.allowed(&format!("sqs:{action}"));
            assert_eq!(queues, [queue.attribute("Arn")], "{}: {action}", function.id);
        }
        assert_eq!(function.allowed("sqs:SendMessage"), [dead.attribute("Arn")], "{}", function.id);

        let timeout = template.function_property(function, "Timeout").as_u64().unwrap();
        let window = mapping.property("MaximumBatchingWindowInSeconds").as_u64().unwrap_or_default();
        let hidden = queue.number("VisibilityTimeout");
        assert!(hidden >= TIMEOUTS_HIDDEN * timeout + window, "{consumer}: {hidden} s for {timeout} s");
    }
}

#[test]
fn nobody_else_touches_a_queue() {
    let template = Template::read();
    let mappings = template.of_type(MAPPING);
    let called: BTreeSet<&str> = mappings.iter().map(|mapping| function_of(&template, *mapping).id).collect();
    for function in template.of_type(FUNCTION) {
        let may_touch = function.statements().iter().any(|statement| statement.is_about("sqs"));
        assert_eq!(may_touch, called.contains(function.id), "{}", function.id);
    }
}

#[test]
fn there_are_no_other_queues_and_mappings() {
    let template = Template::read();
    // Each consumer has two queues, and the relays have one for what they give up.
    assert_eq!(template.of_type(QUEUE).len(), 2 * consumers::ALL.len() + 1);
    let streams: usize = Sender::ALL.iter().map(|sender| streams(*sender).len()).sum();
    assert_eq!(template.of_type(MAPPING).len(), consumers::ALL.len() + streams);
}
