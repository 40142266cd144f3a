//! One run: people live while things go wrong, then the bank comes to rest, then it is read and audited.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kernel::UserId;
use ports::{QueueAdmin, Store, Table};
use runtime::Policy;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::auditor::{self, Finding};
use crate::counter::{Ask, Counter};
use crate::customer::Customer;
use crate::mishaps::{Mishaps, Suffered};
use crate::plan::Plan;
use crate::record::{Record, StoredItem};
use crate::town::Town;
use crate::world::{World, pause, tables};

/// The longest that all customers may take: a day of the run's own time.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the bank is looked at, a second apart, until it has come to rest.
const LOOKS_MAX: u32 = 4 * 60 * 60;
/// How many looks in a row must find it at rest.
const LOOKS_AT_REST: u32 = 3;
/// How long a reader waits in peace.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most pages of one list.
const PAGES_MAX: u32 = 10_000;

/// How a run ended.
pub struct Ended {
    /// What was written down.
    pub record: Record,
    /// What the auditor found.
    pub findings: Vec<Finding>,
    /// How often each fault and mishap came.
    pub faults: BTreeMap<String, u64>,
}

/// Does the run of a seed.
///
/// # Errors
/// The machine has no room for a runtime.
pub fn run(seed: u64) -> std::io::Result<Ended> {
    run_plan(Plan::draw(seed))
}

/// Does a run as it is planned.
pub(crate) fn run_plan(plan: Plan) -> std::io::Result<Ended> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(live(plan)))
}

async fn live(plan: Plan) -> Ended {
    let plan = Arc::new(plan);
    let world = World::new(&plan);
    let counter = Counter::new(world.clone());
    let mut findings = Vec::new();
    world.start();
    let users: Vec<UserId> = (0..plan.people).map(|_| UserId::new(world.sources.fresh_id())).collect();

    let suffered = match tokio::time::timeout(LIFE_MAX, disturbed(&plan, &world, &counter, &users)).await {
        Ok(suffered) => suffered,
        Err(_) => {
            findings.push(Finding::new("customers were not answered within a day"));
            Suffered { poison: Default::default(), counts: Vec::new() }
        }
    };
    world.end_faults();
    world.kill();
    world.start();
    counter.note("nothing goes wrong any more");
    if !came_to_rest(&world, &suffered).await {
        findings.push(Finding::new("the bank did not come to rest"));
    }
    if plan.reads_after_restart {
        world.kill();
        world.start();
    }
    let peace_from = counter.exchanges();
    for user in &users {
        read_everything(&counter, *user).await;
    }
    let record = gather(&world, &counter, &users, peace_from, &suffered).await;
    findings.extend(auditor::audit(&record));
    let mut faults: BTreeMap<String, u64> =
        world.store.faults_drawn().into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    faults.extend(suffered.counts.iter().map(|(mishap, count)| (format!("{mishap:?}"), *count)));
    world.kill();
    Ended { record, findings, faults }
}

/// The customers' lives, among mishaps.
async fn disturbed(plan: &Arc<Plan>, world: &World, counter: &Counter, users: &[UserId]) -> Suffered {
    let town = Town::default();
    let mut lives = tokio::task::JoinSet::new();
    for (number, user) in (1..).zip(users) {
        lives.spawn(Customer::new(Arc::clone(plan), number, *user, counter.clone(), town.clone()).live());
    }
    let (end, over) = watch::channel(false);
    let mishaps = tokio::spawn(Mishaps::new(Arc::clone(plan), world.clone(), counter.clone()).happen(over));
    while lives.join_next().await.is_some() {}
    end.send_replace(true);
    mishaps.await.unwrap_or_else(|_| Suffered { poison: Default::default(), counts: Vec::new() })
}

