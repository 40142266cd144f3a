//! What the bank must show after it died, from nothing but what its customers were told.
//!
//! - What was accepted is there, ended, and as it was told. What was refused is not there.
//! - What got no answer is there once or not at all. It is sent again under its key: one that was there is answered
//!   with the same operation, and one that was not is made now, if it can be.
//! - There is nothing else. Each operation names its request, each history lists exactly the operations that moved
//!   its account's money, and each balance is their sum.
//!
//! What a round has added is checked after it, and everything once more at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use e2e::{Operation, Person, decimal, minor, text, wait_until};
use serde_json::Value;

use crate::traffic::{Customer, Fate, Request, Wish, id_of};

/// How many requests of each round that were accepted are sent again.
const REPEATED_EACH_ROUND: usize = 8;
const PAGE_ITEMS: usize = 100;

/// What was seen, to be told at the end.
#[derive(Default)]
pub struct Counts {
    pub requests: usize,
    pub accepted: usize,
    pub refused: usize,
    /// Those without an answer, and how many of them had happened all the same.
    pub unanswered: usize,
    pub unanswered_but_made: usize,
    pub completed: usize,
    pub failed: usize,
    pub opened: usize,
    pub closed: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in [
            ("requests", self.requests),
            ("accepted, and all there", self.accepted),
            ("refused, and none there", self.refused),
            ("without an answer", self.unanswered),
            ("of these made once", self.unanswered_but_made),
            ("operations completed", self.completed),
            ("operations failed", self.failed),
            ("accounts opened", self.opened),
            ("accounts closed", self.closed),
        ] {
            writeln!(f, "{what:<29}{count}")?;
        }
        Ok(())
    }
}

/// One account, as it must be.
#[derive(Default)]
struct Account {
    customer: usize,
    /// Each operation's effect in cents, by its id.
    effects: BTreeMap<String, i64>,
    is_closed: bool,
    /// Those that the history has shown.
    confirmed: BTreeSet<String>,
}

/// Everything that must be there.
#[derive(Default)]
pub struct Books {
    accounts: BTreeMap<String, Account>,
    /// The operations of every customer, by id, with the keys of their requests.
    operations: HashMap<String, String>,
    /// The accounts' ids by the keys of the requests that opened them.
    opened: HashMap<String, String>,
    pub counts: Counts,
}

impl Books {
    /// Holds the bank to the requests of a round, now that it runs again.
    pub fn settle(&mut self, customers: &[Customer], requests: &[Request]) {
        self.count(requests);
        let mut touched = BTreeSet::new();
        for (index, customer) in customers.iter().enumerate() {
            let person = &customer.person;
            let mine: HashMap<&str, &Request> = requests
                .iter()
                .filter(|request| request.customer == index)
                .map(|request| (request.key.as_str(), request))
                .collect();
            self.settle_openings(person, index, &mine);
            self.settle_operations(person, &mine, &mut touched);
            self.settle_closings(person, &mine, &mut touched);
            self.send_some_again(person, &mine);
        }
        for account_id in &touched {
            self.check_account(customers, account_id);
        }
    }

    /// Holds the bank to everything from the first round on.
    pub fn check_everything(&mut self, customers: &[Customer]) {
        let mut listed = 0;
        for customer in customers {
            for operation in customer.person.all("/operations", PAGE_ITEMS) {
                let key = self.operations.get(text(&operation, "operation_id"));
                assert_eq!(key.map(String::as_str), operation["description"].as_str(), "{operation}");
                listed += 1;
            }
        }
        assert_eq!(listed, self.operations.len(), "operations were lost, or listed twice");
        let account_ids: Vec<String> = self.accounts.keys().cloned().collect();
        for account_id in &account_ids {
            if let Some(account) = self.accounts.get_mut(account_id) {
                account.confirmed.clear();
            }
            self.check_account(customers, account_id);
        }
    }

    fn count(&mut self, requests: &[Request]) {
        self.counts.requests += requests.len();
        for request in requests {
            match request.fate {
                Fate::Accepted(_) => self.counts.accepted += 1,
                Fate::Refused => self.counts.refused += 1,
                Fate::Unknown => self.counts.unanswered += 1,
            }
        }
    }

