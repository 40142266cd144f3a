//! An operation that does not stand as the ledger said is found.

use kernel::OperationId;

use super::*;
use crate::fixture::*;

#[tokio::test(start_paused = true)]
async fn operations_that_ended_as_the_ledger_said_have_no_findings() {
    let world = world();
    world.take(&[opened(1), opened(2)]).await;
    let deposit = world.submit(1, deposit_to(1)).await;
    let transfer = world.submit(1, transfer_between(1, 2)).await;
    let events = [deposited(deposit.operation_id, 1), transfer_failed(transfer.operation_id)];
    world.take(&events).await;
    // An event that ends nothing is not compared.
    let events = [&events[..], &[opened(1)]].concat();
    let expected = Comparison { compared: 2, ..Comparison::default() };
    assert_eq!(world.banking.compare(&events).await.unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn operations_that_differ_from_the_ledger_are_named() {
    let world = world();
    world.take(&[opened(1)]).await;
    let pending = world.submit(1, deposit_to(1)).await.operation_id;
    let completed = world.submit(1, deposit_to(1)).await.operation_id;
    world.take(&[deposited(completed, 1)]).await;
    let unknown = OperationId::new(world.sources.fresh_id());
    let events = [
        deposited(pending, 1),
        Message::DepositFailed(failed(completed, 1)),
        deposited(unknown, 1),
        // Another's operation is not found under this owner.
        deposited(completed, 2),
    ];
    let comparison = world.banking.compare(&events).await.unwrap();
    assert_eq!((comparison.compared, comparison.behind, comparison.findings_count), (4, 1, 3));
    assert!(comparison.behind_named[0].contains(&pending.to_string()), "{comparison:?}");
    for (finding, operation_id) in comparison.findings.iter().zip([completed, unknown, completed]) {
        assert!(finding.contains(&operation_id.to_string()), "{finding}");
    }
}
