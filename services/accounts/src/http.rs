//! Routes in: `/accounts`, `/accounts/{account_id}` and `/accounts/{account_id}/close`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contracts::accounts::AccountStatus;
use contracts::ledger::FailureReason;
use kernel::{AccountId, Currency, Timestamp};
use ports::Store;
use runtime::Answered;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::{
    Body, Listing, Paging, Params, PathId, Problem, Signed, Wait, answered, not_found, parse_currency,
};

use crate::Accounts;
use crate::domain::{Account, Request, Status};

web::problems! {
    /// What opening an account may be refused with.
    OpenProblems: BAD_REQUEST, UNAUTHORIZED, CONFLICT, PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, UNPROCESSABLE_ENTITY;
    /// What closing an account may be refused with.
    CloseProblems: BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, CONFLICT, UNPROCESSABLE_ENTITY;
    /// What reading one account may be refused with.
    ReadProblems: UNAUTHORIZED, NOT_FOUND;
    /// What reading the list may be refused with.
    ListProblems: BAD_REQUEST, UNAUTHORIZED;
}

/// The routes of the accounts service.
pub fn routes<S: Store>(accounts: Accounts<S>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_accounts, open_account))
        .routes(routes!(read_account))
        .routes(routes!(close_account))
        .with_state(Arc::new(accounts))
}

/// An account to be opened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OpenBody {
    /// What its owner calls it: one line of 1 to 100 characters. White space around it is dropped.
    #[schema(
        example = "Savings",
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*[^\s\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069][^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$"
    )]
    name: String,
    /// The only currency it will hold, by its code of ISO 4217.
    #[schema(example = "EUR", pattern = "^[A-Z]{3}$")]
    currency: String,
}

/// An account, as it is now.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountView {
    #[schema(value_type = String)]
    account_id: AccountId,
    #[schema(example = "Savings")]
    name: String,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    /// OPEN, CLOSING or CLOSED.
    #[schema(value_type = String, pattern = "^(OPEN|CLOSING|CLOSED)$", example = "OPEN")]
    status: AccountStatus,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<Timestamp>,
    /// Why it was not closed when that was last asked for.
    #[schema(value_type = Option<String>, example = "BALANCE_NOT_ZERO")]
    #[serde(skip_serializing_if = "Option::is_none")]
    close_rejected_reason: Option<FailureReason>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let (status, closed_at, close_rejected_reason) = match account.status {
            Status::Open { close_rejected_reason } => (AccountStatus::Open, None, close_rejected_reason),
            Status::Closing { .. } => (AccountStatus::Closing, None, None),
            Status::Closed { closed_at } => (AccountStatus::Closed, Some(closed_at), None),
        };
        Self {
            account_id: account.account_id,
            name: account.name,
            currency: account.currency,
            status,
            created_at: account.created_at,
            closed_at,
            close_rejected_reason,
        }
    }
}

/// Open an account.
#[utoipa::path(post, path = "/accounts", tag = "accounts", request_body = OpenBody,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        example = "account-1",
        description = "Makes a repetition of this request known as one. 1 to 255 visible ASCII characters.")),
    responses((status = 201, body = AccountView), OpenProblems))]
async fn open_account<S: Store>(
    State(accounts): State<Arc<Accounts<S>>>,
    Signed(caller): Signed,
    Body(body): Body<OpenBody>,
) -> Result<Response, Problem> {
    let request = Request { name: body.name, currency: parse_currency(&body.currency)? };
    let Answered { answer, is_replay } = accounts.open(&caller, &request).await?;
    Ok(answered(StatusCode::CREATED, Answered { answer: AccountView::from(answer), is_replay }))
}

/// The caller's accounts, oldest first.
#[utoipa::path(get, path = "/accounts", tag = "accounts", params(Paging),
    responses((status = 200, body = Listing<AccountView>), ListProblems))]
async fn list_accounts<S: Store>(
    State(accounts): State<Arc<Accounts<S>>>,
    Signed(caller): Signed,
    Params(paging): Params<Paging>,
) -> Result<Json<Listing<AccountView>>, Problem> {
    let page = paging.page()?;
    let (accounts, next) = accounts.accounts(caller.user_id, page.after, page.limit).await?;
    Ok(Json(Listing::new(accounts.into_iter().map(AccountView::from).collect(), next.as_deref())))
}

/// One of the caller's accounts.
#[utoipa::path(get, path = "/accounts/{account_id}", tag = "accounts", params(("account_id" = String, Path)),
    responses((status = 200, body = AccountView), ReadProblems))]
async fn read_account<S: Store>(
    State(accounts): State<Arc<Accounts<S>>>,
    Signed(caller): Signed,
    PathId(account_id): PathId<AccountId>,
) -> Result<Json<AccountView>, Problem> {
    let account = accounts.account(caller.user_id, account_id).await?;
    Ok(Json(account.ok_or_else(|| not_found("account"))?.into()))
}

/// Close one of the caller's accounts, which must be empty.
///
/// The answer is the account CLOSING. With `Prefer: wait` it is CLOSED, or OPEN with the reason why it was not closed.
#[utoipa::path(post, path = "/accounts/{account_id}/close", tag = "accounts",
    params(("account_id" = String, Path), web::WriteHeaders),
    responses((status = 200, body = AccountView), CloseProblems))]
async fn close_account<S: Store>(
    State(accounts): State<Arc<Accounts<S>>>,
    Signed(caller): Signed,
    PathId(account_id): PathId<AccountId>,
    wait: Wait,
) -> Result<Response, Problem> {
    let Answered { mut answer, is_replay } = accounts.close(&caller, account_id).await?;
    if let Some(patience) = wait.0 {
        answer = accounts.concluded(answer, patience).await?;
    }
    let answered = answered(StatusCode::OK, Answered { answer: AccountView::from(answer), is_replay });
    Ok(wait.applied(answered))
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
