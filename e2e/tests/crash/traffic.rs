//! The load: customers who move money, open and close accounts, and repeat requests, and what each of them was told.
//!
//! Every request has a key. It is sent as the Idempotency-Key, and as the description of the operation or the name of the
//! account as well, so that whatever the bank shows afterwards names the request that it came from.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use e2e::{Answer, Call, Operation, Person, text};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// Two, so that the accounts of one customer are asked for at the same time.
const THREADS_EACH: usize = 2;
const AMOUNT_MINOR_MAX: i64 = 30_000;
/// The accounts that one thread opens, uses and closes in one round.
const PASSING_ACCOUNTS_MAX: usize = 3;

/// What a request asks for.
#[derive(Clone)]
pub enum Wish {
    Move(Operation),
    Open,
    Close { account_id: String },
}

/// What became of a request, as far as its sender knows.
pub enum Fate {
    /// The bank answered with what it had made.
    Accepted(Value),
    /// The bank answered that it had made nothing.
    Refused,
    /// There was no answer, or one that leaves it open.
    Unknown,
}

/// A request, as it was sent, and what came of it.
pub struct Request {
    pub customer: usize,
    pub wish: Wish,
    pub key: String,
    pub fate: Fate,
}

/// Somebody with accounts that stay open.
#[derive(Clone)]
pub struct Customer {
    pub person: Person,
    pub accounts: Vec<String>,
}

/// What the threads of one round share with whoever ends it.
#[derive(Default)]
pub struct Pulse {
    is_over: AtomicBool,
    answers: AtomicUsize,
}

impl Pulse {
    /// How many requests were accepted so far.
    pub fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }
}

impl Fate {
    fn of(answer: Result<Answer, ureq::Error>) -> Self {
        let Ok(answer) = answer else { return Self::Unknown };
        match answer.status {
            200 | 201 => Self::Accepted(answer.json()),
            // A busy bank says that nothing was done, and is held to it.
            503 if answer.problem(&[503])["code"] == "BUSY" => {
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                Self::Refused
            }
            500.. => Self::Unknown,
            404 | 409 => Self::Refused,
            status => panic!("{} was answered with {status}: {}", answer.asked, answer.body),
        }
    }
}

impl Request {
    pub fn new(customer: usize, wish: Wish, luck: &mut StdRng) -> Self {
        Self { customer, wish, key: format!("{:032x}", luck.random::<u128>()), fate: Fate::Unknown }
    }

    /// Starts the request, under its key.
    pub fn call<'a>(&self, person: &'a Person) -> Call<'a> {
        let call = match &self.wish {
            Wish::Move(operation) => {
                let mut body = operation.body();
                body["description"] = json!(self.key);
                person.post(operation.path()).json(&body)
            }
            Wish::Open => person.post("/accounts").json(&json!({"name": self.key, "currency": "EUR"})),
            Wish::Close { account_id } => person.post(format!("/accounts/{account_id}/close")),
        };
        call.header("idempotency-key", &self.key)
    }

    pub fn send(&mut self, person: &Person, waits: bool) {
        let call = self.call(person);
        self.fate = Fate::of(if waits { call.wait() } else { call }.try_send());
    }

    /// The id of what the bank said that it had made.
    pub fn accepted_id(&self) -> Option<&str> {
        match &self.fate {
            Fate::Accepted(made) => Some(id_of(&self.wish, made)),
            Fate::Refused | Fate::Unknown => None,
        }
    }
}

/// The id of what a request made.
pub fn id_of<'a>(wish: &Wish, made: &'a Value) -> &'a str {
    match wish {
        Wish::Move(_) => text(made, "operation_id"),
        Wish::Open | Wish::Close { .. } => text(made, "account_id"),
    }
}

/// One thread of one customer, in one round.
struct Hand<'a> {
    index: usize,
    customers: &'a [Customer],
    passing: Vec<String>,
    requests: Vec<Request>,
    luck: StdRng,
}

