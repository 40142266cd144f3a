//! What stands around every invocation: the fields that each of its log lines has, and its measures, which are written
//! once its answer is out. Lambda freezes the process only when it asks for the next event, so the caller does not
//! wait for that.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws::Measures;
use lambda_runtime::tower::{Layer, Service};
use lambda_runtime::{Error, LambdaInvocation};
use ports::Sources;
use tracing::Instrument;

/// Puts an [`Invocation`] around what handles events.
pub(crate) struct Invocations {
    /// The function's name.
    pub name: &'static str,
    /// What is written when an event has been handled.
    pub measures: Measures,
    pub sources: Sources,
}

impl<S> Layer<S> for Invocations {
    type Service = Invocation<S>;

    fn layer(&self, inner: S) -> Invocation<S> {
        let Self { name, measures, sources } = self;
        Invocation { inner, name, measures: measures.clone(), sources: sources.clone(), is_first: true }
    }
}

/// Handles one event after the other.
pub(crate) struct Invocation<S> {
    inner: S,
    name: &'static str,
    measures: Measures,
    sources: Sources,
    /// Whether this process has had no event yet.
    is_first: bool,
}

impl<S> Service<LambdaInvocation> for Invocation<S>
where
    S: Service<LambdaInvocation, Response = (), Error = Error>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        // Only a cold start is told, for each byte of a log is paid.
        let cold_start = std::mem::take(&mut self.is_first).then_some(true);
        let request_id = &*invocation.context.request_id;
        let span = tracing::info_span!("invocation", service = self.name, request_id, cold_start);
        let handled = span.in_scope(|| self.inner.call(invocation));
        let (measures, sources) = (self.measures.clone(), self.sources.clone());
        let handled = async move {
            let handled = handled.await;
            measures.flush(sources.now());
            handled
        };
        Box::pin(handled.instrument(span))
    }
}
