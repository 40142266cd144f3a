//! What must exist before a bank can be measured: people who are signed in, and accounts that every service knows.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;

use crate::arguments::Crowd;
use crate::client::{CREATED, ClientError, Connection, NOT_FOUND, OK, Outgoing, Server, incomplete};
use crate::scan;

/// How long a new account may take to be known everywhere.
const KNOWN_MAX: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);
/// How many sign up at once: the bank lets no more than some dozens wait for their passwords to be hashed.
const SIGN_UPS_AT_ONCE: u32 = 32;
/// What an account is opened with.
const FUNDS: &str = "1000000.00";

/// A person who is signed in.
pub struct Person {
    /// What she signs in with, as JSON.
    pub credentials: String,
    bearer: RefCell<Rc<str>>,
}

/// An account and the right to use it.
pub struct Account {
    /// Its id.
    pub account_id: String,
    /// Who owns it.
    pub owner: Rc<Person>,
}

impl Account {
    /// Its owner's token, as it is sent.
    pub fn bearer(&self) -> Rc<str> {
        Rc::clone(&self.owner.bearer.borrow())
    }
}

/// Signs people up and opens their accounts.
pub async fn accounts(server: &Server, crowd: Crowd) -> Result<Vec<Account>, ClientError> {
    let started = Instant::now();
    let sign_up = async |connection: &mut Connection, _| sign_up(connection).await.map(Rc::new);
    let people = shared_out(server, crowd.connections.min(SIGN_UPS_AT_ONCE), crowd.people, sign_up);
    let people = people.await?;
    println!("signed up {} people in {} ms", people.len(), started.elapsed().as_millis());

    let started = Instant::now();
    let open = async |connection: &mut Connection, number: u32| {
        let owner = number as usize % people.len();
        let account = open(connection, &people[owner]).await?;
        fund(connection, &account).await?;
        Ok(account)
    };
    let accounts = shared_out(server, crowd.connections, crowd.accounts, open).await?;
    println!("opened {} accounts in {} ms", accounts.len(), started.elapsed().as_millis());
    Ok(accounts)
}

/// Makes `count` things, each connection every so many of them. The first failure ends it all.
async fn shared_out<T>(
    server: &Server,
    connections: u32,
    count: u32,
    make: impl AsyncFn(&mut Connection, u32) -> Result<T, ClientError>,
) -> Result<Vec<T>, ClientError> {
    let share = async |first: u32| {
        let mut connection = Connection::open(server).await?;
        let mut made = Vec::new();
        for number in (first..count).step_by(connections as usize) {
            made.push(make(&mut connection, number).await?);
        }
        Ok::<_, ClientError>(made)
    };
    let shares = try_join_all((0..connections.min(count)).map(share)).await?;
    Ok(shares.into_iter().flatten().collect())
}

/// Signs everybody in again, one after the other: a token is good for a quarter of an hour.
pub async fn renew(server: &Server, accounts: &[Account]) -> Result<(), ClientError> {
    let mut connection = Connection::open(server).await?;
    let mut people: Vec<&Rc<Person>> = accounts.iter().map(|account| &account.owner).collect();
    people.sort_by_key(|person| Rc::as_ptr(person));
    people.dedup_by_key(|person| Rc::as_ptr(person));
    for person in people {
        let bearer = sign_in(&mut connection, &person.credentials).await?;
        person.bearer.replace(bearer);
    }
    Ok(())
}

async fn sign_up(connection: &mut Connection) -> Result<Person, ClientError> {
    let luck = rand::random::<u64>();
    let credentials =
        format!(r#"{{"email":"bench-{luck:016x}@example.com","password":"Tulip/{:016x}"}}"#, !luck);
    let sign_up = Outgoing::post("/auth/sign-up", credentials.clone());
    connection.expect("POST /auth/sign-up", sign_up, CREATED).await?;
    let bearer = RefCell::new(sign_in(connection, &credentials).await?);
    Ok(Person { credentials, bearer })
}

/// A person's token, as it is sent.
async fn sign_in(connection: &mut Connection, credentials: &str) -> Result<Rc<str>, ClientError> {
    let sign_in = Outgoing::post("/auth/sign-in", credentials.to_owned());
    let asked = "POST /auth/sign-in";
    let tokens = connection.expect(asked, sign_in, OK).await?;
    let token =
        scan::text(&tokens, "access_token").ok_or_else(|| incomplete(asked, "access_token", &tokens))?;
    Ok(format!("Bearer {token}").into())
}

async fn open(connection: &mut Connection, owner: &Rc<Person>) -> Result<Account, ClientError> {
    let asked = "POST /accounts";
    let open = Outgoing::post("/accounts", r#"{"name":"bench","currency":"EUR"}"#.to_owned());
    let open = open.bearer(&owner.bearer.borrow());
    let account = connection.expect(asked, open, CREATED).await?;
    let account_id =
        scan::text(&account, "account_id").ok_or_else(|| incomplete(asked, "account_id", &account))?;
    Ok(Account { account_id: account_id.to_owned(), owner: Rc::clone(owner) })
}

/// Deposits what withdrawals may take later, and waits until the balance shows it: then the account is known everywhere.
async fn fund(connection: &mut Connection, account: &Account) -> Result<(), ClientError> {
    let body = format!(r#"{{"account_id":"{}","amount":"{FUNDS}"}}"#, account.account_id);
    let deposit = || {
        let deposit = Outgoing::post("/deposit", body.clone()).bearer(&account.bearer());
        deposit.header("prefer", "wait=10")
    };
    await_known(connection, "POST /deposit", deposit).await?;
    let path = format!("/balances/{}", account.account_id);
    let balance = || Outgoing::get(&format!("{path}?min_version=1")).bearer(&account.bearer());
    await_known(connection, "GET /balances/{account_id}", balance).await
}

/// Asks until the account is no longer unknown.
async fn await_known(
    connection: &mut Connection,
    asked: &str,
    outgoing: impl Fn() -> Outgoing,
) -> Result<(), ClientError> {
    let deadline = Instant::now() + KNOWN_MAX;
    loop {
        let answer = connection.send(outgoing()).await?;
        if answer.status == OK {
            return Ok(());
        }
        if answer.status != NOT_FOUND || Instant::now() > deadline {
            return Err(answer.unexpected(asked));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
