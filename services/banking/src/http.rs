//! Routes in: `/deposit`, `/withdraw`, `/transfer`, `/batches`, `/operation-status/{operation_id}` and `/operations`.

mod batches;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contracts::ledger::FailureReason;
use kernel::{AccountId, Currency, Decimal, OperationId, Timestamp};
use ports::Store;
use runtime::{Answered, Caller};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::{
    AmountText, Body, Listing, Paging, Params, PathId, Problem, Signed, Wait, answered, not_found,
    parse_currency,
};

use crate::Banking;
use crate::domain::{Movement, Operation, Request, Status};
pub use batches::{BATCH_OPERATIONS_MAX, BATCH_PARTS_AT_ONCE};

web::problems! {
    /// What asking for an operation may be refused with.
    WriteProblems: BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, CONFLICT, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNPROCESSABLE_ENTITY;
    /// What reading one thing may be refused with.
    ReadProblems: UNAUTHORIZED, NOT_FOUND;
    /// What reading a list may be refused with.
    ListProblems: BAD_REQUEST, UNAUTHORIZED;
}

/// Banking's routes.
pub fn routes<S: Store>(banking: Banking<S>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(deposit))
        .routes(routes!(withdraw))
        .routes(routes!(transfer))
        .routes(routes!(batches::batches))
        .routes(routes!(operation_status))
        .routes(routes!(operations))
        .with_state(Arc::new(banking))
}

/// A deposit to, or a withdrawal from, an account of the caller.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MoveBody {
    /// One of the caller's accounts.
    #[schema(value_type = String)]
    account_id: String,
    amount: AmountText,
    /// The account's currency, if the caller wants it checked.
    #[schema(example = "EUR", pattern = "^[A-Z]{3}$")]
    currency: Option<String>,
    /// One line of at most 140 characters.
    #[schema(max_length = 140, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    description: Option<String>,
}

/// A transfer from an account of the caller to any account of the same currency.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferBody {
    /// One of the caller's accounts.
    from_account_id: String,
    /// Any account.
    to_account_id: String,
    amount: AmountText,
    /// The accounts' currency, if the caller wants it checked.
    #[schema(example = "EUR", pattern = "^[A-Z]{3}$")]
    currency: Option<String>,
    /// One line of at most 140 characters.
    #[schema(max_length = 140, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")]
    description: Option<String>,
}

/// An operation, as it is now.
#[derive(Serialize, ToSchema)]
#[schema(as = Operation)]
struct OperationView {
    #[schema(value_type = String)]
    operation_id: OperationId,
    kind: OperationKind,
    status: OperationStatus,
    /// Why it FAILED.
    #[schema(value_type = Option<String>, example = "INSUFFICIENT_FUNDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<FailureReason>,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<AccountId>,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    from_account_id: Option<AccountId>,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    to_account_id: Option<AccountId>,
    #[schema(value_type = String, example = "12.50")]
    amount: Decimal,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// What the caller's account held once this was COMPLETED.
    #[schema(value_type = Option<String>, example = "112.50")]
    #[serde(skip_serializing_if = "Option::is_none")]
    balance_after: Option<Decimal>,
    /// How many entries the caller's account had then: wait for it with `GET /balances/{account_id}?min_version=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_version: Option<u64>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum OperationKind {
    Deposit,
    Withdraw,
    Transfer,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum OperationStatus {
    Pending,
    Completed,
    Failed,
}

impl From<Operation> for OperationView {
    fn from(operation: Operation) -> Self {
        let kind = match operation.movement {
            Movement::Deposit { .. } => OperationKind::Deposit,
            Movement::Withdraw { .. } => OperationKind::Withdraw,
            Movement::Transfer { .. } => OperationKind::Transfer,
        };
        let payee = operation.movement.payee();
        let own = operation.movement.own_account();
        let mut view = Self {
            operation_id: operation.operation_id,
            kind,
            status: OperationStatus::Pending,
            reason: None,
            account_id: payee.is_none().then_some(own),
            from_account_id: payee.is_some().then_some(own),
            to_account_id: payee,
            amount: operation.amount.decimal(),
            currency: operation.amount.currency,
            description: operation.description,
            balance_after: None,
            account_version: None,
            created_at: operation.created_at,
            ended_at: None,
        };
        match operation.status {
            Status::Pending => {}
            Status::Completed { balance_after, account_version, ended_at } => {
                view.status = OperationStatus::Completed;
                view.balance_after = Some(balance_after.decimal());
                view.account_version = Some(account_version);
                view.ended_at = Some(ended_at);
            }
            Status::Failed { reason, ended_at } => {
                view.status = OperationStatus::Failed;
                view.reason = Some(reason);
                view.ended_at = Some(ended_at);
            }
        }
        view
    }
}

/// Pay money into one of the caller's accounts.
#[utoipa::path(post, path = "/deposit", tag = "banking", request_body = MoveBody, params(web::WriteHeaders),
    responses((status = 200, body = OperationView), WriteProblems))]
