//! How the bank works: its services and messages, drawn from the topology that the bank itself is wired by, so that the
//! picture cannot tell anything else; and a deposit to follow through them.
//!
//! Where a service stands in the picture is written here. That every one has a place is tested.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, Query};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use contracts::topology::{ROUTES, Sender};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use crate::Console;
use crate::api::{Ask, path_with};
use crate::customer::holdings;
use crate::model::Operation;
use crate::office::operation::{Hop, own_timeline, picture};
use crate::page::page;
use crate::text::Text;
use crate::visitor::{Customer, Failure, Visitor};

/// Where each service stands, and what it does.
const PLACES: [(&str, i32, i32, &str); 5] = [
    ("accounts", 130, 60, "opens and closes accounts"),
    ("banking", 130, 240, "takes what is asked for"),
    ("ledger", 370, 150, "the only judge of money"),
    ("query", 620, 60, "balances and histories"),
    ("notifications", 620, 240, "messages and letters"),
];
const BOX_WIDTH: i32 = 180;
const BOX_HEIGHT: i32 = 62;

/// How often a followed deposit is looked at until its way is whole, and how long apart.
const LOOKS_MAX: usize = 50;
const LOOK_PAUSE: Duration = Duration::from_millis(20);

pub fn routes() -> Router<Console> {
    Router::new().route("/about", get(about)).route("/about/follow", post(follow))
}

/// A service that sends messages to another one.
type Edge = (&'static str, &'static str);

/// The service that a consumer belongs to: its name begins with the service's.
fn service_of(consumer: &str) -> Option<&'static str> {
    PLACES
        .into_iter()
        .map(|(service, ..)| service)
        .find(|service| consumer.strip_prefix(service).is_some_and(|rest| rest.starts_with('_')))
}

fn name_of(sender: Sender) -> &'static str {
    match sender {
        Sender::Accounts => "accounts",
        Sender::Banking => "banking",
        Sender::Ledger => "ledger",
    }
}

/// Who sends to whom, and what.
fn edges() -> BTreeMap<Edge, Vec<&'static str>> {
    let mut edges: BTreeMap<Edge, Vec<&'static str>> = BTreeMap::new();
    for route in ROUTES {
        for receiver in route.receivers {
            let Some(service) = service_of(receiver) else { continue };
            let kinds = edges.entry((name_of(route.sender), service)).or_default();
            if !kinds.contains(&route.kind.name()) {
                kinds.push(route.kind.name());
            }
        }
    }
    edges
}

/// The edges that an operation's messages took, in order.
fn taken(hops: &[Hop]) -> Vec<Edge> {
    let taken = hops.iter().filter_map(|hop| {
        let message = hop.message.as_deref()?;
        let sender = ROUTES.iter().find(|route| route.kind.name() == message)?.sender;
        Some((name_of(sender), service_of(hop.consumer.as_deref()?)?))
    });
    taken.collect()
}

#[derive(Deserialize)]
struct Followed {
    #[serde(default)]
    operation: String,
}

