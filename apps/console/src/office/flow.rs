//! How the bank does now: requests, commits, and each consumer with its queue; drawn anew every second.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use kernel::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Number;

use crate::Console;
use crate::api::Ask;
use crate::live::{self, Drawn};
use crate::locale::Locale;
use crate::page::page;
use crate::visitor::{Failure, Operator};

const PAUSE: Duration = Duration::from_secs(1);
/// How many seconds the lines show.
const SECONDS: usize = 60;

#[derive(Deserialize)]
struct Flow {
    http: Http,
    store: Commits,
    consumers: Vec<Consumer>,
    seconds: Vec<Second>,
}

#[derive(Deserialize)]
struct Http {
    per_second: Number,
    by_status: Vec<ByStatus>,
    p99_us: Option<u64>,
}

#[derive(Deserialize)]
struct ByStatus {
    class: String,
    per_second: Number,
}

#[derive(Deserialize)]
struct Commits {
    commits_per_second: Number,
    transactions_per_commit: Number,
    p99_us: Option<u64>,
}

#[derive(Deserialize)]
struct Consumer {
    consumer: String,
    waiting: u64,
    retrying: u64,
    dead: u64,
    age_ms: u64,
    handled_per_second: Number,
    p50_us: Option<u64>,
    p99_us: Option<u64>,
}

#[derive(Deserialize)]
struct Second {
    at: Timestamp,
    requests: u64,
    handled: u64,
    waiting: u64,
}

pub fn routes() -> Router<Console> {
    Router::new().route("/office", get(flow)).route("/office/flow/live", get(flow_live))
}

async fn flow(Operator(customer): Operator) -> Result<Markup, Failure> {
    let flow: Flow = customer.get("/ops/flow").await?;
    let content = html! {
        (super::menu("/office"))
        h1 { "Flow" }
        div data-live="/office/flow/live" { (drawn(customer.locale(), &flow)) }
    };
    Ok(page(&customer.visitor, "Flow", &content))
}

async fn flow_live(Operator(customer): Operator) -> impl IntoResponse {
    let closing = customer.visitor.console.closing.clone();
    let customer = Arc::new(customer);
    live::stream(closing, PAUSE, move || {
        let customer = Arc::clone(&customer);
        async move {
            match customer.ask::<Flow>(Ask::get("/ops/flow")).await {
                Ok(flow) => Drawn::Next(drawn(customer.locale(), &flow)),
                Err(_) => Drawn::Gone,
            }
        }
    })
}

fn drawn(locale: Locale, flow: &Flow) -> Markup {
    let waiting: u64 = flow.consumers.iter().map(|consumer| consumer.waiting + consumer.retrying).sum();
    let dead: u64 = flow.consumers.iter().map(|consumer| consumer.dead).sum();
    let errors = flow.http.by_status.iter().find(|status| status.class == "5xx");
    html! {
        div.tiles.figures {
            (figure("Requests a second", &flow.http.per_second.to_string(), &within(flow.http.p99_us)))
            (figure("Commits a second", &flow.store.commits_per_second.to_string(), &within(flow.store.p99_us)))
            (figure("Transactions a commit", &flow.store.transactions_per_commit.to_string(), ""))
            (figure("Messages waiting", &locale.count(waiting), ""))
            (figure("Dead letters", &locale.count(dead), ""))
            (figure("Errors a second", &errors.map_or("0".to_owned(), |status| status.per_second.to_string()), "5xx"))
        }
        section.card {
            h2 { "The last minute" }
            (lines(&flow.seconds))
            ul.legend { li.requests { "requests" } li.handled { "messages handled" } li.waiting { "messages waiting" } }
        }
        section.card {
            h2 { "Consumers" }
            div.scroll tabindex="0" role="group" aria-label="Consumers" { table {
                thead { tr {
                    th scope="col" { "Queue" }
                    @for heading in ["Waiting", "Retrying", "Dead", "Oldest", "Handled/s", "p50", "p99"] {
                        th.number scope="col" { (heading) }
                    }
                } }
                tbody { @for consumer in &flow.consumers { tr {
                    th scope="row" { code { (consumer.consumer) } }
                    td.number { (locale.count(consumer.waiting)) }
                    td.number { (locale.count(consumer.retrying)) }
                    td.number { @if consumer.dead > 0 { a href="/office/dead-letters" { (locale.count(consumer.dead)) } } @else { "0" } }
                    td.number { (locale.count(consumer.age_ms)) " ms" }
                    td.number { (consumer.handled_per_second) }
                    td.number { (millis(consumer.p50_us)) }
                    td.number { (millis(consumer.p99_us)) }
                } } }
            } }
        }
    }
}

fn figure(name: &str, value: &str, more: &str) -> Markup {
    html! { div.card.figure { p.muted { (name) } p.balance { (value) } p.muted { (more) } } }
}

fn within(p99_us: Option<u64>) -> String {
    format!("p99 {}", millis(p99_us))
}

/// Microseconds in milliseconds, with one decimal.
fn millis(micros: Option<u64>) -> String {
    micros.map_or("–".to_owned(), |micros| format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100))
}

const WIDTH: u64 = 720;
const HEIGHT: u64 = 120;

fn lines(seconds: &[Second]) -> Markup {
    let highest = seconds
        .iter()
        .flat_map(|second| [second.requests, second.handled, second.waiting])
        .max()
        .unwrap_or(0)
        .max(1);
    let path = |value: fn(&Second) -> u64| {
        let shown = seconds.iter().rev().take(SECONDS).enumerate().map(|(index, second)| {
            let x = WIDTH - WIDTH * index as u64 / (SECONDS as u64 - 1);
            format!("{x} {}", HEIGHT - HEIGHT * value(second) / highest)
        });
        format!("M{}", shown.collect::<Vec<_>>().join("L"))
    };
    let label = seconds
        .last()
        .map_or_else(String::new, |second| format!("until {}, at most {highest} a second", second.at));
    html! {
        svg.flow viewBox={ "0 -14 " (WIDTH) " " (HEIGHT + 20) } role="img" aria-label=(label) {
            line.base x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
            text x="0" y="-3" { (highest) }
            @if !seconds.is_empty() {
                path.waiting d=(path(|second| second.waiting)) {}
                path.handled d=(path(|second| second.handled)) {}
                path.requests d=(path(|second| second.requests)) {}
            }
        }
    }
}
