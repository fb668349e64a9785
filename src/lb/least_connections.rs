//! The backend that is least busy for its weight.

use super::{Candidate, Weighted};
use crate::backend::BackendId;
use std::cmp::Ordering;

/// Picks the smallest `in_flight / weight`; equals take turns by weight.
///
/// Ties are the normal case, not the rare one: under light traffic nothing is in flight anywhere. If the first of them
/// always won, a quiet proxy would send everything to one backend; if weights did not count among them, slow start
/// would have no effect.
#[derive(Debug, Clone, Default)]
pub struct LeastConnections {
    ties: Weighted,
}

impl LeastConnections {
    /// No backend has had a turn yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn pick(&mut self, candidates: &[Candidate]) -> Option<BackendId> {
        let least = *candidates.iter().min_by(|a, b| a.compare_load(b))?;
        self.ties.pick_among(candidates.iter().filter(|candidate| candidate.compare_load(&least) == Ordering::Equal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lb::tests::{counts, loaded};

    #[test]
    fn the_least_busy_for_its_weight_is_picked() {
        // (weight, in flight) by backend; picks on a fresh balancer.
        type Case = (&'static [(u32, u32)], &'static [u16]);
        const CASES: &[Case] = &[
            (&[(1, 7)], &[0, 0]),
            (&[(1, 2), (1, 1), (1, 3)], &[1, 1]),
            (&[(1, 1), (3, 2)], &[1, 1]), // 1 against 2/3
            (&[(2, 1), (3, 1)], &[1, 1]), // 1/2 against 1/3: integers would call it a tie
            (&[(100, 0), (1, 0), (1, 1)], &[0, 0]),
            (&[(1, 0), (1, 0), (1, 0)], &[0, 1, 2, 0, 1, 2]), // ties rotate
            (&[(1, 4), (1, 2), (1, 9), (1, 2)], &[1, 3, 1, 3]), // the busy ones take no turn
            (&[(1, 1), (2, 2), (1, 5)], &[1, 0, 1, 1, 0, 1]), // equal for their weight: turns by weight
            (&[(u32::MAX, u32::MAX), (u32::MAX, u32::MAX - 1)], &[1, 1]),
        ];
        for (backends, expected) in CASES {
            let mut balancer = LeastConnections::new();
            let candidates = loaded(backends);
            let picks: Vec<u16> = expected.iter().filter_map(|_| balancer.pick(&candidates)).map(|id| id.0).collect();
            assert_eq!(picks, *expected, "{backends:?}");
        }
    }

    #[test]
    fn load_evens_out_in_proportion_to_weight() {
        let mut balancer = LeastConnections::new();
        let mut candidates = loaded(&[(1, 0), (2, 0), (3, 0)]);
        for _ in 0..60 {
            let picked = balancer.pick(&candidates).unwrap();
            candidates[picked.index()].in_flight += 1;
        }
        assert_eq!(candidates.iter().map(|c| c.in_flight).collect::<Vec<_>>(), [10, 20, 30]);
    }

    #[test]
    fn an_idle_proxy_uses_everyone_by_weight() {
        let (mut balancer, candidates) = (LeastConnections::new(), loaded(&[(1, 0), (2, 0), (3, 0)]));
        let picks: Vec<u16> = (0..60).filter_map(|_| balancer.pick(&candidates)).map(|id| id.0).collect();
        assert_eq!(counts(&picks), [(0, 10), (1, 20), (2, 30)].into());
    }
}
