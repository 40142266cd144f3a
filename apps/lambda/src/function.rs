//! One function: what it is made of, how it starts, and the three kinds of work that there are.

use std::convert::Infallible;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fmt};

use aws::{Connection, ConsumerQueue, DynamoStore, Measures, ReceivedBatch, Relay, Routes};
use aws_lambda_events::event::dynamodb::Event as StreamEvent;
use aws_lambda_events::event::sqs::SqsEvent;
use axum::http::HeaderValue;
use contracts::topology::{ROUTES, Route, Sender};
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use ports::{Consumer, Sources, Table};
use runtime::{Policy, judge};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use web::{HttpSettings, RateLimits};

use crate::gateway::{self, ProxyRequest};
use crate::invocation::Invocations;

/// The tables whose streams a relay reads beside those of the outboxes, as the template has it: of an account and of an
/// operation there is nearly always one record to write, and something to say of it.
pub const STREAMED: &[Table] = &[accounts::records::ACCOUNTS, banking::records::OPERATIONS];

/// For how long browsers keep to HTTPS: the gateway answers nothing else.
const HTTPS_ONLY_FOR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Why a function does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The template did not give the function what it needs.
    #[error("the environment variable {0} is not set")]
    Missing(String),
    /// The template gave the function what it cannot use.
    #[error("the environment variable {name} is {value:?}: {reason}")]
    Invalid {
        /// The name of the variable.
        name: &'static str,
        /// What it is.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The process cannot be set up.
    #[error("the function cannot start: {0}")]
    Start(Box<dyn std::error::Error + Send + Sync>),
    /// Lambda does not answer.
    #[error("Lambda's runtime interface failed: {0}")]
    Runtime(lambda_runtime::Error),
}

/// A function that starts.
pub struct Function {
    name: &'static str,
    connection: Connection,
    measures: Measures,
    sources: Sources,
}

