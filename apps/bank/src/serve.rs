//! `bank serve`: opens the store, starts the consumers, listens, and drains when it is told to stop.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::console::{Api, Console};
use axum::http::HeaderValue;
use banking::BATCH_PARTS_AT_ONCE;
use embedded::{Access, WORKS_WAITING_MAX};
use identity::Keys;
use ports::Mailer;
use system::sources;
use telemetry::{Metrics, Spans, UPKEEP_PERIOD};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use web::{BATCHES_MAX, REQUESTS_MAX, Share, WAITING_REQUESTS_MAX};

use crate::cli::{LogFormat, ServeOptions, Switch};
use crate::failure::Failure;
use crate::smtp::SmtpMailer;
use crate::world::{Consumers, World, open_store};
use crate::{demo, routes, server};

/// How long consumers may take to end their batches once the bank is to stop.
const CONSUMERS_DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long everything may take to end once the store has failed: what a request waits for does not come any more, and the
/// sooner the bank ends, the sooner it can be started again.
const FAILED_DRAIN_MAX: Duration = Duration::from_secs(1);

// However many requests there are, the consumers find a place in the store's queue. Each request has one transaction there, and a
// batch several.
const _: () =
    assert!(REQUESTS_MAX + WAITING_REQUESTS_MAX + BATCHES_MAX * BATCH_PARTS_AT_ONCE < WORKS_WAITING_MAX);

pub async fn serve(options: &ServeOptions) -> Result<(), Failure> {
    let spans = start_logs(options)?;
    let metrics = telemetry::metrics().map_err(Failure::because("the measures cannot be taken"))?;
    let settings = http_settings(options, spans.as_ref())?;
    let mailer = mailer(options)?;

    let sources = sources();
    let data_dir = &options.data.data_dir;
    let store = open_store(data_dir, Access::Exclusive, &sources)?;
    let keys = Keys::load_or_make(data_dir).map_err(Failure::because("the signing keys cannot be read"))?;
    let world = World::new(store.clone(), sources.clone(), keys, &options.tokens.issuer, mailer);

    let listener = server::listen(options.listen)
        .map_err(|error| Failure::new(format!("{} cannot be listened on: {error}", options.listen)))?;
    let address = listener.local_addr().map_err(Failure::because("the address is unknown"))?;
    store
        .announce(&format!("http://{address}"))
        .map_err(Failure::because("the address cannot be announced"))?;

    let demo = if options.demo { Some(demo::fill(&store, &sources).await?) } else { None };
    let (stop_consumers, consumers_stop) = watch::channel(false);
    let consumers = world.start_consumers(&consumers_stop);
    tokio::spawn(keep_up(metrics.clone()));
    let (stop_serving, serving_stops) = watch::channel(false);
    let api = routes::router(&world, consumers.liveness(), metrics, settings.clone());
    let console =
        Console::new(Api::InProcess(api.clone()), sources.clone(), is_secure(options), serving_stops.clone());
    let router = api.merge(web::finish(console.router(), settings, sources.clone()));
    // Whoever reads the greeting may stop the bank at once.
    let asked_to_stop = asked_to_stop()?;
    greet(options, address, demo)?;
    let serving = tokio::spawn(server::serve(listener, router, serving_stops));

    let failed = tokio::select! {
        () = asked_to_stop => None,
        reason = store.failed() => Some(reason),
    };
    tracing::info!("the bank closes: requests and consumers end what they have begun");
    // The receivers are gone only if everything has stopped already.
    let _ = stop_serving.send(true);
    let drained = drain(serving, consumers, stop_consumers);
    if failed.is_none() {
        drained.await;
    } else if tokio::time::timeout(FAILED_DRAIN_MAX, drained).await.is_err() {
        tracing::warn!("what waited for the store that failed was cut off");
    }
    store.close().await;
    // Nobody else runs any more, who would have to wait while this blocks.
    spans.iter().for_each(Spans::close);
    match failed {
        Some(reason) => Err(Failure::new(format!("the store failed and the bank stopped: {reason}"))),
        None => Ok(()),
    }
}

/// Lets requests end what they have begun, and then consumers: a request may wait for what a consumer does.
async fn drain(serving: JoinHandle<()>, consumers: Consumers, stop_consumers: watch::Sender<bool>) {
    if serving.await.is_err() {
        tracing::error!("the server did not end well");
    }
    let _ = stop_consumers.send(true);
    if tokio::time::timeout(CONSUMERS_DRAIN_MAX, consumers.stopped()).await.is_err() {
        tracing::warn!("consumers that did not end in time were cut off; their messages come again");
    }
}

/// Folds measures that nobody has asked for, so that they do not pile up.
async fn keep_up(metrics: Metrics) {
    loop {
        tokio::time::sleep(UPKEEP_PERIOD).await;
        metrics.upkeep();
    }
}

