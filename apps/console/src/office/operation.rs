//! One operation's way through the bank, as a picture: a lane for each service, a dot for each thing that happened, and an
//! arrow for each message.
//!
//! Dots stand in the order of time and not to scale: most of an operation happens within a few milliseconds, and what
//! waits for a retry may take hours. The times are written above them, and in the table below the picture.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use kernel::{Currency, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use crate::Console;
use crate::api::{Ask, segment};
use crate::locale::Locale;
use crate::page::page;
use crate::parts::{amount, named, state, time};
use crate::visitor::{Customer, Failure, Operator};

/// The services in the order of their lanes.
const LANES: [&str; 5] = ["accounts", "banking", "ledger", "query", "notifications"];
/// The hops that send messages: the cause of what is delivered after them.
const SENDING_HOPS: [&str; 3] = ["accepted", "posted", "refused"];

/// What became of an operation.
#[derive(Deserialize)]
pub struct Timeline {
    pub operation_id: String,
    pub kind: String,
    pub outcome: String,
    pub reason: Option<String>,
    pub owner: String,
    pub account_id: String,
    pub to_account_id: Option<String>,
    pub amount: Option<String>,
    pub currency: Option<Currency>,
    pub hops: Vec<Hop>,
}

impl Timeline {
    /// Whether everybody who is told of an operation has heard of it.
    pub fn is_whole(&self) -> bool {
        ["projected", "notified"].iter().all(|last| self.hops.iter().any(|hop| hop.hop == *last))
    }
}

/// One thing that happened.
#[derive(Deserialize)]
pub struct Hop {
    pub hop: String,
    pub at: Timestamp,
    pub after_ms: u64,
    pub service: String,
    /// The message that brought it about.
    pub message: Option<String>,
    /// Whose queue the message came through.
    pub consumer: Option<String>,
}

pub fn routes() -> Router<Console> {
    Router::new().route("/office/operations/{operation_id}", get(operation))
}

async fn operation(
    Operator(customer): Operator,
    Path(operation_id): Path<String>,
) -> Result<Markup, Failure> {
    let path = format!("/ops/operations/{}/timeline", segment(&operation_id));
    let timeline: Timeline = customer.get(path).await?;
    let locale = customer.locale();
    let content = html! {
        (super::menu("/office/search"))
        section.card {
            h1 { (named(locale, &timeline.kind)) " " (state(locale, &timeline.outcome)) }
            dl {
                @if let (Some(decimal), Some(currency)) = (&timeline.amount, timeline.currency) {
                    dt { "Amount" } dd { (amount(locale, decimal, currency)) }
                }
                @if let Some(reason) = &timeline.reason { dt { "Reason" } dd { (named(locale, reason)) } }
                dt { "Account" } dd { (account_link(&timeline.account_id)) }
                @if let Some(account_id) = &timeline.to_account_id { dt { "To account" } dd { (account_link(account_id)) } }
                dt { "Person" } dd { a href={ "/office/people/" (timeline.owner) } { code { (timeline.owner) } } }
                dt { "Operation" } dd { code { (timeline.operation_id) } }
            }
        }
        section.card { h2 { "Its way through the bank" } (way(locale, &timeline)) }
    };
    Ok(page(&customer.visitor, "Operation", &content))
}

fn account_link(account_id: &str) -> Markup {
    html! { a href={ "/office/accounts/" (account_id) } { code { (account_id) } } }
}

/// The way that an operation has taken so far.
pub fn way(locale: Locale, timeline: &Timeline) -> Markup {
    html! { (picture(&timeline.hops)) (table(locale, &timeline.hops)) }
}

/// What became of a customer's own operation; none where the bank does not tell it, as on AWS.
pub async fn own_timeline(customer: &Customer, operation_id: &str) -> Option<Timeline> {
    customer.ask(Ask::get(format!("/operations/{}/timeline", segment(operation_id)))).await.ok()
}

const LABEL_WIDTH: usize = 96;
const LANE_HEIGHT: usize = 46;
const TOP: usize = 34;
const WIDTH: usize = 720;

/// Draws the hops.
pub fn picture(hops: &[Hop]) -> Markup {
    let lanes: Vec<_> =
        LANES.into_iter().filter(|lane| hops.iter().any(|hop| hop.service == *lane)).collect();
    let step = (WIDTH - LABEL_WIDTH) / hops.len().max(1);
    let x = |index: usize| LABEL_WIDTH + step * index + step / 2;
    let y =
        |service: &str| TOP + LANE_HEIGHT * lanes.iter().position(|lane| *lane == service).unwrap_or(0) + 18;
    let height = TOP + LANE_HEIGHT * lanes.len();
    let cause = |index: usize| hops[..index].iter().rposition(|hop| SENDING_HOPS.contains(&hop.hop.as_str()));
    html! {
        div.scroll tabindex="0" role="group" aria-label="Timeline" {
            svg.way viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(in_one_line(hops)) {
                @for lane in &lanes {
                    line.lane x1=(LABEL_WIDTH) x2=(WIDTH) y1=(y(lane)) y2=(y(lane)) {}
                    text.service x="0" y=(y(lane) + 4) { (lane) }
                }
                @for (index, hop) in hops.iter().enumerate() {
                    @if let (Some(message), Some(from)) = (&hop.message, cause(index)) {
                        path.message.{ "step" (index) } d=(arrow((x(from), y(&hops[from].service)), (x(index), y(&hop.service)))) {
                            title { (message) }
                        }
                    }
                }
                @for (index, hop) in hops.iter().enumerate() {
                    circle.hop.(hop.hop) cx=(x(index)) cy=(y(&hop.service)) r="7" { title { (in_words(&hop.hop)) } }
                    text.after x=(x(index)) y="12" { "+" (hop.after_ms) " ms" }
                    text.name x=(x(index)) y=(y(&hop.service) + 21) { (in_words(&hop.hop)) }
                }
            }
        }
    }
}

/// A curve from one dot to another.
fn arrow((from_x, from_y): (usize, usize), (to_x, to_y): (usize, usize)) -> String {
    let middle = from_x.midpoint(to_x);
    format!("M{from_x} {from_y}C{middle} {from_y} {middle} {to_y} {to_x} {to_y}")
}

fn in_one_line(hops: &[Hop]) -> String {
    let told =
        hops.iter().map(|hop| format!("{} by {} after {} ms", in_words(&hop.hop), hop.service, hop.after_ms));
    told.collect::<Vec<_>>().join(", ")
}

/// What happened, in words.
fn in_words(hop: &str) -> &str {
    match hop {
        "command_delivered" => "delivered",
        "concluded" => "ended",
        "projected" => "shown",
        other => other,
    }
}

fn table(locale: Locale, hops: &[Hop]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Hops" { table {
            thead { tr {
                th scope="col" { "Service" }
                th scope="col" { "What" }
                th scope="col" { "Message" }
                th scope="col" { "Queue" }
                th scope="col" { "When" }
                th.number scope="col" { "After" }
            } }
            tbody { @for hop in hops { tr {
                td { (hop.service) }
                td { (in_words(&hop.hop)) }
                td { @if let Some(message) = &hop.message { code { (message) } } }
                td { @if let Some(consumer) = &hop.consumer { code { (consumer) } } }
                td.when { (time(locale, hop.at)) }
                td.number { (hop.after_ms) " ms" }
            } } }
        } }
    }
}