async fn deposit<S: Store>(
    State(banking): State<Arc<Banking<S>>>,
    Signed(caller): Signed,
    wait: Wait,
    Body(body): Body<MoveBody>,
) -> Result<Response, Problem> {
    let movement = Movement::Deposit { account_id: account_id(&body.account_id)? };
    let request = request(movement, &body.amount, body.currency.as_deref(), body.description)?;
    submit(&banking, &caller, &request, wait).await
}

/// Take money out of one of the caller's accounts.
#[utoipa::path(post, path = "/withdraw", tag = "banking", request_body = MoveBody, params(web::WriteHeaders),
    responses((status = 200, body = OperationView), WriteProblems))]
async fn withdraw<S: Store>(
    State(banking): State<Arc<Banking<S>>>,
    Signed(caller): Signed,
    wait: Wait,
    Body(body): Body<MoveBody>,
) -> Result<Response, Problem> {
    let movement = Movement::Withdraw { account_id: account_id(&body.account_id)? };
    let request = request(movement, &body.amount, body.currency.as_deref(), body.description)?;
    submit(&banking, &caller, &request, wait).await
}

/// Move money from one of the caller's accounts to any account of the same currency.
#[utoipa::path(post, path = "/transfer", tag = "banking", request_body = TransferBody, params(web::WriteHeaders),
    responses((status = 200, body = OperationView), WriteProblems))]
async fn transfer<S: Store>(
    State(banking): State<Arc<Banking<S>>>,
    Signed(caller): Signed,
    wait: Wait,
    Body(body): Body<TransferBody>,
) -> Result<Response, Problem> {
    let movement = Movement::Transfer {
        from_account_id: account_id(&body.from_account_id)?,
        to_account_id: account_id(&body.to_account_id)?,
    };
    let request = request(movement, &body.amount, body.currency.as_deref(), body.description)?;
    submit(&banking, &caller, &request, wait).await
}

/// How an operation stands.
#[utoipa::path(get, path = "/operation-status/{operation_id}", tag = "banking",
    params(("operation_id" = String, Path)),
    responses((status = 200, body = OperationView), ReadProblems))]
async fn operation_status<S: Store>(
    State(banking): State<Arc<Banking<S>>>,
    Signed(caller): Signed,
    PathId(operation_id): PathId<OperationId>,
) -> Result<Json<OperationView>, Problem> {
    let operation = banking.operation(caller.user_id, operation_id).await?;
    Ok(Json(operation.ok_or_else(|| not_found("operation"))?.into()))
}

/// The caller's operations, newest first.
#[utoipa::path(get, path = "/operations", tag = "banking", params(Paging),
    responses((status = 200, body = Listing<OperationView>), ListProblems))]
async fn operations<S: Store>(
    State(banking): State<Arc<Banking<S>>>,
    Signed(caller): Signed,
    Params(paging): Params<Paging>,
) -> Result<Json<Listing<OperationView>>, Problem> {
    let page = paging.page()?;
    let (operations, next) = banking.operations(caller.user_id, page.after, page.limit).await?;
    Ok(Json(Listing::new(operations.into_iter().map(OperationView::from).collect(), next.as_deref())))
}

/// An account id that cannot be one names an account that does not exist.
fn account_id(text: &str) -> Result<AccountId, Problem> {
    text.parse().map_err(|_| not_found("account"))
}

fn request(
    movement: Movement,
    amount: &AmountText,
    currency: Option<&str>,
    description: Option<String>,
) -> Result<Request, Problem> {
    let currency = currency.map(parse_currency).transpose()?;
    Ok(Request { movement, amount: amount.as_str().to_owned(), currency, description })
}

async fn submit<S: Store>(
    banking: &Banking<S>,
    caller: &Caller,
    request: &Request,
    wait: Wait,
) -> Result<Response, Problem> {
    let Answered { mut answer, is_replay } = banking.submit(caller, request).await?;
    if let Some(patience) = wait.0 {
        answer = banking.ended(answer, patience).await?;
    }
    let answered = answered(StatusCode::OK, Answered { answer: OperationView::from(answer), is_replay });
    Ok(wait.applied(answered))
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
