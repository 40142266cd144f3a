//! Audits of the bank while it serves: the same as `bank audit`, asked for by an operator.
//!
//! One runs at a time, on a thread of its own and on one moment of the store that no writer waits for. What it found is
//! remembered until the next one ends or the bank stops. Absent on purpose: the end of an audit before its time, and a
//! history of them, which the log has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use embedded::EmbeddedStore;
use kernel::Timestamp;
use ports::Sources;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::{Operator, Problem, not_found};

use super::{FindProblems, ReadProblems};
use crate::audit::{Audit, Counted};
use crate::failure::Failure;
use crate::trial_balance::TrialBalanceView;
use crate::world::World;

/// The routes under `/ops/audits`.
pub fn routes(world: World) -> OpenApiRouter {
    let audits = Audits { store: world.store, sources: world.sources, latest: Arc::default() };
    OpenApiRouter::new().routes(routes!(begin_audit)).routes(routes!(latest_audit)).with_state(audits)
}

/// How an audit stands.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum AuditStatus {
    Running,
    /// The books are right.
    Clean,
    /// The books are wrong.
    Findings,
    /// It could not be brought to its end; the log says why.
    Failed,
}

/// An audit of the bank.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Audit)]
struct AuditView {
    status: AuditStatus,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
    /// There once it is CLEAN, or has FINDINGS.
    #[schema(value_type = Found, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
}

/// What an audit found.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = AuditFound)]
struct Found {
    counted: Counted,
    trial_balances: Vec<TrialBalanceView>,
    findings_count: u64,
    /// The first hundred.
    findings: Vec<String>,
}

impl From<&Audit> for Found {
    fn from(audit: &Audit) -> Self {
        Self {
            counted: audit.counted(),
            trial_balances: audit.trial_balances().iter().map(TrialBalanceView::from).collect(),
            findings_count: audit.findings_count(),
            findings: audit.findings().map(ToOwned::to_owned).collect(),
        }
    }
}

/// The audits of one bank. Clones share the latest.
#[derive(Clone)]
struct Audits {
    store: EmbeddedStore,
    sources: Sources,
    latest: Arc<Mutex<Option<AuditView>>>,
}

impl Audits {
    fn latest(&self) -> MutexGuard<'_, Option<AuditView>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The audit that runs from now on, or has done so before. Must be called within a runtime.
    fn begin(&self) -> AuditView {
        let mut latest = self.latest();
        if let Some(running) = latest.as_ref().filter(|latest| latest.status == AuditStatus::Running) {
            return running.clone();
        }
        let started_at = self.sources.now();
        let begun = AuditView { status: AuditStatus::Running, started_at, took_ms: None, found: None };
        *latest = Some(begun.clone());
        let audits = self.clone();
        tokio::spawn(async move {
            let (store, sources, runtime) = (audits.store.clone(), audits.sources.clone(), Handle::current());
            // An audit counts and compares for long, and whoever else is on an async thread would wait for that.
            let audited = spawn_blocking(move || runtime.block_on(audit(&store, sources))).await;
            audits.end(started_at, audited.unwrap_or_else(|error| Err(Failure::from_error(error))));
        });
        begun
    }

    fn end(&self, started_at: Timestamp, audited: Result<Audit, Failure>) {
        let found = audited.as_ref().ok().map(Found::from);
        let status = match &audited {
            Ok(audit) if audit.findings_count() == 0 => AuditStatus::Clean,
            Ok(_) => AuditStatus::Findings,
            Err(_) => AuditStatus::Failed,
        };
        let took_ms = u64::try_from(self.sources.now().since(started_at).as_millis()).unwrap_or(u64::MAX);
        match audited {
            Ok(audit) if status == AuditStatus::Clean => {
                tracing::info!(took_ms, entries = audit.counted().entries, "the books are right");
            }
            Ok(audit) => tracing::error!(took_ms, findings = audit.findings_count(), "the books are wrong"),
            Err(error) => tracing::error!(took_ms, %error, "an audit could not be brought to its end"),
        }
        *self.latest() = Some(AuditView { status, started_at, took_ms: Some(took_ms), found });
    }
}

/// Audits one moment of a store that is written meanwhile.
async fn audit(store: &EmbeddedStore, sources: Sources) -> Result<Audit, Failure> {
    let moment = store.snapshot()?;
    let audit = Audit::of_moment(&moment, sources).await;
    moment.close().await;
    audit
}

/// Begin an audit of the bank: the books against their journal, and what is derived from them against the books.
///
/// One runs at a time: while it does, it is the answer to the same request again.
#[utoipa::path(post, path = "/ops/audits", tag = "operations",
    responses((status = 202, body = AuditView), ReadProblems))]
async fn begin_audit(
    State(audits): State<Audits>,
    Operator(operator): Operator,
) -> (StatusCode, Json<AuditView>) {
    tracing::info!(operator = %operator.user_id, "an operator asked for an audit");
    (StatusCode::ACCEPTED, Json(audits.begin()))
}

/// The latest audit since the bank was started, as far as it is.
#[utoipa::path(get, path = "/ops/audits/latest", tag = "operations",
    responses((status = 200, body = AuditView), FindProblems))]
async fn latest_audit(State(audits): State<Audits>, _: Operator) -> Result<Json<AuditView>, Problem> {
    let latest = audits.latest().clone();
    Ok(Json(latest.ok_or_else(|| not_found("audit"))?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tests::bank::{Bank, wait_until};

    async fn ended(audits: &Audits) -> AuditStatus {
        let status = || audits.latest().as_ref().map(|latest| latest.status);
        wait_until(async || status().filter(|status| *status != AuditStatus::Running)).await
    }

    #[tokio::test]
    async fn one_audit_runs_at_a_time() {
        let bank = Bank::open().await;
        let (store, sources) = (bank.world.store.clone(), bank.world.sources.clone());
        let audits = Audits { store, sources, latest: Arc::default() };
        // Nothing else comes to its turn on this thread between the two.
        let first = audits.begin();
        bank.advance(Duration::from_secs(1));
        assert_eq!(audits.begin().started_at, first.started_at);
        assert!(ended(&audits).await == AuditStatus::Clean);
        bank.advance(Duration::from_secs(1));
        assert_ne!(audits.begin().started_at, first.started_at);
        assert!(ended(&audits).await == AuditStatus::Clean);

        audits.end(first.started_at, Err(Failure::new("the disk is gone")));
        let failed = audits.latest().clone().unwrap();
        assert!(failed.status == AuditStatus::Failed && failed.found.is_none());
        bank.close().await;
    }
}
