//! How often the world misbehaves, and the one generator that decides when.

use std::collections::BTreeMap;
use std::time::Duration;

use ports::Write;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// How often, out of a thousand times, the world does what the ports allow it to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faults {
    /// Messages that a consumer is sent twice.
    pub duplicated_per_mille: u16,
    /// Messages that overtake some of those that wait already.
    pub reordered_per_mille: u16,
    /// Messages that are delivered late.
    pub delayed_per_mille: u16,
    /// The longest such delay.
    pub delay_ms_max: u64,
    /// Commits that end in Conflict though every expectation holds, as a concurrent transaction may cause it.
    pub conflict_per_mille: u16,
    /// Commits that end in Busy.
    pub busy_per_mille: u16,
    /// Commits that end in Unknown, half of them written. Of an independent one that fails, half of the writes are.
    pub unknown_per_mille: u16,
    /// Reads, receptions and settlements that the store does not answer.
    pub unavailable_per_mille: u16,
    /// The longest that a request to the store, or its answer, is under way. Whoever is dropped meanwhile has asked
    /// and will not hear: so a crash falls between any two steps.
    pub latency_ms_max: u64,
}

impl Faults {
    /// A world that does only what it is asked.
    pub const NONE: Self = Self {
        duplicated_per_mille: 0,
        reordered_per_mille: 0,
        delayed_per_mille: 0,
        delay_ms_max: 0,
        conflict_per_mille: 0,
        busy_per_mille: 0,
        unknown_per_mille: 0,
        unavailable_per_mille: 0,
        latency_ms_max: 0,
    };
}

/// Draws every fault from one seed, and counts what it drew. A fault whose rate is zero is not drawn for.
pub struct Chance {
    pub faults: Faults,
    pub drawn: BTreeMap<&'static str, u64>,
    generator: Xoshiro256PlusPlus,
}

impl Chance {
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self { faults, drawn: BTreeMap::new(), generator: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    pub fn is_busy(&mut self) -> bool {
        self.happens("busy", self.faults.busy_per_mille)
    }

    pub fn is_unknown(&mut self) -> bool {
        self.happens("unknown", self.faults.unknown_per_mille)
    }

    pub fn is_unavailable(&mut self) -> bool {
        self.happens("unavailable", self.faults.unavailable_per_mille)
    }

    /// How long something is under way between the store and whoever asks it.
    pub fn latency(&mut self) -> Option<Duration> {
        let most_ms = self.faults.latency_ms_max;
        (most_ms > 0).then(|| Duration::from_millis(self.generator.random_range(0..=most_ms)))
    }

    /// One or the other, half each.
    pub fn coin(&mut self) -> bool {
        self.generator.random_bool(0.5)
    }

    /// The write that a conflict is blamed on, if there is to be one.
    pub fn conflict_among<'a>(&mut self, writes: &'a [Write]) -> Option<&'a Write> {
        if writes.is_empty() || !self.happens("conflict", self.faults.conflict_per_mille) {
            return None;
        }
        writes.get(self.generator.random_range(0..writes.len()))
    }

    /// What is written of an independent transaction that fails: each or none, or anything between.
    pub fn part_of<'a>(&mut self, writes: &'a [Write]) -> Vec<&'a Write> {
        writes.iter().filter(|_| self.coin()).collect()
    }

    /// How many copies of a message a consumer is sent.
    pub fn copies(&mut self) -> usize {
        if self.happens("duplicated", self.faults.duplicated_per_mille) { 2 } else { 1 }
    }

    /// How late a message is, if it is.
    pub fn delay(&mut self) -> Option<Duration> {
        let is_late = self.happens("delayed", self.faults.delayed_per_mille);
        is_late.then(|| Duration::from_millis(self.generator.random_range(0..=self.faults.delay_ms_max)))
    }

    /// Where in a queue of this length a message goes: to its end, unless it overtakes.
    pub fn position(&mut self, length: usize) -> usize {
        if self.happens("reordered", self.faults.reordered_per_mille) {
            self.generator.random_range(0..=length)
        } else {
            length
        }
    }

    fn happens(&mut self, fault: &'static str, rate_per_mille: u16) -> bool {
        let happens = rate_per_mille > 0 && self.generator.random_range(0..1_000) < rate_per_mille;
        if happens {
            *self.drawn.entry(fault).or_default() += 1;
        }
        happens
    }
}
