//! Randomness from a seed: SplitMix64 (Steele, Lea, Flood 2014). Written out here, so that a seed printed by one version
//! of the project replays under the next, whatever a library of generators does meanwhile.

use std::{ops::RangeInclusive, time::Duration};

/// A stream of random numbers that depends on the seed alone.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x5EED_0FAC_0FFE_E000)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Evenly from `0..bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound as u64).max(1)) as usize
    }

    pub fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// Small values are as likely as large ones of each magnitude: sizes and delays look like this in the wild.
    pub fn magnitude(&mut self, range: RangeInclusive<usize>) -> usize {
        let (low, high) = (*range.start(), *range.end());
        let bits = (usize::BITS - (high - low).leading_zeros()) as usize;
        let limit = 1usize << self.within(0..=bits);
        low + self.below(limit.min(high - low + 1))
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn micros(&mut self, range: RangeInclusive<u64>) -> Duration {
        let span = (range.end() - range.start()) as usize;
        Duration::from_micros(range.start() + self.below(span + 1) as u64)
    }

    /// A generator of its own for a part of the world: what that part draws does not disturb the others.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
