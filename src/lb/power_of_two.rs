//! The better of two.

use super::{Candidate, mix::Random};
use crate::backend::BackendId;
use std::cmp::Ordering;

/// Draws two different candidates at random and picks the one with the smaller `in_flight / weight`.
///
/// Nearly as even as looking at all of them (Mitzenmacher: "The power of two choices in randomized load balancing",
/// 2001), and safer where the view of the load is stale: the least busy of all would be picked by every worker at once,
/// while two random ones are rarely the same for all.
#[derive(Debug, Clone)]
pub struct PowerOfTwo {
    random: Random,
}

impl PowerOfTwo {
    /// Equal seeds draw equal sequences.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    pub(super) fn pick(&mut self, candidates: &[Candidate]) -> Option<BackendId> {
        let picked = match candidates {
            [] => return None,
            [only] => only,
            _ => {
                let (one, other) = self.two_of(candidates.len());
                self.better(&candidates[one], &candidates[other])
            }
        };
        Some(picked.id)
    }

    /// Two different numbers below `n`, which is at least 2; each pair as likely as any other.
    fn two_of(&mut self, n: usize) -> (usize, usize) {
        let one = self.below(n);
        let other = self.below(n - 1);
        // The second is drawn from the others: those from `one` on are shifted by it.
        (one, if other < one { other } else { other + 1 })
    }

    fn better<'a>(&mut self, one: &'a Candidate, other: &'a Candidate) -> &'a Candidate {
        match one.compare_load(other) {
            Ordering::Less => one,
            Ordering::Greater => other,
            // Nothing is in flight, most of the time: weights, and with them slow start, count among equals too.
            Ordering::Equal => {
                let both = u64::from(one.weight) + u64::from(other.weight);
                if self.random.below(both) < u64::from(one.weight) { one } else { other }
            }
        }
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.random.below(n as u64)).expect("below a usize")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lb::tests::{counts, loaded};
    use std::collections::BTreeMap;

    fn picks(seed: u64, candidates: &[Candidate], n: usize) -> Vec<u16> {
        let mut balancer = PowerOfTwo::new(seed);
        (0..n).filter_map(|_| balancer.pick(candidates)).map(|id| id.0).collect()
    }

    #[test]
    fn one_candidate_is_enough() {
        assert_eq!(picks(1, &loaded(&[(1, 9)]), 3), [0, 0, 0]);
        assert!(picks(1, &[], 3).is_empty());
    }

    #[test]
    fn the_two_differ_and_every_pair_is_as_likely() {
        let mut balancer = PowerOfTwo::new(7);
        for n in 2..6 {
            let mut seen = BTreeMap::new();
            for _ in 0..n * (n - 1) * 1000 {
                let (one, other) = balancer.two_of(n);
                assert!(one != other && one < n && other < n, "{one} and {other} of {n}");
                *seen.entry((one, other)).or_insert(0) += 1;
            }
            assert_eq!(seen.len(), n * (n - 1));
            assert!(seen.values().all(|times| (850..1150).contains(times)), "{n}: {seen:?}");
        }
    }

    #[test]
    fn the_more_loaded_of_two_is_never_picked() {
        for (backends, never) in [
            (&[(1, 1), (1, 0)][..], 0),
            (&[(1, 0), (1, 1)], 1),
            (&[(3, 2), (1, 1)], 1),         // 2/3 against 1
            (&[(1, 3), (1, 5), (1, 4)], 1), // the busiest of all loses to whomever it meets
        ] {
            assert!(!picks(3, &loaded(backends), 1000).contains(&never), "{backends:?}");
        }
    }

    #[test]
    fn shares_are_those_of_the_better_of_two() {
        // Loads 0, 1, 2, 3: a backend wins the pairs with those behind it, so 3, 2, 1 and 0 of 6.
        let counts = counts(&picks(11, &loaded(&[(1, 0), (1, 1), (1, 2), (1, 3)]), 6000));
        for (id, expected) in [(0, 3000), (1, 2000), (2, 1000)] {
            assert!(counts[&id].abs_diff(expected) < 150, "{counts:?}");
        }
        assert!(!counts.contains_key(&3));
    }

    #[test]
    fn equals_are_picked_by_weight() {
        let counts = counts(&picks(5, &loaded(&[(1, 0), (3, 0)]), 4000));
        assert!(counts[&0].abs_diff(1000) < 110, "{counts:?}");
    }

    #[test]
    fn a_seed_is_a_sequence() {
        let candidates = loaded(&[(1, 0), (1, 0), (1, 0), (1, 0)]);
        assert_eq!(picks(1, &candidates, 100), picks(1, &candidates, 100));
        assert_ne!(picks(1, &candidates, 100), picks(2, &candidates, 100));
    }
}
