//! Taking messages: the delivery loop of one consumer, and the policy of retries and dead letters.
//!
//! [`judge`] is the part that both worlds share. On AWS the queue's poller has the loop around it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use metrics::{counter, histogram};
use ports::{Consumer, Delivery, Outcome, Queues, Received, Settled, Sources, Verdict};
use tokio::sync::watch;

use crate::{SPANS, Trace, Traceparent};

/// How a consumer's messages are tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// How often a message is delivered before it is given up. (On SQS a queue's maxReceiveCount must not be less.)
    pub attempts_max: u32,
    /// The pause behind the first failed delivery; each further one is four times as long.
    pub backoff_first: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// The most messages of one batch.
    pub batch_max: usize,
}

impl Policy {
    /// For work inside the bank: five deliveries within about half a minute.
    pub const INSIDE: Self = Self {
        attempts_max: 5,
        backoff_first: Duration::from_millis(250),
        backoff_max: Duration::from_secs(30),
        batch_max: 256,
    };

    /// For a mail server, which may be away for an hour.
    pub const OUTSIDE: Self = Self {
        attempts_max: 8,
        backoff_first: Duration::from_secs(1),
        backoff_max: Duration::from_mins(20),
        batch_max: 32,
    };

    /// The pause behind the `attempt`-th failed delivery: between a half and the whole of its backoff, by `jitter`.
    fn backoff(&self, attempt: u32, jitter: u8) -> Duration {
        let factor = 4_u32.saturating_pow(attempt.saturating_sub(1));
        let whole = self.backoff_first.saturating_mul(factor).min(self.backoff_max);
        whole / 2 + whole / 2 * u32::from(jitter) / 255
    }

    fn verdict(&self, outcome: Outcome, attempt: u32, sources: &Sources) -> Verdict {
        match outcome {
            Outcome::Done => Verdict::Done,
            Outcome::Reject { reason } => Verdict::Dead { reason },
            Outcome::Retry { reason, .. } if attempt >= self.attempts_max => Verdict::Dead { reason },
            Outcome::Retry { after, reason } => {
                let jitter = sources.fresh_id().as_bytes()[15];
                Verdict::Again { at: sources.now() + after.max(self.backoff(attempt, jitter)), reason }
            }
        }
    }
}

/// Receives, handles and settles a consumer's messages until `shutdown` turns true; what was received is settled.
pub async fn consume<Q: Queues, C: Consumer>(
    queues: Q,
    consumer: Arc<C>,
    policy: Policy,
    sources: Sources,
    mut shutdown: watch::Receiver<bool>,
) {
    loop {
        let received = tokio::select! {
            biased;
            _ = shutdown.wait_for(|is_over| *is_over) => return,
            received = queues.receive(C::NAME, policy.batch_max) => received,
        };
        let received = match received {
            Ok(received) => received,
            Err(error) => {
                tracing::error!(consumer = C::NAME, %error, "messages could not be received");
                tokio::time::sleep(policy.backoff_first).await;
                continue;
            }
        };
        let (receipts, batch): (Vec<_>, Vec<_>) =
            received.into_iter().map(|Received { receipt, delivery }| (receipt, delivery)).unzip();
        let verdicts = judge(consumer.as_ref(), policy, &sources, &batch).await;
        let settled: Vec<Settled> = receipts
            .into_iter()
            .zip(verdicts)
            .map(|(receipt, verdict)| Settled { receipt, verdict })
            .collect();
        while let Err(error) = queues.settle(C::NAME, settled.clone()).await {
            tracing::error!(consumer = C::NAME, %error, "deliveries could not be settled");
            if *shutdown.borrow() {
                return;
            }
            tokio::time::sleep(policy.backoff_first).await;
        }
    }
}

/// Lets a consumer handle a batch and answers what becomes of each delivery, in order; failures are logged here.
pub async fn judge<C: Consumer>(
    consumer: &C,
    policy: Policy,
    sources: &Sources,
    batch: &[Delivery],
) -> Vec<Verdict> {
    let outcomes = deliver(consumer, batch).await;
    let judged = batch.iter().zip(outcomes).map(|(delivery, outcome)| {
        let verdict = policy.verdict(outcome, delivery.attempt, sources);
        log_failure(C::NAME, delivery, &verdict);
        verdict
    });
    judged.collect()
}

