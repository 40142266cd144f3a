//! The one source of chance: a seeded generator, asked in words.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// A generator of its own for each who draws, so that one who draws more does not change what another draws.
pub struct Dice(Xoshiro256PlusPlus);

impl Dice {
    /// The dice of one who draws, under one seed.
    pub fn new(seed: u64, whose: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed ^ whose.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0.random_range(least..=most.max(least))
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chances: u64) -> bool {
        self.between(1, 100) <= chances
    }

    /// One of these, if there are any.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        let last = among.len().checked_sub(1)?;
        let place = self.between(0, last as u64);
        among.get(usize::try_from(place).unwrap_or(0))
    }

    /// One of these, each as often as its weight says; none where no weight is more than zero.
    pub fn weighed<T: Copy>(&mut self, among: &[(T, u64)]) -> Option<T> {
        let sum: u64 = among.iter().map(|(_, weight)| weight).sum();
        let mut left = self.between(1, sum.max(1));
        for (choice, weight) in among {
            if left <= *weight {
                return Some(*choice);
            }
            left -= weight;
        }
        None
    }

    /// Mostly little, and now and then up to `most`: the rate of something that may as well never happen.
    pub fn rate(&mut self, most: u64) -> u64 {
        match self.between(0, 3) {
            0 | 1 => 0,
            2 => self.between(1, most.div_ceil(10)),
            _ => self.between(1, most),
        }
    }
}
