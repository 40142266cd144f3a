//! The queues: what consumers receive and settle, and what operators see of it.

use std::time::Duration;

use ports::{
    CommitError, DeadLetter, QueueAdmin, QueueDepth, Queues, Received, Settled, Subscription, Unavailable,
    Verdict,
};
use tokio::sync::oneshot;

use crate::committer::{Answer, Work, Writer};
use crate::consumer::{Origin, Taken};
use crate::group::{Ending, Row};
use crate::reader::ReadError;
use crate::{EmbeddedStore, Health};

/// How long a consumer waits before it hands over again what the committer was too busy to take.
const BUSY_DELAY: Duration = Duration::from_millis(20);

impl Queues for EmbeddedStore {
    async fn receive(&self, consumer: &'static str, limit: usize) -> Result<Vec<Received>, Unavailable> {
        let limit = limit.max(1);
        let mut health = self.inner.health.subscribe();
        self.writer()?;
        let wake = self.inner.log.wake(consumer).ok_or_else(|| not_subscribed(consumer))?;
        loop {
            self.writer()?;
            let mut received = self.take_due(consumer, limit)?;
            if received.len() == limit {
                return Ok(received);
            }
            match self.inner.log.take(consumer, limit - received.len()) {
                Taken::Messages(messages) => received.extend(messages),
                Taken::Behind { outbox, from, to } if received.is_empty() => {
                    let records = self.inner.reader.records(outbox, from, to).await?;
                    self.inner.log.fetched(consumer, outbox, from, to, records);
                    continue;
                }
                Taken::Behind { .. } | Taken::Nothing => {}
            }
            if !received.is_empty() {
                return Ok(received);
            }
            let due = self.inner.log.next_due(consumer).map(|due| due.since(self.inner.sources.now()));
            tokio::select! {
                () = wake.notified() => {}
                () = sleep(due) => {}
                _ = health.changed() => {}
            }
        }
    }

    async fn settle(&self, consumer: &'static str, settled: Vec<Settled>) -> Result<(), Unavailable> {
        let writer = self.writer()?;
        let mut done = Vec::new();
        let mut endings = Vec::new();
        for Settled { receipt, verdict } in settled {
            let Some(delivery) = self.inner.log.lift(consumer, receipt) else { continue };
            let row = match (verdict, delivery.origin) {
                (Verdict::Done, Origin::Log { .. }) => {
                    done.push(delivery);
                    continue;
                }
                (Verdict::Done, Origin::Retry { .. }) => Row::None,
                (Verdict::Again { at, reason }, _) => Row::Again { at, reason },
                (Verdict::Dead { reason }, _) => {
                    let sources = &self.inner.sources;
                    Row::Dead { dead_letter_id: sources.fresh_id(), reason, died_at: sources.now() }
                }
            };
            endings.push(Ending { delivery, row });
        }
        if self.inner.log.end(consumer, done.iter()) {
            // Nobody waits for a cursor. Where the queue is full, a group follows that saves it.
            drop(writer.submit(Work::Moved));
        }
        if endings.is_empty() {
            return Ok(());
        }
        let work = |answer| Work::End { consumer, endings: endings.clone(), answer };
        self.persist(work).await
    }
}

impl QueueAdmin for EmbeddedStore {
    async fn depths(&self) -> Result<Vec<QueueDepth>, Unavailable> {
        let mut depths = Vec::with_capacity(self.inner.subscriptions.len());
        for (consumer, waiting) in self.inner.log.waiting() {
            let Some(subscription) = self.inner.subscriptions.iter().find(|s| s.consumer == consumer) else {
                continue;
            };
            depths.push(self.depth(subscription, waiting).await?);
        }
        Ok(depths)
    }

    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, Unavailable> {
        Ok(self.inner.reader.dead_letters(after, limit).await?)
    }

    async fn dead_letter(&self, dead_letter_id: &str) -> Result<Option<DeadLetter>, Unavailable> {
        Ok(self.inner.reader.dead_letter(dead_letter_id)?)
    }

