//! What is measured: one step of each scenario, on one connection.

use std::time::Instant;

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

use crate::client::{ClientError, Connection, Outgoing, incomplete, uri};
use crate::scan;
use crate::setup::Account;

const DEPOSIT: &str = "POST /deposit";
const BALANCE: &str = "GET /balances/{account_id}";
const AMOUNT_MINOR_MAX: u32 = 100_000;
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
static PREFER: HeaderName = HeaderName::from_static("prefer");

/// What a worker does again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// A deposit, until it is accepted; the bank works on behind the answer.
    Accepted,
    /// A deposit, until it is COMPLETED and the balance shows it.
    EndToEnd,
    /// A balance.
    Reads,
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

impl Scenario {
    /// Every scenario, in the order in which they are run. Reads come last, when there is something to read.
    pub const ALL: &'static [Self] = &[Self::Accepted, Self::EndToEnd, Self::Reads];

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::EndToEnd => "end-to-end",
            Self::Reads => "reads",
        }
    }
}

impl<'a> Worker<'a> {
    /// A caller who spreads her requests over all the accounts.
    pub fn new(connection: Connection, accounts: &'a [Account]) -> Self {
        Self { connection, accounts, key_prefix: format!("{:032x}", rand::random::<u128>()), sequence: 0 }
    }

    /// Does one step of the scenario. A deposit that the bank still works on is given back.
    pub async fn step(&mut self, scenario: Scenario) -> Result<Option<Deposit>, ClientError> {
        let account = rand::random_range(0..self.accounts.len());
        match scenario {
            Scenario::Accepted => self.accepted(account).await.map(Some),
            Scenario::EndToEnd => self.end_to_end(account).await.map(|()| None),
            Scenario::Reads => self.read(account).await.map(|()| None),
        }
    }

    async fn accepted(&mut self, account: usize) -> Result<Deposit, ClientError> {
        let deposit = self.deposit(account)?;
        let operation = self.connection.expect(DEPOSIT, deposit, StatusCode::OK).await?;
        let operation_id = scan::text(&operation, "operation_id");
        let operation_id =
            operation_id.ok_or_else(|| incomplete(DEPOSIT, "operation_id", &operation))?.to_owned();
        Ok(Deposit { account, operation_id, accepted_at: Instant::now() })
    }

    async fn end_to_end(&mut self, account: usize) -> Result<(), ClientError> {
        let deposit = self.deposit(account)?.header(PREFER.clone(), HeaderValue::from_static("wait=10"));
        let operation = self.connection.expect(DEPOSIT, deposit, StatusCode::OK).await?;
        if scan::text(&operation, "status") != Some("COMPLETED") {
            return Err(incomplete(DEPOSIT, "the status COMPLETED", &operation));
        }
        let version = scan::number(&operation, "account_version");
        let version = version.ok_or_else(|| incomplete(DEPOSIT, "account_version", &operation))?;

        let Account { account_id, .. } = &self.accounts[account];
        let balance = uri(format!("/balances/{account_id}?min_version={version}"))?;
        let balance = Outgoing::get(balance).bearer(self.accounts[account].bearer());
        let balance = self.connection.expect(BALANCE, balance, StatusCode::OK).await?;
        match scan::number(&balance, "version") {
            Some(shown) if shown >= version => Ok(()),
            _ => Err(incomplete(BALANCE, "the version that was waited for", &balance)),
        }
    }

    async fn read(&mut self, account: usize) -> Result<(), ClientError> {
        let balance = self.balance(account);
        self.connection.expect(BALANCE, balance, StatusCode::OK).await.map(|_| ())
    }

    /// What a customer may ask for next: of ten requests, five deposits, two withdrawals, a transfer and two balances.
    pub fn any_request(&mut self) -> Result<Outgoing, ClientError> {
        let account = rand::random_range(0..self.accounts.len());
        match rand::random_range(0..10) {
            0..5 => self.deposit(account),
            5..7 => self.movement("/withdraw", account, &self.named(account)),
            7 => {
                let payee = rand::random_range(1..self.accounts.len().max(2));
                let payee = &self.accounts[(account + payee) % self.accounts.len()].account_id;
                let Account { account_id, .. } = &self.accounts[account];
                let accounts = format!(r#""from_account_id":"{account_id}","to_account_id":"{payee}""#);
                self.movement("/transfer", account, &accounts)
            }
            _ => Ok(self.balance(account)),
        }
    }

    fn balance(&self, account: usize) -> Outgoing {
        let account = &self.accounts[account];
        Outgoing::get(account.balance.clone()).bearer(account.bearer())
    }

    fn deposit(&mut self, account: usize) -> Result<Outgoing, ClientError> {
        self.movement("/deposit", account, &self.named(account))
    }

    fn named(&self, account: usize) -> String {
        format!(r#""account_id":"{}""#, self.accounts[account].account_id)
    }

    /// A movement of a random amount under a key of its own, between these accounts and by the owner of the first.
    fn movement(
        &mut self,
        path: &'static str,
        account: usize,
        accounts: &str,
    ) -> Result<Outgoing, ClientError> {
        let minor = rand::random_range(1..=AMOUNT_MINOR_MAX);
        let body = format!(r#"{{{accounts},"amount":"{}.{:02}"}}"#, minor / 100, minor % 100);
        self.sequence += 1;
        let key = format!("{}-{}", self.key_prefix, self.sequence);
        let key = HeaderValue::try_from(key).map_err(|_| ClientError::Unusable)?;
        let bearer = self.accounts[account].bearer();
        Ok(Outgoing::post(path, body).bearer(bearer).header(IDEMPOTENCY_KEY.clone(), key))
    }
}
