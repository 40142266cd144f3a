//! Holding the operations against the ledger's verdicts, for audits.

use contracts::Message;
use ports::{Key, Store};
use runtime::{Comparison, Fault};

use crate::Banking;
use crate::domain::{Ending, Operation, Status, ending};
use crate::records::operation_key;

impl<S: Store> Banking<S> {
    /// Compares operations with what the ledger said of them.
    pub async fn compare(&self, events: &[Message]) -> Result<Comparison, Fault> {
        let endings: Vec<Ending> = events.iter().filter_map(ending).collect();
        let keys: Vec<Key> =
            endings.iter().map(|ending| operation_key(ending.owner, ending.operation_id)).collect();
        let mut comparison = Comparison::default();
        let stored = runtime::get_many::<S, Operation>(&self.store, &keys).await?;
        for (ending, stored) in endings.iter().zip(stored) {
            comparison.compared += 1;
            let operation_id = ending.operation_id;
            match stored.map(|held| held.record.status) {
                None => comparison
                    .find(format!("the ledger judged operation {operation_id}, which nobody asked for")),
                Some(Status::Pending) => comparison
                    .lag(format!("operation {operation_id} has not ended, though the ledger has judged it")),
                Some(status) if status != ending.status => {
                    comparison.find(format!("operation {operation_id} ended otherwise than the ledger said"));
                }
                Some(_) => {}
            }
        }
        Ok(comparison)
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
