//! The timeline of an operation: when it came to each part of the bank, put together from what each part keeps.
//!
//! A hop is shown once it has happened, with the message that brought it there. Closing an account has a verdict of the
//! ledger too, so it is found as well, but it is no operation of banking and shows in no history: it has fewer hops. What
//! was projected anew shows the time of that, and what ended before banking kept when it heard of it does not show that.
//!
//! Absent on purpose: the correlation id, which is in the messages and the logs and in no item that stays; letters, of
//! which nothing is kept; her own words, which are no operator's business; and anything finer than the milliseconds
//! that the bank counts in.

use axum::Json;
use axum::extract::State;
use banking::domain::{Movement, Operation};
use contracts::ledger::{FailureReason, MoveFailedEvent, MovedEvent};
use contracts::topology::consumers::{BANKING_EVENTS, LEDGER_COMMANDS, NOTIFICATIONS_EVENTS, QUERY_EVENTS};
use contracts::{Kind, Message};
use kernel::{AccountId, Currency, Decimal, Money, OperationId, Timestamp, UserId};
use query::records::transaction_key;
use runtime::Fault;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::{PathId, Problem, Signed, not_found};

use crate::world::World;

web::problems! {
    /// What reading one's own timeline may be refused with.
    OwnProblems: UNAUTHORIZED, NOT_FOUND;
}

/// The customers' route: a customer follows her own operations.
pub fn routes(world: World) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(own_timeline)).with_state(world)
}

/// What became of an operation.
#[derive(Serialize, ToSchema)]
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
    /// Her account; of a transfer, the one that pays.
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// The account that a transfer pays to.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_account_id: Option<AccountId>,
    /// How much was to be moved; closing an account moves nothing.
    #[schema(value_type = Option<String>, example = "12.50")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Decimal>,
    #[schema(value_type = Option<String>, example = "EUR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What has happened so far, in the order of time.
    pub hops: Vec<Hop>,
}

/// One step on an operation's way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Hop {
    pub hop: HopName,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How many milliseconds after the first hop.
    pub after_ms: u64,
    /// Where it happened.
    #[schema(example = "ledger")]
    pub service: &'static str,
    /// The message that brought it there, where one did.
    #[schema(example = "DEPOSIT_CMD")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'static str>,
    /// Whose queue that message came through.
    #[schema(example = "ledger_commands")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<&'static str>,
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
    /// Banking heard how it ended, and told whoever waited.
    Concluded,
    /// Readers saw it.
    Projected,
    /// It came to its owner's inbox.
    Notified,
}

/// What became of one of the caller's operations: each hop with its time. Only the bank in one process tells.
#[utoipa::path(get, path = "/operations/{operation_id}/timeline", tag = "banking",
    params(("operation_id" = String, Path)),
    responses((status = 200, body = Timeline), OwnProblems))]
async fn own_timeline(
    State(world): State<World>,
    Signed(caller): Signed,
    PathId(operation_id): PathId<OperationId>,
) -> Result<Json<Timeline>, Problem> {
    let found = find(&world, operation_id, Some(caller.user_id)).await?;
    let own = found.filter(|timeline| timeline.owner == caller.user_id);
    Ok(Json(own.ok_or_else(|| not_found("operation"))?))
}

/// What an operation is about.
struct Subject {
    kind: TimelineKind,
    owner: UserId,
    account_id: AccountId,
    to_account_id: Option<AccountId>,
    amount: Option<Money>,
}

/// How the ledger judged an operation.
struct Verdict {
    reason: Option<FailureReason>,
    at: Timestamp,
}

impl Subject {
    fn timeline(
        self,
        operation_id: OperationId,
        outcome: TimelineOutcome,
        reason: Option<FailureReason>,
        hops: Vec<Hop>,
    ) -> Timeline {
        let Self { kind, owner, account_id, to_account_id, amount } = self;
        Timeline {
            operation_id,
            kind,
            outcome,
            reason,
            owner,
            account_id,
            to_account_id,
            amount: amount.map(Money::decimal),
            currency: amount.map(|amount| amount.currency),
            hops,
        }
    }

