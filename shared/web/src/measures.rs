//! The rate, errors and duration of each route.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

/// The label of requests that no route took.
pub(crate) const NO_ROUTE: &str = "none";

/// The measures of every route, method and status seen so far; there are only as many as the bank has of them. They are
/// kept because to look one up by its labels costs more than to count.
#[derive(Default)]
pub(crate) struct Measures(RwLock<HashMap<String, OfRoute>>);

type OfRoute = HashMap<(&'static str, StatusCode), Measure>;

#[derive(Clone)]
struct Measure {
    requests: Counter,
    seconds: Histogram,
}

impl Measures {
    /// Counts a request that was answered.
    pub fn count(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let measure = self.measure(route, label_of(method), status);
        measure.requests.increment(1);
        measure.seconds.record(took);
    }

    fn measure(&self, route: &str, method: &'static str, status: StatusCode) -> Measure {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(measure) = known.get(route).and_then(|of_route| of_route.get(&(method, status))) {
            return measure.clone();
        }
        drop(known);
        let labels = [
            ("route", route.to_owned()),
            ("method", method.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        let measure = Measure {
            requests: counter!("http_requests_total", &labels),
            seconds: histogram!("http_request_seconds", &labels),
        };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(route.to_owned()).or_default().insert((method, status), measure.clone());
        measure
    }
}

/// The method as a label. One that somebody made up is not a label of ours.
fn label_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
