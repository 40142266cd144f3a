//! The web console: the customer's bank and the operator's back office, in a browser.
//!
//! It is a client of the public API and nothing more ([`Api`]): in one process it calls the API's own router, elsewhere it
//! asks over HTTP, so it serves a bank on AWS just as well. Pages are written here, in HTML, and need no script; one small
//! module makes what is live live. Every page has the same shape: a `Visitor` in, `page` out.
//!
//! - `customer/`: signing up and in, accounts, moving money, history, notifications, settings.
//! - `office/`: the flow, an operation's way, dead letters, the books, people.
//! - `about`: the architecture, drawn from the topology that the bank itself is wired by.
//!
//! Absent on purpose: any rule about money, which is the API's, and anything that is kept beyond a session.

mod about;
mod api;
mod assets;
mod chart;
mod customer;
mod live;
mod locale;
mod model;
mod office;
mod origin;
mod page;
mod parts;
mod session;
mod statement;
mod text;
mod visitor;

use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
use ports::Sources;
use tokio::sync::watch;

pub use api::Api;
use session::Sessions;

/// Only what the console itself serves is loaded, nothing of it is written into a page, and no page is framed.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// What every page is made with.
#[derive(Clone)]
pub struct Console {
    api: Api,
    sources: Sources,
    sessions: Sessions,
    is_secure: bool,
    closing: watch::Receiver<bool>,
}

impl Console {
    /// A console of the bank behind `api`. With `is_secure` cookies are sent over HTTPS alone. Live pages end once
    /// `closing` turns true.
    pub fn new(api: Api, sources: Sources, is_secure: bool, closing: watch::Receiver<bool>) -> Self {
        Self { api, sources, sessions: Sessions::new(), is_secure, closing }
    }

    /// Everything the console answers. It belongs behind the edge that every router has:
    /// limits, logs and the remaining headers come from there.
    pub fn router(self) -> Router {
        Router::new()
            .merge(customer::routes())
            .merge(office::routes())
            .merge(about::routes())
            .route("/app/{*path}", get(page::not_found))
            .route("/office/{*path}", get(page::not_found))
            .layer(from_fn_with_state(self.clone(), origin::protect))
            .layer(map_response(private))
            .with_state(self)
            .merge(assets::routes())
    }

    /// A cookie that no script reads and no other site's form carries, for this long.
    fn cookie(&self, name: &str, value: &str, max_age_seconds: u64) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Lax{secure}")
    }
}

/// For how long a choice of language is remembered.
const LANGUAGE_MAX_AGE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Pages are of the one who asked for them: nobody keeps them, and they load nothing from elsewhere.
async fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
