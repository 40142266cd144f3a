//! `bank console`: the web console alone, for a bank that is elsewhere.

use std::io::Write;

use ::console::{Api, Console};
use system::sources;
use tokio::sync::watch;

use crate::cli::ConsoleOptions;
use crate::failure::Failure;
use crate::serve::asked_to_stop;
use crate::server;

/// Serves the console until the process is told to stop.
pub async fn serve(options: &ConsoleOptions) -> Result<(), Failure> {
    telemetry::init(telemetry::Format::Pretty, "info")
        .map_err(Failure::because("the logs cannot be written"))?;
    let url = &options.api_url;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(Failure::new(format!("{url:?} is not an address such as https://bank.example.com/prod")));
    }
    let listener = server::listen(options.listen)
        .map_err(|error| Failure::new(format!("{} cannot be listened on: {error}", options.listen)))?;
    let address = listener.local_addr().map_err(Failure::because("the address is unknown"))?;
    let (stop, stops) = watch::channel(false);
    let console = Console::new(Api::remote(url), sources(), options.https, stops.clone());
    let router = web::finish(console.router(), web::HttpSettings::default(), sources());
    let asked_to_stop = asked_to_stop()?;
    writeln!(std::io::stdout(), "The console of {url} is at http://{address}. Ctrl-C closes it.")
        .map_err(Failure::because("the terminal cannot be written to"))?;
    let serving = tokio::spawn(server::serve(listener, router, stops));
    asked_to_stop.await;
    // The receiver is gone only if the server has stopped already.
    let _ = stop.send(true);
    serving.await.map_err(Failure::because("the server did not end well"))
}