/// Lets a consumer handle a batch and answers one outcome a delivery. If it panics, each message is tried alone, so
/// that one bad message does not take its batch along.
pub async fn deliver<C: Consumer>(consumer: &C, batch: &[Delivery]) -> Vec<Outcome> {
    let began = Instant::now();
    let outcomes = match try_deliver(consumer, batch).await {
        Some(outcomes) => outcomes,
        None => {
            let mut outcomes = Vec::with_capacity(batch.len());
            for delivery in batch {
                let alone = try_deliver(consumer, std::slice::from_ref(delivery)).await;
                outcomes.extend(alone.unwrap_or_else(|| vec![panicked()]));
            }
            outcomes
        }
    };
    let took = began.elapsed();
    histogram!("consumer_batch_size", "consumer" => C::NAME).record(batch.len() as f64);
    histogram!("consumer_seconds", "consumer" => C::NAME).record(took.as_secs_f64());
    for (name, count) in count_outcomes(&outcomes) {
        counter!("consumer_outcomes_total", "consumer" => C::NAME, "outcome" => name).increment(count);
    }
    for (delivery, outcome) in batch.iter().zip(&outcomes) {
        tell_span(C::NAME, delivery, outcome, batch.len(), took);
    }
    outcomes
}

/// The outcomes of the batch, or nothing if the consumer panicked or did not answer for every delivery.
async fn try_deliver<C: Consumer>(consumer: &C, batch: &[Delivery]) -> Option<Vec<Outcome>> {
    let outcomes = AssertUnwindSafe(consumer.handle(batch)).catch_unwind().await.ok()?;
    (outcomes.len() == batch.len()).then_some(outcomes)
}

fn panicked() -> Outcome {
    Outcome::Retry { after: Duration::ZERO, reason: "the consumer failed on this message".to_owned() }
}

fn count_outcomes(outcomes: &[Outcome]) -> [(&'static str, u64); 3] {
    let count =
        |is_one: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is_one(outcome)).count() as u64;
    [
        ("done", count(|outcome| matches!(outcome, Outcome::Done))),
        ("retry", count(|outcome| matches!(outcome, Outcome::Retry { .. }))),
        ("reject", count(|outcome| matches!(outcome, Outcome::Reject { .. }))),
    ]
}

/// Tells the trace of a message that it was handled here, in the time that its batch took. Why it was not is in the log, by
/// the same correlation id: a reason may name what is no business of whoever keeps traces.
fn tell_span(consumer: &str, delivery: &Delivery, outcome: &Outcome, batch_size: usize, took: Duration) {
    let envelope = &delivery.envelope;
    let Some(parent) = Traceparent::read(&envelope.traceparent).filter(Traceparent::is_sampled) else {
        return;
    };
    let failure = match outcome {
        Outcome::Done => None,
        Outcome::Retry { .. } => Some("retry"),
        Outcome::Reject { .. } => Some("reject"),
    };
    tracing::info!(
        target: SPANS,
        traceparent = Trace::caused_by(consumer, delivery).traceparent,
        parent_span_id = parent.span_id,
        otel.name = format_args!("process {consumer}"),
        otel.kind = "consumer",
        duration_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
        error.type = failure,
        messaging.system = "bank",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = consumer,
        messaging.message.id = %envelope.message_id,
        messaging.message.conversation_id = envelope.correlation_id.as_str(),
        messaging.batch.message_count = batch_size,
        bank.message.kind = envelope.kind,
        bank.attempt = delivery.attempt,
    );
}

fn log_failure(consumer: &'static str, delivery: &Delivery, verdict: &Verdict) {
    let envelope = &delivery.envelope;
    match verdict {
        Verdict::Done => tracing::debug!(
            consumer,
            kind = envelope.kind,
            message_id = %envelope.message_id,
            correlation_id = %envelope.correlation_id,
            "message handled"
        ),
        Verdict::Again { at, reason } => tracing::warn!(
            consumer,
            kind = envelope.kind,
            message_id = %envelope.message_id,
            correlation_id = %envelope.correlation_id,
            attempt = delivery.attempt,
            %at,
            reason,
            "message will be delivered again"
        ),
        Verdict::Dead { reason } => tracing::error!(
            consumer,
            kind = envelope.kind,
            message_id = %envelope.message_id,
            correlation_id = %envelope.correlation_id,
            attempt = delivery.attempt,
            reason,
            "message is a dead letter now"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_by_what_they_are() {
        let retry = || Outcome::Retry { after: Duration::ZERO, reason: "later".to_owned() };
        let reject = || Outcome::Reject { reason: "unreadable".to_owned() };
        let outcomes = [retry(), reject(), Outcome::Done, retry(), reject(), reject()];
        assert_eq!(count_outcomes(&outcomes), [("done", 1), ("retry", 2), ("reject", 3)]);
    }
}
