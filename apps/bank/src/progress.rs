//! A bar for work that takes long, on a terminal only; a script sees nothing of it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar moves.
const REDRAW: Duration = Duration::from_millis(120);

/// How a bar begins: [`Progress::begin`] or [`Progress::unseen`].
pub type Begin = fn(&'static str) -> Progress;

/// Counts what is done; how much there is, nobody knows before.
pub struct Progress(ProgressBar);

impl Progress {
    /// `what` is counted, in the plural.
    pub fn begin(what: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} {msg} ({per_sec}, {elapsed})")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(REDRAW);
        Self(bar)
    }

    /// A bar over a file that is worked off, whose length may be unknown; `what` it consists of is counted beside.
    pub fn along(what: &'static str, bytes: Option<u64>) -> Self {
        let Some(bytes) = bytes else { return Self::begin(what) };
        let bar = ProgressBar::new(bytes).with_message(what);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:40} {percent}% {prefix} {msg} ({elapsed}, {eta} left)")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(REDRAW);
        Self(bar)
    }

    /// The same for work that nobody waits for at a terminal.
    pub fn unseen(_: &'static str) -> Self {
        Self(ProgressBar::hidden())
    }

    pub fn advance(&self, done: u64) {
        self.0.inc(done);
    }

    /// So much of the file is worked off, and that is so many.
    pub fn reach(&self, bytes: u64, count: u64) {
        match self.0.length() {
            Some(_) => {
                self.0.set_prefix(count.to_string());
                self.0.set_position(bytes);
            }
            None => self.0.set_position(count),
        }
    }

    pub fn end(self) {
        self.0.finish_and_clear();
    }
}