    fn settle_openings(&mut self, person: &Person, customer: usize, mine: &HashMap<&str, &Request>) {
        if !mine.values().any(|request| matches!(request.wish, Wish::Open)) {
            return;
        }
        let mut listed = HashMap::new();
        for account in person.all("/accounts", 100) {
            let (key, account_id) = (text(&account, "name"), text(&account, "account_id"));
            let is_first = listed.insert(key.to_owned(), account_id.to_owned()).is_none();
            assert!(is_first, "one request opened two accounts: {account}");
            let known = self.opened.get(key).map(String::as_str);
            assert!(known == Some(account_id) || mine.contains_key(key), "nobody opened {account}");
        }
        for (key, request) in mine.iter().filter(|(_, request)| matches!(request.wish, Wish::Open)) {
            let account_id = self.outcome(person, request, listed.get(*key).map(String::as_str));
            let Some(account_id) = account_id else { continue };
            self.counts.opened += 1;
            self.opened.insert((*key).to_owned(), account_id.clone());
            let account = Account { customer, ..Account::default() };
            assert!(self.accounts.insert(account_id, account).is_none(), "one account, two requests");
        }
    }

    fn settle_operations(
        &mut self,
        person: &Person,
        mine: &HashMap<&str, &Request>,
        touched: &mut BTreeSet<String>,
    ) {
        let listed = self.new_operations(person, mine);
        for (key, request) in mine {
            let Wish::Move(operation) = &request.wish else { continue };
            let shown = listed.get(*key).map(|operation| text(operation, "operation_id"));
            let Some(operation_id) = self.outcome(person, request, shown) else { continue };
            let is_first = self.operations.insert(operation_id.clone(), (*key).to_owned()).is_none();
            assert!(is_first, "{operation_id} was given to two requests");
            let ended = listed.get(*key).filter(|shown| shown["status"] != "PENDING").cloned();
            let ended = ended.unwrap_or_else(|| person.ended(&operation_id));
            if let Fate::Accepted(told) = &request.fate
                && told["status"] != "PENDING"
            {
                assert_eq!(told, &ended, "what was told is not what is");
            }
            self.enter(operation, &ended, touched);
        }
    }

    /// The operations that a customer's list shows beyond those that were known, by the keys of their requests.
    fn new_operations(&self, person: &Person, mine: &HashMap<&str, &Request>) -> HashMap<String, Value> {
        let is_known = |operation: &Value| self.operations.contains_key(text(operation, "operation_id"));
        let mut new = HashMap::new();
        for operation in newest(person, "/operations", is_known) {
            let key = text(&operation, "description").to_owned();
            let Some(Request { wish: Wish::Move(asked), .. }) = mine.get(key.as_str()) else {
                panic!("nobody asked for {operation}");
            };
            for (field, value) in asked.body().as_object().into_iter().flatten() {
                assert_eq!(&operation[field], value, "another {field} was asked for: {operation}");
            }
            let earlier = new.insert(key, operation);
            assert!(earlier.is_none(), "one request, two operations: {earlier:?}");
        }
        new
    }

    /// What came of a request in the end: the id of what it made, if it made anything.
    fn outcome(&mut self, person: &Person, request: &Request, shown: Option<&str>) -> Option<String> {
        match (&request.fate, shown) {
            (Fate::Accepted(told), shown) => {
                let told = id_of(&request.wish, told);
                assert_eq!(shown, Some(told), "what was accepted is not there");
                Some(told.to_owned())
            }
            (Fate::Refused, shown) => {
                assert_eq!(shown, None, "what was refused is there");
                None
            }
            (Fate::Unknown, shown) => {
                self.counts.unanswered_but_made += usize::from(shown.is_some());
                let made = send_again(person, request);
                assert!(
                    shown.is_none() || made.as_deref() == shown,
                    "one key, two effects: {shown:?}, {made:?}"
                );
                made
            }
        }
    }

    fn settle_closings(
        &mut self,
        person: &Person,
        mine: &HashMap<&str, &Request>,
        touched: &mut BTreeSet<String>,
    ) {
        for request in mine.values() {
            let Wish::Close { account_id } = &request.wish else { continue };
            let account = wait_until("an account is no longer closing", || {
                Some(person.account(account_id)).filter(|account| account["status"] != "CLOSING")
            });
            if let Fate::Accepted(told) = &request.fate {
                let is_rejected = !account["close_rejected_reason"].is_null();
                assert!(account["status"] == "CLOSED" || is_rejected, "nobody closed {account}");
                assert!(told["status"] != "CLOSED" || account["status"] == "CLOSED", "reopened: {account}");
            }
            if account["status"] == "CLOSED" {
                touched.insert(account_id.clone());
                if let Some(account) = self.accounts.get_mut(account_id)
                    && !account.is_closed
                {
                    account.is_closed = true;
                    self.counts.closed += 1;
                }
            }
        }
    }

