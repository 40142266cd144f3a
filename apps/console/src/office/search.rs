//! Finding a person, an account or an operation by what somebody tells on the telephone: an address or an identifier.

use axum::Router;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use kernel::{Currency, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::Console;
use crate::api::{ApiError, Ask, path_with, segment};
use crate::model::{Listing, Transaction};
use crate::page::page;
use crate::parts::{amount, movement, named, next_page, state, time};
use crate::visitor::{Customer, Failure, Operator};

#[derive(Deserialize)]
struct Person {
    user_id: String,
    email: String,
    created_at: Timestamp,
    is_confirmed: bool,
    is_operator: bool,
}

#[derive(Deserialize)]
struct Account {
    account_id: String,
    owner: String,
    name: String,
    currency: Currency,
    status: String,
    balance: String,
    version: u64,
    created_at: Timestamp,
}

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/office/search", get(search))
        .route("/office/people/{user_id}", get(person))
        .route("/office/accounts/{account_id}", get(account))
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    q: String,
}

async fn search(
    Operator(customer): Operator,
    Query(Wanted { q }): Query<Wanted>,
) -> Result<Response, Failure> {
    let wanted = q.trim();
    if wanted.is_empty() {
        return Ok(search_page(&customer, None).into_response());
    }
    if wanted.contains('@') {
        let path = path_with("/ops/people", &[("email", Some(wanted))]);
        return Ok(match exists::<Person>(&customer, path).await? {
            Some(person) => Redirect::to(&format!("/office/people/{}", person.user_id)).into_response(),
            None => search_page(&customer, Some(wanted)).into_response(),
        });
    }
    let id = segment(wanted);
    let places = [
        (path_with("/ops/people", &[("user_id", Some(wanted))]), "people"),
        (format!("/ops/accounts/{id}"), "accounts"),
        (format!("/ops/operations/{id}/timeline"), "operations"),
    ];
    for (path, part) in places {
        if exists::<Value>(&customer, path).await?.is_some() {
            return Ok(Redirect::to(&format!("/office/{part}/{id}")).into_response());
        }
    }
    Ok(search_page(&customer, Some(wanted)).into_response())
}

/// What is at a path of the API; none if there is nothing, or if what was typed cannot be one's identifier.
async fn exists<T: serde::de::DeserializeOwned>(
    customer: &Customer,
    path: String,
) -> Result<Option<T>, Failure> {
    match customer.ask(Ask::get(path)).await {
        Ok(found) => Ok(Some(found)),
        Err(ApiError::Refused(problem)) if matches!(problem.status, 400 | 404 | 422) => Ok(None),
        Err(error) => Err(customer.visitor.failure(&error)),
    }
}

fn search_page(customer: &Customer, missed: Option<&str>) -> Markup {
    let content = html! {
        (super::menu("/office/search"))
        h1 { "Search" }
        section.card {
            @match missed {
                Some(missed) => p role="status" { "Nothing is known of " strong { (missed) } "." },
                None => p { "A person by her email address; a person, an account or an operation by its id." },
            }
        }
    };
    page(&customer.visitor, "Search", &content)
}

async fn person(Operator(customer): Operator, Path(user_id): Path<String>) -> Result<Markup, Failure> {
    let person: Person = customer.get(path_with("/ops/people", &[("user_id", Some(&user_id))])).await?;
    let path = format!("/ops/people/{}/accounts?limit=100", segment(&person.user_id));
    let accounts: Listing<Account> = customer.get(path).await?;
    let locale = customer.locale();
    let content = html! {
        (super::menu("/office/search"))
        section.card {
            h1 { (person.email) }
            dl {
                dt { "Person" } dd { code { (person.user_id) } }
                dt { "Signed up" } dd { (time(locale, person.created_at)) }
                dt { "Confirmed" } dd { @if person.is_confirmed { "yes" } @else { "no" } }
                dt { "Operator" } dd { @if person.is_operator { "yes" } @else { "no" } }
            }
        }
        section.card {
            h2 { "Accounts" }
            @if accounts.items.is_empty() { p.empty { "None." } } @else {
                div.scroll tabindex="0" role="group" aria-label="Accounts" { table {
                    thead { tr {
                        th scope="col" { "Account" } th scope="col" { "Status" } th.number scope="col" { "Balance" }
                    } }
                    tbody { @for account in &accounts.items { tr {
                        td { a href={ "/office/accounts/" (account.account_id) } { (account.name) } }
                        td { (state(locale, &account.status)) }
                        td.number { (amount(locale, &account.balance, account.currency)) }
                    } } }
                } }
            }
        }
    };
    Ok(page(&customer.visitor, &person.email, &content))
}

#[derive(Deserialize)]
struct Cursor {
    #[serde(default)]
    cursor: String,
}

async fn account(
    Operator(customer): Operator,
    Path(account_id): Path<String>,
    Query(Cursor { cursor }): Query<Cursor>,
) -> Result<Markup, Failure> {
    let path = format!("/ops/accounts/{}", segment(&account_id));
    let account: Account = customer.get(path.as_str()).await?;
    let transactions = path_with(&format!("{path}/transactions"), &[("cursor", Some(&cursor))]);
    let transactions: Listing<Transaction> = customer.get(transactions).await?;
    let locale = customer.locale();
    let here = format!("/office/accounts/{}", account.account_id);
    let next = transactions.next_cursor.as_deref();
    let content = html! {
        (super::menu("/office/search"))
        section.card {
            h1 { (account.name) " " (state(locale, &account.status)) }
            p.balance.large { (amount(locale, &account.balance, account.currency)) }
            dl {
                dt { "Account" } dd { code { (account.account_id) } }
                dt { "Owner" } dd { a href={ "/office/people/" (account.owner) } { code { (account.owner) } } }
                dt { "Entries" } dd { (locale.count(account.version)) }
                dt { "Opened" } dd { (time(locale, account.created_at)) }
            }
        }
        section.card {
            h2 { "History" }
            (history(locale, &transactions.items))
            (next_page(locale, &path_with(&here, &[("cursor", next)]), next))
        }
    };
    Ok(page(&customer.visitor, &account.name, &content))
}

fn history(locale: crate::locale::Locale, transactions: &[Transaction]) -> Markup {
    html! {
        @if transactions.is_empty() { p.empty { "Nothing yet." } } @else {
            div.scroll tabindex="0" role="group" aria-label="History" { table {
                thead { tr {
                    th scope="col" { "Operation" } th scope="col" { "Status" } th scope="col" { "When" }
                    th.number scope="col" { "Amount" } th.number scope="col" { "Balance after" }
                } }
                tbody { @for transaction in transactions { tr {
                    td { a href={ "/office/operations/" (transaction.operation_id) } { (named(locale, &transaction.kind)) } }
                    td { (state(locale, &transaction.status)) }
                    td.when { (time(locale, transaction.occurred_at)) }
                    td.number { (movement(locale, transaction)) }
                    td.number { @if let Some(after) = &transaction.balance_after { (amount(locale, after, transaction.currency)) } }
                } } }
            } }
        }
    }
}
