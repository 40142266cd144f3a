//! The runbook has a chapter for each alarm of the template, and none for an alarm that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)).unwrap()
}

/// What alarms are named, without the stack before it and what they are one of behind it: `queue-late`.
fn alarms(template: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = template.lines().collect();
    let names = lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with("AlarmName:"));
    names
        .map(|(index, line)| {
            // The name of one of many is on the line behind.
            let name = [*line, lines[index + 1]]
                .into_iter()
                .find_map(|line| line.split("${AWS::StackName}-").nth(1));
            name.unwrap_or_else(|| panic!("{line} names no alarm")).trim_end_matches("-${Name}").to_owned()
        })
        .collect()
}

/// The chapters, likewise: ``## `queue-late-CONSUMER` ``.
fn chapters(runbook: &str) -> BTreeSet<String> {
    let headings = runbook.lines().filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'));
    headings
        .map(|heading| {
            heading.trim_end_matches(|letter: char| letter.is_uppercase()).trim_end_matches('-').to_owned()
        })
        .collect()
}

#[test]
fn every_alarm_has_its_chapter() {
    let alarms = alarms(&read("template.yaml"));
    assert!(alarms.len() >= 8, "only {alarms:?} were found");
    assert_eq!(chapters(&read("docs/runbook.md")), alarms);
}
