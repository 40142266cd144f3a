//! The real clock and real identifiers: the only place where they are taken from the air, in every world that is not
//! a simulation.
#![warn(missing_docs)]

use kernel::Timestamp;
use ports::{Clock, Ids, Sources};
use uuid::Uuid;

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

struct RandomIds;

impl Ids for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "this is where identifiers come from")]
    fn fresh(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// The time of this machine, and identifiers that nobody has.
pub fn sources() -> Sources {
    Sources::new(SystemClock, RandomIds)
}
