//! What a caller of the bank does: one step, on one connection, and what its answer must say.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::client::{Answer, BUSY, ClientError, Connection, OK, Outgoing, incomplete};
use crate::scan;
use crate::setup::Account;

const BALANCE: &str = "GET /balances/{account_id}";
/// Deposits are of up to 1,000.00. What is taken out is at most a hundredth of that, so that the funds never end.
const DEPOSIT_MINOR_MAX: u32 = 100_000;
const TAKEN_MINOR_MAX: u32 = 1_000;
/// The operations of a batch: as many as a journal of the same size of commit is measured with.
pub const BATCH_OPERATIONS: u64 = 128;
/// How long a caller waits with a batch that the bank is too busy for, and how often.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
const BUSY_TIMES_MAX: u32 = 600;

/// One thing that a caller asks for, again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A deposit, until it is accepted; the bank works on behind the answer.
    Accept,
    /// A deposit, until it is COMPLETED.
    Complete,
    /// A deposit on the first account of all, until it is COMPLETED.
    CompleteOnOne,
    /// A deposit, until it is COMPLETED and the balance shows it.
    See,
    /// A deposit (60 of 100), a withdrawal (25) or a transfer (15), until it is COMPLETED.
    CompleteAny,
    /// So many deposits in one request, until all are accepted.
    AcceptBatch,
    /// A balance.
    Balance,
    /// The newest entries of an account.
    History,
    /// A person's password, for a token.
    SignIn,
    /// What customers do all day: of ten requests, five deposits, two withdrawals, a transfer and two balances.
    Anything,
}

/// One caller of the bank.
pub struct Worker<'a> {
    /// Her connection.
    pub connection: Connection,
    accounts: &'a [Account],
    key_prefix: String,
    sequence: u64,
}

/// A deposit that was accepted: which one, and whose.
pub struct Deposit {
    /// The index of the account.
    pub account: usize,
    /// The operation's id.
    pub operation_id: String,
    /// When it was accepted.
    pub accepted_at: Instant,
}

impl Step {
    /// How many operations the bank does for it.
    pub fn operations(self) -> u64 {
        if self == Self::AcceptBatch { BATCH_OPERATIONS } else { 1 }
    }

    /// Whether the bank still works on what it has accepted.
    pub fn leaves_work(self) -> bool {
        matches!(self, Self::Accept | Self::AcceptBatch)
    }

    fn waits(self) -> bool {
        matches!(self, Self::Complete | Self::CompleteOnOne | Self::CompleteAny | Self::See)
    }

    /// Whether the answer is the one that was asked for.
    pub fn check(self, answer: &Answer) -> Result<(), ClientError> {
        let asked = || format!("{self:?}");
        if answer.status != OK {
            return Err(answer.unexpected(&asked()));
        }
        if self.waits() && scan::text(&answer.body, "status") != Some("COMPLETED") {
            return Err(incomplete(&asked(), "the status COMPLETED", &answer.body));
        }
        if self == Self::AcceptBatch
            && scan::count(&answer.body, br#""status":200"#) as u64 != BATCH_OPERATIONS
        {
            return Err(incomplete(&asked(), "the status 200 of each", &answer.body));
        }
        Ok(())
    }
}

impl<'a> Worker<'a> {
    /// A caller who spreads her requests over all the accounts.
    pub fn new(connection: Connection, accounts: &'a [Account]) -> Self {
        Self { connection, accounts, key_prefix: format!("{:032x}", rand::random::<u128>()), sequence: 0 }
    }

    /// Takes one step to its end. A deposit that the bank still works on is given back.
    pub async fn take(&mut self, step: Step) -> Result<Option<Deposit>, ClientError> {
        let (account, request) = self.request(step);
        let answer = match step {
            Step::AcceptBatch => self.send_until_taken(request).await?,
            _ => self.connection.send(request).await?,
        };
        step.check(&answer)?;
        if step == Step::See {
            self.see(account, &answer.body).await?;
        }
        if !step.leaves_work() {
            return Ok(None);
        }
        let operation_id = scan::text(&answer.body, "operation_id")
            .ok_or_else(|| incomplete("a deposit", "operation_id", &answer.body))?
            .to_owned();
        Ok(Some(Deposit { account, operation_id, accepted_at: Instant::now() }))
    }

