//! The timeline of an operation: when it came to each part of the bank, put together from what each part keeps.
//!
//! A hop is shown once it has happened. Closing an account has a verdict of the ledger too, so it is found as well, but
//! it is no operation of banking and shows in no history: it has fewer hops. What was projected anew shows the time of
//! that. Absent is the correlation id, which is in the messages and the logs and in no item that stays.

use banking::domain::Movement;
use contracts::Message;
use contracts::ledger::FailureReason;
use kernel::{OperationId, Timestamp, UserId};
use query::records::transaction_key;
use runtime::Fault;
use serde::Serialize;
use utoipa::ToSchema;

use crate::world::World;

/// What became of an operation.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct Timeline {
    #[schema(value_type = String)]
    pub operation_id: OperationId,
    pub kind: TimelineKind,
    pub outcome: TimelineOutcome,
    /// Why it was refused.
    #[schema(value_type = Option<String>, example = "INSUFFICIENT_FUNDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<FailureReason>,
    /// The user who asked for it.
    #[schema(value_type = String)]
    pub owner: UserId,
    /// What has happened so far, in the order of time.
    pub hops: Vec<Hop>,
}

/// One step on an operation's way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Hop {
    pub hop: HopName,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Where it happened.
    #[schema(example = "ledger")]
    pub service: &'static str,
    /// How many milliseconds after the first hop.
    pub after_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TimelineKind {
    Deposit,
    Withdraw,
    Transfer,
    CloseAccount,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TimelineOutcome {
    /// The ledger has not judged it.
    Pending,
    /// The ledger did it.
    Posted,
    /// The ledger refused it.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HopName {
    /// Durable, with its command on the way.
    Accepted,
    /// The command came to the ledger.
    CommandDelivered,
    Posted,
    Refused,
    /// Readers saw it.
    Projected,
    /// It came to its owner's inbox.
    Notified,
}

/// Looks for an operation. The ledger knows whose it was; before it has judged, only `user_id` tells.
pub async fn find(
    world: &World,
    operation_id: OperationId,
    user_id: Option<UserId>,
) -> Result<Option<Timeline>, Fault> {
    match world.ledger.verdict(operation_id).await? {
        Some(record) => {
            let event = ledger::domain::event(&record.verdict)
                .map_err(|unbalanced| Fault::Unavailable(unbalanced.to_string()))?;
            let Some(judged) = judged(&event) else { return Ok(None) };
            let hops = hops(world, operation_id, &judged, &event, record.delivered_at).await?;
            let Judged { kind, owner, reason, .. } = judged;
            let outcome = if reason.is_none() { TimelineOutcome::Posted } else { TimelineOutcome::Refused };
            Ok(Some(Timeline { operation_id, kind, outcome, reason, owner, hops: in_order(hops) }))
        }
        None => match user_id {
            Some(owner) => pending(world, operation_id, owner).await,
            None => Ok(None),
        },
    }
}

async fn pending(world: &World, operation_id: OperationId, owner: UserId) -> Result<Option<Timeline>, Fault> {
    let Some(operation) = world.banking.operation(owner, operation_id).await? else { return Ok(None) };
    let kind = match operation.movement {
        Movement::Deposit { .. } => TimelineKind::Deposit,
        Movement::Withdraw { .. } => TimelineKind::Withdraw,
        Movement::Transfer { .. } => TimelineKind::Transfer,
    };
    let hops = in_order(vec![(HopName::Accepted, operation.created_at)]);
    Ok(Some(Timeline { operation_id, kind, outcome: TimelineOutcome::Pending, reason: None, owner, hops }))
}

/// What the ledger's event says of the operation.
struct Judged {
    kind: TimelineKind,
    owner: UserId,
    reason: Option<FailureReason>,
    at: Timestamp,
}

/// Reads an event; none but those of the ledger judge anything.
fn judged(event: &Message) -> Option<Judged> {
    use TimelineKind::{CloseAccount, Deposit, Transfer, Withdraw};
    let (kind, owner, reason, at) = match event {
        Message::Deposited(moved) => (Deposit, moved.owner, None, moved.occurred_at),
        Message::Withdrawn(moved) => (Withdraw, moved.owner, None, moved.occurred_at),
        Message::Transferred(transferred) => {
            (Transfer, transferred.from.owner, None, transferred.occurred_at)
        }
        Message::DepositFailed(failed) => (Deposit, failed.owner, Some(failed.reason), failed.occurred_at),
        Message::WithdrawFailed(failed) => (Withdraw, failed.owner, Some(failed.reason), failed.occurred_at),
        Message::TransferFailed(failed) => {
            (Transfer, failed.from.owner, Some(failed.reason), failed.occurred_at)
        }
        Message::AccountClosed(closed) => (CloseAccount, closed.owner, None, closed.occurred_at),
        Message::CloseRejected(rejected) => {
            (CloseAccount, rejected.owner, Some(rejected.reason), rejected.occurred_at)
        }
        _ => return None,
    };
    Some(Judged { kind, owner, reason, at })
}

async fn hops(
    world: &World,
    operation_id: OperationId,
    judged: &Judged,
    event: &Message,
    delivered_at: Timestamp,
) -> Result<Vec<(HopName, Timestamp)>, Fault> {
    let operation = world.banking.operation(judged.owner, operation_id).await?;
    let verdict = if judged.reason.is_none() { HopName::Posted } else { HopName::Refused };
    // The first row is that of the account whose owner asked.
    let projected = match query::domain::changes(event).transactions.first() {
        Some(row) => {
            let key = transaction_key(row.account_id, row.occurred_at, row.account_version, operation_id);
            world.query.transaction(key).await?
        }
        None => None,
    };
    let notified_at = world.notifications.notified_at(judged.owner, event).await?;
    let hops = [
        (HopName::Accepted, operation.map(|operation| operation.created_at)),
        (HopName::CommandDelivered, Some(delivered_at)),
        (verdict, Some(judged.at)),
        (HopName::Projected, projected.map(|row| row.projected_at)),
        (HopName::Notified, notified_at),
    ];
    Ok(hops.into_iter().filter_map(|(hop, at)| at.map(|at| (hop, at))).collect())
}

fn in_order(mut hops: Vec<(HopName, Timestamp)>) -> Vec<Hop> {
    hops.sort_by_key(|(_, at)| *at);
    let first_at = hops.first().map_or(Timestamp::EPOCH, |(_, at)| *at);
    let hop = |(hop, at): (HopName, Timestamp)| {
        let after_ms = u64::try_from(at.since(first_at).as_millis()).unwrap_or(u64::MAX);
        Hop { hop, at, service: service(hop), after_ms }
    };
    hops.into_iter().map(hop).collect()
}

fn service(hop: HopName) -> &'static str {
    match hop {
        HopName::Accepted => "banking",
        HopName::CommandDelivered | HopName::Posted | HopName::Refused => "ledger",
        HopName::Projected => "query",
        HopName::Notified => "notifications",
    }
}
