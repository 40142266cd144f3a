//! What the bank on AWS costs: the customer's requests with the real functions, stores and queues' adapters, on the
//! emulator's tables, and what AWS would charge for each of them by `xtask/prices.toml`.
//!
//! Every flow is run three ways: full batches over as many accounts as they have messages, full batches to one account,
//! and one message at a time, as in an idle bank. Absent on purpose: what does not depend on the number of operations,
//! such as storage, backups, alarms, and the pollers of empty queues.

mod bank;
mod counter;
mod decimal;
mod prices;

use std::fs;

use serde_json::{Value, json};

use crate::emulator::{Emulator, Policies};
use crate::process::{cargo, run as run_command};
use crate::python::EMULATOR;
use crate::{Fault, Workspace};
use bank::{Bank, Request};
use counter::Tally;
use decimal::Decimal;
use prices::{Charge, Prices};

/// How many operations are counted together: a full batch (SQS: ReceiveMessage takes ten at most).
const OPERATIONS: usize = 10;

const ADA: &str = "01890a5d-ac96-774b-bcce-b302099a8004";

/// How the load lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    Spread,
    OneAccount,
    Idle,
}

impl Load {
    const ALL: [(Self, &str); 3] = [
        (Self::Spread, "full batches, ten accounts"),
        (Self::OneAccount, "full batches, one account"),
        (Self::Idle, "one at a time"),
    ];

    fn batch_max(self) -> usize {
        if self == Self::Idle { 1 } else { OPERATIONS }
    }
}

/// What is counted.
struct Flow {
    name: &'static str,
    /// Whether it leads to messages, so that the size of batches matters.
    is_write: bool,
    request: fn(&mut Bank, &str, &str, usize) -> Result<(), Fault>,
}

const FLOWS: &[Flow] = &[
    Flow {
        name: "deposit",
        is_write: true,
        request: |bank, own, _, _| operate(bank, "/deposit", &moved(own), &[]),
    },
    Flow {
        name: "deposit with an Idempotency-Key",
        is_write: true,
        request: |bank, own, _, number| {
            let key = format!("01890a5d-ac96-774b-bcce-{number:012}");
            operate(bank, "/deposit", &moved(own), &[("Idempotency-Key", &key)])
        },
    },
    Flow {
        name: "withdraw",
        is_write: true,
        request: |bank, own, _, _| operate(bank, "/withdraw", &moved(own), &[]),
    },
    Flow {
        name: "transfer",
        is_write: true,
        request: |bank, own, other, _| {
            let body = json!({"from_account_id": own, "to_account_id": other, "amount": "12.50"});
            operate(bank, "/transfer", &body, &[])
        },
    },
    Flow {
        name: "read a balance",
        is_write: false,
        request: |bank, own, _, _| read(bank, "query_service_api", &format!("/balances/{own}"), &[]),
    },
    Flow {
        name: "read 20 transactions",
        is_write: false,
        request: |bank, own, _, _| {
            read(bank, "query_service_api", &format!("/transactions/{own}"), &[("limit", "20")])
        },
    },
    Flow {
        name: "read 20 notifications",
        is_write: false,
        request: |bank, _, _, _| {
            read(bank, "notifications_service_api", "/notifications", &[("limit", "20")])
        },
    },
];

/// Counts every flow and prints what it costs.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Fault> {
    let prices = Prices::read(workspace)?;
    EMULATOR.install(workspace)?;
    // Optimised or not, a function makes the same requests.
    run_command(cargo(&["build", "-p", "aws", "-p", "lambda", "--bins"]).current_dir(&workspace.root))?;
    let folder = workspace.target.join("counted");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Fault::file(&folder))?;
    }
    let emulator = Emulator::start(workspace, &folder, Policies::Ignored)?;
    let mut bank = Bank::open(workspace, &emulator)?;
    let accounts = open_accounts(&mut bank)?;
    let mut number = 0;
    for flow in FLOWS {
        for (load, name) in Load::ALL {
            if !flow.is_write && load != Load::Spread {
                continue;
            }
            let tally = count(&mut bank, flow, load, &accounts, &mut number)?;
            let heading = if flow.is_write { format!("{}, {name}", flow.name) } else { flow.name.to_owned() };
            print(&heading, &tally, &prices)?;
        }
    }
    Ok(())
}

/// Opens the accounts of Ada, and gives each some money, so that every flow succeeds and every function is warm.
fn open_accounts(bank: &mut Bank) -> Result<Vec<String>, Fault> {
    let mut accounts = Vec::new();
    for number in 0..=OPERATIONS {
        let opened = bank.request(&Request {
            function: "accounts_service_api",
            method: "POST",
            path: "/accounts",
            query: &[],
            user_id: ADA,
            headers: &[],
            body: Some(json!({"name": format!("Account {number}"), "currency": "EUR"})),
        })?;
        accounts.push(opened["account_id"].as_str().unwrap_or_default().to_owned());
    }
    bank.settle(OPERATIONS)?;
    for _ in 0..OPERATIONS {
        for account in &accounts {
            operate(bank, "/deposit", &moved(account), &[])?;
        }
        bank.settle(OPERATIONS)?;
    }
    Ok(accounts)
}

/// Runs a flow once for each operation of a full batch, and tells what that took.
fn count(
    bank: &mut Bank,
    flow: &Flow,
    load: Load,
    accounts: &[String],
    number: &mut usize,
) -> Result<Tally, Fault> {
    bank.take_tally()?;
    for index in 0..OPERATIONS {
        let own = if load == Load::OneAccount { 0 } else { index };
        *number += 1;
        (flow.request)(bank, &accounts[own], &accounts[OPERATIONS], *number)?;
        if load == Load::Idle {
            bank.settle(load.batch_max())?;
        }
    }
    bank.settle(load.batch_max())?;
    bank.take_tally()
}

fn moved(account: &str) -> Value {
    json!({"account_id": account, "amount": "12.50"})
}

fn operate(bank: &mut Bank, path: &str, body: &Value, headers: &[(&str, &str)]) -> Result<(), Fault> {
    let body = Some(body.clone());
    let function = "banking_service_api";
    bank.request(&Request { function, method: "POST", path, query: &[], user_id: ADA, headers, body })
        .map(drop)
}

fn read(bank: &mut Bank, function: &'static str, path: &str, query: &[(&str, &str)]) -> Result<(), Fault> {
    bank.request(&Request { function, method: "GET", path, query, user_id: ADA, headers: &[], body: None })
        .map(drop)
}

fn print(heading: &str, tally: &Tally, prices: &Prices) -> Result<(), Fault> {
    let bill = prices.bill(tally, OPERATIONS)?;
    let dollars: Decimal = bill.iter().map(|charge| charge.dollars).sum();
    println!("\n## {heading}: ${dollars} a million\n\n| | each | $ a million |\n|---|--:|--:|");
    for Charge { name, amount, dollars } in bill {
        println!("| {name} | {amount} | {dollars} |");
    }
    let written = tally.units.iter().filter(|(_, units)| units.written > Decimal::default());
    for (table, units) in written {
        let table = table.trim_start_matches(bank::PREFIX);
        println!("| written to `{table}` | {} | |", units.written.divided_by(OPERATIONS));
    }
    Ok(())
}
