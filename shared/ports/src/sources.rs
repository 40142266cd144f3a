//! The time and fresh identifiers, which no service takes from the air: a simulation owns both.

use std::sync::Arc;

use kernel::Timestamp;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Makes identifiers.
pub trait Ids: Send + Sync + 'static {
    /// An identifier nobody has: a UUID of version 7 (RFC 9562), so that those made later sort behind.
    fn fresh(&self) -> Uuid;
}

/// The clock and the identifiers of one world. Clones share them.
#[derive(Clone)]
pub struct Sources {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl Sources {
    /// Puts the two together.
    pub fn new(clock: impl Clock, ids: impl Ids) -> Self {
        Self { clock: Arc::new(clock), ids: Arc::new(ids) }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An identifier nobody has.
    pub fn fresh_id(&self) -> Uuid {
        self.ids.fresh()
    }
}