/// Waits until nothing is under way, and sends again what was given up while things went wrong, as an operator would.
async fn came_to_rest(world: &World, suffered: &Suffered) -> bool {
    for _ in 0..LOOKS_AT_REST {
        if !is_at_rest(world).await {
            return false;
        }
        let letters = world.store.dead_letters(None, usize::MAX).await.unwrap_or_default();
        let is_poison =
            |message_id: String, consumer: &str| suffered.poison.contains(&(message_id, consumer.to_owned()));
        let given_up: Vec<_> = letters
            .into_iter()
            .filter(|letter| !is_poison(letter.envelope.message_id.to_string(), &letter.consumer))
            // What was rejected, and not given up after many tries, stays where the auditor finds it.
            .filter(|letter| letter.attempts >= Policy::INSIDE.attempts_max)
            .collect();
        if given_up.is_empty() {
            return true;
        }
        for letter in given_up {
            // What the auditor finds among the dead letters in the end was not brought to life by this.
            let _ = world.store.redrive(&letter.dead_letter_id).await;
        }
    }
    is_at_rest(world).await
}

async fn is_at_rest(world: &World) -> bool {
    let mut at_rest = 0;
    for _ in 0..LOOKS_MAX {
        at_rest = if world.store.is_idle() { at_rest + 1 } else { 0 };
        if at_rest == LOOKS_AT_REST {
            return true;
        }
        pause(1_000).await;
    }
    false
}

/// Every list that a customer can see, to its end.
async fn read_everything(counter: &Counter, user: UserId) {
    for list in ["/accounts", "/operations", "/notifications", "/balances"] {
        for item in read_list(counter, user, list).await {
            match (list, item["account_id"].as_str(), item["operation_id"].as_str()) {
                ("/balances", Some(account_id), _) => {
                    read_list(counter, user, &format!("/transactions/{account_id}")).await;
                    counter.ask(user, &Ask::to_read(format!("/balances/{account_id}")), PATIENCE).await;
                    counter.ask(user, &Ask::to_read(format!("/accounts/{account_id}")), PATIENCE).await;
                }
                ("/operations", _, Some(operation_id)) => {
                    let path = format!("/operation-status/{operation_id}");
                    counter.ask(user, &Ask::to_read(path), PATIENCE).await;
                }
                _ => {}
            }
        }
    }
}

async fn read_list(counter: &Counter, user: UserId, list: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    for page in 0..PAGES_MAX {
        // Pages of every size are asked for, small ones first so that lists end within and at the end of a page.
        let path = format!("{list}?limit={}{cursor}", 3 + page * page * 7 % 98);
        let Some(answer) = counter.ask(user, &Ask::to_read(path), PATIENCE).await else { break };
        items.extend(answer.body["items"].as_array().cloned().unwrap_or_default());
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    items
}

async fn gather(
    world: &World,
    counter: &Counter,
    users: &[UserId],
    peace_from: u64,
    suffered: &Suffered,
) -> Record {
    let mut stored = BTreeMap::new();
    for table in tables() {
        stored.insert(table.0.to_owned(), items(world, table).await);
    }
    let mut outboxes = BTreeMap::new();
    for sender in contracts::topology::Sender::ALL {
        let records = world.store.outbox_records(Table(sender.outbox()));
        let messages = records.iter().map(|record| record.iter().map(|envelope| json!(**envelope)).collect());
        outboxes.insert(sender.outbox().to_owned(), messages.collect());
    }
    let letters = world.store.dead_letters(None, usize::MAX).await.unwrap_or_default();
    let (exchanges, trace) = counter.hand_over();
    Record {
        users: users.iter().map(ToString::to_string).collect(),
        exchanges,
        peace_from,
        tables: stored,
        outboxes,
        dead_letters: letters.iter().map(|letter| json!(letter)).collect(),
        poison: suffered.poison.clone(),
        letters: world.post_office.letters(),
        trace,
    }
}

async fn items(world: &World, table: Table) -> Vec<StoredItem> {
    // The store answers everything by now, and one page holds all there is.
    let page = world.store.scan(table, None, usize::MAX).await;
    let items = page.map(|page| page.items).unwrap_or_default().into_iter().map(|item| StoredItem {
        partition: item.key.partition,
        sort: item.key.sort,
        body: serde_json::from_str(&item.body).unwrap_or(Value::Null),
    });
    items.collect()
}
