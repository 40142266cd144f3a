//! The messages that could not be handled: each with its reason and itself, and a button that sends it again.

use axum::Router;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use kernel::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::Console;
use crate::api::{Ask, path_with, segment};
use crate::model::Listing;
use crate::page::page;
use crate::parts::{next_page, time};
use crate::visitor::{Failure, Operator};

#[derive(Deserialize)]
struct DeadLetter {
    dead_letter_id: String,
    consumer: String,
    reason: String,
    attempts: u32,
    died_at: Timestamp,
    kind: String,
    correlation_id: String,
    envelope: Option<Value>,
}

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/office/dead-letters", get(list))
        .route("/office/dead-letters/{dead_letter_id}", get(letter))
        .route("/office/dead-letters/{dead_letter_id}/redrive", post(redrive))
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    cursor: String,
    /// Whether a letter was sent again just now.
    #[serde(default)]
    sent: String,
}

async fn list(Operator(customer): Operator, Query(shown): Query<Page>) -> Result<Markup, Failure> {
    let path = path_with("/ops/dead-letters", &[("limit", Some("25")), ("cursor", Some(&shown.cursor))]);
    let letters: Listing<DeadLetter> = customer.get(path).await?;
    let locale = customer.locale();
    let next = letters.next_cursor.as_deref();
    let content = html! {
        (super::menu("/office/dead-letters"))
        h1 { "Dead letters" }
        @if !shown.sent.is_empty() { p.notice role="status" { "The message was sent to its consumer again." } }
        section.card {
            @if letters.items.is_empty() {
                p.empty { "None: every message was handled." }
            } @else {
                div.scroll tabindex="0" role="group" aria-label="Dead letters" { table {
                    thead { tr {
                        th scope="col" { "Message" } th scope="col" { "Queue" } th scope="col" { "Why" }
                        th.number scope="col" { "Tries" } th scope="col" { "Given up" }
                    } }
                    tbody { @for letter in &letters.items { tr {
                        td { a href={ "/office/dead-letters/" (segment(&letter.dead_letter_id)) } { code { (letter.kind) } } }
                        td { code { (letter.consumer) } }
                        td { (letter.reason) }
                        td.number { (letter.attempts) }
                        td.when { (time(locale, letter.died_at)) }
                    } } }
                } }
            }
            (next_page(locale, &path_with("/office/dead-letters", &[("cursor", next)]), next))
        }
    };
    Ok(page(&customer.visitor, "Dead letters", &content))
}

async fn letter(Operator(customer): Operator, Path(id): Path<String>) -> Result<Markup, Failure> {
    let letter: DeadLetter = customer.get(format!("/ops/dead-letters/{}", segment(&id))).await?;
    let message = letter.envelope.as_ref().and_then(|envelope| serde_json::to_string_pretty(envelope).ok());
    let content = html! {
        (super::menu("/office/dead-letters"))
        section.card {
            div.headline {
                h1 { code { (letter.kind) } }
                form method="post" action={ "/office/dead-letters/" (segment(&letter.dead_letter_id)) "/redrive" } {
                    button type="submit" { "Send it again" }
                }
            }
            div.alert { (letter.reason) }
            dl {
                dt { "Queue" } dd { code { (letter.consumer) } }
                dt { "Tries" } dd { (letter.attempts) }
                dt { "Given up" } dd { (time(customer.locale(), letter.died_at)) }
                dt { "Correlation" } dd { code { (letter.correlation_id) } }
            }
            @if let Some(message) = message { h2 { "The message" } pre tabindex="0" { (message) } }
        }
    };
    Ok(page(&customer.visitor, "Dead letter", &content))
}

async fn redrive(Operator(customer): Operator, Path(id): Path<String>) -> Result<Response, Failure> {
    let ask = Ask::post(format!("/ops/dead-letters/{}/redrive", segment(&id)), Value::Null);
    customer.ask::<Value>(ask).await.map_err(|error| customer.visitor.failure(&error))?;
    Ok(Redirect::to("/office/dead-letters?sent=1").into_response())
}
