//! The books: the trial balance of each currency, and an audit of everything.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use kernel::{Currency, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Console;
use crate::api::{ApiError, Ask};
use crate::live::{self, Drawn};
use crate::locale::Locale;
use crate::page::page;
use crate::parts::{amount, state, time};
use crate::visitor::{Customer, Failure, Operator};

/// How often a running audit is looked at.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct TrialBalances {
    items: Vec<TrialBalance>,
    is_balanced: bool,
    computed_at: Timestamp,
}

#[derive(Deserialize)]
struct TrialBalance {
    currency: Currency,
    customers: String,
    cash_in: String,
    cash_out: String,
    sum: String,
}

#[derive(Deserialize)]
struct Audit {
    status: String,
    started_at: Timestamp,
    took_ms: Option<u64>,
    found: Option<Found>,
}

#[derive(Deserialize)]
struct Found {
    counted: Map<String, Value>,
    findings_count: u64,
    findings: Vec<String>,
}

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/office/books", get(books))
        .route("/office/books/audit", post(begin))
        .route("/office/books/audit/live", get(audit_live))
}

async fn books(Operator(customer): Operator) -> Result<Markup, Failure> {
    let balances: TrialBalances = customer.get("/ops/trial-balance").await?;
    let audit = latest(&customer).await.map_err(|error| customer.visitor.failure(&error))?;
    let locale = customer.locale();
    let is_running = audit.as_ref().is_some_and(|audit| audit.status == "RUNNING");
    let content = html! {
        (super::menu("/office/books"))
        h1 { "Books" }
        section.card {
            div.headline {
                h2 { "Trial balance" }
                p.muted { (time(locale, balances.computed_at)) }
            }
            @if balances.is_balanced {
                p.notice { "Every currency sums to zero." }
            } @else {
                p.alert role="alert" { "The books do not sum to zero. Read the runbook before anything else." }
            }
            (table(locale, &balances.items))
        }
        section.card {
            div.headline {
                h2 { "Audit" }
                form method="post" action="/office/books/audit" { button type="submit" { "Run an audit" } }
            }
            p.muted { "Heads, chains, zero sums and projections are computed anew from the journal and compared." }
            div data-live=[is_running.then_some("/office/books/audit/live")] aria-live="polite" {
                @match &audit { Some(audit) => (drawn(locale, audit)), None => p.empty { "None has run since the bank was started." } }
            }
        }
    };
    Ok(page(&customer.visitor, "Books", &content))
}

fn table(locale: Locale, balances: &[TrialBalance]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Trial balance" { table {
            thead { tr {
                th scope="col" { "Currency" }
                @for heading in ["Customers", "Cash in", "Cash out", "Sum"] { th.number scope="col" { (heading) } }
            } }
            tbody { @for balance in balances { tr {
                th scope="row" { (balance.currency.code()) }
                @for decimal in [&balance.customers, &balance.cash_in, &balance.cash_out, &balance.sum] {
                    td.number { (amount(locale, decimal, balance.currency)) }
                }
            } } }
        } }
    }
}

fn drawn(locale: Locale, audit: &Audit) -> Markup {
    html! {
        p {
            (state(locale, &audit.status)) " " (time(locale, audit.started_at))
            @if let Some(took_ms) = audit.took_ms { ", " (locale.count(took_ms)) " ms" }
        }
        @if let Some(found) = &audit.found {
            dl { @for (name, count) in &found.counted {
                dt { (name.replace('_', " ")) }
                dd { (count.as_u64().map_or_else(|| count.to_string(), |count| locale.count(count))) }
            } }
            @if found.findings_count > 0 {
                p.alert role="alert" { (locale.count(found.findings_count)) " findings. Read the runbook before anything else." }
                ul.findings { @for finding in &found.findings { li { (finding) } } }
            }
        }
    }
}

/// The last audit, if one has run.
async fn latest(customer: &Customer) -> Result<Option<Audit>, ApiError> {
    match customer.ask(Ask::get("/ops/audits/latest")).await {
        Ok(audit) => Ok(Some(audit)),
        Err(ApiError::Refused(problem)) if problem.status == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

async fn begin(Operator(customer): Operator) -> Result<Response, Failure> {
    let ask = Ask::post("/ops/audits", Value::Null);
    customer.ask::<Value>(ask).await.map_err(|error| customer.visitor.failure(&error))?;
    Ok(Redirect::to("/office/books").into_response())
}

async fn audit_live(Operator(customer): Operator) -> impl IntoResponse {
    let closing = customer.visitor.console.closing.clone();
    let customer = Arc::new(customer);
    live::stream(closing, PAUSE, move || {
        let customer = Arc::clone(&customer);
        async move {
            match latest(&customer).await {
                Ok(Some(audit)) if audit.status == "RUNNING" => Drawn::Next(drawn(customer.locale(), &audit)),
                Ok(Some(audit)) => Drawn::Last(drawn(customer.locale(), &audit)),
                Ok(None) | Err(_) => Drawn::Gone,
            }
        }
    })
}
