//! The edge: what every request passes on its way in, and every answer on its way out.
//!
//! It is one layer that does its steps in order, rather than a stack of layers, because every request pays for it.
//! On the way in: trace, size, rate of the address, body, room. On the way out: a problem for whatever failed, entity
//! tag, headers, measures, one line of log. Outside of it there is CORS only, where it is open at all.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http_body_util::BodyExt;
use kernel::CorrelationId;
use ports::Sources;
use runtime::{Fault, SPANS, Trace, Traceparent};
use tokio::sync::Semaphore;
use tower_http::cors::CorsLayer;
use tracing::Instrument;

use crate::body::BATCHES;
use crate::headers::{CORRELATION_ID, IDEMPOTENCY_KEY, PREFER, TRACEPARENT};
use crate::limits::Limits;
use crate::measures::{Measures, NO_ROUTE};
use crate::passage::{PASSAGE, Passage};
use crate::settings::REQUEST_MAX;
use crate::{HttpSettings, Problem, Share, address, body, entity_tag, headers, problem};

/// When to ask again where there was no room: requests are done within milliseconds, and one second is the least that
/// the header can say.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A request that takes as long as this is logged, whatever share is: but for those who asked to wait, all are answered
/// within milliseconds.
const SLOW: Duration = Duration::from_secs(1);

struct Edge {
    settings: HttpSettings,
    sources: Sources,
    room: Semaphore,
    waiting_room: Semaphore,
    batches_room: Arc<Semaphore>,
    limits: Arc<Limits>,
    measures: Measures,
    transport_security: Option<HeaderValue>,
}

/// Puts the edge around all routes that the router has now, and around the answer that there is no such route.
///
/// The world's authentication belongs inside, before this; the address of the peer (`ConnectInfo<SocketAddr>`) comes
/// from outside, where there is one.
pub fn finish(router: Router, settings: HttpSettings, sources: Sources) -> Router {
    let cors = cors(&settings.cors_origins);
    let edge = Edge {
        sources,
        room: Semaphore::new(settings.in_flight_max.min(Semaphore::MAX_PERMITS)),
        waiting_room: Semaphore::new(settings.waiting_max.min(Semaphore::MAX_PERMITS)),
        batches_room: Arc::new(Semaphore::new(settings.batches_max.min(Semaphore::MAX_PERMITS))),
        limits: Arc::new(Limits::new(settings.rate_limits)),
        measures: Measures::default(),
        transport_security: settings.strict_transport_security.and_then(headers::strict_transport_security),
        settings,
    };
    let router = router.layer(from_fn_with_state(Arc::new(edge), pass));
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// Lets scripts of these origins call the bank and read what it answers.
fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let asked = [IDEMPOTENCY_KEY, PREFER, TRACEPARENT, CORRELATION_ID];
    let told = [
        "idempotency-replayed",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "x-correlation-id",
    ];
    Some(
        CorsLayer::new()
            .allow_origin(origins.to_vec())
            .allow_methods([
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            .allow_headers(
                [AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH].into_iter().chain(asked).collect::<Vec<_>>(),
            )
            .expose_headers(
                told.map(HeaderName::from_static)
                    .into_iter()
                    .chain([ETAG, LOCATION, RETRY_AFTER])
                    .collect::<Vec<_>>(),
            )
            .max_age(Duration::from_secs(60 * 60)),
    )
}

async fn pass(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (trace, parent) = trace(request.headers(), edge.settings.traced, &edge.sources);
    let passage = Arc::new(Passage::new(trace, Arc::clone(&edge.limits)));
    let correlation_id = passage.trace.correlation_id.as_str();
    let span = tracing::info_span!("request", correlation_id);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let may_wait = asks_to_wait(&request);
    let answer = edge.answer(route, &passage, request, next);
    let mut response = PASSAGE.scope(Arc::clone(&passage), answer).instrument(span).await;

    let status = response.status();
    let headers = response.headers_mut();
    headers::secure(headers, edge.transport_security.as_ref());
    if let Ok(correlation_id) = HeaderValue::from_str(correlation_id) {
        headers.insert(CORRELATION_ID, correlation_id);
    }
    if let Some(allowance) = passage.allowance() {
        allowance.write(headers);
    }
    let took = started.elapsed();
    edge.measures.count(route, &method, status, took);
    let answered = Answered { method: &method, route, status, took };
    let traceparent = Traceparent::read(&passage.trace.traceparent);
    if traceparent.is_some_and(|traceparent| traceparent.is_sampled()) {
        answered.tell_span(&passage.trace, parent.as_deref());
    }
    let is_remarkable = status.is_server_error() || (took >= SLOW && !may_wait);
    if is_remarkable || traceparent.is_some_and(|traceparent| edge.settings.logged.takes(traceparent)) {
        answered.log(&passage);
    }
    response
}

/// How a request was answered, for those who look at many.
struct Answered<'a> {
    method: &'a Method,
    route: &'a str,
    status: StatusCode,
    took: Duration,
}

impl Answered<'_> {
    fn log(&self, passage: &Passage) {
        tracing::info!(
            method = self.method.as_str(),
            route = self.route,
            status = self.status.as_u16(),
            duration_us = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            correlation_id = passage.trace.correlation_id.as_str(),
            user_id = passage.user_id.get().map(tracing::field::display),
            "answered"
        );
    }

    /// Tells the trace of the request of it. Who asked is not told: whoever keeps traces need not know.
    fn tell_span(&self, trace: &Trace, parent: Option<&str>) {
        let Self { method, route, status, took } = self;
        tracing::info!(
            target: SPANS,
            traceparent = trace.traceparent,
            parent_span_id = parent,
            otel.name = format_args!("{method} {route}"),
            otel.kind = "server",
            duration_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            error.type = status.is_server_error().then(|| status.as_str()),
            http.request.method = method.as_str(),
            http.route = (*route != NO_ROUTE).then_some(*route),
            http.response.status_code = status.as_u16(),
            bank.correlation_id = trace.correlation_id.as_str(),
        );
    }
}

