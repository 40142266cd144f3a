//! What a customer may choose: whether she gets letters, and that she is signed in nowhere any more.

use axum::Router;
use axum::extract::Form;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Console;
use crate::api::Ask;
use crate::page::page;
use crate::text::Text;
use crate::visitor::{Customer, Failure};

#[derive(Deserialize)]
struct Preferences {
    email: bool,
}

pub fn routes() -> Router<Console> {
    Router::new().route("/app/settings", get(settings).post(choose))
}

async fn settings(customer: Customer) -> Result<Markup, Failure> {
    let preferences: Preferences = customer.get("/notifications/preferences").await?;
    let title = customer.text(Text::Settings);
    let button = if preferences.email { Text::LettersOff } else { Text::LettersOn };
    let content = html! {
        section.card.narrow {
            h1 { (title) }
            h2 { (customer.text(Text::SignedInAs)) }
            p { (customer.session.email) }
            h2 { (customer.text(Text::Letters)) }
            p.muted { (customer.text(Text::LettersWhy)) }
            form method="post" action="/app/settings" {
                input type="hidden" name="email" value=(!preferences.email);
                button.quiet type="submit" { (customer.text(button)) }
            }
        }
        section.card.narrow {
            h2 { (customer.text(Text::SignOutEverywhere)) }
            p.muted { (customer.text(Text::SignOutEverywhereWhy)) }
            form method="post" action="/sign-out-everywhere" {
                button.danger type="submit" { (customer.text(Text::SignOutEverywhere)) }
            }
        }
    };
    Ok(page(&customer.visitor, title, &content))
}

async fn choose(
    customer: Customer,
    Form(Preferences { email }): Form<Preferences>,
) -> Result<Response, Failure> {
    let ask = Ask::put("/notifications/preferences", json!({ "email": email }));
    customer.ask::<Value>(ask).await.map_err(|error| customer.visitor.failure(&error))?;
    Ok(Redirect::to("/app/settings").into_response())
}
