//! Routes in for operators: how the queues stand, the dead letters, the trial balance, and what became of one operation.
//!
//! - `people` finds people and accounts; `audits` run beside the bank; `flow` tells how it does now.
//!
//! All are for people in the group `operators`. None of them moves money, and none shows a password or a token. Whoever
//! looks at what is a person's leaves a line in the log.

mod audits;
mod flow;
mod people;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use identity::UnknownUser;
use kernel::{CorrelationId, Email, MessageId, OperationId, Timestamp, UserId};
use ports::{DeadLetter, Envelope, QueueAdmin, QueueDepth};
use runtime::{Fault, Refusal};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::{Body, Listing, Operator, Paging, Params, PathId, Problem, not_found};

use crate::timeline::{self, Timeline};
use crate::trial_balance::{TrialBalances, TrialBalancesView};
use crate::world::World;

pub use flow::Flow;

web::problems! {
    /// What an operator's reading may be refused with.
    ReadProblems: UNAUTHORIZED, FORBIDDEN;
    /// What reading one thing may be refused with.
    FindProblems: BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND;
    /// What reading a list may be refused with.
    ListProblems: BAD_REQUEST, UNAUTHORIZED, FORBIDDEN;
    /// What naming an operator, or one who is to be none, may be refused with.
    AppointProblems: BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNPROCESSABLE_ENTITY;
}

/// The routes under `/ops`.
pub fn routes(world: World, flow: Flow) -> OpenApiRouter {
    let elsewhere =
        people::routes(world.clone()).merge(audits::routes(world.clone())).merge(flow::routes(flow));
    OpenApiRouter::new()
        .routes(routes!(queues))
        .routes(routes!(dead_letters))
        .routes(routes!(dead_letter))
        .routes(routes!(redrive))
        .routes(routes!(trial_balance))
        .routes(routes!(operation_timeline))
        .routes(routes!(add_operator))
        .routes(routes!(remove_operator))
        .layer(Extension(TrialBalances::new(world.ledger.clone(), world.sources.clone())))
        .with_state(world)
        .merge(elsewhere)
}

/// How every queue stands.
#[derive(Serialize, ToSchema)]
struct QueuesView {
    items: Vec<QueueView>,
}

/// How a consumer's queue stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Queue)]
struct QueueView {
    #[schema(example = "ledger_commands")]
    consumer: String,
    /// Messages not yet delivered for the first time.
    waiting: u64,
    /// Messages that wait to be delivered again.
    retrying: u64,
    /// Dead letters.
    dead: u64,
    /// When the oldest message that still waits was sent.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_at: Option<Timestamp>,
    /// For how many milliseconds it has waited; zero where none waits.
    age_ms: u64,
}

impl QueueView {
    fn new(depth: QueueDepth, now: Timestamp) -> Self {
        let QueueDepth { consumer, waiting, retrying, dead, oldest_at } = depth;
        let age = oldest_at.map(|oldest_at| now.since(oldest_at)).unwrap_or_default();
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self { consumer, waiting, retrying, dead, oldest_at, age_ms }
    }
}

/// A message that could not be handled.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct DeadLetterView {
    dead_letter_id: String,
    /// Whose queue it was in.
    #[schema(example = "query_events")]
    consumer: String,
    /// Why it could not be handled.
    reason: String,
    /// How often it was delivered.
    attempts: u32,
    /// When it was given up.
    #[schema(value_type = String, format = DateTime)]
    died_at: Timestamp,
    #[schema(value_type = String)]
    message_id: MessageId,
    #[schema(example = "DEPOSIT_EVENT")]
    kind: String,
    /// The request that the message was sent for.
    #[schema(value_type = String)]
    correlation_id: CorrelationId,
    /// The message as it was sent; only where one dead letter is asked for.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<Envelope>,
}

impl DeadLetterView {
    fn brief(letter: DeadLetter) -> Self {
        let DeadLetter { dead_letter_id, consumer, reason, attempts, died_at, envelope } = letter;
        let Envelope { message_id, kind, correlation_id, .. } = envelope;
        Self {
            dead_letter_id,
            consumer,
            reason,
            attempts,
            died_at,
            message_id,
            kind,
            correlation_id,
            envelope: None,
        }
    }

    fn whole(letter: DeadLetter) -> Self {
        let envelope = letter.envelope.clone();
        Self { envelope: Some(envelope), ..Self::brief(letter) }
    }
}

/// A dead letter that was sent to its consumer again.
#[derive(Serialize, ToSchema)]
struct Redriven {
    dead_letter_id: String,
    redriven: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TimelineParams {
    /// Whose operation it is: needed only for one that the ledger has not judged yet.
    #[param(value_type = Option<String>, format = "uuid")]
    user_id: Option<UserId>,
}

/// Somebody who is to be an operator, or to be none any more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OperatorBody {
    /// The address she signed up with.
    #[schema(example = "ada@example.com", format = Email, max_length = 254)]
    email: String,
}

/// How every queue stands, in the order of the flow.
#[utoipa::path(get, path = "/ops/queues", tag = "operations",
    responses((status = 200, body = QueuesView), ReadProblems))]
async fn queues(State(world): State<World>, _: Operator) -> Result<Json<QueuesView>, Problem> {
    let depths = world.store.depths().await.map_err(Fault::from)?;
    let now = world.sources.now();
    Ok(Json(QueuesView { items: depths.into_iter().map(|depth| QueueView::new(depth, now)).collect() }))
}

/// The messages that could not be handled, oldest first.
#[utoipa::path(get, path = "/ops/dead-letters", tag = "operations", params(Paging),
    responses((status = 200, body = Listing<DeadLetterView>), ListProblems))]
