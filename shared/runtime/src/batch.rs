//! A batch of deliveries, as every consumer takes it: each message is read in its own result, so that one that cannot be
//! read is rejected alone, and each part of the batch ends in its own.

use std::fmt::Display;
use std::hash::Hash;

use contracts::Message;
use futures::future::join_all;
use ports::{Delivery, Outcome};

use crate::{Fault, rounds};

/// A delivery that could be read.
pub struct Work<'a, T> {
    index: usize,
    /// The delivery.
    pub delivery: &'a Delivery,
    /// What it asks for or tells.
    pub content: T,
}

/// One outcome a delivery, in order: done, unless something else is said.
pub struct Outcomes(Vec<Outcome>);

/// Reads a batch. A message that cannot be decoded, or that `read` does not understand, is rejected.
pub fn read_batch<T, E: Display>(
    batch: &[Delivery],
    read: impl Fn(Message) -> Result<T, E>,
) -> (Vec<Work<'_, T>>, Outcomes) {
    let mut outcomes = vec![Outcome::Done; batch.len()];
    let mut work = Vec::with_capacity(batch.len());
    for (index, delivery) in batch.iter().enumerate() {
        let envelope = &delivery.envelope;
        let content = Message::decode(&envelope.kind, envelope.version, &envelope.body)
            .map_err(|error| error.to_string())
            .and_then(|message| read(message).map_err(|error| error.to_string()));
        match content {
            Ok(content) => work.push(Work { index, delivery, content }),
            Err(reason) => outcomes[index] = Outcome::Reject { reason },
        }
    }
    (work, Outcomes(outcomes))
}

impl Outcomes {
    /// Has `take` write the batch in parts that fit a transaction each, those that share nothing at the same time;
    /// `own` and `shared` are as in [`rounds`]. A fault has all of its part delivered again.
    pub async fn of_parts<'a, T, K, I, F>(
        mut self,
        work: &'a [Work<'a, T>],
        own: impl Fn(&T) -> usize,
        shared: impl Fn(&T) -> I,
        take: impl Fn(Vec<&'a Work<'a, T>>) -> F,
    ) -> Vec<Outcome>
    where
        K: Eq + Hash,
        I: IntoIterator<Item = K>,
        F: Future<Output = Result<(), Fault>>,
    {
        for parts in rounds(work, |work| own(&work.content), |work| shared(&work.content)) {
            let results = join_all(parts.iter().map(|part| take(part.clone()))).await;
            for (part, result) in parts.iter().zip(results) {
                if let Err(fault) = result {
                    let outcome = fault.into_outcome();
                    part.iter().for_each(|work| self.note(work, outcome.clone()));
                }
            }
        }
        self.0
    }

    /// Notes how one delivery ended.
    pub fn note<T>(&mut self, work: &Work<'_, T>, outcome: Outcome) {
        self.0[work.index] = outcome;
    }
}

impl From<Outcomes> for Vec<Outcome> {
    fn from(outcomes: Outcomes) -> Self {
        outcomes.0
    }
}
