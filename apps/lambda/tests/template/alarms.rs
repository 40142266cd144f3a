//! An alarm for whatever needs a person, and logs that do not grow for ever.

use std::collections::BTreeSet;
use std::fs;

use contracts::topology::{Sender, consumers};

use crate::functions::{FUNCTION, program};
use crate::template::{PREFIX, Resource, Template, root};

const ALARM: &str = "AWS::CloudWatch::Alarm";

/// What an alarm is about: a metric of one thing.
fn subject(alarm: Resource<'_>) -> (String, String) {
    let dimensions = alarm.property("Dimensions").as_array().unwrap();
    let things: Vec<&str> = dimensions.iter().map(|dimension| dimension["Value"].as_str().unwrap()).collect();
    (alarm.text("MetricName").to_owned(), things.join(" "))
}

/// Every alarm there must be.
fn subjects(template: &Template) -> BTreeSet<(String, String)> {
    let queue = |name: &str| template.only("AWS::SQS::Queue", "QueueName", &format!("{PREFIX}{name}")).id;
    let depth =
        |name: &str| ("ApproximateNumberOfMessagesVisible".to_owned(), format!("{}.QueueName", queue(name)));
    let mut subjects = BTreeSet::from([
        ("5XXError".to_owned(), "AWS::StackName Stage".to_owned()),
        ("store_conflicts".to_owned(), "ledger_service_commands".to_owned()),
        depth("relay_failures"),
    ]);
    for consumer in consumers::ALL {
        subjects.insert(depth(&format!("{consumer}-dead")));
        subjects
            .insert(("ApproximateAgeOfOldestMessage".to_owned(), format!("{}.QueueName", queue(consumer))));
    }
    for sender in Sender::ALL {
        let outbox =
            template.only("AWS::DynamoDB::Table", "TableName", &format!("{PREFIX}{}", sender.outbox()));
        let stream = outbox.attribute("StreamArn");
        let mapping = template.only("AWS::Lambda::EventSourceMapping", "EventSourceArn", &stream);
        let relay = template.resource(mapping.text("FunctionName").trim_end_matches(".Alias"));
        subjects.insert(("IteratorAge".to_owned(), relay.text("FunctionName").to_owned()));
    }
    for function in template.of_type(FUNCTION) {
        for metric in ["Errors", "Throttles"] {
            subjects.insert((metric.to_owned(), format!("{PREFIX}{}", program(function))));
        }
    }
    subjects
}

#[test]
fn there_is_an_alarm_for_whatever_needs_a_person() {
    let template = Template::read();
    let alarms = template.of_type(ALARM);
    let made: BTreeSet<_> = alarms.iter().copied().map(subject).collect();
    assert_eq!(made, subjects(&template));
    assert_eq!(alarms.len(), made.len());
}

#[test]
fn every_alarm_tells_somebody_and_none_goes_off_because_nothing_happens() {
    for alarm in Template::read().of_type(ALARM) {
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm.property(actions), &serde_json::json!(["AlarmsTopic"]), "{}", alarm.id);
        }
        assert_eq!(alarm.text("TreatMissingData"), "notBreaching", "{}", alarm.id);
    }
}

/// A heading of the runbook stands for an alarm, or for all whose names differ in the word in capitals.
#[test]
fn every_alarm_has_its_part_of_the_runbook_and_every_part_an_alarm() {
    let template = Template::read();
    let text = fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let headings = text.lines().filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'));
    let kinds: BTreeSet<&str> = headings
        .map(|heading| heading.trim_end_matches(|letter: char| letter.is_ascii_uppercase()))
        .collect();
    let mut explained = BTreeSet::new();
    for alarm in template.of_type(ALARM) {
        let name = alarm.text("AlarmName").strip_prefix(PREFIX).unwrap();
        let is_of =
            |kind: &&&str| if kind.ends_with('-') { name.starts_with(**kind) } else { name == **kind };
        explained.insert(*kinds.iter().find(is_of).unwrap_or_else(|| panic!("{name} is not in the runbook")));
    }
    assert_eq!(explained, kinds);
}

#[test]
fn every_function_logs_to_a_group_that_forgets() {
    let template = Template::read();
    let groups = template.of_type("AWS::Logs::LogGroup");
    for group in &groups {
        assert_eq!(group.text("RetentionInDays"), "LogRetentionDays", "{}", group.id);
    }
    for function in template.of_type(FUNCTION) {
        let group = template.function_property(function, "LoggingConfig")["LogGroup"].as_str();
        assert!(groups.iter().any(|known| Some(known.id) == group), "{}: {group:?}", function.id);
    }
}
