//! Events in, apart for inboxes and letters, so that a slow mail server holds up no inbox.
//!
//! The notifications of a batch are independent of each other, and are written without reading first. Only where
//! something was there already, because an event came twice or its batch was written in part, is the store asked what to
//! leave out. A letter may be sent twice where the answer of the mail server was lost; both have the same `letter_id`.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::time::Duration;

use contracts::Message;
use contracts::topology::consumers::{NOTIFICATIONS_EMAILS, NOTIFICATIONS_EVENTS};
use futures::StreamExt;
use kernel::{NotificationId, UserId};
use ports::{Consumer, Delivery, Key, Letter, MailError, Outcome, Record, Store, Transaction};
use runtime::{Decision, Fault, Work, decide_and_commit, read_batch};

use crate::domain::{Notice, notices};
use crate::records::{Notification, Preferences, preferences_key};
use crate::{Letters, Notifications};

/// How many letters are handed to the mail server at once.
const LETTERS_AT_ONCE: usize = 8;

/// How a letter ends, whoever it is for.
const CLOSING_LINES: &str = "\n\nYou find this and more in your inbox at the bank. If you do not want such letters, \
                             turn them off in your preferences there.\n";

/// Fills the inboxes.
pub struct Events<S>(pub(crate) Notifications<S>);

impl<S: Store> Consumer for Events<S> {
    const NAME: &'static str = NOTIFICATIONS_EVENTS;

    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let (work, outcomes) = read_batch(batch, |event| Ok::<_, Infallible>(notices(&event)));
        // Nothing is shared: each notice is an item of its own.
        outcomes.of_parts(&work, Vec::len, |_| None::<()>, |part| self.take(part)).await
    }
}

impl<S: Store> Events<S> {
    async fn take(&self, part: Vec<&Work<'_, Vec<Notice>>>) -> Result<(), Fault> {
        let now = self.0.sources.now();
        // The same event may come twice in one batch.
        let mut named: HashSet<NotificationId> = HashSet::new();
        let new: Vec<Notification> = part
            .iter()
            .flat_map(|work| &work.content)
            .filter(|notice| named.insert(notice.notification_id))
            .map(|notice| Notification::new(notice.clone(), now))
            .collect();
        let mut tries = 0;
        decide_and_commit(&self.0.store, || {
            tries += 1;
            self.write(&new, tries > 1)
        })
        .await
    }

    async fn write(&self, new: &[Notification], look_first: bool) -> Result<Decision<()>, Fault> {
        let mut transaction = Transaction::independent(self.0.sources.fresh_id());
        let known = if look_first {
            let keys: Vec<Key> = new.iter().map(Record::key).collect();
            self.0.store.get(&keys).await?
        } else {
            vec![None; new.len()]
        };
        for (notification, _) in new.iter().zip(known).filter(|(_, known)| known.is_none()) {
            transaction.create(notification)?;
        }
        Ok(if transaction.is_empty() { Decision::Nothing(()) } else { Decision::Commit(transaction, ()) })
    }
}

/// Sends letters. Where the world has none there is nothing to do.
pub struct Emails<S>(pub(crate) Notifications<S>);

impl<S: Store> Consumer for Emails<S> {
    const NAME: &'static str = NOTIFICATIONS_EMAILS;

    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        let Some(letters) = &self.0.letters else {
            return vec![Outcome::Done; batch.len()];
        };
        let (work, mut outcomes) = read_batch(batch, |event| Ok::<_, Infallible>(letter_notice(&event)));
        let notices =
            work.iter().enumerate().filter_map(|(place, work)| Some((place, work.content.clone()?)));
        let mut wanted: Vec<(usize, Notice)> = notices.collect();
        if let Err(fault) = self.keep_wanted(&mut wanted).await {
            let outcome = fault.into_outcome();
            work.iter().for_each(|work| outcomes.note(work, outcome.clone()));
            return outcomes.into();
        }
        let sent = wanted.into_iter().map(|(place, notice)| {
            let letters = letters.clone();
            async move { (place, send(&letters, notice).await) }
        });
        let mut sent = futures::stream::iter(sent).buffer_unordered(LETTERS_AT_ONCE);
        while let Some((place, outcome)) = sent.next().await {
            outcomes.note(&work[place], outcome);
        }
        outcomes.into()
    }
}

/// What an event has a letter sent for. None is worth more than one, so what becomes of the delivery is what becomes of
/// that.
fn letter_notice(event: &Message) -> Option<Notice> {
    notices(event).into_iter().find(|notice| notice.kind.is_worth_a_letter())
}

impl<S: Store> Emails<S> {
    /// Drops what is for people who do not want letters.
    async fn keep_wanted(&self, wanted: &mut Vec<(usize, Notice)>) -> Result<(), Fault> {
        let owners: HashSet<UserId> = wanted.iter().map(|(_, notice)| notice.owner).collect();
        if owners.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = owners.iter().map(|owner| preferences_key(*owner)).collect();
        let stored = runtime::get_many::<S, Preferences>(&self.0.store, &keys).await?;
        let said: HashMap<UserId, bool> =
            stored.into_iter().flatten().map(|held| (held.record.owner, held.record.email)).collect();
        wanted.retain(|(_, Notice { owner, .. })| {
            said.get(owner).copied().unwrap_or_else(|| Preferences::unsaid(*owner).email)
        });
        Ok(())
    }
}

async fn send(letters: &Letters, notice: Notice) -> Outcome {
    let to = match letters.directory.email_address(notice.owner).await {
        Ok(Some(to)) => to,
        // She has no confirmed address: her inbox has to do.
        Ok(None) => return Outcome::Done,
        Err(error) => return Fault::from(error).into_outcome(),
    };
    let letter = Letter {
        letter_id: notice.notification_id.to_string(),
        to,
        subject: notice.title,
        body: notice.text + CLOSING_LINES,
    };
    match letters.mailer.send(&letter).await {
        Ok(()) => Outcome::Done,
        Err(MailError::Later(reason)) => {
            Outcome::Retry { after: Duration::ZERO, reason: without_addresses(&reason) }
        }
        Err(MailError::Never(reason)) => Outcome::Reject { reason: without_addresses(&reason) },
    }
}

/// What a mail server says often repeats the address, which belongs into no log and no dead letter.
fn without_addresses(said: &str) -> String {
    let words = said.split_whitespace().map(|word| if word.contains('@') { "(address)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "consumers_tests.rs"]
mod tests;
