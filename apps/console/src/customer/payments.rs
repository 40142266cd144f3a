//! Moving money, and what became of it.
//!
//! Each form carries an idempotency key from the moment it is drawn, so that sending it twice moves money once. The amount
//! goes to the API as it was typed, but for a decimal comma: what could be meant in two ways is refused there.

use std::time::Duration;

use axum::Router;
use axum::extract::{Form, Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::accounts::holdings;
use crate::Console;
use crate::api::{ApiError, Ask, segment};
use crate::live::{self, Drawn};
use crate::locale::Locale;
use crate::model::{Account, Balance, Operation};
use crate::office::operation::{Timeline, own_timeline, way};
use crate::page::page;
use crate::parts::{Field, amount, named, refusal, state, time};
use crate::text::Text;
use crate::visitor::{Customer, Failure};

/// How often the bank is asked whether an operation has ended.
const LIVE_PAUSE: Duration = Duration::from_millis(250);

/// How long after its end an operation's last hops are waited for: a message may be on its way for long, or be a dead letter.
const AFTERMATH_MAX: Duration = Duration::from_secs(3);

/// The ways to move money, as paths and in words.
const MOVES: [(&str, Text); 3] =
    [("transfer", Text::Transfer), ("deposit", Text::Deposit), ("withdraw", Text::Withdraw)];

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/app/move", get(async || Redirect::to("/app/move/transfer")))
        .route("/app/move/{kind}", get(form).post(submit))
        .route("/app/operations/{operation_id}", get(operation))
        .route("/app/operations/{operation_id}/live", get(operation_live))
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    account: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    amount: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    key: String,
}

impl Entry {
    /// The request to the API.
    fn ask(&self, kind: &str) -> Ask<'static> {
        let amount = self.amount.trim().replace('\u{a0}', "");
        // `12,50` is how half of the world writes it; `1,234.50` goes as it is, and is refused.
        let amount = if amount.contains('.') { amount } else { amount.replacen(',', ".", 1) };
        let description = Some(self.description.trim()).filter(|text| !text.is_empty());
        let (path, body) = match kind {
            "transfer" => (
                "/transfer",
                json!({ "from_account_id": self.account, "to_account_id": self.to.trim(), "amount": amount, "description": description }),
            ),
            "withdraw" => (
                "/withdraw",
                json!({ "account_id": self.account, "amount": amount, "description": description }),
            ),
            _ => (
                "/deposit",
                json!({ "account_id": self.account, "amount": amount, "description": description }),
            ),
        };
        Ask::post(path, body).once(&self.key)
    }
}

fn move_of(kind: &str) -> Option<(&'static str, Text)> {
    MOVES.into_iter().find(|(name, _)| *name == kind)
}

async fn form(
    customer: Customer,
    Path(kind): Path<String>,
    Query(entry): Query<Entry>,
) -> Result<Response, Failure> {
    let Some(kind) = move_of(&kind) else {
        return Ok(crate::page::not_found(customer.visitor).await);
    };
    let key = customer.visitor.console.sources.fresh_id().to_string();
    Ok(form_page(&customer, kind, &Entry { key, ..entry }, None).await?.into_response())
}

async fn form_page(
    customer: &Customer,
    (kind, text): (&str, Text),
    entry: &Entry,
    refused: Option<&ApiError>,
) -> Result<Markup, Failure> {
    let holdings = holdings(customer).await?;
    let open: Vec<_> = holdings.iter().filter(|(account, _)| account.is_open()).collect();
    let title = customer.text(text);
    let field = |name, label: Text, value| Field::text(name, customer.text(label), value);
    let content = html! {
        section.card.narrow {
            h1 { (customer.text(Text::MoveMoney)) }
            nav.tabs aria-label=(customer.text(Text::MoveMoney)) {
                @for (name, text) in MOVES {
                    a href={ "/app/move/" (name) "?account=" (segment(&entry.account)) }
                        aria-current=[(name == kind).then_some("page")] { (customer.text(text)) }
                }
            }
            @if open.is_empty() {
                p.empty { (customer.text(Text::NoAccounts)) }
                p { a.button href="/app/accounts/new" { (customer.text(Text::NewAccount)) } }
            } @else {
                (refusal(customer.locale(), refused))
                form method="post" action={ "/app/move/" (kind) } {
                    input type="hidden" name="key" value=(entry.key);
                    (account_field(customer, kind, &open, &entry.account))
                    @if kind == "transfer" { (payee_field(customer, &open, entry, refused)) }
                    (field("amount", Text::Amount, &entry.amount).draw(refused))
                    (Field { is_required: false, ..field("description", Text::Description, &entry.description) }
                        .draw(refused))
                    button type="submit" { (title) }
                }
            }
        }
    };
    Ok(page(&customer.visitor, title, &content))
}

fn account_field(
    customer: &Customer,
    kind: &str,
    open: &[&(Account, Option<Balance>)],
    chosen: &str,
) -> Markup {
    let label = if kind == "deposit" { Text::ToAccount } else { Text::FromAccount };
    html! {
        div.field {
            label for="account" { (customer.text(label)) }
            select id="account" name="account" required {
                @for (account, balance) in open {
                    option value=(account.account_id) selected[account.account_id == chosen] {
                        (account.name)
                        @if let Some(balance) = balance {
                            " · " (customer.locale().decimal(&balance.balance, account.currency)) " " (account.currency.code())
                        }
                    }
                }
            }
        }
    }
}

