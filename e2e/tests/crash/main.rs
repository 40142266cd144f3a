//! The bank is killed in the middle of load, again and again, and its disk fails. What it answered must be there
//! afterwards, once.
//!
//! Local: each test starts the binary that `$BANK_BINARY` names, on a data directory of its own.
//!
//! - [`traffic`]: what customers ask for, and what they were told.
//! - [`books`]: what the bank must show afterwards, from that alone.
//! - [`moment`]: when it is killed.
//! - [`faulty_disk`]: a disk that fails, and one that forgets at a power cut what was not synced.
//! - [`disk`]: what it does where the disk is full, fails, may not be written, or has lost something.
//!
//! `$CRASH_ROUNDS` says how often the bank is killed (5 times by default), and `$CRASH_SEED` what is drawn: the load and
//! the moments. The threads of the bank and the load run as they will, so the same seed is a similar run and not the same.

mod books;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod faulty_disk;
mod moment;
mod traffic;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use e2e::{Api, Operation, Person, Setup, wait_until};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use books::Books;
use moment::Moment;
use traffic::{Customer, Request, Wish};

const ROUNDS_DEFAULT: usize = 5;
const CUSTOMERS: usize = 4;
const ACCOUNTS_EACH: usize = 3;
const OPENING_MINOR: i64 = 100_000;
/// Bounds what one round has to check afterwards, for each thread.
const REQUESTS_MAX: usize = 150;

/// A directory that is removed when the test has passed, and kept for a look when it has not.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{:016x}", rand::random::<u64>()));
        assert!(std::fs::create_dir_all(&path).is_ok(), "{} can not be made", path.display());
        Self(path)
    }

    fn setup(&self) -> Setup {
        Setup::new(&self.0.join("data"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the bank's data and log are kept in {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A number from the environment.
fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} is {text:?}, which is not a number"),
    }
}

/// The luck of a test, from the seed that it prints.
fn luck() -> StdRng {
    let seed = setting("CRASH_SEED").unwrap_or_else(rand::random);
    println!("CRASH_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// Lets customers go on with a bank that listens somewhere else now.
fn move_to(api: &Api, customers: &mut [Customer]) {
    for customer in customers {
        customer.person = customer.person.at(api);
    }
}

/// Customers with money, as books that hold nothing else.
fn open_for_business(api: &Api, luck: &mut StdRng) -> (Vec<Customer>, Books) {
    let (mut customers, mut books) = (Vec::new(), Books::default());
    let mut requests = Vec::new();
    for index in 0..CUSTOMERS {
        let person = Person::sign_up(api);
        let mut accounts = Vec::new();
        for _ in 0..ACCOUNTS_EACH {
            let mut opening = Request::new(index, Wish::Open, luck);
            opening.send(&person, false);
            let Some(account_id) = opening.accepted_id().map(str::to_owned) else {
                panic!("an account could not be opened")
            };
            let deposit = Operation::Deposit { account_id: account_id.clone(), minor: OPENING_MINOR };
            accounts.push(account_id);
            // Without an answer yet, it is sent by whoever settles the books.
            requests.extend([opening, Request::new(index, Wish::Move(deposit), luck)]);
        }
        for account_id in &accounts {
            person.account_is_known(account_id, "EUR");
        }
        customers.push(Customer { person, accounts });
    }
    books.settle(&customers, &requests);
    (customers, books)
}

/// The bank's own opinion of its books.
fn audit(setup: &Setup) {
    let audit = setup.audit();
    let told = [String::from_utf8_lossy(&audit.stdout), String::from_utf8_lossy(&audit.stderr)].concat();
    assert!(audit.status.success(), "the audit ended with {}: {told}", audit.status);
}

/// Kills the bank in as many rounds as are asked for, lets `afterwards` happen each time, and starts it again: what it
/// answered must be there, and nothing else.
fn survive(scratch: &Scratch, setup: &Setup, mut afterwards: impl FnMut(&mut StdRng) -> String) {
    let rounds = setting("CRASH_ROUNDS").unwrap_or(ROUNDS_DEFAULT);
    let (mut luck, began) = (luck(), Instant::now());
    println!("{rounds} rounds in {}", scratch.0.display());
    let mut bank = setup.start();
    let (mut customers, mut books) = open_for_business(&bank.api, &mut luck);
    let mut kills: BTreeMap<Moment, usize> = BTreeMap::new();

    for round in 0..rounds {
        let moment = Moment::ALL[round % Moment::ALL.len()];
        let accepted_before = books.counts.accepted;
        let requests = traffic::run(&customers, luck.random(), REQUESTS_MAX, |pulse| {
            moment.kill(bank, setup, pulse, &mut luck);
        });
        *kills.entry(moment).or_default() += 1;
        let happened = afterwards(&mut luck);

        bank = setup.start();
        move_to(&bank.api, &mut customers);
        // A token is good for a quarter of an hour.
        let index = round % customers.len();
        customers[index].person = customers[index].person.signed_in_again();
        books.settle(&customers, &requests);
        audit(setup);
        println!(
            "round {}: killed {moment}{happened}; {} requests, {} accepted, all there; {} s",
            round + 1,
            requests.len(),
            books.counts.accepted - accepted_before,
            began.elapsed().as_secs()
        );
    }

    books.check_everything(&customers);
    let stopped = bank.terminate();
    assert!(stopped.success(), "after SIGTERM the bank ended with {stopped}");
    audit(setup);
    for (moment, times) in &kills {
        println!("killed {moment:<22} {times}");
    }
    println!("{}{:<29}{} s", books.counts, "took", began.elapsed().as_secs());
}

#[test]
fn what_was_answered_survives_being_killed() {
    let scratch = Scratch::new();
    survive(&scratch, &scratch.setup(), |_| String::new());
}

/// A process that is killed leaves to the kernel what it has written; a machine without power forgets what was not synced.
#[cfg(target_os = "linux")]
#[test]
fn what_was_answered_survives_a_power_cut() {
    let scratch = Scratch::new();
    let mut setup = scratch.setup();
    let disk = faulty_disk::FaultyDisk::under(&mut setup);
    survive(&scratch, &setup, |luck| {
        let cut = disk.cut_power(luck).unwrap();
        format!(" and the power cut, {} changes lost and {} kept", cut.lost, cut.kept)
    });
}

/// Whoever waits for her operation when the bank is to stop hears how it ended.
#[test]
fn a_bank_that_is_asked_to_stop_ends_what_is_waited_for() {
    const WAITED_FOR: usize = 40;
    let scratch = Scratch::new();
    let setup = scratch.setup();
    let bank = setup.start();
    let (customers, _) = open_for_business(&bank.api, &mut luck());
    let ended = AtomicUsize::new(0);
    let until_it_is_gone = |customer: &Customer| {
        let deposit = Operation::Deposit { account_id: customer.accounts[0].clone(), minor: 1 };
        while let Ok(answer) = customer.person.ask(&deposit).wait().try_send() {
            assert_eq!(answer.must_be(200).json()["status"], "COMPLETED");
            ended.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for customer in customers.iter().chain(&customers) {
            scope.spawn(|| until_it_is_gone(customer));
        }
        wait_until("the bank is at work", || (ended.load(Ordering::Relaxed) >= WAITED_FOR).then_some(()));
        let stopped = bank.terminate();
        assert!(stopped.success(), "after SIGTERM the bank ended with {stopped}");
    });
}