impl Hand<'_> {
    fn work(mut self, requests_max: usize, pulse: &Pulse) -> Vec<Request> {
        let person = &self.customers[self.index].person;
        while !pulse.is_over.load(Ordering::Relaxed) && self.requests.len() < requests_max {
            if self.luck.random_ratio(1, 10) && self.repeat(person).is_none() {
                break;
            }
            let wish = self.wish();
            let mut request = Request::new(self.index, wish, &mut self.luck);
            request.send(person, self.luck.random_ratio(1, 8));
            match &request.fate {
                Fate::Accepted(made) => {
                    pulse.answers.fetch_add(1, Ordering::Relaxed);
                    if matches!(request.wish, Wish::Open) {
                        self.passing.push(id_of(&request.wish, made).to_owned());
                    }
                }
                Fate::Refused | Fate::Unknown => {}
            }
            let is_gone =
                matches!(request.fate, Fate::Unknown) && person.api.get("/healthz").try_send().is_err();
            self.requests.push(request);
            if is_gone {
                break;
            }
        }
        self.requests
    }

    /// Sends a request once more that was accepted: it is answered with the same. None where there is no answer.
    fn repeat(&mut self, person: &Person) -> Option<()> {
        let accepted: Vec<_> = self.requests.iter().filter(|r| r.accepted_id().is_some()).collect();
        if accepted.is_empty() {
            return Some(());
        }
        let request = accepted[self.luck.random_range(0..accepted.len())];
        let answer = request.call(person).try_send().ok()?;
        if answer.status < 300 {
            let again = answer.json();
            assert_eq!(Some(id_of(&request.wish, &again)), request.accepted_id(), "one key, two effects");
        } else {
            assert!(matches!(answer.status, 409 | 500..), "a repetition was refused: {answer:?}");
        }
        Some(())
    }

    fn wish(&mut self) -> Wish {
        match self.luck.random_range(0..100) {
            0..5 if self.passing.len() < PASSING_ACCOUNTS_MAX => Wish::Open,
            5..10 if !self.passing.is_empty() => {
                let index = self.luck.random_range(0..self.passing.len());
                Wish::Close { account_id: self.passing[index].clone() }
            }
            _ => Wish::Move(self.operation()),
        }
    }

    fn operation(&mut self) -> Operation {
        let minor = self.luck.random_range(1..=AMOUNT_MINOR_MAX);
        let luck = &mut self.luck;
        let mut one_of = |ids: &[&String]| ids[luck.random_range(0..ids.len())].clone();
        let mine: Vec<_> = self.customers[self.index].accounts.iter().chain(&self.passing).collect();
        let account_id = one_of(&mine);
        let everybodys = self.customers.iter().flat_map(|customer| &customer.accounts);
        let others: Vec<_> = everybodys.filter(|other| **other != account_id).collect();
        let to_account_id = one_of(&others);
        match self.luck.random_range(0..3) {
            0 => Operation::Deposit { account_id, minor },
            1 => Operation::Withdraw { account_id, minor },
            _ => Operation::Transfer { from_account_id: account_id, to_account_id, minor },
        }
    }
}

/// Ends a round, also where the test has failed.
struct End<'a>(&'a Pulse);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Lets all customers send requests until `end` returns, the bank is gone, or each thread has sent `requests_max`.
pub fn run(customers: &[Customer], seed: u64, requests_max: usize, end: impl FnOnce(&Pulse)) -> Vec<Request> {
    let pulse = Pulse::default();
    let requests: Mutex<Vec<Request>> = Mutex::default();
    thread::scope(|scope| {
        for thread in 0..customers.len() * THREADS_EACH {
            let (pulse, requests) = (&pulse, &requests);
            let luck = StdRng::seed_from_u64(seed.wrapping_add(thread as u64));
            let index = thread % customers.len();
            let hand = Hand { index, customers, passing: Vec::new(), requests: Vec::new(), luck };
            scope.spawn(move || {
                let made = hand.work(requests_max, pulse);
                requests.lock().unwrap_or_else(PoisonError::into_inner).extend(made);
            });
        }
        let _over = End(&pulse);
        end(&pulse);
    });
    requests.into_inner().unwrap_or_else(PoisonError::into_inner)
}
