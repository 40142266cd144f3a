//! The customer's inbox, and whether she gets letters too.

use axum::Router;
use axum::extract::{Form, Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::Console;
use crate::api::{Ask, path_with, segment};
use crate::model::{Listing, Notification};
use crate::page::page;
use crate::parts::{next_page, time};
use crate::text::Text;
use crate::visitor::{Customer, Failure};

pub fn routes() -> Router<Console> {
    Router::new()
        .route("/app/notifications", get(inbox))
        .route("/app/notifications/{notification_id}/read", post(read))
}

#[derive(Default, Deserialize)]
struct Cursor {
    #[serde(default)]
    cursor: String,
}

async fn inbox(customer: Customer, Query(Cursor { cursor }): Query<Cursor>) -> Result<Markup, Failure> {
    let path = path_with("/notifications", &[("limit", Some("25")), ("cursor", Some(&cursor))]);
    let notifications: Listing<Notification> = customer.get(path).await?;
    let title = customer.text(Text::Notifications);
    let next = notifications.next_cursor.as_deref();
    let content = html! {
        h1 { (title) }
        @if notifications.items.is_empty() { section.card.empty { p { (customer.text(Text::NothingYet)) } } }
        ol.messages { @for notification in &notifications.items { li { (message(&customer, notification)) } } }
        (next_page(customer.locale(), &path_with("/app/notifications", &[("cursor", next)]), next))
    };
    Ok(page(&customer.visitor, title, &content))
}

fn message(customer: &Customer, notification: &Notification) -> Markup {
    let is_unread = notification.read_at.is_none();
    html! {
        article.card.message.unread[is_unread] {
            h2 { @if is_unread { span.dot aria-label=(customer.text(Text::Unread)) role="img" {} } (notification.title) }
            p { (notification.text) }
            p.muted {
                (time(customer.locale(), notification.created_at))
                @if let Some(operation_id) = &notification.operation_id {
                    " · " a href={ "/app/operations/" (operation_id) } { (customer.text(Text::Details)) }
                }
            }
            @if is_unread {
                form method="post" action={ "/app/notifications/" (notification.notification_id) "/read" } {
                    button.quiet type="submit" { (customer.text(Text::MarkRead)) }
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Nothing {}

async fn read(
    customer: Customer,
    Path(notification_id): Path<String>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Failure> {
    let ask = Ask::post(format!("/notifications/{}/read", segment(&notification_id)), Value::Null);
    customer.ask::<Value>(ask).await.map_err(|error| customer.visitor.failure(&error))?;
    Ok(Redirect::to("/app/notifications").into_response())
}
