//! What the tests of this crate's parts are made of: a time that stands still, messages that say little, and directories
//! that go.

use std::path::PathBuf;

use kernel::{CorrelationId, MessageId, Timestamp};
use ports::{Clock, Envelope, Ids, Sources};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The only time there is.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct NoIds;

impl Ids for NoIds {
    fn fresh(&self) -> Uuid {
        Uuid::nil()
    }
}

/// [`NOW`], and identifiers for whoever needs none of her own.
pub fn stopped_sources() -> Sources {
    Sources::new(StoppedClock, NoIds)
}

/// A message of this number and kind.
pub fn envelope(number: u128, kind: &str, body: &str) -> Envelope {
    Envelope {
        message_id: MessageId::new(Uuid::from_u128(number)),
        kind: kind.to_owned(),
        version: 1,
        group: String::new(),
        correlation_id: CorrelationId::new(Uuid::nil()),
        causation_id: None,
        traceparent: String::new(),
        occurred_at: NOW,
        body: RawValue::from_string(body.to_owned()).unwrap(),
    }
}

/// A directory that goes when its test ends.
pub struct Directory(pub PathBuf);

impl Directory {
    /// One for the test of this name.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("embedded-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}