async fn about(visitor: Visitor, Query(Followed { operation }): Query<Followed>) -> Result<Markup, Failure> {
    let customer = visitor.session.clone().map(|session| Customer { visitor: visitor.clone(), session });
    let timeline = match &customer {
        Some(customer) if !operation.is_empty() => own_timeline(customer, &operation).await,
        _ => None,
    };
    let hops = timeline.as_ref().map(|timeline| timeline.hops.as_slice()).unwrap_or_default();
    let follow = match &customer {
        Some(customer) => follow_form(customer).await?,
        None => html! { p { a.button href="/sign-in?next=/about" { "Sign in to follow a deposit" } } },
    };
    let content = html! {
        h1 { (visitor.text(Text::HowItWorks)) }
        p { "Six small services, each with tables of its own. They never call one another: whatever one tells another is a
            message, written in the same transaction as what it tells of, and delivered at least once. Identity, the sixth,
            sends none. Only the ledger
            judges money; all others hear what it decided." }
        section.card {
            div.scroll tabindex="0" role="group" aria-label="Architecture" { (architecture(&taken(hops))) }
        }
        section.card {
            h2 { "Follow a deposit" }
            @if let Some(timeline) = &timeline {
                p { "Accepted, judged, posted and shown within " strong { (last_after_ms(&timeline.hops)) " ms" }
                    ". Each arrow is a message that went through a queue." }
                (picture(&timeline.hops))
            } @else {
                p { "One unit of money goes into an account of yours, and lights up the way it takes." }
            }
            (follow)
        }
        section.card {
            h2 { "Every message" }
            (messages())
        }
    };
    Ok(page(&visitor, visitor.text(Text::HowItWorks), &content))
}

fn last_after_ms(hops: &[Hop]) -> u64 {
    hops.last().map_or(0, |hop| hop.after_ms)
}

async fn follow_form(customer: &Customer) -> Result<Markup, Failure> {
    let holdings = holdings(customer).await?;
    let key = customer.visitor.console.sources.fresh_id().to_string();
    Ok(html! {
        form.follow method="post" action="/about/follow" {
            input type="hidden" name="key" value=(key);
            select name="account" aria-label=(customer.text(Text::ToAccount)) required {
                @for (account, _) in holdings.iter().filter(|(account, _)| account.is_open()) {
                    option value=(account.account_id) { (account.name) " · " (account.currency.code()) }
                }
            }
            button type="submit" { "Deposit 1 and follow it" }
        }
    })
}

#[derive(Deserialize)]
struct Follow {
    account: String,
    key: String,
}

async fn follow(
    customer: Customer,
    Form(Follow { account, key }): Form<Follow>,
) -> Result<Response, Failure> {
    let body = json!({ "account_id": account, "amount": "1", "description": "Followed through the bank" });
    let ask = Ask::post("/deposit", body).once(key).wait(5);
    let operation: Operation = customer.ask(ask).await.map_err(|error| customer.visitor.failure(&error))?;
    // It has ended, and those who are told of it hear it within milliseconds of each other.
    for _ in 0..LOOKS_MAX {
        match own_timeline(&customer, &operation.operation_id).await {
            Some(timeline) if !timeline.is_whole() => tokio::time::sleep(LOOK_PAUSE).await,
            _ => break,
        }
    }
    let path = path_with("/about", &[("operation", Some(&operation.operation_id))]);
    Ok(Redirect::to(&path).into_response())
}

fn place(service: &str) -> (i32, i32) {
    PLACES.iter().find(|(name, ..)| *name == service).map_or((0, 0), |(_, x, y, _)| (*x, *y))
}

fn architecture(taken: &[Edge]) -> Markup {
    let edges = edges();
    html! {
        svg.architecture viewBox="0 0 750 300" role="img" aria-label="The services and the messages between them" {
            @for (edge, kinds) in &edges {
                @let step = taken.iter().position(|taken| taken == edge);
                path.message.{ @if let Some(step) = step { "taken step" (step) } } d=(curve(*edge)) {
                    title { (edge.0) " → " (edge.1) ": " (kinds.join(", ")) }
                }
            }
            @for (service, x, y, does) in PLACES {
                rect x=(x - BOX_WIDTH / 2) y=(y - BOX_HEIGHT / 2) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="12" {}
                text.service x=(x) y=(y - 4) { (service) }
                text.does x=(x) y=(y + 16) { (does) }
            }
        }
    }
}

/// From the middle of one box to the middle of another, bent aside so that the way there and the way back lie apart.
fn curve((from, to): Edge) -> String {
    let ((from_x, from_y), (to_x, to_y)) = (place(from), place(to));
    let (middle_x, middle_y) = (from_x.midpoint(to_x), from_y.midpoint(to_y));
    let (aside_x, aside_y) = ((to_y - from_y) / 5, (from_x - to_x) / 8);
    format!("M{from_x} {from_y}Q{} {} {to_x} {to_y}", middle_x + aside_x, middle_y + aside_y)
}

fn messages() -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Messages" { table {
            thead { tr { th scope="col" { "Message" } th scope="col" { "Sent by" } th scope="col" { "Queues it goes to" } } }
            tbody { @for route in ROUTES { tr {
                td { code { (route.kind.name()) } }
                td { (name_of(route.sender)) }
                td { @for receiver in route.receivers { code { (receiver) } " " } }
            } } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use contracts::topology::consumers;

    use super::*;

    #[test]
    fn every_sender_and_every_consumer_has_a_place_in_the_picture() {
        for sender in Sender::ALL {
            assert_ne!(place(name_of(*sender)), (0, 0), "{sender:?}");
        }
        for consumer in consumers::ALL {
            assert!(service_of(consumer).is_some(), "{consumer}");
        }
    }

    #[test]
    fn the_picture_has_every_message_of_the_topology() {
        let drawn: Vec<_> = edges().into_values().flatten().collect();
        for route in ROUTES {
            assert!(drawn.contains(&route.kind.name()), "{:?}", route.kind);
        }
    }
}
