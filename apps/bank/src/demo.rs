//! `bank serve --demo`: two people with accounts and a month of movements, and an operator, to look at.
//!
//! Everything goes the way of any request, through the services and their queues, on a clock of its own that walks
//! through the last thirty days: after each movement the queues are run to their end before the clock goes on. So it
//! must have the store to itself, before the bank's own consumers start. It is deterministic but for the identifiers.
//! One message is put with the dead letters, so that an operator has something to send again; nothing is wrong with it.
//!
//! Absent on purpose: filling a bank that has anything in it, because what is under way there has its own time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use accounts::domain::Request as OpenRequest;
use banking::domain::{Movement, Request};
use contracts::topology::consumers::NOTIFICATIONS_EVENTS;
use embedded::EmbeddedStore;
use kernel::{AccountId, Currency, Email, Timestamp, UserId};
use ports::{
    Clock, Consumer, Delivery, Ids, Outcome, QueueAdmin, QueueDepth, Queues, Secret, Settled, Sources, Store,
    Verdict,
};
use runtime::{Caller, Trace, deliver};
use uuid::Uuid;

use crate::failure::Failure;
use crate::world::{World, tables};

/// Whether the demo's people are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filled {
    /// They are, since now or since an earlier start.
    Yes,
    /// They are not: there was something else in the bank already.
    No,
}

impl fmt::Display for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => write!(
                f,
                "{ADA}, {GRACE} and the operator {OLIVE}, who sign in with the password {PASSWORD:?}"
            ),
            Self::No => f.write_str("not filled in: the bank was not empty"),
        }
    }
}

/// The password of all three.
pub const PASSWORD: &str = "two people and a month";
pub const ADA: &str = "ada@example.com";
const GRACE: &str = "grace@example.com";
const OLIVE: &str = "olive@example.com";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How far back the first movement is.
const DAYS: u32 = 30;
/// The most messages that are delivered at once.
const BATCH_MAX: usize = 64;

/// The accounts, as the movements name them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purse {
    AdaCurrent,
    AdaSavings,
    AdaDollars,
    GraceCurrent,
    GraceSavings,
    GraceYen,
}

use Purse::{AdaCurrent, AdaDollars, AdaSavings, GraceCurrent, GraceSavings, GraceYen};

/// Who owns each account, its name, and its currency.
const PURSES: [(Purse, &str, &str, &str); 6] = [
    (AdaCurrent, ADA, "Current account", "EUR"),
    (AdaSavings, ADA, "Savings", "EUR"),
    (AdaDollars, ADA, "Travel money", "USD"),
    (GraceCurrent, GRACE, "Current account", "EUR"),
    (GraceSavings, GRACE, "Old savings", "EUR"),
    (GraceYen, GRACE, "Tokyo", "JPY"),
];

/// What a customer does: money goes into an account, out of it or from one to another, so much and in her words; or she
/// closes an account.
#[derive(Clone, Copy)]
enum Deed {
    Into(Purse, &'static str, &'static str),
    OutOf(Purse, &'static str, &'static str),
    Between(Purse, Purse, &'static str, &'static str),
    Close(Purse),
}

use Deed::{Between, Close, Into, OutOf};