/// The account to be paid: one of one's own, or whichever somebody has told.
fn payee_field(
    customer: &Customer,
    open: &[&(Account, Option<Balance>)],
    entry: &Entry,
    refused: Option<&ApiError>,
) -> Markup {
    let (hint, list) = (Some(customer.text(Text::PayeeHint)), Some("own-accounts"));
    let field = Field { hint, list, ..Field::text("to", customer.text(Text::ToAccount), &entry.to) };
    html! {
        (field.draw(refused))
        datalist id="own-accounts" {
            @for (account, _) in open { option value=(account.account_id) { (account.name) } }
        }
    }
}

async fn submit(
    customer: Customer,
    Path(kind): Path<String>,
    Form(entry): Form<Entry>,
) -> Result<Response, Failure> {
    let Some(kind) = move_of(&kind) else {
        return Ok(crate::page::not_found(customer.visitor).await);
    };
    match customer.ask::<Operation>(entry.ask(kind.0)).await {
        Ok(operation) => {
            Ok(Redirect::to(&format!("/app/operations/{}", operation.operation_id)).into_response())
        }
        Err(error) => {
            // What was refused was not done, and what is sent next is something else.
            let key = customer.visitor.console.sources.fresh_id().to_string();
            let again = match error {
                ApiError::Refused(_) => Entry { key, ..entry },
                ApiError::Unreachable(_) => entry,
            };
            let form = form_page(&customer, kind, &again, Some(&error)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, form).into_response())
        }
    }
}

async fn operation(customer: Customer, Path(operation_id): Path<String>) -> Result<Markup, Failure> {
    let operation_id = segment(&operation_id);
    let operation: Operation = customer.get(format!("/operation-status/{operation_id}")).await?;
    let (part, is_last) = seen(&customer, &operation).await;
    let live = (!is_last).then(|| format!("/app/operations/{operation_id}/live"));
    let content = html! {
        @if !is_last { noscript { p.notice { a href="" { (customer.text(Text::LookAgain)) } } } }
        div data-live=[live] aria-live="polite" { (part) }
        p.actions.narrow {
            @if let Some(account_id) = operation.own_account_id() {
                a.button href={ "/app/accounts/" (account_id) } { (customer.text(Text::ToTheAccount)) }
            }
            a.button.quiet href="/app/move" { (customer.text(Text::MoveMoney)) }
        }
    };
    Ok(page(&customer.visitor, named(customer.locale(), &operation.kind), &content))
}

/// An operation with its way, and whether nothing more is to come of it.
async fn seen(customer: &Customer, operation: &Operation) -> (Markup, bool) {
    let locale = customer.locale();
    let timeline = own_timeline(customer, &operation.operation_id).await;
    let is_whole = timeline.as_ref().is_none_or(Timeline::is_whole);
    let now = customer.visitor.console.sources.now();
    let is_last = operation.ended_at.is_some_and(|ended_at| is_whole || now.since(ended_at) > AFTERMATH_MAX);
    let part = html! {
        section.card.narrow { (outcome(locale, operation)) }
        @if let Some(timeline) = timeline {
            section.card { h2 { (customer.text(Text::ItsWay)) } (way(locale, &timeline)) }
        }
    };
    (part, is_last)
}

/// What became of an operation, as far as it has come.
fn outcome(locale: Locale, operation: &Operation) -> Markup {
    html! {
        h1 { (named(locale, &operation.kind)) " " (state(locale, &operation.status)) }
        p.balance.large { (amount(locale, &operation.amount, operation.currency)) }
        @if let Some(reason) = &operation.reason {
            div.alert { (named(locale, reason)) }
        }
        dl {
            @if let Some(description) = &operation.description {
                dt { (Text::Description.of(locale)) }
                dd { (description) }
            }
            @if let Some(after) = &operation.balance_after {
                dt { (Text::BalanceAfter.of(locale)) }
                dd { (amount(locale, after, operation.currency)) }
            }
            dt { (Text::Asked.of(locale)) }
            dd { (time(locale, operation.created_at)) }
            @if let Some(ended_at) = operation.ended_at {
                dt { (Text::Ended.of(locale)) }
                dd { (time(locale, ended_at)) }
            }
            dt { (Text::Reference.of(locale)) }
            dd { code { (operation.operation_id) } }
        }
    }
}

async fn operation_live(customer: Customer, Path(operation_id): Path<String>) -> impl IntoResponse {
    let closing = customer.visitor.console.closing.clone();
    let customer = std::sync::Arc::new(customer);
    let path = format!("/operation-status/{}", segment(&operation_id));
    live::stream(closing, LIVE_PAUSE, move || {
        let (customer, path) = (customer.clone(), path.clone());
        async move {
            match customer.ask::<Operation>(Ask::get(path)).await {
                Ok(operation) => match seen(&customer, &operation).await {
                    (part, true) => Drawn::Last(part),
                    (part, false) => Drawn::Next(part),
                },
                Err(_) => Drawn::Gone,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(typed: &str) -> serde_json::Value {
        let entry = Entry { amount: typed.to_owned(), ..Entry::default() };
        entry.ask("deposit").body.unwrap()["amount"].clone()
    }

    #[test]
    fn a_decimal_comma_is_a_point_and_nothing_else_is_guessed() {
        for (typed, asked) in [
            ("12.50", "12.50"),
            ("12,50", "12.50"),
            (" 12,50 ", "12.50"),
            ("1,234.50", "1,234.50"),
            ("1.234,50", "1.234,50"),
            ("1,234,567", "1.234,567"),
            ("twelve", "twelve"),
        ] {
            assert_eq!(sent(typed), asked, "{typed:?}");
        }
    }
}
