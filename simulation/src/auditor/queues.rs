//! The dead letters are exactly the poison, and no message was sent twice under one identifier.

use std::collections::BTreeSet;

use super::Findings;
use super::form::text;
use crate::record::Record;

pub fn check(record: &Record, findings: &mut Findings) {
    let mut sent = BTreeSet::new();
    for message in record.outboxes.values().flatten().flatten() {
        let message_id = text(message, "message_id");
        if !sent.insert(message_id) {
            findings.add(format!("two messages are named {message_id}"), &[message_id]);
        }
    }
    let mut dead = BTreeSet::new();
    for letter in &record.dead_letters {
        let (message_id, consumer) = (text(&letter["envelope"], "message_id"), text(letter, "consumer"));
        dead.insert((message_id.to_owned(), consumer.to_owned()));
        if !record.poison.contains(&(message_id.to_owned(), consumer.to_owned())) {
            let operation_id = text(&letter["envelope"]["body"], "operation_id");
            findings.add(format!("a good message is a dead letter: {letter}"), &[message_id, operation_id]);
        }
    }
    for (message_id, consumer) in &record.poison {
        if sent.contains(message_id.as_str()) && !dead.contains(&(message_id.clone(), consumer.clone())) {
            findings.add(format!("the poison {message_id} is no dead letter of {consumer}"), &[message_id]);
        }
    }
}
