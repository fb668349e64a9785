//! Each backend in turn, the heavier ones more often.

use super::Candidate;
use crate::backend::BackendId;
use std::ops::RangeInclusive;

/// Smooth weighted round robin, as nginx does it.
///
/// Every pick, each candidate earns its weight; the richest is picked and pays what all earned together. So over as
/// many picks as the weights sum up to, each is picked as often as its weight says, and its turns are spread out:
/// weights 5:1:1 give `a a b a c a a`, not `a a a a a b c`, which would hit `a` in bursts.
///
/// ```text
/// weights a=1 b=2 c=3     earned      picked    after paying 6
///                       1   2   3       c        1   2  -3
///                       2   4   0       b        2  -2   0
///                       3   0   3       a       -3   0   3
///                      -2   2   6       c       -2   2   0
///                      -1   4   3       b       -1  -2   3
///                       0   0   6       c        0   0   0    and again
/// ```
#[derive(Debug, Clone, Default)]
pub struct Weighted {
    /// By backend. Grows to the largest id seen, once.
    credit: Vec<i64>,
}

impl Weighted {
    /// No backend has earned anything yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn pick(&mut self, candidates: &[Candidate]) -> Option<BackendId> {
        self.pick_among(candidates.iter())
    }

    /// As `pick`, for a selection in order of ids. The others earn and pay nothing.
    pub(super) fn pick_among<'a>(
        &mut self,
        candidates: impl DoubleEndedIterator<Item = &'a Candidate> + Clone,
    ) -> Option<BackendId> {
        let slots = candidates.clone().next_back()?.id.index() + 1;
        if self.credit.len() < slots {
            self.credit.resize(slots, 0);
        }
        let bounds = bounds(candidates.clone());
        let total = -bounds.start();
        let mut richest = None;
        for candidate in candidates {
            let credit = &mut self.credit[candidate.id.index()];
            *credit = (*credit).clamp(*bounds.start(), *bounds.end()) + i64::from(candidate.weight);
            if richest.is_none_or(|(_, most)| *credit > most) {
                richest = Some((candidate.id, *credit));
            }
        }
        let (picked, _) = richest?;
        self.credit[picked.index()] -= total;
        Some(picked)
    }
}

/// Between picks of the same candidates, no credit is outside of these bounds. One that is dates from heavier company:
/// without the bounds, a backend that had paid for a heavy neighbour which then died would starve until it had earned
/// all that back, and one that had been about to be picked would be picked many times in a row.
fn bounds<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> RangeInclusive<i64> {
    let (n, total) = candidates.fold((0u32, 0), |(n, total), candidate| (n + 1, total + i64::from(candidate.weight)));
    // Below: only the richest pays, and it has something. Above: this is the game of filling n cups with one unit a
    // turn and emptying one unit from the fullest; none ever holds more than 1 + 1/2 + … + 1/(n-1), which is less than
    // the number of bits of n.
    let bits = u32::BITS - n.leading_zeros();
    -total..=total * i64::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lb::tests::{counts, weighted};
    use proptest::prelude::*;

    fn picks(balancer: &mut Weighted, candidates: &[Candidate], n: usize) -> Vec<u16> {
        (0..n).filter_map(|_| balancer.pick(candidates)).map(|id| id.0).collect()
    }

    #[test]
    fn the_order_is_that_of_nginx() {
        const CASES: &[(&[u32], &[u16])] = &[
            (&[1], &[0, 0]),
            (&[1, 1, 1], &[0, 1, 2, 0, 1, 2]),
            (&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0]),
            (&[1, 2, 3], &[2, 1, 0, 2, 1, 2, 2, 1, 0, 2, 1, 2]),
            (&[100, 200, 300], &[2, 1, 0, 2, 1, 2]),
        ];
        for (weights, expected) in CASES {
            assert_eq!(picks(&mut Weighted::new(), &weighted(weights), expected.len()), *expected, "{weights:?}");
        }
    }

    #[test]
    fn sixty_picks_of_one_two_three_are_ten_twenty_thirty_and_smooth() {
        let picks = picks(&mut Weighted::new(), &weighted(&[1, 2, 3]), 60);
        assert_eq!(counts(&picks), [(0, 10), (1, 20), (2, 30)].into());
        let longest = picks.chunk_by(|a, b| a == b).map(<[u16]>::len).max();
        assert_eq!(longest, Some(2), "the heaviest is half of all: twice in a row where one round meets the next");
    }

    #[test]
    fn a_heavy_neighbour_that_died_leaves_no_debt() {
        let mut balancer = Weighted::new();
        let mut candidates = weighted(&[1, 1, 1000]);
        while balancer.pick(&candidates) != Some(BackendId(0)) {}
        candidates.pop();
        assert_eq!(counts(&picks(&mut balancer, &candidates, 10)), [(0, 4), (1, 6)].into());
    }

    #[test]
    fn a_weight_that_fell_leaves_no_fortune() {
        let mut balancer = Weighted::new();
        while balancer.pick(&weighted(&[1000, 1, 1])) != Some(BackendId(1)) {}
        assert!(balancer.credit[0] > 300, "{balancer:?}");
        let picks = picks(&mut balancer, &weighted(&[1, 1, 1]), 30);
        assert!(counts(&picks).values().all(|n| (8..=12).contains(n)), "{picks:?}");
    }

    #[test]
    fn memory_is_taken_once() {
        let mut balancer = Weighted::new();
        let candidates = weighted(&[3, 2, 1]);
        let _ = balancer.pick(&candidates);
        let taken = balancer.credit.capacity();
        picks(&mut balancer, &candidates, 100);
        picks(&mut balancer, &candidates[..1], 100);
        assert_eq!(balancer.credit.capacity(), taken);
    }

    proptest! {
        #[test]
        fn every_round_is_exact_and_leaves_nothing(weights in prop::collection::vec(1u32..50, 1..12)) {
            let mut balancer = Weighted::new();
            let total: u32 = weights.iter().sum();
            let picks = picks(&mut balancer, &weighted(&weights), total as usize);
            let counts = counts(&picks);
            for (id, weight) in (0u16..).zip(&weights) {
                prop_assert_eq!(counts.get(&id).copied(), Some(*weight as usize));
            }
            prop_assert!(balancer.credit.iter().all(|credit| *credit == 0));
        }

        #[test]
        fn the_bounds_change_nothing_while_the_candidates_stay(weights in prop::collection::vec(1u32..1000, 1..12)) {
            let (mut balancer, candidates) = (Weighted::new(), weighted(&weights));
            let bounds = bounds(candidates.iter());
            for _ in 0..300 {
                let _ = balancer.pick(&candidates);
                prop_assert!(balancer.credit.iter().all(|credit| bounds.contains(credit)));
            }
        }
    }
}
