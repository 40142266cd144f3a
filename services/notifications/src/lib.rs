//! Notifications: what happened to their money and accounts, told to the people it concerns.
//!
//! Everybody has an inbox, which is kept for ninety days. Where the world has a mailer, the weightier notices also go
//! out as letters, unless their owner has turned letters off. Nothing here is needed for money to move, and nothing
//! is asked of the others.

mod consumers;
pub mod domain;
mod http;
mod problems;
pub mod records;

use std::sync::Arc;

use contracts::Message;
use kernel::{NotificationId, Timestamp, UserId};
use ports::{Directory, Held, Key, Mailer, Sources, Store, Transaction};
use runtime::{Decision, Fault, decide_and_commit};

pub use consumers::{Emails, Events};
pub use http::routes;
use records::{Notification, Preferences, notification_key, notifications_of, preferences_key};

/// How many pages are looked through for one page of what is unread.
const FILTERED_PAGES_MAX: usize = 10;

/// Why something is not done with a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such notification")]
    NotificationNotFound,
}

/// Why the notifications service did not do what was asked.
pub type Refusal = runtime::Refusal<Rejection>;

/// Which notifications a reader wants to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filter {
    All,
    Unread,
}

/// How a world sends letters.
#[derive(Clone)]
pub struct Letters {
    pub mailer: Arc<dyn Mailer>,
    /// Whose address is which.
    pub directory: Arc<dyn Directory>,
}

/// The notifications service of one world. Clones are the same service.
#[derive(Clone)]
pub struct Notifications<S> {
    store: S,
    sources: Sources,
    letters: Option<Letters>,
}

impl<S: Store> Notifications<S> {
    /// Without letters there are inboxes only.
    pub fn new(store: S, sources: Sources, letters: Option<Letters>) -> Self {
        Self { store, sources, letters }
    }

    /// The consumer that fills the inboxes.
    pub fn events(&self) -> Events<S> {
        Events(self.clone())
    }

    /// The consumer that sends letters.
    pub fn emails(&self) -> Emails<S> {
        Emails(self.clone())
    }

    /// A page of a customer's inbox, newest first. A page of what is unread may have fewer notifications than asked for,
    /// even none, and still a next one.
    pub async fn notifications(
        &self,
        owner: UserId,
        filter: Filter,
        mut after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Notification>, Option<String>), Fault> {
        let now = self.sources.now();
        let mut found: Vec<Notification> = Vec::new();
        for _ in 0..FILTERED_PAGES_MAX {
            let range = notifications_of(owner, after, limit - found.len());
            let (page, next) = runtime::query::<S, Notification>(&self.store, &range).await?;
            found.extend(page.into_iter().filter(|notification| {
                let is_wanted = filter == Filter::All || notification.read_at.is_none();
                is_wanted && notification.is_kept(now)
            }));
            after = next;
            if after.is_none() || found.len() == limit {
                break;
            }
        }
        Ok((found, after))
    }

    /// Marks a notification as read. One that was read before stays as it is, so the request may be repeated.
    ///
    /// # Errors
    /// [`Rejection::NotificationNotFound`], also for another's, and the faults of the store.
    pub async fn read(
        &self,
        owner: UserId,
        notification_id: NotificationId,
    ) -> Result<Notification, Refusal> {
        decide_and_commit(&self.store, || async move {
            let now = self.sources.now();
            let held = self.notification(owner, notification_id).await?;
            let Held { mut record, revision } = held
                .filter(|held| held.record.is_kept(now))
                .ok_or(Refusal::Rejected(Rejection::NotificationNotFound))?;
            if record.read_at.is_some() {
                return Ok(Decision::Nothing(record));
            }
            record.read_at = Some(now);
            let mut transaction = Transaction::new(self.sources.fresh_id());
            transaction.replace(revision, &record)?;
            Ok(Decision::Commit(transaction, record))
        })
        .await
    }

    /// When this event came to the inbox of the one it is for; nothing if it did not, or concerns somebody else.
    pub async fn notified_at(&self, owner: UserId, event: &Message) -> Result<Option<Timestamp>, Fault> {
        let Some(notice) = domain::notices(event).into_iter().find(|notice| notice.owner == owner) else {
            return Ok(None);
        };
        let held = self.notification(owner, notice.notification_id).await?;
        Ok(held.map(|held| held.record.created_at))
    }

    /// What a customer prefers.
    pub async fn preferences(&self, owner: UserId) -> Result<Preferences, Fault> {
        let held: Option<Held<Preferences>> = runtime::get(&self.store, preferences_key(owner)).await?;
        Ok(held.map_or_else(|| Preferences::unsaid(owner), |held| held.record))
    }

    /// Keeps what a customer prefers from now on.
    pub async fn prefer(&self, preferences: Preferences) -> Result<Preferences, Fault> {
        decide_and_commit(&self.store, || {
            let preferences = preferences.clone();
            async move {
                let key: Key = preferences_key(preferences.owner);
                let held: Option<Held<Preferences>> = runtime::get(&self.store, key).await?;
                let mut transaction = Transaction::new(self.sources.fresh_id());
                match held {
                    Some(held) if held.record == preferences => return Ok(Decision::Nothing(preferences)),
                    Some(held) => transaction.replace(held.revision, &preferences)?,
                    None => transaction.create(&preferences)?,
                }
                Ok(Decision::Commit(transaction, preferences))
            }
        })
        .await
    }

    async fn notification(
        &self,
        owner: UserId,
        notification_id: NotificationId,
    ) -> Result<Option<Held<Notification>>, Fault> {
        runtime::get(&self.store, notification_key(owner, notification_id)).await
    }
}
