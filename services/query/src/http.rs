//! Routes in: `/transactions/{account_id}`, `/balances/{account_id}` and `/balances`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use contracts::ledger::FailureReason;
use kernel::{AccountId, Currency, Decimal, OperationId, Timestamp, UserId};
use ports::Store;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::{Listing, Paging, Params, PathId, Problem, Signed};

use crate::domain::{Direction, Transaction, TransactionKind, TransactionStatus};
use crate::{Filter, Query, Standing};

/// How long a reader who names a version waits for it.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

web::problems! {
    /// What reading a balance may be refused with.
    BalanceProblems: BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, CONFLICT;
    /// What reading a history may be refused with.
    HistoryProblems: BAD_REQUEST, UNAUTHORIZED, NOT_FOUND;
    /// What reading a list may be refused with.
    ListProblems: BAD_REQUEST, UNAUTHORIZED;
}

/// The routes of the query service.
pub fn routes<S: Store>(query: Query<S>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(balances))
        .routes(routes!(balance))
        .routes(routes!(transactions))
        .with_state(Arc::new(query))
}

/// What an account holds.
#[derive(Serialize, ToSchema)]
#[schema(as = Balance)]
struct BalanceView {
    #[schema(value_type = String)]
    account_id: AccountId,
    name: String,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    #[schema(value_type = String, example = "112.50")]
    balance: Decimal,
    /// What can be withdrawn now; there are no holds, so it is the balance.
    #[schema(value_type = String, example = "112.50")]
    available: Decimal,
    /// How many entries the account has.
    version: u64,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Standing> for BalanceView {
    fn from(Standing { account, balance }: Standing) -> Self {
        Self {
            account_id: balance.account_id,
            name: account.0.name,
            currency: balance.balance.currency,
            balance: balance.balance.decimal(),
            available: balance.balance.decimal(),
            version: balance.version,
            updated_at: balance.updated_at,
        }
    }
}

/// A row of an account's history.
#[derive(Serialize, ToSchema)]
#[schema(as = Transaction)]
pub struct TransactionView {
    transaction_id: String,
    #[schema(value_type = String)]
    operation_id: OperationId,
    #[schema(value_type = String, pattern = "^(DEPOSIT|WITHDRAW|TRANSFER)$", example = "DEPOSIT")]
    kind: TransactionKind,
    #[schema(value_type = String, pattern = "^(CREDIT|DEBIT)$", example = "CREDIT")]
    direction: Direction,
    #[schema(value_type = String, pattern = "^(COMPLETED|FAILED)$", example = "COMPLETED")]
    status: TransactionStatus,
    /// Why it FAILED.
    #[schema(value_type = Option<String>, example = "INSUFFICIENT_FUNDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<FailureReason>,
    #[schema(value_type = String, example = "12.50")]
    amount: Decimal,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    #[schema(value_type = Option<String>, example = "112.50")]
    #[serde(skip_serializing_if = "Option::is_none")]
    balance_after: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    counterparty_account_id: Option<AccountId>,
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
}

impl From<Transaction> for TransactionView {
    fn from(transaction: Transaction) -> Self {
        // Both sides of a transfer have a row of their own, so a row is named by its operation and its side.
        let side = match transaction.direction {
            Direction::Credit => "credit",
            Direction::Debit => "debit",
        };
        Self {
            transaction_id: format!("{}-{side}", transaction.operation_id),
            operation_id: transaction.operation_id,
            kind: transaction.kind,
            direction: transaction.direction,
            status: transaction.status,
            reason: transaction.reason,
            amount: transaction.amount.decimal(),
            currency: transaction.amount.currency,
            balance_after: transaction.balance_after.map(kernel::Money::decimal),
            description: transaction.description,
            counterparty_account_id: transaction.counterparty_account_id,
            occurred_at: transaction.occurred_at,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BalanceParams {
    /// Wait, for at most 5 seconds, until the account has had this many entries. If it has not by then the answer is 409.
    min_version: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TransactionParams {
    /// The most items of the page.
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// Not before this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Not after this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Only this kind.
    #[param(value_type = Option<String>, pattern = "^(DEPOSIT|WITHDRAW|TRANSFER)$")]
    kind: Option<TransactionKind>,
}

/// What the caller's accounts hold, oldest account first.
#[utoipa::path(get, path = "/balances", tag = "query", params(Paging),
    responses((status = 200, body = Listing<BalanceView>), ListProblems))]
async fn balances<S: Store>(
    State(query): State<Arc<Query<S>>>,
    Signed(caller): Signed,
    Params(paging): Params<Paging>,
) -> Result<Json<Listing<BalanceView>>, Problem> {
    let page = paging.page()?;
    let (standings, next) = query.balances(caller.user_id, page.after, page.limit).await?;
    Ok(Json(Listing::new(standings.into_iter().map(BalanceView::from).collect(), next.as_deref())))
}

/// What one of the caller's accounts holds.
#[utoipa::path(get, path = "/balances/{account_id}", tag = "query",
    params(("account_id" = String, Path), BalanceParams),
    responses((status = 200, body = BalanceView), BalanceProblems))]
async fn balance<S: Store>(
    State(query): State<Arc<Query<S>>>,
    Signed(caller): Signed,
    PathId(account_id): PathId<AccountId>,
    Params(params): Params<BalanceParams>,
) -> Result<Json<BalanceView>, Problem> {
    let version_min = params.min_version.unwrap_or(0);
    Ok(Json(query.balance(caller.user_id, account_id, version_min, VERSION_PATIENCE).await?.into()))
}

/// The history of one of the caller's accounts, newest first; failed operations are listed too.
#[utoipa::path(get, path = "/transactions/{account_id}", tag = "query",
    params(("account_id" = String, Path), TransactionParams),
    responses((status = 200, body = Listing<TransactionView>), HistoryProblems))]
async fn transactions<S: Store>(
    State(query): State<Arc<Query<S>>>,
    Signed(caller): Signed,
    PathId(account_id): PathId<AccountId>,
    Params(params): Params<TransactionParams>,
) -> Result<Json<Listing<TransactionView>>, Problem> {
    history(&query, caller.user_id, account_id, params).await
}

/// A page of the history of one of `owner`'s accounts, for whoever may see it.
pub async fn history<S: Store>(
    query: &Query<S>,
    owner: UserId,
    account_id: AccountId,
    params: TransactionParams,
) -> Result<Json<Listing<TransactionView>>, Problem> {
    let page = Paging { limit: params.limit, cursor: params.cursor }.page()?;
    let filter = Filter {
        from: params.from.unwrap_or(Timestamp::EPOCH),
        to: params.to.unwrap_or(Timestamp::from_millis(i64::MAX)),
        kind: params.kind,
    };
    let (rows, next) = query.transactions(owner, account_id, filter, page.after, page.limit).await?;
    Ok(Json(Listing::new(rows.into_iter().map(|row| row.transaction.into()).collect(), next.as_deref())))
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
