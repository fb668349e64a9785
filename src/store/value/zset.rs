//! A sorted set: members with scores, found by name, by score and by rank.
//!
//! ```text
//!   scores   member ─▶ score                        a table: ZSCORE
//!   order    [(1 a) (2 b) …] [(7 k) (7 l) …] …      blocks of pairs in order: ZRANGE, ZRANK
//! ```
//!
//! A block holds at most [`BLOCK`] pairs and is split in halves when it is full. To find a rank, the lengths of the blocks before it are
//! added up: a million members are two thousand blocks, and adding two thousand numbers takes a microsecond. The original has a skip list
//! for this; blocks are simpler and their pairs lie side by side.

use super::{ALLOCATION, Encodings};
use indexmap::IndexMap;
use std::{cmp::Ordering, rc::Rc};

/// Pairs of one block at most.
const BLOCK: usize = 512;

/// Memory of one member besides its bytes: its pair, its place in the table, and the counts of its one allocation.
const MEMBER: usize = 32 + 40 + 16 + ALLOCATION;

/// A member and its score, as they are ordered.
#[derive(Debug, Clone)]
struct Pair {
    score: f64,
    member: Rc<[u8]>,
}

impl Pair {
    fn cmp(&self, score: f64, member: &[u8]) -> Ordering {
        self.score.total_cmp(&score).then_with(|| (*self.member).cmp(member))
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ZSet {
    scores: IndexMap<Rc<[u8]>, f64>,
    order: Vec<Vec<Pair>>,
    bytes: usize,
    /// The longest member that is new since it was last settled. `None`: none is.
    longest: Option<usize>,
    is_large: bool,
}

/// The effect of giving a member a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    New,
    Moved,
    Same,
}

impl ZSet {
    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    pub(super) fn weight(&self) -> usize {
        self.bytes
    }

    pub(super) fn encoding(&self) -> &'static str {
        if self.is_large { "skiplist" } else { "listpack" }
    }

    /// Whether a scan tells all of it at once, as the original does for what is small.
    pub(crate) fn is_small(&self) -> bool {
        !self.is_large
    }

    /// The original makes a table of a small one for some commands, and leaves it so.
    pub(crate) fn enlarge(&mut self) {
        self.is_large = true;
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// The member at a place, as it happens to be.
    pub(crate) fn nth(&self, index: usize) -> Option<(&[u8], f64)> {
        self.scores.get_index(index).map(|(member, score)| (&**member, *score))
    }

    /// Gives a member this score, which is a number.
    pub(crate) fn add(&mut self, member: &[u8], score: f64) -> Added {
        // There is one zero: two would be in an order.
        let score = if score == 0.0 { 0.0 } else { score };
        if let Some((place, _, old)) = self.scores.get_full_mut(member) {
            if *old == score {
                return Added::Same;
            }
            let before = std::mem::replace(old, score);
            let name = self.scores.get_index(place).map(|(name, _)| Rc::clone(name));
            self.take(before, member);
            name.into_iter().for_each(|member| self.put(Pair { score, member }));
            return Added::Moved;
        }
        self.longest = self.longest.max(Some(member.len()));
        let name: Rc<[u8]> = member.into();
        self.scores.insert(Rc::clone(&name), score);
        self.put(Pair { score, member: name });
        self.bytes += member.len() + MEMBER;
        Added::New
    }

    pub(super) fn settle(&mut self, encodings: &Encodings) {
        if let Some(longest) = self.longest.take() {
            self.is_large |= !encodings.is_small_zset(self.scores.len(), longest);
        }
    }

    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.scores.swap_remove(member)?;
        self.take(score, member);
        self.bytes -= member.len() + MEMBER;
        if self.scores.len() * 4 < self.scores.capacity() {
            self.scores.shrink_to(self.scores.len() * 2);
        }
        Some(score)
    }

    /// The block in which a pair is, or would be.
    fn block(&self, score: f64, member: &[u8]) -> usize {
        let is_before = |block: &Vec<Pair>| block.last().is_some_and(|last| last.cmp(score, member).is_lt());
        self.order.partition_point(is_before)
    }

