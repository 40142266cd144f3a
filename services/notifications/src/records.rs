//! The layout of the inboxes: a customer's notifications in the order of time, and what she prefers.

use std::time::Duration;

use kernel::{AccountId, NotificationId, OperationId, Timestamp, UserId};
use ports::{Cursor, Key, Order, Range, Record, Table};
use serde::{Deserialize, Serialize};

use crate::domain::{Kind, Notice};

/// The inbox of every customer.
pub const NOTIFICATIONS: Table = Table("notifications");
/// What every customer prefers.
pub const PREFERENCES: Table = Table("preferences");
/// The tables of the notifications service.
pub const TABLES: &[Table] = &[NOTIFICATIONS, PREFERENCES];

/// How long a notification is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);

const NOTIFICATION: &str = "notification#";

/// An entry of a customer's inbox.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notification {
    pub notification_id: NotificationId,
    pub owner: UserId,
    pub kind: Kind,
    pub title: String,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<OperationId>,
    pub account_id: AccountId,
    /// When it came to the inbox.
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
}

impl Notification {
    /// Puts a notice into its owner's inbox.
    pub fn new(notice: Notice, now: Timestamp) -> Self {
        let Notice { notification_id, owner, kind, title, text, operation_id, account_id } = notice;
        Self {
            notification_id,
            owner,
            kind,
            title,
            text,
            operation_id,
            account_id,
            created_at: now,
            read_at: None,
        }
    }

    /// Whether it is still to be shown. The store may delete it later than that.
    pub fn is_kept(&self, now: Timestamp) -> bool {
        now < self.created_at + KEPT_FOR
    }
}

/// Where a notification lies. Its owner is part of the key, so that nobody finds another's.
pub fn notification_key(owner: UserId, notification_id: NotificationId) -> Key {
    Key::new(NOTIFICATIONS, owner.to_string(), format!("{NOTIFICATION}{notification_id}"))
}

/// A customer's notifications, newest first: their identifiers are in the order of time.
pub fn notifications_of(owner: UserId, after: Option<Cursor>, limit: usize) -> Range {
    Range { after, ..Range::prefix(NOTIFICATIONS, owner.to_string(), NOTIFICATION, Order::Descending, limit) }
}

impl Record for Notification {
    fn key(&self) -> Key {
        notification_key(self.owner, self.notification_id)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.created_at + KEPT_FOR)
    }
}

/// What a customer prefers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Preferences {
    pub owner: UserId,
    /// Whether letters are sent to her.
    pub email: bool,
}

impl Preferences {
    /// What is assumed of somebody who has not said: she wants letters, as they tell of what may not have been her.
    pub fn unsaid(owner: UserId) -> Self {
        Self { owner, email: true }
    }
}

/// Where a customer's preferences lie.
pub fn preferences_key(owner: UserId) -> Key {
    Key::new(PREFERENCES, owner.to_string(), "preferences")
}

impl Record for Preferences {
    fn key(&self) -> Key {
        preferences_key(self.owner)
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