/// Starts the function of this name and does its work until Lambda ends the process. One line tells why it could not.
///
/// One thread does everything: an environment handles one event at a time.
pub fn run(name: &'static str, work: impl AsyncFnOnce(Function) -> Result<(), Failure>) -> ExitCode {
    let started = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = started
        .map_err(|error| Failure::Start(error.into()))
        .and_then(|runtime| runtime.block_on(async { work(Function::start(name).await?).await }));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// A setting that the template gives the function.
///
/// # Errors
/// [`Failure::Missing`] if it does not.
pub fn setting(name: &str) -> Result<String, Failure> {
    env::var(name).map_err(|_| Failure::Missing(name.to_owned()))
}

/// A setting that the template gives the function only where it is wanted.
pub fn optional_setting(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// A setting that means more than its text.
///
/// # Errors
/// [`Failure::Missing`] if the template does not give it, [`Failure::Invalid`] if it means nothing.
pub fn parsed_setting<T: FromStr<Err: fmt::Display>>(name: &'static str) -> Result<T, Failure> {
    let value = setting(name)?;
    value.parse().map_err(|reason: T::Err| Failure::Invalid { name, value, reason: reason.to_string() })
}

impl Function {
    async fn start(name: &'static str) -> Result<Self, Failure> {
        let level = env::var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_else(|_| "info".to_owned());
        telemetry::init(telemetry::Format::Json, &level).map_err(|error| Failure::Start(error.into()))?;
        let prefix = setting("RESOURCE_PREFIX")?;
        // Before all else, for a measure is looked up where it is first named.
        let measures = Measures::install(prefix.trim_end_matches('-'), name)
            .map_err(|error| Failure::Start(error.to_string().into()))?;
        let connection = Connection::from_environment(prefix).await;
        Ok(Self { name, connection, measures, sources: system::sources() })
    }

    /// How it reaches AWS.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The tables of its deployment.
    pub fn store(&self) -> DynamoStore {
        DynamoStore::new(&self.connection, STREAMED)
    }

    /// The time and identifiers.
    pub fn sources(&self) -> Sources {
        self.sources.clone()
    }

    /// Answers the gateway's requests to these routes.
    ///
    /// # Errors
    /// A setting cannot be used, or Lambda's runtime interface failed.
    pub async fn serve(self, routes: OpenApiRouter) -> Result<(), Failure> {
        let (router, _document) = routes.split_for_parts();
        let router = web::finish(router, http_settings()?, self.sources());
        self.handle(move |event: LambdaEvent<ProxyRequest>| {
            let router = router.clone();
            async move { gateway::answer(router, event.payload, event.context.xray_trace_id.as_deref()).await }
        })
        .await
    }

    /// Lets a consumer handle the messages of its queue.
    ///
    /// # Errors
    /// A setting is missing, or Lambda's runtime interface failed.
    pub async fn consume<C: Consumer>(self, consumer: C, policy: Policy) -> Result<(), Failure> {
        let queue = ConsumerQueue::new(
            &self.connection,
            C::NAME,
            setting("QUEUE_URL")?,
            setting("DEAD_LETTER_QUEUE_URL")?,
        );
        let work = Arc::new((consumer, queue, self.sources()));
        self.handle(move |event: LambdaEvent<SqsEvent>| {
            let work = Arc::clone(&work);
            async move {
                let (consumer, queue, sources) = &*work;
                let batch = ReceivedBatch::read(event.payload);
                let verdicts = judge(consumer, policy, sources, batch.deliveries()).await;
                Ok::<_, Infallible>(queue.settle(batch, verdicts, sources.now()).await)
            }
        })
        .await
    }

    /// Sends what is new in a service's outbox to those who hear it.
    ///
    /// # Errors
    /// A setting is missing, or Lambda's runtime interface failed.
    pub async fn relay(self, sender: Sender) -> Result<(), Failure> {
        let relay = Relay::new(&self.connection, routes(sender)?, setting("FAILURE_QUEUE_URL")?);
        self.handle(move |event: LambdaEvent<StreamEvent>| {
            let relay = relay.clone();
            async move { Ok::<_, Infallible>(relay.relay(event.payload).await) }
        })
        .await
    }

    /// Hands event after event to `handler`. What it fails on, Lambda sends again or answers as its source has it.
    async fn handle<A, R, E, F, H>(self, mut handler: F) -> Result<(), Failure>
    where
        A: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
        F: FnMut(LambdaEvent<A>) -> H + Send + 'static,
        H: Future<Output = Result<R, E>> + Send + 'static,
    {
        let handler = service_fn(move |event| {
            let handled = handler(event);
            async move { handled.await.map_err(lambda_runtime::Error::from) }
        });
        let Self { name, measures, sources, .. } = self;
        let runtime = Runtime::new(handler).layer(Invocations { name, measures, sources });
        runtime.run().await.map_err(Failure::Runtime)
    }
}

/// The gateway throttles, for all processes together; what one process counts of a person's requests tells little.
fn http_settings() -> Result<HttpSettings, Failure> {
    const CORS_ORIGINS: &str = "CORS_ORIGINS";
    let origins = setting(CORS_ORIGINS)?;
    let origin = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| Failure::Invalid {
            name: CORS_ORIGINS,
            value: text.to_owned(),
            reason: "not a web origin such as https://app.example.com".to_owned(),
        })
    };
    let cors_origins = origins
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(origin)
        .collect::<Result<_, _>>()?;
    Ok(HttpSettings {
        rate_limits: RateLimits::OFF,
        cors_origins,
        strict_transport_security: Some(HTTPS_ONLY_FOR),
        ..HttpSettings::default()
    })
}

/// The queues of all who hear a service, by the topology.
fn routes(sender: Sender) -> Result<Routes, Failure> {
    let url = |receiver: &&str| setting(&format!("QUEUE_URL_{}", receiver.to_uppercase()));
    let urls = |route: &Route| route.receivers.iter().map(url).collect::<Result<_, _>>();
    let sent = ROUTES.iter().filter(|route| route.sender == sender);
    sent.map(|route| Ok((route.kind.name(), urls(route)?))).collect()
}