    async fn redrive(&self, dead_letter_id: &str) -> Result<bool, Unavailable> {
        self.writer()?;
        let Some(letter) = self.inner.reader.dead_letter(dead_letter_id)? else { return Ok(false) };
        if self.inner.log.wake(&letter.consumer).is_none() {
            // It would leave the dead letters, which people see, for a queue that nobody reads.
            return Err(not_subscribed(&letter.consumer));
        }
        let work = |answer| Work::Redrive { dead_letter_id: dead_letter_id.to_owned(), answer };
        self.persist(work).await
    }
}

impl EmbeddedStore {
    /// How many messages wait for their first delivery to a consumer. It takes no look at the disk.
    pub fn waiting(&self, consumer: &str) -> u64 {
        let waiting = self.inner.log.waiting();
        waiting.iter().find(|(name, _)| *name == consumer).map_or(0, |(_, waiting)| *waiting)
    }

    /// Takes what is due again. There is no await in here, so that nothing taken can be lost.
    fn take_due(&self, consumer: &'static str, limit: usize) -> Result<Vec<Received>, Unavailable> {
        let log = &self.inner.log;
        let now = self.inner.sources.now();
        if log.next_due(consumer).is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        let under_way = log.begin_retries(consumer);
        let reader = &self.inner.reader;
        let (due, next_due) = reader
            .read(|connection| reader.retries(connection, consumer, now, limit + under_way))
            .inspect_err(|_| log.due(consumer, now))?;
        let received = log.take_retries(consumer, due, limit);
        if received.len() == limit {
            log.due(consumer, now);
        }
        if let Some(next_due) = next_due {
            log.due(consumer, next_due);
        }
        Ok(received)
    }

    /// The committer, as long as it takes work.
    pub(crate) fn writer(&self) -> Result<&Writer, Unavailable> {
        match (&*self.inner.health.borrow(), &self.inner.writer) {
            (Health::Serving, Some(writer)) => Ok(writer),
            (Health::Failed(error), _) => Err(Unavailable(format!("it has failed: {error}"))),
            (Health::Closed, _) => Err(ReadError::Closed.into()),
            (Health::ReadOnly | Health::Serving, _) => {
                Err(Unavailable("it was opened for reading only".to_owned()))
            }
        }
    }

    /// Hands work over until the committer has made it durable. What a consumer settles must not be dropped because
    /// the store is busy: it would stay under way for as long as the process runs.
    async fn persist<T>(&self, work: impl Fn(Answer<T>) -> Work) -> Result<T, Unavailable> {
        loop {
            let (answer, answered) = oneshot::channel();
            let result = match self.writer()?.submit(work(answer)) {
                Ok(()) => {
                    answered.await.unwrap_or_else(|_| Err(CommitError::Unknown("it has stopped".to_owned())))
                }
                Err(error) => Err(error),
            };
            match result {
                Ok(value) => return Ok(value),
                Err(CommitError::Busy { .. }) => tokio::time::sleep(BUSY_DELAY).await,
                Err(error) => return Err(Unavailable(error.to_string())),
            }
        }
    }

    async fn depth(&self, subscription: &Subscription, waiting: u64) -> Result<QueueDepth, Unavailable> {
        let consumer = subscription.consumer;
        let kinds = subscription.kinds.clone();
        // Where nothing waits, the log need not be searched for the oldest.
        let positions = if waiting > 0 { self.inner.log.positions(consumer) } else { Vec::new() };
        let depth = self.inner.reader.read_long(move |reader, connection| {
            let (retrying, mut oldest_at) = reader.retrying(connection, consumer)?;
            for (outbox, next, taken) in positions {
                let candidate = reader.oldest(connection, outbox, (next, taken), &kinds)?;
                oldest_at = [oldest_at, candidate].into_iter().flatten().min();
            }
            let dead = reader.dead(connection, consumer)?;
            Ok(QueueDepth { consumer: consumer.to_owned(), waiting, retrying, dead, oldest_at })
        });
        Ok(depth.await?)
    }
}

async fn sleep(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

fn not_subscribed(consumer: &str) -> Unavailable {
    Unavailable(format!("{consumer} has no subscription"))
}

#[cfg(test)]
#[path = "queues_tests.rs"]
mod tests;
