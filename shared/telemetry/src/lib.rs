//! Logs, measures and traces: how the bank tells its operators what it is doing.
//!
//! - [`init`]: one line a log event, as JSON for machines or as text for a person at a terminal. The fields of
//!   the spans around an event (correlation id, service, consumer) stand on the same level as its own.
//! - [`metrics()`]: the recorder behind the `metrics` facade, rendered in the Prometheus text format.
//! - [`MEASURES`]: every measure there is, with its unit and meaning. A test holds the code against it.
//!
//! - `Spans`, with the feature `otlp`: the spans of recorded traces, sent on over OTLP.
//!
//! All are of the process, installed once. Fields whose names tell of secrets or people are never written,
//! whoever logs them. Absent on purpose: a listener of its own (the application decides who may read the
//! measures), log files and their rotation (the lines go to standard error, and whatever runs the process
//! keeps them), and any sampling (what is one of many is left out where it would be told).
#![warn(missing_docs)]

mod fields;
mod lines;
mod measures;
mod readings;
mod recorder;
#[cfg(feature = "otlp")]
mod spans;

#[cfg(feature = "otlp")]
pub use lines::init_with_spans;
pub use lines::{Format, InitError, init};
pub use measures::{Buckets, Kind, MEASURES, Measure, Unit};
pub use readings::{Labels, Spread};
pub use recorder::{Metrics, MetricsError, UPKEEP_PERIOD, metrics};
#[cfg(feature = "otlp")]
pub use spans::{Spans, SpansError};
