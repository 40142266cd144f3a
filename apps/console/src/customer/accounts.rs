//! Accounts: all of them, a new one, one with its history, and closing it.

use axum::Router;
use axum::extract::{Form, Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::history::{self, Filter};
use crate::Console;
use crate::api::{ApiError, Ask, segment};
use crate::model::{Account, Balance, Listing};
use crate::page::page;
use crate::parts::{self, Field, amount, refusal, state};
use crate::statement;
use crate::text::Text;
use crate::visitor::{Customer, Failure};

/// The currencies that are offered first; any other of ISO 4217 can be typed.
const COMMON_CURRENCIES: [&str; 8] = ["EUR", "USD", "GBP", "TRY", "CHF", "JPY", "SEK", "KWD"];

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/app", get(overview))
        .route("/app/accounts", get(async || Redirect::to("/app")))
        .route("/app/accounts/new", get(new_form).post(open))
        .route("/app/accounts/{account_id}", get(account))
        .route("/app/accounts/{account_id}/close", get(close_form))
        .route("/app/accounts/{account_id}/close", post(close))
        .route("/app/accounts/{account_id}/statement.csv", get(statement::csv))
}

/// All accounts of a customer, with what is in each; none where the bank has not shown it yet.
pub async fn holdings(customer: &Customer) -> Result<Vec<(Account, Option<Balance>)>, Failure> {
    let accounts: Listing<Account> = customer.get("/accounts?limit=100").await?;
    let mut balances: Listing<Balance> = customer.get("/balances?limit=100").await?;
    let with_balance = |account: Account| {
        let found = balances.items.iter().position(|balance| balance.account_id == account.account_id);
        let balance = found.map(|index| balances.items.swap_remove(index));
        (account, balance)
    };
    Ok(accounts.items.into_iter().map(with_balance).collect())
}

async fn overview(customer: Customer) -> Result<Markup, Failure> {
    let holdings = holdings(&customer).await?;
    let title = customer.text(Text::Accounts);
    let (closed, current): (Vec<_>, Vec<_>) =
        holdings.iter().partition(|(account, _)| account.status == "CLOSED");
    let content = html! {
        div.headline {
            h1 { (title) }
            a.button href="/app/accounts/new" { (customer.text(Text::NewAccount)) }
        }
        @if current.is_empty() {
            section.card.empty { p { (customer.text(Text::NoAccounts)) } }
        }
        ul.accounts { @for (account, balance) in current { li { (tile(&customer, account, balance.as_ref())) } } }
        @if !closed.is_empty() {
            details.closed {
                summary { (customer.text(Text::ClosedAccounts)) }
                ul.accounts { @for (account, balance) in closed { li { (tile(&customer, account, balance.as_ref())) } } }
            }
        }
    };
    Ok(page(&customer.visitor, title, &content))
}

fn tile(customer: &Customer, account: &Account, balance: Option<&Balance>) -> Markup {
    html! {
        a.card.account href={ "/app/accounts/" (account.account_id) } {
            span.name { (account.name) }
            @if !account.is_open() { (state(customer.locale(), &account.status)) }
            span.balance { (held(customer, account, balance)) }
        }
    }
}

fn held(customer: &Customer, account: &Account, balance: Option<&Balance>) -> Markup {
    match balance {
        Some(balance) => amount(customer.locale(), &balance.balance, account.currency),
        None => html! { span.muted { (customer.text(Text::BeingOpened)) } },
    }
}

#[derive(Default, Deserialize)]
struct NewAccount {
    #[serde(default)]
    name: String,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    key: String,
}

async fn new_form(customer: Customer) -> Markup {
    let key = customer.visitor.console.sources.fresh_id().to_string();
    new_page(&customer, &NewAccount { key, currency: "EUR".to_owned(), ..NewAccount::default() }, None)
}

fn new_page(customer: &Customer, entry: &NewAccount, refused: Option<&ApiError>) -> Markup {
    let title = customer.text(Text::NewAccount);
    let name = Field {
        hint: Some(customer.text(Text::AccountNameHint)),
        ..Field::text("name", customer.text(Text::AccountName), &entry.name)
    };
    let content = html! {
        section.card.narrow {
            h1 { (title) }
            (refusal(customer.locale(), refused))
            form method="post" action="/app/accounts/new" {
                input type="hidden" name="key" value=(entry.key);
                (name.draw(refused))
                div.field {
                    label for="currency" { (customer.text(Text::Currency)) }
                    input id="currency" name="currency" list="currencies" value=(entry.currency) required
                        maxlength="3" autocomplete="off" autocapitalize="characters";
                    datalist id="currencies" { @for code in COMMON_CURRENCIES { option value=(code) {} } }
                }
                button type="submit" { (customer.text(Text::NewAccount)) }
            }
        }
    };
    page(&customer.visitor, title, &content)
}

