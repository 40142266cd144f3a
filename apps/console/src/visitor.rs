//! Whoever asks for a page: a visitor, a customer who is signed in, or an operator.
//!
//! Handlers take the one they are for. Who has to sign in first is sent there and comes back; who may not see a page is
//! told so. What the API refuses becomes a page in the visitor's language.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use ports::Secret;
use serde::de::DeserializeOwned;

use crate::Console;
use crate::api::{ApiError, Ask, path_with};
use crate::locale::{Locale, cookie};
use crate::page;
use crate::session::{SESSION_COOKIE, Session};
use crate::text::Text;

/// Anybody.
#[derive(Clone)]
pub struct Visitor {
    pub console: Console,
    pub locale: Locale,
    pub session: Option<Arc<Session>>,
    /// The page that is asked for, with its query.
    pub path: String,
    session_id: Option<String>,
    peer: Option<SocketAddr>,
}

/// Somebody who is signed in.
pub struct Customer {
    pub visitor: Visitor,
    pub session: Arc<Session>,
}

/// Somebody who is signed in and works for the bank.
pub struct Operator(pub Customer);

/// A page that is shown in place of the one that was asked for.
pub struct Failure(Box<Response>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl Failure {
    /// This page in place of the one that was asked for.
    pub fn new(page: impl IntoResponse) -> Self {
        Self(Box::new(page.into_response()))
    }
}

impl FromRequestParts<Console> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Self::Rejection> {
        let session_id = cookie(&parts.headers, SESSION_COOKIE).map(str::to_owned);
        Ok(Self {
            locale: Locale::of(&parts.headers),
            session: session_id.as_deref().and_then(|id| console.sessions.find(id)),
            path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            session_id,
            peer: parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0),
            console: console.clone(),
        })
    }
}

impl FromRequestParts<Console> for Customer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Failure> {
        let visitor = match Visitor::from_request_parts(parts, console).await {
            Ok(visitor) => visitor,
            Err(never) => match never {},
        };
        match visitor.session.clone() {
            Some(session) => Ok(Self { visitor, session }),
            None => Err(visitor.asked_to_sign_in()),
        }
    }
}

impl FromRequestParts<Console> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Failure> {
        let customer = Customer::from_request_parts(parts, console).await?;
        if !customer.session.is_operator() {
            let refusal = page::message(&customer.visitor, Text::OperatorsOnly, Text::OperatorsOnlyWhy, None);
            return Err(Failure::new((StatusCode::FORBIDDEN, refusal)));
        }
        Ok(Self(customer))
    }
}

impl Visitor {
    /// The words for something in the visitor's language.
    pub fn text(&self, text: Text) -> &'static str {
        text.of(self.locale)
    }

    /// Asks the API on nobody's behalf.
    pub async fn ask<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, ApiError> {
        self.console.api.ask(&ask, self.peer).await
    }

    /// The page in place of one that the API did not answer for.
    pub fn failure(&self, error: &ApiError) -> Failure {
        match error {
            ApiError::Refused(problem) => {
                let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY);
                let (title, why) = match status {
                    StatusCode::UNAUTHORIZED => return self.asked_to_sign_in(),
                    StatusCode::NOT_FOUND => (Text::NotFound, Text::NotFoundWhy),
                    StatusCode::FORBIDDEN => (Text::OperatorsOnly, Text::OperatorsOnlyWhy),
                    StatusCode::TOO_MANY_REQUESTS => (Text::TooMany, Text::TooManyWhy),
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                        (Text::Busy, Text::BusyWhy)
                    }
                    _ => (Text::Refused, Text::RefusedWhy),
                };
                Failure::new((status, page::message(self, title, why, Some(problem))))
            }
            ApiError::Unreachable(reason) => {
                tracing::error!(reason, "the console could not ask the bank");
                let page = page::message(self, Text::Unreachable, Text::UnreachableWhy, None);
                Failure::new((StatusCode::BAD_GATEWAY, page))
            }
        }
    }

    /// The way to the page for signing in, from which the visitor comes back. A session that is over is forgotten.
    pub fn asked_to_sign_in(&self) -> Failure {
        if let Some(id) = &self.session_id {
            self.console.sessions.end(id);
        }
        let back = path_with("/sign-in", &[("next", Some(&self.path))]);
        Failure::new(Redirect::to(&back))
    }

    /// Ends the session, and goes somewhere as somebody who is signed in no more.
    pub fn signed_out(&self, path: &str) -> Response {
        if let Some(id) = &self.session_id {
            self.console.sessions.end(id);
        }
        (AppendHeaders([(SET_COOKIE, self.console.cookie(SESSION_COOKIE, "", 0))]), Redirect::to(path))
            .into_response()
    }
}

impl Customer {
    /// The words for something in the customer's language.
    pub fn text(&self, text: Text) -> &'static str {
        self.visitor.text(text)
    }

    /// The language of the customer.
    pub fn locale(&self) -> Locale {
        self.visitor.locale
    }

    /// Asks the API on the customer's behalf; what it refuses is for the page to show.
    pub async fn ask<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, ApiError> {
        let token = self.token().await?;
        self.visitor.ask(ask.by(&token)).await
    }

    /// Asks for what is at a path, which has a page of its own if there is nothing.
    pub async fn get<T: DeserializeOwned>(&self, path: impl Into<String>) -> Result<T, Failure> {
        self.ask(Ask::get(path)).await.map_err(|error| self.visitor.failure(&error))
    }

    async fn token(&self) -> Result<Arc<Secret>, ApiError> {
        let Console { api, sources, .. } = &self.visitor.console;
        self.session.access_token(api, sources).await
    }
}