/// The month: the day, the hour, and what is done. Travel money is not closed, because there is money in it.
const MONTH: &[(u32, u32, Deed)] = &[
    (0, 9, Into(AdaCurrent, "3250.00", "Salary")),
    (0, 10, Into(GraceCurrent, "2840.00", "Salary")),
    (0, 11, Into(GraceSavings, "300.00", "From my old bank")),
    (1, 8, OutOf(AdaCurrent, "1150.00", "Rent")),
    (1, 9, OutOf(GraceCurrent, "980.00", "Rent")),
    (1, 18, Between(AdaCurrent, AdaSavings, "400.00", "Savings")),
    (2, 17, OutOf(AdaCurrent, "64.37", "Groceries")),
    (3, 12, Into(AdaDollars, "500.00", "For Boston")),
    (3, 18, OutOf(GraceCurrent, "82.15", "Groceries")),
    (5, 20, Between(AdaCurrent, GraceCurrent, "27.50", "Dinner on Friday")),
    (6, 7, OutOf(AdaCurrent, "39.90", "Telephone")),
    (7, 11, OutOf(GraceCurrent, "49.00", "Monthly ticket")),
    (8, 9, Between(GraceSavings, GraceCurrent, "300.00", "One account is enough")),
    (8, 10, Close(GraceSavings)),
    (9, 17, OutOf(AdaCurrent, "71.02", "Groceries")),
    (10, 18, OutOf(GraceCurrent, "58.80", "Groceries")),
    (11, 14, Into(GraceYen, "120000", "For Tokyo")),
    (12, 15, OutOf(GraceCurrent, "4999.00", "A new kitchen")),
    (13, 19, OutOf(AdaCurrent, "18.40", "Cinema")),
    (15, 9, Into(AdaCurrent, "120.00", "Sold the old bicycle")),
    (16, 17, OutOf(AdaCurrent, "55.66", "Groceries")),
    (17, 18, OutOf(GraceCurrent, "77.31", "Groceries")),
    (18, 22, OutOf(AdaDollars, "129.95", "Hotel in Boston")),
    (19, 13, OutOf(AdaDollars, "42.10", "Museum of Science")),
    (20, 10, OutOf(GraceYen, "4800", "Rail pass")),
    (20, 19, OutOf(GraceYen, "2350", "Noodles and tea")),
    (21, 9, Close(AdaDollars)),
    (22, 20, Between(GraceCurrent, AdaCurrent, "60.00", "Concert tickets")),
    (23, 17, OutOf(AdaCurrent, "68.93", "Groceries")),
    (24, 18, OutOf(GraceCurrent, "63.47", "Groceries")),
    (25, 12, Between(AdaSavings, AdaCurrent, "150.00", "For the washing machine")),
    (26, 16, OutOf(AdaCurrent, "489.00", "Washing machine")),
    (27, 8, OutOf(GraceCurrent, "35.00", "Choir")),
    (28, 19, Between(GraceCurrent, AdaCurrent, "12.25", "Half of the cake")),
    (29, 9, OutOf(AdaCurrent, "23.60", "Books")),
];

/// The day whose messages to the inboxes become dead letters, and what is said of them. It is the last one, so that they
/// are the newest.
const PUT_ASIDE_DAY: u32 = 29;
const PUT_ASIDE: &str = "put aside by the demo, as something to send again; nothing is wrong with it";

/// A clock that stands until it is set. Each identifier takes a millisecond, so that they sort as they were made.
#[derive(Clone)]
struct SteppingClock(Arc<AtomicI64>);

impl Clock for SteppingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl Ids for SteppingClock {
    fn fresh(&self) -> Uuid {
        let millis = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &rand::random())
            .into_uuid()
    }
}

/// Fills the demo into a store that no consumer works on, if it is empty.
pub async fn fill(store: &EmbeddedStore, sources: &Sources) -> Result<Filled, Failure> {
    let today = sources.now().as_millis() / millis(DAY) * millis(DAY);
    let clock = SteppingClock(Arc::new(AtomicI64::new(today - i64::from(DAYS) * millis(DAY))));
    let world = World::at_rest(store.clone(), Sources::new(clock.clone(), clock.clone()))?;
    if !is_empty(store).await? {
        let ada = world.identity.find_user(&email(ADA)?).await?;
        return Ok(if ada.is_some() { Filled::Yes } else { Filled::No });
    }
    let demo = Demo { begins_at: clock.now(), clock, world };
    let purses = demo.open_accounts().await?;
    for (day, hour, deed) in MONTH {
        demo.walk_to(*day, *hour);
        demo.take_part(&purses, *deed).await?;
        if *day == PUT_ASIDE_DAY {
            demo.put_aside().await?;
        }
        demo.run_to_the_end().await?;
    }
    Ok(Filled::Yes)
}