async fn open(customer: Customer, Form(entry): Form<NewAccount>) -> Response {
    let body = json!({ "name": entry.name, "currency": entry.currency.trim().to_ascii_uppercase() });
    match customer.ask::<Account>(Ask::post("/accounts", body).once(&entry.key)).await {
        Ok(account) => Redirect::to(&format!("/app/accounts/{}", account.account_id)).into_response(),
        Err(error) => {
            (StatusCode::UNPROCESSABLE_ENTITY, new_page(&customer, &entry, Some(&error))).into_response()
        }
    }
}

async fn account(
    customer: Customer,
    Path(account_id): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Markup, Failure> {
    let account: Account = customer.get(format!("/accounts/{}", segment(&account_id))).await?;
    let balance = balance(&customer, &account).await?;
    let history = history::draw(&customer, &account, &filter).await?;
    let locale = customer.locale();
    let id = &account.account_id;
    let content = html! {
        section.headline {
            div {
                p.back { a href="/app" { "← " (customer.text(Text::Accounts)) } }
                h1 { (account.name) " " @if !account.is_open() { (state(locale, &account.status)) } }
                p.balance.large { (held(&customer, &account, balance.as_ref())) }
            }
            @if account.is_open() {
                div.actions {
                    a.button href={ "/app/move/deposit?account=" (id) } { (customer.text(Text::Deposit)) }
                    a.button href={ "/app/move/withdraw?account=" (id) } { (customer.text(Text::Withdraw)) }
                    a.button href={ "/app/move/transfer?account=" (id) } { (customer.text(Text::Transfer)) }
                }
            }
        }
        @if let Some(reason) = &account.close_rejected_reason {
            div.alert role="status" { (customer.text(Text::NotClosed)) " " (parts::named(locale, reason)) }
        }
        (history)
        section.card.details {
            h2 { (customer.text(Text::Details)) }
            dl {
                dt { (customer.text(Text::AccountId)) }
                dd {
                    code { (id) } " "
                    button.plain type="button" hidden data-copy=(id) data-copied=(customer.text(Text::Copied)) {
                        (customer.text(Text::Copy))
                    }
                }
                dt { (customer.text(Text::Opened)) }
                dd { (parts::time(locale, account.created_at)) }
                @if let Some(closed_at) = account.closed_at {
                    dt { (customer.text(Text::Closed)) }
                    dd { (parts::time(locale, closed_at)) }
                }
            }
            @if account.is_open() {
                p { a href={ "/app/accounts/" (id) "/close" } { (customer.text(Text::CloseAccount)) } }
            }
        }
    };
    Ok(page(&customer.visitor, &account.name, &content))
}

/// What is in an account; none where the bank has not shown it yet.
async fn balance(customer: &Customer, account: &Account) -> Result<Option<Balance>, Failure> {
    match customer.ask(Ask::get(format!("/balances/{}", account.account_id))).await {
        Ok(balance) => Ok(Some(balance)),
        Err(ApiError::Refused(problem)) if problem.status == 404 => Ok(None),
        Err(error) => Err(customer.visitor.failure(&error)),
    }
}

async fn close_form(customer: Customer, Path(account_id): Path<String>) -> Result<Markup, Failure> {
    let account: Account = customer.get(format!("/accounts/{}", segment(&account_id))).await?;
    Ok(close_page(&customer, &account, None))
}

fn close_page(customer: &Customer, account: &Account, refused: Option<&ApiError>) -> Markup {
    let title = customer.text(Text::CloseAccount);
    let content = html! {
        section.card.narrow {
            h1 { (title) }
            p { strong { (account.name) } }
            (refusal(customer.locale(), refused))
            p { (customer.text(Text::CloseWhy)) }
            form method="post" action={ "/app/accounts/" (account.account_id) "/close" } {
                button.danger type="submit" { (title) }
                " " a.button.quiet href={ "/app/accounts/" (account.account_id) } { (customer.text(Text::Cancel)) }
            }
        }
    };
    page(&customer.visitor, title, &content)
}

async fn close(customer: Customer, Path(account_id): Path<String>) -> Result<Response, Failure> {
    let account_id = segment(&account_id);
    let ask = Ask::post(format!("/accounts/{account_id}/close"), Value::Null).wait(5);
    match customer.ask::<Account>(ask).await {
        Ok(_) => Ok(Redirect::to(&format!("/app/accounts/{account_id}")).into_response()),
        Err(error) => {
            let account: Account = customer.get(format!("/accounts/{account_id}")).await?;
            Ok((StatusCode::CONFLICT, close_page(&customer, &account, Some(&error))).into_response())
        }
    }
}
