//! People and their accounts, for operators: who somebody is, what she has, and what happened to it.
//!
//! Somebody is found by what she can name when she asks for help: her whole address, her id, or that of an account. Each
//! look leaves a line in the log with the operator's id and what was looked at, which is never an address. Absent on
//! purpose: a list of people, a search by a part of an address, and anything that changes what is seen.

use accounts::domain::{Account, Status};
use axum::Json;
use axum::extract::State;
use contracts::accounts::AccountStatus;
use contracts::ledger::FailureReason;
use identity::Person;
use kernel::{AccountId, Currency, Decimal, Email, Timestamp, UserId};
use query::domain::Balance;
use query::{TransactionParams, TransactionView};
use runtime::Fault;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::{Listing, Operator, Paging, Params, PathId, Problem, not_found};

use super::FindProblems;
use crate::world::World;

/// The routes under `/ops/people` and `/ops/accounts`.
pub fn routes(world: World) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(find_person))
        .routes(routes!(accounts_of_person))
        .routes(routes!(find_account))
        .routes(routes!(transactions_of_account))
        .with_state(world)
}

/// Whom an operator looks for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PersonParams {
    /// The whole address she signed up with.
    #[param(format = Email, max_length = 254)]
    email: Option<String>,
    #[param(value_type = Option<String>, format = "uuid")]
    user_id: Option<UserId>,
}

/// Somebody who signed up.
#[derive(Serialize, ToSchema)]
#[schema(as = Person)]
struct PersonView {
    #[schema(value_type = String)]
    user_id: UserId,
    #[schema(value_type = String, example = "ada@example.org")]
    email: Email,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Whether she has shown that the address is hers.
    is_confirmed: bool,
    is_operator: bool,
}

impl From<Person> for PersonView {
    fn from(person: Person) -> Self {
        let Person { user_id, email, created_at, is_confirmed, groups } = person;
        let is_operator = groups.iter().any(|group| group == identity::OPERATORS);
        Self { user_id, email, created_at, is_confirmed, is_operator }
    }
}

/// An account of somebody's, and what its owner is shown that it holds.
#[derive(Serialize, ToSchema)]
#[schema(as = CustomersAccount)]
struct AccountView {
    #[schema(value_type = String)]
    account_id: AccountId,
    /// The user whose it is.
    #[schema(value_type = String)]
    owner: UserId,
    #[schema(example = "Savings")]
    name: String,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    #[schema(value_type = String, pattern = "^(OPEN|CLOSING|CLOSED)$", example = "OPEN")]
    status: AccountStatus,
    #[schema(value_type = String, example = "112.50")]
    balance: Decimal,
    /// How many entries the account has.
    version: u64,
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

impl AccountView {
    async fn load(world: &World, account: Account) -> Result<Self, Fault> {
        let close_rejected_reason = match account.status {
            Status::Open { close_rejected_reason } => close_rejected_reason,
            Status::Closing { .. } | Status::Closed { .. } => None,
        };
        let state = account.state();
        let (name, status, closed_at) = (state.name.clone(), state.status, state.closed_at);
        let Balance { account_id, balance, version, .. } = world.query.shown_balance(state).await?;
        Ok(Self {
            account_id,
            owner: account.owner,
            name,
            currency: balance.currency,
            status,
            balance: balance.decimal(),
            version,
            created_at: account.created_at,
            closed_at,
            close_rejected_reason,
        })
    }
}

/// The person with this address or this id; where both are given, the one who has both.
#[utoipa::path(get, path = "/ops/people", tag = "operations", params(PersonParams),
    responses((status = 200, body = PersonView), FindProblems))]
async fn find_person(
    State(world): State<World>,
    Operator(operator): Operator,
    Params(PersonParams { email, user_id }): Params<PersonParams>,
) -> Result<Json<PersonView>, Problem> {
    // What is no address is nobody's.
    let found = match (email.map(|email| email.parse::<Email>()), user_id) {
        (Some(Ok(email)), _) => world.identity.find_user(&email).await?,
        (None, Some(user_id)) => world.identity.person(user_id).await?,
        (Some(Err(_)), _) | (None, None) => None,
    };
    let found = found.filter(|person| user_id.is_none_or(|user_id| user_id == person.user_id));
    let user_id = found.as_ref().map(|person| tracing::field::display(person.user_id));
    tracing::info!(operator = %operator.user_id, user_id, "an operator looked for a person");
    Ok(Json(found.ok_or_else(|| not_found("person"))?.into()))
}

/// A person's accounts, oldest first.
#[utoipa::path(get, path = "/ops/people/{user_id}/accounts", tag = "operations",
    params(("user_id" = String, Path), Paging),
    responses((status = 200, body = Listing<AccountView>), FindProblems))]
async fn accounts_of_person(
    State(world): State<World>,
    Operator(operator): Operator,
    PathId(user_id): PathId<UserId>,
    Params(paging): Params<Paging>,
) -> Result<Json<Listing<AccountView>>, Problem> {
    let page = paging.page()?;
    world.identity.person(user_id).await?.ok_or_else(|| not_found("person"))?;
    let (accounts, next) = world.accounts.accounts(user_id, page.after, page.limit).await?;
    tracing::info!(operator = %operator.user_id, %user_id, "an operator looked at a person's accounts");
    let mut items = Vec::with_capacity(accounts.len());
    for account in accounts {
        items.push(AccountView::load(&world, account).await?);
    }
    Ok(Json(Listing::new(items, next.as_deref())))
}

/// One account, whosever it is.
#[utoipa::path(get, path = "/ops/accounts/{account_id}", tag = "operations",
    params(("account_id" = String, Path)),
    responses((status = 200, body = AccountView), FindProblems))]
async fn find_account(
    State(world): State<World>,
    Operator(operator): Operator,
    PathId(account_id): PathId<AccountId>,
) -> Result<Json<AccountView>, Problem> {
    let account = account(&world, account_id).await?;
    let user_id = account.owner;
    tracing::info!(operator = %operator.user_id, %user_id, %account_id, "an operator looked at an account");
    Ok(Json(AccountView::load(&world, account).await?))
}

/// The history of an account, whosever it is, newest first; failed operations are listed too.
#[utoipa::path(get, path = "/ops/accounts/{account_id}/transactions", tag = "operations",
    params(("account_id" = String, Path), TransactionParams),
    responses((status = 200, body = Listing<TransactionView>), FindProblems))]
async fn transactions_of_account(
    State(world): State<World>,
    Operator(operator): Operator,
    PathId(account_id): PathId<AccountId>,
    Params(params): Params<TransactionParams>,
) -> Result<Json<Listing<TransactionView>>, Problem> {
    let user_id = account(&world, account_id).await?.owner;
    tracing::info!(operator = %operator.user_id, %user_id, %account_id, "an operator looked at a history");
    query::history(&world.query, user_id, account_id, params).await
}

/// An account lies under its owner, and banking knows whose it is.
async fn account(world: &World, account_id: AccountId) -> Result<Account, Problem> {
    let unknown = || not_found("account");
    let known = world.banking.known_account(account_id).await?.ok_or_else(unknown)?;
    world.accounts.account(known.owner, account_id).await?.ok_or_else(unknown)
}