    /// Sends a batch until the bank is not too busy for it, as its callers are to do: what it has begun of one is
    /// not begun twice. A bank that refuses a batch need not read it to its end.
    async fn send_until_taken(&mut self, batch: Outgoing) -> Result<Answer, ClientError> {
        for _ in 0..BUSY_TIMES_MAX {
            match self.connection.send(batch.clone()).await {
                Ok(answer) if answer.status == BUSY || scan::count(&answer.body, br#""status":503"#) > 0 => {}
                Err(ClientError::TooSlow) => return Err(ClientError::TooSlow),
                Err(_) => {}
                taken => return taken,
            }
            tokio::time::sleep(BUSY_PAUSE).await;
            self.connection.reopen().await?;
        }
        self.connection.send(batch).await
    }

    /// The request that the step begins with, and the index of the account that it is about.
    pub fn request(&mut self, step: Step) -> (usize, Outgoing) {
        let account = match step {
            Step::CompleteOnOne => 0,
            _ => rand::random_range(0..self.accounts.len()),
        };
        let request = match step {
            Step::Accept | Step::Complete | Step::CompleteOnOne | Step::See => self.deposit(account),
            Step::CompleteAny => match rand::random_range(0..100) {
                0..60 => self.deposit(account),
                60..85 => self.withdrawal(account),
                _ => self.transfer(account),
            },
            Step::Anything => match rand::random_range(0..10) {
                0..5 => self.deposit(account),
                5..7 => self.withdrawal(account),
                7 => self.transfer(account),
                _ => self.read("/balances/", account, ""),
            },
            Step::AcceptBatch => self.batch(account),
            Step::Balance => self.read("/balances/", account, ""),
            Step::History => self.read("/transactions/", account, ""),
            Step::SignIn => Outgoing::post("/auth/sign-in", self.accounts[account].owner.credentials.clone()),
        };
        (account, if step.waits() { request.header("prefer", "wait=10") } else { request })
    }

    /// Reads the balance that has the deposit.
    async fn see(&mut self, account: usize, operation: &[u8]) -> Result<(), ClientError> {
        let version = scan::number(operation, "account_version");
        let version = version.ok_or_else(|| incomplete("a deposit", "account_version", operation))?;
        let balance = self.read("/balances/", account, &format!("?min_version={version}"));
        let balance = self.connection.expect(BALANCE, balance, OK).await?;
        match scan::number(&balance, "version") {
            Some(shown) if shown >= version => Ok(()),
            _ => Err(incomplete(BALANCE, "the version that was waited for", &balance)),
        }
    }

    fn read(&self, path: &str, account: usize, query: &str) -> Outgoing {
        let account = &self.accounts[account];
        Outgoing::get(&format!("{path}{}{query}", account.account_id)).bearer(&account.bearer())
    }

    fn deposit(&mut self, account: usize) -> Outgoing {
        self.movement("/deposit", account, &self.named(account), DEPOSIT_MINOR_MAX)
    }

    fn withdrawal(&mut self, account: usize) -> Outgoing {
        self.movement("/withdraw", account, &self.named(account), TAKEN_MINOR_MAX)
    }

    fn transfer(&mut self, account: usize) -> Outgoing {
        let payee = rand::random_range(1..self.accounts.len().max(2));
        let payee = &self.accounts[(account + payee) % self.accounts.len()].account_id;
        let payer = &self.accounts[account].account_id;
        let accounts = format!(r#""from_account_id":"{payer}","to_account_id":"{payee}""#);
        self.movement("/transfer", account, &accounts, TAKEN_MINOR_MAX)
    }

    fn named(&self, account: usize) -> String {
        format!(r#""account_id":"{}""#, self.accounts[account].account_id)
    }

    /// A movement of a random amount under a key of its own, between these accounts and by the owner of the first.
    fn movement(&mut self, path: &str, account: usize, accounts: &str, minor_max: u32) -> Outgoing {
        let body = format!(r#"{{{accounts},"amount":"{}"}}"#, amount(minor_max));
        let key = self.next_key();
        Outgoing::post(path, body).bearer(&self.accounts[account].bearer()).header("idempotency-key", &key)
    }

    /// Deposits on the accounts of one person, the account's owner.
    fn batch(&mut self, account: usize) -> Outgoing {
        let accounts = self.accounts;
        let owner = &accounts[account].owner;
        let own: Vec<&Account> = accounts.iter().filter(|held| Rc::ptr_eq(&held.owner, owner)).collect();
        let operations: Vec<String> = (0..BATCH_OPERATIONS)
            .map(|_| {
                let Account { account_id, .. } = own[rand::random_range(0..own.len())];
                let (key, amount) = (self.next_key(), amount(DEPOSIT_MINOR_MAX));
                format!(
                    r#"{{"kind":"DEPOSIT","idempotency_key":"{key}","account_id":"{account_id}","amount":"{amount}"}}"#
                )
            })
            .collect();
        let body = format!(r#"{{"operations":[{}]}}"#, operations.join(","));
        Outgoing::post("/batches", body).bearer(&accounts[account].bearer())
    }

    fn next_key(&mut self) -> String {
        self.sequence += 1;
        format!("{}-{}", self.key_prefix, self.sequence)
    }
}

/// A random amount, as it is written.
fn amount(minor_max: u32) -> String {
    let minor = rand::random_range(1..=minor_max);
    format!("{}.{:02}", minor / 100, minor % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, says_when_again: false, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn only_what_was_asked_for_is_an_answer() {
        let [pending, completed] = [r#"{"status":"PENDING"}"#, r#"{"status":"COMPLETED"}"#];
        assert!(Step::Accept.check(&answer(OK, pending)).is_ok());
        assert!(Step::Accept.check(&answer(503, pending)).is_err());
        for step in [Step::Complete, Step::CompleteOnOne, Step::CompleteAny, Step::See] {
            assert!(step.check(&answer(OK, completed)).is_ok(), "{step:?}");
            assert!(step.check(&answer(OK, pending)).is_err(), "{step:?}");
        }
    }

    #[test]
    fn a_batch_is_accepted_as_a_whole() {
        let results = |accepted: u64, refused: u64| {
            let accepted = r#"{"status":200,"operation":{"status":"PENDING"}},"#.repeat(accepted as usize);
            let refused = r#"{"status":422,"problem":{"status":422}},"#.repeat(refused as usize);
            answer(OK, &format!(r#"{{"results":[{accepted}{refused}]}}"#))
        };
        assert!(Step::AcceptBatch.check(&results(BATCH_OPERATIONS, 0)).is_ok());
        assert!(Step::AcceptBatch.check(&results(BATCH_OPERATIONS - 1, 1)).is_err());
    }
}
