//! Envelopes as they lie in outboxes, in queues and among the dead letters: any of them reads back, a field of a newer
//! version is passed over, and what is damaged or cut is refused or is an envelope like any other.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use conformance::records::{any_json, damaged};
use kernel::{CorrelationId, MessageId, Timestamp};
use ports::{DeadLetter, Envelope};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use uuid::Uuid;

fn any_envelope() -> impl Strategy<Value = Envelope> {
    (
        any::<(u128, u128)>(),
        any::<[String; 3]>(),
        any::<u32>(),
        option::of(any::<u128>()),
        any::<i64>(),
        any_json(),
    )
        .prop_map(|((message, request), [kind, group, traceparent], version, cause, millis, body)| {
            Envelope {
                message_id: MessageId::new(Uuid::from_u128(message)),
                kind,
                version,
                group,
                correlation_id: CorrelationId::new(Uuid::from_u128(request)),
                causation_id: cause.map(|cause| MessageId::new(Uuid::from_u128(cause))),
                traceparent,
                occurred_at: Timestamp::from_millis(millis),
                body: serde_json::value::to_raw_value(&body).unwrap(),
            }
        })
}

fn dead(envelope: Envelope) -> DeadLetter {
    DeadLetter {
        dead_letter_id: envelope.message_id.to_string(),
        consumer: envelope.kind.clone(),
        reason: envelope.group.clone(),
        attempts: envelope.version,
        died_at: envelope.occurred_at,
        envelope,
    }
}

fn written(envelope: &Envelope) -> Value {
    serde_json::to_value(envelope).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_024) })]

    #[test]
    fn every_envelope_reads_back_alone_and_in_a_record(envelope in any_envelope()) {
        let read: Envelope = serde_json::from_str(&serde_json::to_string(&envelope).unwrap()).unwrap();
        // The body is handed on letter by letter.
        prop_assert_eq!(read.body.get(), envelope.body.get());
        prop_assert_eq!(written(&read), written(&envelope));
        prop_assert!(read.bytes() >= read.body.get().len());
        let record = serde_json::to_string(&[&envelope, &envelope]).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<Envelope>>(&record).unwrap().len(), 2);
        let letter = serde_json::to_string(&dead(envelope.clone())).unwrap();
        let letter: DeadLetter = serde_json::from_str(&letter).unwrap();
        prop_assert_eq!(written(&letter.envelope), written(&envelope));
    }

    #[test]
    fn a_damaged_envelope_is_refused_or_is_an_envelope(
        value in any_envelope().prop_flat_map(|envelope| damaged(&written(&envelope)))
    ) {
        if let Ok(read) = serde_json::from_str::<Envelope>(&value.to_string()) {
            let again: Envelope = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
            prop_assert_eq!(written(&again), written(&read));
        }
    }

    #[test]
    fn bytes_that_are_changed_or_cut_do_not_panic(envelope in any_envelope(), at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = serde_json::to_vec(&envelope).unwrap();
        let at = at.index(bytes.len());
        prop_assert!(serde_json::from_slice::<Envelope>(&bytes[..at]).is_err());
        bytes[at] = byte;
        if let Ok(read) = serde_json::from_slice::<Envelope>(&bytes) {
            prop_assert!(read.correlation_id.as_str().len() <= CorrelationId::LENGTH_MAX);
        }
    }

    #[test]
    fn a_field_that_is_not_known_is_passed_over(envelope in any_envelope(), field in any_json()) {
        let mut newer = written(&envelope);
        newer["a_field_of_tomorrow"] = field;
        let read: Envelope = serde_json::from_str(&newer.to_string()).unwrap();
        prop_assert_eq!(written(&read), written(&envelope));
    }
}
