//! What one seed stands for: how many people, what they ask for, and what goes wrong.
//!
//! Every rate is drawn on its own and many of them are zero, so that seeds differ in kind and not only in order: a fault
//! that would hide another one is absent in half of them.

use memory::Faults;

use crate::dice::Dice;

/// The currencies that accounts are opened in, of every number of decimals.
const CURRENCIES: [&str; 5] = ["EUR", "JPY", "BHD", "USD", "CHF"];

/// What a customer does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Open,
    Deposit,
    Withdraw,
    Transfer,
    Close,
    Read,
    /// Something that somebody else owns is asked for, or moved from.
    Trespass,
    /// An earlier request of hers, once more.
    Repeat,
    /// The key of an earlier request, of hers or of another, with something else to do.
    ReuseKey,
    /// A request that nobody can grant.
    Mistake,
}

/// What befalls the process and its consumers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mishap {
    /// The process dies with all that was under way, and starts again.
    ProcessDies,
    /// One consumer dies in the midst of what it does, and starts again.
    ConsumerDies,
    /// One consumer is away for a long time.
    ConsumerStalls,
    /// A message that nobody can read is sent.
    Poison,
    /// The clock is moved forward.
    ClockForward,
    /// The clock is moved back, as a time server does it.
    ClockBack,
}

/// One run.
pub struct Plan {
    /// What all is drawn from.
    pub seed: u64,
    /// How many customers there are.
    pub people: u64,
    /// How many things each of them does.
    pub steps: u64,
    /// The longest pause between two of them.
    pub pause_ms_max: u64,
    /// The currencies of the accounts.
    pub currencies: Vec<&'static str>,
    /// How often each thing is done.
    pub actions: Vec<(Action, u64)>,
    /// How many of a hundred movements meet on the first accounts there are.
    pub hot_percent: u64,
    /// How many of a hundred requests have an Idempotency-Key.
    pub keyed_percent: u64,
    /// How many of a hundred requests wait for their end.
    pub waiting_percent: u64,
    /// How many of a hundred requests are given up before they are answered.
    pub hang_up_percent: u64,
    /// The largest amount, in minor units.
    pub amount_max: u64,
    /// The most messages of a batch.
    pub batch_max: u64,
    /// How many accounts a process keeps in memory.
    pub cached_accounts: usize,
    /// What the store and its queues do wrong.
    pub faults: Faults,
    /// Letters that the mail server does not take at once, of a thousand.
    pub mail_later_per_mille: u64,
    /// How often each mishap comes; none for a world where nothing dies.
    pub mishaps: Vec<(Mishap, u64)>,
    /// The longest time between two mishaps.
    pub mishap_ms_max: u64,
    /// Whether the process starts anew before the last reading, so that nothing it remembers is told.
    pub reads_after_restart: bool,
}

impl Plan {
    /// Draws a run.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0);
        let (people, steps) = (dice.between(1, 8), dice.between(5, 60));
        let first = dice.between(0, CURRENCIES.len() as u64 - 1);
        let currencies = CURRENCIES.iter().cycle().skip(usize::try_from(first).unwrap_or(0));
        let currencies = currencies.take(usize::try_from(dice.between(1, 3)).unwrap_or(1)).copied();
        Self {
            seed,
            people,
            steps,
            pause_ms_max: *dice.pick(&[0, 5, 50, 2_000]).unwrap_or(&0),
            currencies: currencies.collect(),
            actions: actions(&mut dice),
            hot_percent: *dice.pick(&[0, 20, 80, 100]).unwrap_or(&0),
            keyed_percent: *dice.pick(&[0, 50, 90, 100]).unwrap_or(&0),
            waiting_percent: *dice.pick(&[0, 20, 70]).unwrap_or(&0),
            hang_up_percent: dice.rate(20),
            amount_max: *dice.pick(&[20, 1_000, 100_000]).unwrap_or(&20),
            batch_max: *dice.pick(&[1, 2, 7, 256]).unwrap_or(&1),
            cached_accounts: *dice.pick(&[0, 100_000]).unwrap_or(&0),
            faults: faults(&mut dice),
            mail_later_per_mille: dice.rate(500),
            mishaps: mishaps(&mut dice),
            mishap_ms_max: *dice.pick(&[50, 500, 5_000]).unwrap_or(&50),
            reads_after_restart: dice.percent(50),
        }
    }
}

#[cfg(test)]
impl Plan {
    /// A run in which all that customers do is done often.
    pub fn busy(seed: u64) -> Self {
        let mut actions = actions(&mut Dice::new(seed, 0));
        actions.iter_mut().for_each(|(_, weight)| *weight = 10);
        Self {
            people: 6,
            steps: 60,
            pause_ms_max: 50,
            currencies: CURRENCIES.to_vec(),
            actions,
            hot_percent: 50,
            keyed_percent: 50,
            waiting_percent: 50,
            amount_max: 1_000,
            ..Self::draw(seed)
        }
    }
}

fn actions(dice: &mut Dice) -> Vec<(Action, u64)> {
    let usual = [
        (Action::Open, 8),
        (Action::Deposit, 25),
        (Action::Withdraw, 25),
        (Action::Transfer, 25),
        (Action::Close, 6),
        (Action::Read, 20),
        (Action::Trespass, 6),
        (Action::Repeat, 10),
        (Action::ReuseKey, 5),
        (Action::Mistake, 3),
    ];
    // Each may be rare or frequent this time; that there are accounts is seen to elsewhere.
    usual.map(|(action, weight)| (action, dice.between(0, 2 * weight))).to_vec()
}

fn faults(dice: &mut Dice) -> Faults {
    let mut rate = |most| u16::try_from(dice.rate(most)).unwrap_or(0);
    let (duplicated_per_mille, reordered_per_mille) = (rate(500), rate(700));
    let (delayed_per_mille, conflict_per_mille) = (rate(300), rate(300));
    let (busy_per_mille, unknown_per_mille) = (rate(200), rate(300));
    let unavailable_per_mille = rate(100);
    Faults {
        duplicated_per_mille,
        reordered_per_mille,
        delayed_per_mille,
        delay_ms_max: *dice.pick(&[50, 1_000, 20_000]).unwrap_or(&50),
        conflict_per_mille,
        busy_per_mille,
        unknown_per_mille,
        unavailable_per_mille,
        latency_ms_max: *dice.pick(&[0, 1, 5, 40]).unwrap_or(&0),
    }
}

fn mishaps(dice: &mut Dice) -> Vec<(Mishap, u64)> {
    let all = [
        Mishap::ProcessDies,
        Mishap::ConsumerDies,
        Mishap::ConsumerStalls,
        Mishap::Poison,
        Mishap::ClockForward,
        Mishap::ClockBack,
    ];
    all.map(|mishap| (mishap, dice.rate(10))).to_vec()
}
