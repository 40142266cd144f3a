//! All routes of the process: those of the services, the operators', the document of them all, and the probes.

use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use embedded::Health;
use metrics::gauge;
use ports::QueueAdmin;
use telemetry::Metrics;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config as SwaggerConfig, SwaggerUi};
use web::HttpSettings;

use crate::failure::Failure;
use crate::ops::{self, Flow};
use crate::timeline;
use crate::world::{Liveness, World};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Digital Banking Platform",
        description = "Accounts, deposits, withdrawals, transfers, balances and histories. Amounts are decimal strings; a JSON number is read by its digits. Errors are problems of RFC 9457 with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    security(("bearer" = [])),
    tags(
        (name = "identity", description = "Signing up and in."),
        (name = "accounts", description = "Opening and closing accounts."),
        (name = "banking", description = "Moving money."),
        (name = "query", description = "Balances and histories."),
        (name = "notifications", description = "A person's inbox."),
        (name = "operations", description = "For operators, people in the group `operators`.")
    )
)]
struct Description;

/// Everything this process answers. Must be called within a runtime.
pub fn router(world: &World, consumers: Liveness, metrics: Metrics, settings: HttpSettings) -> Router {
    let flow = Flow::default();
    tokio::spawn(flow.clone().sample(world.store.clone(), metrics.clone(), world.sources.clone()));
    let (router, document) = documented(world, flow);
    let probes = Router::new()
        .route("/healthz", get(StatusCode::NO_CONTENT))
        .route("/readyz", get(ready))
        .route("/metrics", get(measures))
        .with_state(Probes { world: world.clone(), consumers, metrics: Arc::new(metrics) });
    // Nobody elsewhere is asked to judge the document.
    let documentation = SwaggerUi::new("/docs").url("/openapi.json", document);
    let documentation = documentation.config(SwaggerConfig::default().validator_url("none"));
    let router =
        web::authenticate(router.merge(documentation), world.identity.verifier(), world.sources.clone());
    let router = web::finish(router, settings.clone(), world.sources.clone());
    // The probes have an edge of their own, so that a bank without room for another request still says how it is.
    // Nobody wants a trace of each time they are asked.
    let settings = HttpSettings { traced: web::Share::NONE, ..settings };
    web::finish(probes, settings, world.sources.clone()).merge(router)
}

fn documented(world: &World, flow: Flow) -> (Router, Document) {
    let (router, mut document) = OpenApiRouter::with_openapi(Description::openapi())
        .merge(world.routes())
        .merge(timeline::routes(world.clone()))
        .merge(ops::routes(world.clone(), flow))
        .split_for_parts();
    web::describe(&mut document);
    (router, document)
}

/// Prints the OpenAPI document.
pub fn print_openapi(world: &World) -> Result<(), Failure> {
    let (_, document) = documented(world, Flow::default());
    let text = document.to_pretty_json().map_err(Failure::because("the document cannot be written"))?;
    writeln!(std::io::stdout(), "{text}").map_err(Failure::because("the document cannot be printed"))
}

#[derive(Clone)]
struct Probes {
    world: World,
    consumers: Liveness,
    metrics: Arc<Metrics>,
}

/// Ready once the store commits and every consumer runs.
async fn ready(State(probes): State<Probes>) -> StatusCode {
    let is_ready = probes.world.store.health() == Health::Serving && probes.consumers.are_running();
    if is_ready { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// The measures in Prometheus' text format; how the queues stand is asked for when somebody looks.
async fn measures(State(probes): State<Probes>) -> Response {
    match probes.world.store.depths().await {
        Ok(depths) => {
            let now = probes.world.sources.now();
            for depth in depths {
                let age = depth.oldest_at.map_or(0.0, |oldest_at| now.since(oldest_at).as_secs_f64());
                gauge!("queue_depth", "consumer" => depth.consumer.clone())
                    .set((depth.waiting + depth.retrying) as f64);
                gauge!("queue_age_seconds", "consumer" => depth.consumer.clone()).set(age);
                gauge!("dead_letters", "consumer" => depth.consumer).set(depth.dead as f64);
            }
        }
        Err(error) => tracing::warn!(%error, "the queues cannot be measured"),
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], probes.metrics.render()).into_response()
}