    fn moved(kind: TimelineKind, moved: &MovedEvent) -> (Self, Verdict) {
        let MovedEvent { owner, account_id, amount, occurred_at, .. } = *moved;
        let subject = Self { kind, owner, account_id, to_account_id: None, amount: Some(amount) };
        (subject, Verdict { reason: None, at: occurred_at })
    }

    fn move_failed(kind: TimelineKind, failed: &MoveFailedEvent) -> (Self, Verdict) {
        let MoveFailedEvent { owner, account_id, amount, reason, occurred_at, .. } = *failed;
        let subject = Self { kind, owner, account_id, to_account_id: None, amount: Some(amount) };
        (subject, Verdict { reason: Some(reason), at: occurred_at })
    }
}

impl From<&Operation> for Subject {
    fn from(operation: &Operation) -> Self {
        let Operation { owner, movement, amount, .. } = operation;
        let kind = match movement {
            Movement::Deposit { .. } => TimelineKind::Deposit,
            Movement::Withdraw { .. } => TimelineKind::Withdraw,
            Movement::Transfer { .. } => TimelineKind::Transfer,
        };
        let (account_id, to_account_id) = (movement.own_account(), movement.payee());
        Self { kind, owner: *owner, account_id, to_account_id, amount: Some(*amount) }
    }
}

/// Looks for an operation. The ledger knows whose it was; before it has judged, only `user_id` tells.
pub async fn find(
    world: &World,
    operation_id: OperationId,
    user_id: Option<UserId>,
) -> Result<Option<Timeline>, Fault> {
    let Some(record) = world.ledger.verdict(operation_id).await? else {
        return match user_id {
            Some(owner) => pending(world, operation_id, owner).await,
            None => Ok(None),
        };
    };
    let event = ledger::domain::event(&record.verdict)
        .map_err(|unbalanced| Fault::Unavailable(unbalanced.to_string()))?;
    let Some((subject, verdict)) = judged(&event) else { return Ok(None) };
    let hops = hops(world, operation_id, (&subject, &verdict), &event, record.delivered_at).await?;
    let outcome = if verdict.reason.is_none() { TimelineOutcome::Posted } else { TimelineOutcome::Refused };
    Ok(Some(subject.timeline(operation_id, outcome, verdict.reason, hops)))
}

async fn pending(world: &World, operation_id: OperationId, owner: UserId) -> Result<Option<Timeline>, Fault> {
    let Some(operation) = world.banking.operation(owner, operation_id).await? else { return Ok(None) };
    let hops = in_order(vec![(HopName::Accepted, None, operation.created_at)]);
    Ok(Some(Subject::from(&operation).timeline(operation_id, TimelineOutcome::Pending, None, hops)))
}

/// Reads an event; none but those of the ledger judge anything.
fn judged(event: &Message) -> Option<(Subject, Verdict)> {
    Some(match event {
        Message::Deposited(moved) => Subject::moved(TimelineKind::Deposit, moved),
        Message::Withdrawn(moved) => Subject::moved(TimelineKind::Withdraw, moved),
        Message::DepositFailed(failed) => Subject::move_failed(TimelineKind::Deposit, failed),
        Message::WithdrawFailed(failed) => Subject::move_failed(TimelineKind::Withdraw, failed),
        Message::Transferred(transferred) => {
            let (from, to) = (&transferred.from, &transferred.to);
            let subject = Subject {
                kind: TimelineKind::Transfer,
                owner: from.owner,
                account_id: from.account_id,
                to_account_id: Some(to.account_id),
                amount: Some(transferred.amount),
            };
            (subject, Verdict { reason: None, at: transferred.occurred_at })
        }
        Message::TransferFailed(failed) => {
            let subject = Subject {
                kind: TimelineKind::Transfer,
                owner: failed.from.owner,
                account_id: failed.from.account_id,
                to_account_id: Some(failed.to.account_id),
                amount: Some(failed.amount),
            };
            (subject, Verdict { reason: Some(failed.reason), at: failed.occurred_at })
        }
        Message::AccountClosed(closed) => {
            let subject = closing(closed.owner, closed.account_id);
            (subject, Verdict { reason: None, at: closed.occurred_at })
        }
        Message::CloseRejected(rejected) => {
            let subject = closing(rejected.owner, rejected.account_id);
            (subject, Verdict { reason: Some(rejected.reason), at: rejected.occurred_at })
        }
        _ => return None,
    })
}