    fn put(&mut self, pair: Pair) {
        if self.order.is_empty() {
            self.order.push(Vec::new());
        }
        let index = self.block(pair.score, &pair.member).min(self.order.len() - 1);
        let block = &mut self.order[index];
        let place = block.partition_point(|other| other.cmp(pair.score, &pair.member).is_lt());
        block.insert(place, pair);
        if block.len() > BLOCK {
            let rest = block.split_off(BLOCK / 2);
            self.order.insert(index + 1, rest);
        }
    }

    fn take(&mut self, score: f64, member: &[u8]) {
        let index = self.block(score, member);
        let Some(block) = self.order.get_mut(index) else { return };
        let place = block.partition_point(|other| other.cmp(score, member).is_lt());
        if place < block.len() {
            block.remove(place);
        }
        if block.is_empty() {
            self.order.remove(index);
        } else if block.len() < BLOCK / 4 && self.order.get(index + 1).is_some_and(|next| next.len() < BLOCK / 4) {
            let next = self.order.remove(index + 1);
            self.order[index].extend(next);
        }
    }

    /// How many pairs are before the first one that is not `before`. Such pairs are the first ones in order.
    pub(crate) fn count_before(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        let is_before = |pair: &Pair| before(pair.score, &pair.member);
        let index = self.order.partition_point(|block| block.last().is_some_and(is_before));
        let full: usize = self.order[..index].iter().map(Vec::len).sum();
        full + self.order.get(index).map_or(0, |block| block.partition_point(is_before))
    }

    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.count_before(|other, name| other.total_cmp(&score).then_with(|| name.cmp(member)).is_lt()))
    }

    /// Members in order, from one rank on.
    pub(crate) fn by_rank(&self, rank: usize) -> impl Iterator<Item = (&[u8], f64)> {
        let (mut index, mut left) = (0, rank);
        while let Some(block) = self.order.get(index)
            && left >= block.len()
        {
            left -= block.len();
            index += 1;
        }
        self.order[index..].iter().flatten().skip(left).map(|pair| (&*pair.member, pair.score))
    }

    /// The same from the highest rank down, beginning with the one that has so many above it.
    pub(crate) fn by_rank_down(&self, above: usize) -> impl Iterator<Item = (&[u8], f64)> {
        let (mut end, mut left) = (self.order.len(), above);
        while end > 0 && left >= self.order[end - 1].len() {
            left -= self.order[end - 1].len();
            end -= 1;
        }
        self.order[..end]
            .iter()
            .rev()
            .flat_map(|block| block.iter().rev())
            .skip(left)
            .map(|pair| (&*pair.member, pair.score))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.by_rank(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against a list that is sorted anew each time.
        #[test]
        fn behaves_as_a_sorted_list(steps in prop::collection::vec((0..3u8, 0..900u32, -40..40i32), 0..3000)) {
            let (mut zset, mut model) = (ZSet::default(), BTreeMap::new());
            for (what, name, score) in steps {
                let member = name.to_string().into_bytes();
                if what == 0 {
                    prop_assert_eq!(zset.remove(&member), model.remove(&member));
                } else {
                    let score = f64::from(score);
                    let expected = match model.insert(member.clone(), score) {
                        None => Added::New,
                        Some(old) if old == score => Added::Same,
                        Some(_) => Added::Moved,
                    };
                    prop_assert_eq!(zset.add(&member, score), expected);
                }
            }
            let mut sorted: Vec<(f64, Vec<u8>)> = model.iter().map(|(member, score)| (*score, member.clone())).collect();
            sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let found: Vec<(f64, Vec<u8>)> = zset.iter().map(|(member, score)| (score, member.to_vec())).collect();
            prop_assert_eq!(&found, &sorted);
            let down: Vec<Vec<u8>> = zset.by_rank_down(0).map(|(member, _)| member.to_vec()).collect();
            prop_assert!(down.iter().eq(sorted.iter().rev().map(|(_, member)| member)));
            for (rank, (_, member)) in sorted.iter().enumerate() {
                prop_assert_eq!(zset.rank(member), Some(rank));
                prop_assert_eq!(zset.by_rank(rank).next().map(|(name, _)| name), Some(&**member));
            }
            let bytes: usize = sorted.iter().map(|(_, member)| member.len() + MEMBER).sum();
            prop_assert_eq!(zset.weight(), bytes);
        }
    }
}