    fn send_some_again(&self, person: &Person, mine: &HashMap<&str, &Request>) {
        let accepted = mine.values().filter(|request| request.accepted_id().is_some());
        for request in accepted.take(REPEATED_EACH_ROUND) {
            let again = send_again(person, request);
            assert_eq!(again.as_deref(), request.accepted_id(), "one key, two effects");
        }
    }

    /// Notes what an operation has done, by how it ended.
    fn enter(&mut self, operation: &Operation, ended: &Value, touched: &mut BTreeSet<String>) {
        let operation_id = text(ended, "operation_id");
        if ended["status"] == "FAILED" {
            self.counts.failed += 1;
            let reason = text(ended, "reason");
            assert!(matches!(reason, "INSUFFICIENT_FUNDS" | "ACCOUNT_CLOSED"), "{ended}");
            return;
        }
        assert_eq!(ended["status"], "COMPLETED", "{ended}");
        self.counts.completed += 1;
        let effects: &[(&String, i64)] = match operation {
            Operation::Deposit { account_id, minor } => &[(account_id, *minor)],
            Operation::Withdraw { account_id, minor } => &[(account_id, -minor)],
            Operation::Transfer { from_account_id, to_account_id, minor } => {
                &[(from_account_id, -minor), (to_account_id, *minor)]
            }
        };
        for (account_id, minor) in effects {
            let Some(account) = self.accounts.get_mut(*account_id) else {
                panic!("{ended} is on an account that nobody opened")
            };
            account.effects.insert(operation_id.to_owned(), *minor);
            touched.insert((*account_id).clone());
        }
    }

    /// Holds an account's balance to the sum of its effects, and its history to what was not confirmed before.
    fn check_account(&mut self, customers: &[Customer], account_id: &str) {
        let Some(account) = self.accounts.get_mut(account_id) else { return };
        let person = &customers[account.customer].person;
        let balance: i64 = account.effects.values().sum();
        assert!(balance >= 0, "{account_id} is overdrawn: {}", decimal(balance));
        assert!(!account.is_closed || balance == 0, "{account_id} was closed with {}", decimal(balance));
        person.balance_becomes(account_id, balance);
        wait_until("the history is complete", || {
            let shown = account.shown(person, account_id);
            let mut missing =
                account.effects.keys().filter(|id| !account.confirmed.contains(*id) && !shown.contains(*id));
            missing.next().is_none().then_some(())
        });
        account.confirmed = account.effects.keys().cloned().collect();
    }
}

impl Account {
    /// The operations that the history shows beyond those that were confirmed.
    fn shown(&self, person: &Person, account_id: &str) -> BTreeSet<String> {
        let is_confirmed = |line: &Value| self.confirmed.contains(text(line, "operation_id"));
        let mut shown = BTreeSet::new();
        for line in newest(person, &format!("/transactions/{account_id}"), is_confirmed) {
            if line["status"] == "FAILED" {
                continue;
            }
            let operation_id = text(&line, "operation_id");
            let amount = minor(text(&line, "amount"));
            let effect = if line["direction"] == "CREDIT" { amount } else { -amount };
            assert_eq!(self.effects.get(operation_id), Some(&effect), "{account_id} shows a surplus: {line}");
            assert!(shown.insert(operation_id.to_owned()), "listed twice: {line}");
        }
        shown
    }
}

/// The items of a list, newest first, that are not known: it is read until a whole page is.
fn newest(person: &Person, path: &str, is_known: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut items = person.items(path, PAGE_ITEMS, |page| page.iter().all(&is_known));
    items.retain(|item| !is_known(item));
    items
}

/// Sends a request again under its key until it is answered for good, and once more: the answer is the same. None if it
/// is refused.
fn send_again(person: &Person, request: &Request) -> Option<String> {
    let once = || {
        wait_until("a repeated request is answered", || {
            let answer = request.call(person).send();
            match answer.status {
                200 | 201 => Some(Some(id_of(&request.wish, &answer.json()).to_owned())),
                404 => Some(None),
                409 if answer.json()["code"] == "ACCOUNT_NOT_OPEN" => Some(None),
                409 | 503 => None,
                status => panic!("a repeated request was answered with {status}: {}", answer.body),
            }
        })
    };
    let (first, second) = (once(), once());
    assert_eq!(first, second, "one key, two answers");
    first
}