async fn dead_letters(
    State(world): State<World>,
    _: Operator,
    Params(paging): Params<Paging>,
) -> Result<Json<Listing<DeadLetterView>>, Problem> {
    let page = paging.page()?;
    // One more than wanted tells whether there is another page.
    let mut letters =
        world.store.dead_letters(page.after.as_deref(), page.limit + 1).await.map_err(Fault::from)?;
    let has_more = letters.len() > page.limit;
    letters.truncate(page.limit);
    let next = letters.last().filter(|_| has_more).map(|letter| letter.dead_letter_id.clone());
    Ok(Json(Listing::new(letters.into_iter().map(DeadLetterView::brief).collect(), next.as_deref())))
}

/// One dead letter, with its message.
#[utoipa::path(get, path = "/ops/dead-letters/{dead_letter_id}", tag = "operations",
    params(("dead_letter_id" = String, Path)),
    responses((status = 200, body = DeadLetterView), FindProblems))]
async fn dead_letter(
    State(world): State<World>,
    Operator(operator): Operator,
    Path(dead_letter_id): Path<String>,
) -> Result<Json<DeadLetterView>, Problem> {
    let letter = world.store.dead_letter(&dead_letter_id).await.map_err(Fault::from)?;
    let letter = letter.ok_or_else(|| not_found("dead letter"))?;
    tracing::info!(operator = %operator.user_id, dead_letter_id, "an operator looked at a dead letter");
    Ok(Json(DeadLetterView::whole(letter)))
}

/// Send a dead letter to its consumer again, as if for the first time.
///
/// It is a dead letter no more, so the same request again is answered 404.
#[utoipa::path(post, path = "/ops/dead-letters/{dead_letter_id}/redrive", tag = "operations",
    params(("dead_letter_id" = String, Path)),
    responses((status = 200, body = Redriven), FindProblems))]
async fn redrive(
    State(world): State<World>,
    Operator(operator): Operator,
    Path(dead_letter_id): Path<String>,
) -> Result<Json<Redriven>, Problem> {
    if !world.store.redrive(&dead_letter_id).await.map_err(Fault::from)? {
        return Err(not_found("dead letter"));
    }
    tracing::info!(operator = %operator.user_id, dead_letter_id, "a dead letter was sent again");
    Ok(Json(Redriven { dead_letter_id, redriven: true }))
}

/// The balances of each currency, computed from the whole journal: they sum to zero, or money was made or lost.
///
/// It reads every entry there is, one request at a time, and is computed anew after ten seconds.
#[utoipa::path(get, path = "/ops/trial-balance", tag = "operations",
    responses((status = 200, body = TrialBalancesView), ReadProblems))]
async fn trial_balance(
    Extension(trial_balances): Extension<TrialBalances>,
    _: Operator,
) -> Result<Json<TrialBalancesView>, Problem> {
    Ok(Json(trial_balances.newest().await?))
}

/// What became of an operation: each hop with its time.
///
/// One that the ledger has not judged yet is found only under its owner's `user_id`.
#[utoipa::path(get, path = "/ops/operations/{operation_id}/timeline", tag = "operations",
    params(("operation_id" = String, Path), TimelineParams),
    responses((status = 200, body = Timeline), FindProblems))]
async fn operation_timeline(
    State(world): State<World>,
    Operator(operator): Operator,
    PathId(operation_id): PathId<OperationId>,
    Params(params): Params<TimelineParams>,
) -> Result<Json<Timeline>, Problem> {
    let found = timeline::find(&world, operation_id, params.user_id).await?;
    let timeline = found.ok_or_else(|| not_found("operation"))?;
    let user_id = timeline.owner;
    tracing::info!(operator = %operator.user_id, %user_id, %operation_id, "an operator looked at an operation");
    Ok(Json(timeline))
}

/// Make a person an operator, from her next sign-in or refresh on. One who is an operator already stays one.
#[utoipa::path(post, path = "/ops/operators", tag = "operations", request_body = OperatorBody,
    responses((status = 204), AppointProblems))]
async fn add_operator(
    State(world): State<World>,
    Operator(operator): Operator,
    Body(body): Body<OperatorBody>,
) -> Result<StatusCode, Problem> {
    let email: Email = body.email.parse().map_err(identity::invalid_email)?;
    let person = world.identity.add_operator(&email).await.map_err(unappointed)?;
    tracing::info!(operator = %operator.user_id, user_id = %person.user_id, "an operator was named");
    Ok(StatusCode::NO_CONTENT)
}

/// Let a person be no operator any more, from her next sign-in or refresh on: within a quarter of an hour. One who is none
/// stays so.
#[utoipa::path(post, path = "/ops/operators/remove", tag = "operations", request_body = OperatorBody,
    responses((status = 204), AppointProblems))]
async fn remove_operator(
    State(world): State<World>,
    Operator(operator): Operator,
    Body(body): Body<OperatorBody>,
) -> Result<StatusCode, Problem> {
    let email: Email = body.email.parse().map_err(identity::invalid_email)?;
    let person = world.identity.remove_operator(&email).await.map_err(unappointed)?;
    tracing::info!(operator = %operator.user_id, user_id = %person.user_id, "an operator was removed");
    Ok(StatusCode::NO_CONTENT)
}

fn unappointed(refusal: Refusal<UnknownUser>) -> Problem {
    match refusal {
        Refusal::Rejected(UnknownUser) => not_found("person"),
        Refusal::Once(refused) => refused.into(),
        Refusal::Fault(fault) => fault.into(),
    }
}

#[cfg(test)]
#[path = "ops_tests.rs"]
mod tests;
