//! What ties messages together, and the JSON of the envelope that carries them: it lies in outboxes and queues.

use ports::Envelope;
use runtime::{Trace, envelope};
use serde_json::{Value, json};

use crate::deliver::message;
use crate::world;

#[tokio::test(start_paused = true)]
async fn a_trace_begins_as_w3c_trace_context_has_it() {
    let world = world();
    let (first, second) = (Trace::begin(&world.sources), Trace::begin(&world.sources));
    for trace in [&first, &second] {
        let parts: Vec<&str> = trace.traceparent.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2]);
        assert_eq!((parts[0], parts[3]), ("00", "01"));
        let is_hexadecimal = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        assert!(parts.iter().all(is_hexadecimal), "{}", trace.traceparent);
        assert_eq!(trace.causation_id, None);
    }
    assert_ne!(first.traceparent, second.traceparent);
    assert_ne!(first.correlation_id, second.correlation_id);
}

#[tokio::test(start_paused = true)]
async fn an_envelope_has_its_shape() {
    let world = world();
    let trace = Trace::begin(&world.sources);
    let first = envelope(&message(), "account", &trace, world.now(), &world.sources);
    let expected = json!({
        "message_id": first.message_id,
        "kind": "DEPOSIT_CMD",
        "version": 1,
        "group": "account",
        "correlation_id": trace.correlation_id,
        "traceparent": trace.traceparent,
        "occurred_at": "2026-01-01T00:00:00.000Z",
        "body": {
            "operation_id": "00000000-0000-0000-0000-000000000000",
            "account_id": "00000000-0000-0000-0000-000000000000",
            "owner": "00000000-0000-0000-0000-000000000000",
            "amount": {"amount": "1.00", "currency": "EUR"},
        },
    });
    let text = serde_json::to_string(&first).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    let read: Envelope = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);

    let second = envelope(&message(), "account", &Trace::caused_by(&read), world.now(), &world.sources);
    assert_eq!(second.causation_id, Some(first.message_id));
    assert_eq!((second.correlation_id, second.traceparent), (first.correlation_id, first.traceparent));
    assert_ne!(second.message_id, first.message_id);
}