fn closing(owner: UserId, account_id: AccountId) -> Subject {
    Subject { kind: TimelineKind::CloseAccount, owner, account_id, to_account_id: None, amount: None }
}

/// A hop, the message that brought the operation there, and when.
type Passed = (HopName, Option<Kind>, Timestamp);

async fn hops(
    world: &World,
    operation_id: OperationId,
    (subject, verdict): (&Subject, &Verdict),
    event: &Message,
    delivered_at: Timestamp,
) -> Result<Vec<Hop>, Fault> {
    let operation = world.banking.operation(subject.owner, operation_id).await?;
    let command = match subject.kind {
        TimelineKind::Deposit => Kind::DepositCmd,
        TimelineKind::Withdraw => Kind::WithdrawCmd,
        TimelineKind::Transfer => Kind::TransferCmd,
        TimelineKind::CloseAccount => Kind::CloseAccountCmd,
    };
    let judged = if verdict.reason.is_none() { HopName::Posted } else { HopName::Refused };
    // The first row is that of the account whose owner asked.
    let projected = match query::domain::changes(event).transactions.first() {
        Some(row) => {
            let key = transaction_key(row.account_id, row.occurred_at, row.account_version, operation_id);
            world.query.transaction(key).await?
        }
        None => None,
    };
    let notified_at = world.notifications.notified_at(subject.owner, event).await?;
    let told = Some(event.kind());
    let hops = [
        (HopName::Accepted, None, operation.as_ref().map(|operation| operation.created_at)),
        (HopName::CommandDelivered, Some(command), Some(delivered_at)),
        (judged, None, Some(verdict.at)),
        (HopName::Concluded, told, operation.and_then(|operation| operation.concluded_at)),
        (HopName::Projected, told, projected.map(|row| row.projected_at)),
        (HopName::Notified, told, notified_at),
    ];
    Ok(in_order(hops.into_iter().filter_map(|(hop, message, at)| Some((hop, message, at?))).collect()))
}

/// Those of one moment stay in the order of the flow.
fn in_order(mut passed: Vec<Passed>) -> Vec<Hop> {
    passed.sort_by_key(|(_, _, at)| *at);
    let first_at = passed.first().map_or(Timestamp::EPOCH, |(_, _, at)| *at);
    let hop = |(hop, message, at): Passed| {
        let after_ms = u64::try_from(at.since(first_at).as_millis()).unwrap_or(u64::MAX);
        let (service, consumer) = place(hop);
        Hop { hop, at, after_ms, service, message: message.map(Kind::name), consumer }
    };
    passed.into_iter().map(hop).collect()
}

/// The service where a hop happens, and the consumer whose queue leads there.
fn place(hop: HopName) -> (&'static str, Option<&'static str>) {
    match hop {
        HopName::Accepted => ("banking", None),
        HopName::CommandDelivered => ("ledger", Some(LEDGER_COMMANDS)),
        HopName::Posted | HopName::Refused => ("ledger", None),
        HopName::Concluded => ("banking", Some(BANKING_EVENTS)),
        HopName::Projected => ("query", Some(QUERY_EVENTS)),
        HopName::Notified => ("notifications", Some(NOTIFICATIONS_EVENTS)),
    }
}