impl Edge {
    /// Has the request answered by its handler, or by a problem.
    async fn answer(&self, route: &str, passage: &Passage, request: Request, next: Next) -> Response {
        let known_tags = matches!(*request.method(), Method::GET | Method::HEAD)
            .then(|| entity_tag::known_tags(request.headers()));
        let answer = async {
            self.admit(route, passage, &request).map_err(body::unheard)?;
            if request.uri().path() == BATCHES {
                return self.answer_batch(passage, request, next).await;
            }
            let request = body::gathered(request).await.map_err(body::unheard)?;
            // Only now: whoever sends her body slowly takes up a connection, and no room that others need.
            let room = if asks_to_wait(&request) { &self.waiting_room } else { &self.room };
            let _place = room.try_acquire().map_err(|_| problem::busy(BUSY_RETRY_AFTER).into_response())?;
            let response = handled(request, next).await?;
            match known_tags {
                Some(known) => entity_tag::tag(response, &known).await.map_err(Problem::into_response),
                None => Ok(response),
            }
        };
        answer.await.unwrap_or_else(|refused| refused)
    }

    /// Has a batch answered. It has a place from before its body is read, so that no more large ones are held than there
    /// are places, until the last of its answer is written; the body is read once its sender is known.
    async fn answer_batch(
        &self,
        passage: &Passage,
        request: Request,
        next: Next,
    ) -> Result<Response, Response> {
        let Ok(place) = Arc::clone(&self.batches_room).try_acquire_owned() else {
            body::discarded(request).await.map_err(body::unheard)?;
            return Err(problem::busy(BUSY_RETRY_AFTER).into_response());
        };
        let response = handled(request, next).await?;
        if passage.user_id.get().is_none() {
            return Err(body::unheard(response));
        }
        Ok(response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _until_the_last = &place;
                frame
            }))
        }))
    }

    /// Refuses what need not be looked at any further.
    fn admit(&self, route: &str, passage: &Passage, request: &Request) -> Result<(), Problem> {
        body::check_declared(request)?;
        // Whoever guesses passwords is not signed in: there an address is all that can be counted.
        let is_before_sign_in = request.method() == Method::POST && route.starts_with("/auth/");
        match address::client_address(request, &self.settings.trusted_proxies) {
            Some(client) if is_before_sign_in => {
                passage.note(self.limits.check_address(address::subscriber(client)))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the sender wants to wait for what is done behind the answer: it may take seconds, and none of them is work.
fn asks_to_wait(request: &Request) -> bool {
    request.headers().contains_key(PREFER)
        || request.uri().query().is_some_and(|query| query.contains("min_version="))
}

/// What the handler answers, or a problem if it fails or takes too long.
async fn handled(request: Request, next: Next) -> Result<Response, Response> {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answer = tokio::time::timeout(REQUEST_MAX, answer).await.map_err(|_| timed_out().into_response())?;
    Ok(explained(answer.map_err(|panic| Problem::from(fault_of(panic.as_ref())).into_response())?))
}

/// The correlation id and the trace that the sender began, or else ones that begin here; and the sender's span, if she
/// has one. Of the traces that begin here, a share is recorded.
fn trace(headers: &HeaderMap, traced: Share, sources: &Sources) -> (Trace, Option<String>) {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let mut trace = Trace::begin(sources);
    if let Some(correlation_id) = text(CORRELATION_ID).and_then(|id| id.parse::<CorrelationId>().ok()) {
        trace.correlation_id = correlation_id;
    }
    let sender = text(TRACEPARENT).and_then(Traceparent::read);
    let changed = Traceparent::read(&trace.traceparent).and_then(|ours| match sender {
        // The trace is the sender's, the span within it is ours.
        Some(sender) => Some(sender.with_span(ours.span_id)),
        None => traced.takes(ours).then(|| ours.sampled()),
    });
    if let Some(traceparent) = changed.map(|changed| changed.to_string()) {
        trace.traceparent = traceparent;
    }
    (trace, sender.map(|sender| sender.span_id.to_owned()))
}

/// A refusal that a part of the framework wrote as plain text, or without a word, becomes a problem. Its other headers,
/// such as `Allow`, stay.
fn explained(response: Response) -> Response {
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    let is_bare =
        !response.headers().contains_key(CONTENT_TYPE) || headers::has_type(response.headers(), "text/plain");
    if !is_refusal || !is_bare {
        return response;
    }
    let (mut bare, _) = response.into_parts();
    let mut response = Problem::of_status(status).into_response();
    bare.headers.remove(CONTENT_LENGTH);
    for (name, value) in response.headers() {
        bare.headers.insert(name, value.clone());
    }
    *response.headers_mut() = bare.headers;
    response
}

fn timed_out() -> Problem {
    tracing::error!(correlation_id = crate::passage::correlation_id(), "a request took too long");
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "TIMED_OUT",
        "It took too long, and may yet be done. Ask again with the same Idempotency-Key.",
    )
}

/// A panic is the bank's own mistake. What it says is for the log.
fn fault_of(panic: &(dyn Any + Send)) -> Fault {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("something");
    Fault::Internal(format!("a handler panicked: {said}"))
}
