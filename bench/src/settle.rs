//! Finds the moment at which the bank was done with everything it had accepted.
//!
//! Asking about every deposit would be a load of its own while the bank still works. So one connection first waits
//! for the newest deposits, one after the other and with pauses; then all connections check the newest hundred of
//! each worker. One that is found still open moves the moment back to when it ended. And so does a message that
//! still waits for any service, if the bank says: then it is not done either.

use std::time::{Duration, Instant};

use futures::future::try_join_all;

use crate::client::{ClientError, Connection, OK, Outgoing, Server, incomplete};
use crate::observe;
use crate::scan;
use crate::setup::Account;
use crate::step::Deposit;

const STATUS: &str = "GET /operation-status/{operation_id}";
/// How long the bank may work on after the load has ended.
const DRAIN_MAX: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(5);
/// How often it is asked how many messages wait: that takes the bank longer.
const DEPTH_PAUSE: Duration = Duration::from_millis(20);

/// When the last of these deposits was COMPLETED and no message waited, as far as one can see from outside. The newest
/// deposits come first.
pub async fn wait(
    server: &Server,
    accounts: &[Account],
    recent: &[Deposit],
    connections: u32,
) -> Result<Instant, ClientError> {
    let connections = connections.max(1) as usize;
    let deadline = Instant::now() + DRAIN_MAX;
    let mut connection = Connection::open(server).await?;
    for deposit in recent.iter().take(connections) {
        completed(&mut connection, accounts, deposit, deadline).await?;
    }
    let mut settled_at = Instant::now();
    while observe::waiting(&mut connection).await?.is_some_and(|waiting| waiting > 0) {
        if Instant::now() > deadline {
            return Err(ClientError::TooSlow);
        }
        tokio::time::sleep(DEPTH_PAUSE).await;
        settled_at = Instant::now();
    }

    let check = async |share: &[Deposit]| {
        let mut connection = Connection::open(server).await?;
        let mut late = None;
        for deposit in share {
            late = late.max(completed(&mut connection, accounts, deposit, deadline).await?);
        }
        Ok::<_, ClientError>(late)
    };
    let share = recent.len().div_ceil(connections).max(1);
    let late = try_join_all(recent.chunks(share).map(check)).await?;
    Ok(late.into_iter().flatten().max().unwrap_or(settled_at))
}

/// Waits until a deposit is COMPLETED. It says when, if that had not happened before it was asked for.
async fn completed(
    connection: &mut Connection,
    accounts: &[Account],
    deposit: &Deposit,
    deadline: Instant,
) -> Result<Option<Instant>, ClientError> {
    let account = &accounts[deposit.account];
    let path = format!("/operation-status/{}", deposit.operation_id);
    let mut was_open = false;
    loop {
        let outgoing = Outgoing::get(&path).bearer(&account.bearer());
        let operation = connection.expect(STATUS, outgoing, OK).await?;
        match scan::text(&operation, "status") {
            Some("COMPLETED") => return Ok(was_open.then(Instant::now)),
            Some("PENDING") if Instant::now() < deadline => was_open = true,
            _ => return Err(incomplete(STATUS, "the status COMPLETED", &operation)),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