async fn is_empty(store: &EmbeddedStore) -> Result<bool, Failure> {
    for table in tables() {
        if !store.scan(table, None, 1).await?.items.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn email(text: &str) -> Result<Email, Failure> {
    text.parse().map_err(not_filled)
}

/// An account that was opened for the demo, and its owner.
type Opened = (Purse, UserId, AccountId);

struct Demo {
    begins_at: Timestamp,
    clock: SteppingClock,
    world: World,
}

impl Demo {
    fn walk_to(&self, day: u32, hour: u32) {
        let at = self.begins_at + DAY * day + Duration::from_secs(60 * 60) * hour;
        self.clock.0.store(at.as_millis(), Ordering::Relaxed);
    }

    fn caller(&self, user_id: UserId) -> Caller {
        Caller { user_id, trace: Trace::begin(&self.world.sources), idempotency_key: None }
    }

    async fn open_accounts(&self) -> Result<Vec<Opened>, Failure> {
        self.walk_to(0, 7);
        let (ada, grace) = (self.sign_up(ADA).await?, self.sign_up(GRACE).await?);
        self.sign_up(OLIVE).await?;
        self.world.identity.add_operator(&email(OLIVE)?).await.map_err(not_filled)?;
        let mut opened = Vec::new();
        for (purse, owner, name, currency) in PURSES {
            let user_id = if owner == ADA { ada } else { grace };
            let currency: Currency = currency.parse().map_err(not_filled)?;
            let request = OpenRequest { name: name.to_owned(), currency };
            let account =
                self.world.accounts.open(&self.caller(user_id), &request).await.map_err(not_filled)?;
            opened.push((purse, user_id, account.answer.account_id));
        }
        self.run_to_the_end().await?;
        Ok(opened)
    }

    async fn sign_up(&self, address: &str) -> Result<UserId, Failure> {
        let signed_up = self.world.identity.sign_up(&email(address)?, &Secret::from(PASSWORD)).await;
        Ok(signed_up.map_err(not_filled)?.user_id)
    }

    async fn take_part(&self, purses: &[Opened], deed: Deed) -> Result<(), Failure> {
        let find = |purse: Purse| {
            let found = purses.iter().find(|(of, ..)| *of == purse);
            found.copied().ok_or_else(|| not_filled("an account is missing"))
        };
        let (owner, movement, amount, description) = match deed {
            Into(purse, amount, description) => {
                let (_, owner, account_id) = find(purse)?;
                (owner, Movement::Deposit { account_id }, amount, description)
            }
            OutOf(purse, amount, description) => {
                let (_, owner, account_id) = find(purse)?;
                (owner, Movement::Withdraw { account_id }, amount, description)
            }
            Between(from, to, amount, description) => {
                let ((_, owner, from_account_id), (_, _, to_account_id)) = (find(from)?, find(to)?);
                (owner, Movement::Transfer { from_account_id, to_account_id }, amount, description)
            }
            Close(purse) => {
                let (_, owner, account_id) = find(purse)?;
                self.world.accounts.close(&self.caller(owner), account_id).await.map_err(not_filled)?;
                return Ok(());
            }
        };
        let (amount, description) = (amount.to_owned(), Some(description.to_owned()));
        let request = Request { movement, amount, currency: None, description };
        self.world.banking.submit(&self.caller(owner), &request).await.map_err(not_filled)?;
        Ok(())
    }

    /// Has the ledger judge what waits, and puts what it tells the inboxes with the dead letters.
    async fn put_aside(&self) -> Result<(), Failure> {
        let world = &self.world;
        self.deliver(&world.store.depths().await?, world.ledger.commands()).await?;
        let received = world.store.receive(NOTIFICATIONS_EVENTS, BATCH_MAX).await?;
        let dead = received.iter().map(|received| Settled {
            receipt: received.receipt,
            verdict: Verdict::Dead { reason: PUT_ASIDE.to_owned() },
        });
        Ok(world.store.settle(NOTIFICATIONS_EVENTS, dead.collect()).await?)
    }

    /// Delivers messages until none waits.
    async fn run_to_the_end(&self) -> Result<(), Failure> {
        let world = &self.world;
        loop {
            let depths = world.store.depths().await?;
            if depths.iter().all(|depth| depth.waiting == 0) {
                return Ok(());
            }
            self.deliver(&depths, world.ledger.commands()).await?;
            self.deliver(&depths, world.accounts.closings()).await?;
            self.deliver(&depths, world.banking.events()).await?;
            self.deliver(&depths, world.query.events()).await?;
            self.deliver(&depths, world.notifications.events()).await?;
            self.deliver(&depths, world.notifications.emails()).await?;
        }
    }

    /// Delivers what waits for one consumer. In an empty bank on one machine nothing needs a second try.
    async fn deliver<C: Consumer>(&self, depths: &[QueueDepth], consumer: C) -> Result<(), Failure> {
        if !depths.iter().any(|depth| depth.consumer == C::NAME && depth.waiting > 0) {
            return Ok(());
        }
        let received = self.world.store.receive(C::NAME, BATCH_MAX).await?;
        let batch: Vec<Delivery> = received.iter().map(|received| received.delivery.clone()).collect();
        for outcome in deliver(&consumer, &batch).await {
            if let Outcome::Retry { reason, .. } | Outcome::Reject { reason } = outcome {
                return Err(not_filled(reason));
            }
        }
        let done =
            received.iter().map(|received| Settled { receipt: received.receipt, verdict: Verdict::Done });
        Ok(self.world.store.settle(C::NAME, done.collect()).await?)
    }
}

fn not_filled(reason: impl fmt::Display) -> Failure {
    Failure::new(format!("the demo cannot be filled in: {reason}"))
}