/// Starts the log, and the sending of spans if somebody takes them.
fn start_logs(options: &ServeOptions) -> Result<Option<Spans>, Failure> {
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let format = match options.log_format {
        Some(LogFormat::Pretty) => telemetry::Format::Pretty,
        Some(LogFormat::Json) => telemetry::Format::Json,
        None if is_terminal => telemetry::Format::Pretty,
        None => telemetry::Format::Json,
    };
    let spans = Spans::start(options.otlp_endpoint.as_deref()).map_err(Failure::from_error)?;
    match &spans {
        Some(spans) => telemetry::init_with_spans(format, &options.log, spans),
        None => telemetry::init(format, &options.log),
    }
    .map_err(Failure::because("the logs cannot be written"))?;
    Ok(spans)
}

/// Whether the bank is reached over HTTPS alone.
fn is_secure(options: &ServeOptions) -> bool {
    options.hsts_days.is_some()
}

fn http_settings(options: &ServeOptions, spans: Option<&Spans>) -> Result<web::HttpSettings, Failure> {
    Ok(web::HttpSettings {
        rate_limits: match options.rate_limit {
            Switch::On => web::RateLimits::default(),
            Switch::Off => web::RateLimits::OFF,
        },
        trusted_proxies: options.trusted_proxy.clone(),
        cors_origins: options.cors_origin.iter().map(|text| web_origin(text)).collect::<Result<_, _>>()?,
        strict_transport_security: options
            .hsts_days
            .map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
        logged: options.log_requests,
        traced: spans.map_or(Share::NONE, |_| options.otlp_sample),
        ..web::HttpSettings::default()
    })
}

/// A web origin as browsers write it (RFC 6454, section 6.2): scheme and host, and a port if it is not the scheme's. `null`
/// is none here, though browsers send it, because any page can have it in a frame; and CORS is never open to all.
fn web_origin(text: &str) -> Result<HeaderValue, Failure> {
    let is_of_a_host = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
    };
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let origin = host.filter(|host| !host.is_empty() && host.bytes().all(is_of_a_host));
    origin
        .and_then(|_| HeaderValue::from_str(text).ok())
        .ok_or_else(|| Failure::new(format!("{text:?} is not a web origin such as https://app.example.com")))
}

fn mailer(options: &ServeOptions) -> Result<Option<Arc<dyn Mailer>>, Failure> {
    match (&options.smtp_url, &options.mail_from) {
        (None, _) => Ok(None),
        (Some(_), None) => {
            Err(Failure::new("a mail server needs a sender: --mail-from \"The Bank <bank@example.com>\""))
        }
        (Some(url), Some(from)) => {
            Ok(Some(Arc::new(SmtpMailer::new(url, from).map_err(Failure::from_error)?)))
        }
    }
}

/// Tells a person at the terminal, and a script that waits for it, where the bank is.
fn greet(options: &ServeOptions, address: SocketAddr, demo: Option<demo::Filled>) -> Result<(), Failure> {
    let data_dir = options.data.data_dir.display();
    let (path, password) = match demo {
        Some(demo::Filled::Yes) => ("sign-in", demo::PASSWORD),
        Some(demo::Filled::No) | None => ("sign-up", "correct horse battery"),
    };
    let person = format!(r#"{{"email": "{}", "password": "{password}"}}"#, demo::ADA);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "The bank is open.\n  \
         console   http://{address}\n  \
         API       http://{address}\n  \
         docs      http://{address}/docs\n  \
         data      {data_dir}\n  \
         try       curl -s http://{address}/auth/{path} -H 'Content-Type: application/json' -d '{person}'"
    )
    .and_then(|()| demo.map_or(Ok(()), |filled| writeln!(out, "  demo      {filled}")))
    .and_then(|()| writeln!(out, "Ctrl-C closes it."))
    .and_then(|()| out.flush())
    .map_err(Failure::because("the terminal cannot be written to"))
}

/// Hears Ctrl-C and SIGTERM from now on. What is returned ends with the first of them.
#[cfg(unix)]
pub fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};

    let unheard = Failure::because("the signals to stop cannot be heard");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(&unheard)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(&unheard)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Hears Ctrl-C. What is returned ends with it.
#[cfg(not(unix))]
pub fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C cannot be heard");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cors_is_opened_to_origins_and_to_nothing_else() {
        for origin in ["https://app.example.com", "http://localhost:5173", "http://[::1]:8080"] {
            assert_eq!(web_origin(origin).unwrap(), origin);
        }
        for other in [
            "",
            "*",
            "null",
            "https://",
            "https://*.example.com",
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://app.example.com, https://evil.example",
            "https://ada@app.example.com",
            "ftp://app.example.com",
            "https://app.example.com\r\nset-cookie: a=b",
        ] {
            let refused = web_origin(other).unwrap_err().to_string();
            assert!(refused.contains("is not a web origin"), "{other:?}: {refused}");
        }
    }
}
