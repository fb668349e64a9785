//! Each backend in turn.

use super::Candidate;
use crate::backend::BackendId;

/// Picks the next backend after the last one picked, cyclically.
///
/// It remembers a backend, not a position in the list: when a backend leaves or returns, the others keep their turn. A
/// counter taken modulo the number of candidates would jump, and with retries could hit one backend every time.
#[derive(Debug, Clone)]
pub struct RoundRobin {
    last: Option<BackendId>,
    seed: u64,
}

impl RoundRobin {
    /// Starts at candidate number `seed`, modulo their number.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { last: None, seed }
    }

    pub(super) fn pick(&mut self, candidates: &[Candidate]) -> Option<BackendId> {
        let start = match self.last {
            Some(last) => candidates.partition_point(|candidate| candidate.id <= last),
            None => usize::try_from(self.seed.checked_rem(candidates.len() as u64)?).ok()?,
        };
        let picked = candidates.get(start).or(candidates.first())?.id;
        self.last = Some(picked);
        Some(picked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lb::tests::{counts, equal};

    fn picks(balancer: &mut RoundRobin, ids: &[u16], n: usize) -> Vec<u16> {
        let candidates = equal(ids);
        (0..n).filter_map(|_| balancer.pick(&candidates)).map(|id| id.0).collect()
    }

    #[test]
    fn backends_take_turns_whoever_comes_and_goes() {
        // (candidates, picks), one row after the other on one balancer.
        const STEPS: &[(&[u16], &[u16])] = &[
            (&[0, 1, 2], &[0, 1, 2, 0]),
            (&[0, 2], &[2, 0]),    // 1 died just before its turn
            (&[0, 1, 2], &[1, 2]), // and is back for it
            (&[], &[]),            // all are gone: nothing is forgotten
            (&[0, 1, 2], &[0, 1]),
            (&[0, 1], &[0]), // the last one of the circle left
            (&[5, 9], &[5, 9, 5]),
            (&[5], &[5, 5]),
        ];
        let mut balancer = RoundRobin::new(0);
        for (step, (ids, expected)) in STEPS.iter().enumerate() {
            assert_eq!(picks(&mut balancer, ids, expected.len()), *expected, "step {step}");
        }
    }

    #[test]
    fn workers_start_at_different_backends() {
        for (seed, expected) in [(0, 4), (1, 5), (2, 7), (3, 4), (u64::MAX, 4)] {
            assert_eq!(picks(&mut RoundRobin::new(seed), &[4, 5, 7], 1), [expected], "seed {seed}");
        }
    }

    #[test]
    fn shares_differ_by_at_most_one_in_every_stable_stretch() {
        let mut balancer = RoundRobin::new(3);
        for ids in [&[0, 1, 2, 3][..], &[0, 3], &[1, 2, 3], &[2], &[0, 1, 2, 3, 4]] {
            for n in 0..12 {
                let counts = counts(&picks(&mut balancer, ids, n));
                let of = |id: &u16| counts.get(id).copied().unwrap_or(0);
                let (least, most) = (ids.iter().map(of).min().unwrap(), ids.iter().map(of).max().unwrap());
                assert!(most - least <= 1, "{ids:?}, {n} picks: {counts:?}");
            }
        }
    }
}
