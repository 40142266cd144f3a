//! The trial balance as operators see it: from the whole journal, so one at a time, and remembered for a moment.

use std::sync::Arc;
use std::time::Duration;

use embedded::EmbeddedStore;
use kernel::{Currency, Timestamp};
use ledger::{Ledger, TrialBalance};
use ports::Sources;
use runtime::Fault;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

/// How long one is shown before it is computed anew.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// The balances of every currency.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = TrialBalances)]
pub struct TrialBalancesView {
    items: Vec<TrialBalanceView>,
    /// Whether every sum is zero and the journal bears out what the accounts hold.
    is_balanced: bool,
    /// How much is wrong; `bank audit` names it.
    findings_count: u64,
    /// When the journal was read.
    #[schema(value_type = String, format = DateTime)]
    computed_at: Timestamp,
}

/// The balances of one currency.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = TrialBalance)]
pub struct TrialBalanceView {
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    /// What all customers' accounts hold.
    #[schema(example = "112.50")]
    customers: String,
    /// The contra account of deposits.
    #[schema(example = "-212.50")]
    cash_in: String,
    /// The contra account of withdrawals.
    #[schema(example = "100.00")]
    cash_out: String,
    /// The sum of the three: zero.
    #[schema(example = "0.00")]
    sum: String,
}

impl From<&TrialBalance> for TrialBalanceView {
    fn from(trial: &TrialBalance) -> Self {
        let currency = trial.currency;
        let decimal = |minor| decimal(minor, currency.exponent());
        Self {
            currency,
            customers: decimal(trial.customers_minor),
            cash_in: decimal(trial.cash_in_minor),
            cash_out: decimal(trial.cash_out_minor),
            sum: decimal(trial.sum_minor()),
        }
    }
}

/// Writes a sum of many amounts, which may be larger than one amount can be.
fn decimal(minor: i128, exponent: u8) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let unit = 10_u128.pow(u32::from(exponent));
    let (whole, fraction) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
    let decimals = usize::from(exponent);
    if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:0decimals$}") }
}

/// Computes trial balances, and remembers the newest. Clones share it.
#[derive(Clone)]
pub struct TrialBalances {
    ledger: Ledger<EmbeddedStore>,
    sources: Sources,
    newest: Arc<Mutex<Option<TrialBalancesView>>>,
}

impl TrialBalances {
    pub fn new(ledger: Ledger<EmbeddedStore>, sources: Sources) -> Self {
        Self { ledger, sources, newest: Arc::default() }
    }

    /// The newest one. It is computed on a task of its own, so that a request that is given up before its end has not
    /// been in vain: the next one finds what it computed.
    pub async fn newest(&self) -> Result<TrialBalancesView, Fault> {
        let computing = self.clone();
        let computed = tokio::spawn(async move { computing.remembered_or_computed().await });
        computed
            .await
            .map_err(|error| Fault::Internal(format!("the trial balance was not computed: {error}")))?
    }

    /// Whoever comes while another computes waits for what that one finds.
    async fn remembered_or_computed(&self) -> Result<TrialBalancesView, Fault> {
        let mut newest = self.newest.lock().await;
        if let Some(newest) =
            newest.as_ref().filter(|newest| self.sources.now().since(newest.computed_at) < KEPT_FOR)
        {
            return Ok(newest.clone());
        }
        let books = self.ledger.audit(|_| {}).await?;
        let view = TrialBalancesView {
            items: books.trial_balances.iter().map(TrialBalanceView::from).collect(),
            is_balanced: books.findings_count == 0,
            findings_count: books.findings_count,
            computed_at: self.sources.now(),
        };
        *newest = Some(view.clone());
        Ok(view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_with_the_decimals_of_their_currency() {
        for (minor, exponent, text) in [
            (0, 2, "0.00"),
            (-5, 2, "-0.05"),
            (123_456, 2, "1234.56"),
            (-1_200, 0, "-1200"),
            (1_001, 3, "1.001"),
            (i128::from(i64::MAX) * 100, 2, "9223372036854775807.00"),
        ] {
            assert_eq!(decimal(minor, exponent), text);
        }
    }
}
