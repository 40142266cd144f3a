//! A bank that more clients connect to than it may have files open.

use std::net::TcpStream;

use serde_json::json;

use crate::support::{Directory, PASSWORD, Serving, until};

/// More than may be connected where 120 files may be open, whatever else is; and few enough that the bank has hung up on
/// all of them in two turns.
const CLIENTS: usize = 110;

#[test]
fn clients_beyond_its_limit_of_open_files_keep_it_from_nothing() {
    let directory = Directory::new();
    let serving = Serving::start_after(&directory, "ulimit -n 120");
    let credentials = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(serving.post("/auth/sign-up", &credentials).0, 201);
    let token = serving.sign_in("ada@example.com");

    let address = serving.address.strip_prefix("http://").unwrap();
    let idle: Vec<TcpStream> = (0..CLIENTS).map(|_| TcpStream::connect(address).unwrap()).collect();
    // The bank hangs up on those who ask nothing for ten seconds, and takes in the next.
    let (status, account) =
        serving.post_as(&token, "/accounts", &json!({"name": "Current account", "currency": "EUR"}));
    assert_eq!(status, 201, "{account}");
    let deposit = json!({"account_id": account["account_id"], "amount": "12.50"});
    let (status, operation) = serving.post_as(&token, "/deposit", &deposit);
    assert_eq!((status, &operation["status"]), (200, &json!("COMPLETED")), "{operation}");
    drop(idle);
    until("an answer at once", || (serving.get(&token, "/balances").0 == 200).then_some(()));
    serving.stop();
    let log = directory.log();
    assert!(!log.contains("could not be accepted") && !log.contains("unavailable"), "{log}");
}
