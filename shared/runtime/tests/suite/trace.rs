//! What ties messages together, and the JSON of the envelope that carries them: it lies in outboxes and queues.

use std::collections::HashSet;
use std::sync::Arc;

use ports::{Delivery, Envelope};
use runtime::{Trace, Traceparent, envelope};
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
        assert_eq!((parts[0], parts[3]), ("00", "00"));
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

    let delivery = Delivery { envelope: Arc::new(read), attempt: 1 };
    let caused = Trace::caused_by("ledger_commands", &delivery);
    let second = envelope(&message(), "account", &caused, world.now(), &world.sources);
    assert_eq!(second.causation_id, Some(first.message_id));
    assert_eq!((second.correlation_id, second.traceparent), (first.correlation_id, first.traceparent));
    assert_ne!(second.message_id, first.message_id);
}

#[tokio::test(start_paused = true)]
async fn each_delivery_of_a_recorded_trace_is_a_span_of_its_own_below_who_sent_it() {
    let world = world();
    let begun = Trace::begin(&world.sources);
    let sent = Traceparent::read(&begun.traceparent).unwrap().sampled();
    let trace = Trace { traceparent: sent.to_string(), ..begun.clone() };
    let messages =
        [1, 2].map(|_| Arc::new(envelope(&message(), "account", &trace, world.now(), &world.sources)));
    let mut spans = HashSet::from([sent.span_id.to_owned()]);
    for envelope in &messages {
        for consumer in ["ledger_commands", "query_events"] {
            for attempt in [1, 2] {
                let delivery = Delivery { envelope: Arc::clone(envelope), attempt };
                let caused = Trace::caused_by(consumer, &delivery).traceparent;
                let span = Traceparent::read(&caused).unwrap();
                assert_eq!((span.trace_id, span.is_sampled()), (sent.trace_id, true));
                assert!(spans.insert(span.span_id.to_owned()), "{caused} is the span of two deliveries");
                assert_eq!(Trace::caused_by(consumer, &delivery).traceparent, caused);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_that_nobody_can_read_is_handed_on_as_it_is() {
    let world = world();
    for odd in ["", "00-", "no trace at all"] {
        let trace = Trace { traceparent: odd.to_owned(), ..Trace::begin(&world.sources) };
        let envelope = envelope(&message(), "account", &trace, world.now(), &world.sources);
        let delivery = Delivery { envelope: Arc::new(envelope), attempt: 1 };
        assert_eq!(Trace::caused_by("ledger_commands", &delivery).traceparent, odd);
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

#[test]
fn a_traceparent_is_read_as_w3c_trace_context_has_it() {
    let (zero_trace, zero_span) = ("0".repeat(32), "0".repeat(16));
    for (text, is_read) in [
        (format!("00-{TRACE}-{SPAN}-00"), true),
        (format!("00-{TRACE}-{SPAN}-01"), true),
        (format!("cc-{TRACE}-{SPAN}-01"), true),
        (format!("cc-{TRACE}-{SPAN}-01-what-will-be-there"), true),
        (format!("cc-{TRACE}-{SPAN}-01.what-will-be-there"), false),
        (format!("00-{TRACE}-{SPAN}-01-what-will-be-there"), false),
        (format!("00-{TRACE}-{SPAN}-01."), false),
        (format!("ff-{TRACE}-{SPAN}-01"), false),
        (format!("0g-{TRACE}-{SPAN}-01"), false),
        (format!("00-{zero_trace}-{SPAN}-01"), false),
        (format!("00-{TRACE}-{zero_span}-01"), false),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false),
        (format!("00-{TRACE}-{}-01", SPAN.to_uppercase()), false),
        (format!("00-{TRACE}-{SPAN}-0x"), false),
        (format!("00-{TRACE}-{SPAN}-0"), false),
        (format!("00.{TRACE}-{SPAN}-01"), false),
        (format!("00-{TRACE}.{SPAN}-01"), false),
        (format!("00-{TRACE}-{SPAN}.01"), false),
        (String::new(), false),
    ] {
        let read = Traceparent::read(&text);
        assert_eq!(read.is_some(), is_read, "{text}");
        assert!(read.is_none_or(|read| (read.trace_id, read.span_id) == (TRACE, SPAN)), "{text}");
    }
}

#[test]
fn the_lot_of_a_trace_is_what_is_random_in_its_id() {
    let text = format!("00-{TRACE}-{SPAN}-01");
    let read = Traceparent::read(&text).unwrap();
    assert_eq!(read.lot(), 0xce_929d_0e0e_4736);
    assert_eq!(read.with_span("0000000000000001").lot(), read.lot());
}
