//! The layout of identity's tables.
//!
//! `users`: a person and her codes under her id; beside them, under each address, whose it is. That item is created
//! in the transaction that creates the person, so an address belongs to one person however many sign up at once.
//!
//! `sessions`: a person's sessions under her id, and the failed tries under the digest of an address. All of these
//! expire, and a reader compares the time herself.

use kernel::{Email, SessionId, Timestamp, UserId};
use ports::{Key, Record, Table};
use serde::{Deserialize, Serialize};

use crate::domain::{Attempts, Code, Digest, Purpose, Session, User};

/// People, their addresses, and the codes sent to them.
pub const USERS: Table = Table("users");
/// Sessions and failed tries.
pub const SESSIONS: Table = Table("sessions");
/// Identity's tables; it sends no messages, so there is no outbox.
pub const TABLES: &[Table] = &[USERS, SESSIONS];

/// Where a person lies.
pub fn user_key(user_id: UserId) -> Key {
    Key::new(USERS, format!("user#{user_id}"), "user")
}

/// Where it says whose an address is.
pub fn address_key(email: &Email) -> Key {
    Key::new(USERS, format!("email#{}", email.as_str()), "address")
}

/// Where the code last sent to a person for this purpose lies.
pub fn code_key(user_id: UserId, purpose: Purpose) -> Key {
    let sort = match purpose {
        Purpose::Confirm => "code#confirm",
        Purpose::Reset => "code#reset",
    };
    Key::new(USERS, format!("user#{user_id}"), sort)
}

/// Where a session lies.
pub fn session_key(user_id: UserId, session_id: SessionId) -> Key {
    Key::new(SESSIONS, format!("user#{user_id}"), format!("session#{session_id}"))
}

/// Where the failed tries for an address lie.
pub fn attempts_key(address: &Digest) -> Key {
    Key::new(SESSIONS, format!("address#{}", address.0), "attempts")
}

/// Whose an address is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Address {
    pub email: Email,
    pub user_id: UserId,
}

impl Record for Address {
    fn key(&self) -> Key {
        address_key(&self.email)
    }
}

impl Record for User {
    fn key(&self) -> Key {
        user_key(self.user_id)
    }
}

impl Record for Code {
    fn key(&self) -> Key {
        code_key(self.user_id, self.purpose)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

impl Record for Session {
    fn key(&self) -> Key {
        session_key(self.user_id, self.session_id)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

impl Record for Attempts {
    fn key(&self) -> Key {
        attempts_key(&self.address)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
