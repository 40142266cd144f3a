//! Live parts of pages: server-sent events (HTML Standard, section 9.2), each with the part drawn anew.
//!
//! The script puts what comes in place of what was there, so a part is drawn by the same function on the page and live.
//! A stream ends when there is nothing more to come, when the bank closes, or after ten minutes: the browser then asks
//! again, and whoever has left her page open does not hold it for ever.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream;
use maud::Markup;
use tokio::sync::watch;
use tokio::time::Instant;

/// The longest that one stream lasts.
const STREAM_MAX: Duration = Duration::from_secs(10 * 60);
/// How often a stream without news says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A part that was drawn anew.
pub enum Drawn {
    /// Another one comes.
    Next(Markup),
    /// This is how it stays.
    Last(Markup),
    /// It cannot be drawn any more, such as where nobody is signed in.
    Gone,
}

/// Draws a part anew again and again, a `pause` apart.
pub fn stream<F, D>(closing: watch::Receiver<bool>, pause: Duration, draw: F) -> impl IntoResponse
where
    F: FnMut() -> D + Send + 'static,
    D: Future<Output = Drawn> + Send,
{
    let until = Instant::now() + STREAM_MAX;
    let events = stream::unfold(Some((draw, closing, Duration::ZERO)), move |state| async move {
        let (mut draw, mut closing, wait) = state?;
        let is_over = tokio::select! {
            biased;
            _ = closing.wait_for(|is_closing| *is_closing) => true,
            () = tokio::time::sleep(wait) => Instant::now() >= until,
        };
        if is_over {
            return None;
        }
        match draw().await {
            Drawn::Next(part) => Some((event(part), Some((draw, closing, pause)))),
            Drawn::Last(part) => Some((event(part).map(|event| event.event("last")), None)),
            Drawn::Gone => Some((Ok(Event::default().event("gone").data("")), None)),
        }
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn event(part: Markup) -> Result<Event, Infallible> {
    Ok(Event::default().data(part.into_string()))
}
