//! Which backends: an exact set of [`BackendId`]s, without a heap for the first 64.

use crate::backend::BackendId;

/// A set of backends: those that a request found full and waits for, those it has tried.
///
/// Ids are small and dense, so it is a bitmap. Up to 64 backends it lives in one word; a larger id allocates.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackendSet {
    first: u64,
    /// Ids from 64 on, 64 to a word. Missing words are empty.
    rest: Vec<u64>,
}

const WORD: usize = u64::BITS as usize;

impl BackendSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: 0, rest: Vec::new() }
    }

    /// Adds `id`; nothing happens if it is a member.
    pub fn insert(&mut self, id: BackendId) {
        let (word, bit) = (id.index() / WORD, 1 << (id.index() % WORD));
        if word == 0 {
            self.first |= bit;
            return;
        }
        if self.rest.len() < word {
            self.rest.resize(word, 0);
        }
        self.rest[word - 1] |= bit;
    }

    /// Takes `id` out; nothing happens if it is no member.
    pub fn remove(&mut self, id: BackendId) {
        let (word, bit) = (id.index() / WORD, 1 << (id.index() % WORD));
        if word == 0 {
            self.first &= !bit;
        } else if let Some(bits) = self.rest.get_mut(word - 1) {
            *bits &= !bit;
        }
    }

    /// Whether `id` is a member.
    #[must_use]
    pub fn contains(&self, id: BackendId) -> bool {
        self.word(id.index() / WORD) & (1 << (id.index() % WORD)) != 0
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words().all(|word| word == 0)
    }

    /// Whether every member is also one of `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words().enumerate().all(|(at, word)| word & !other.word(at) == 0)
    }

    /// The members, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = BackendId> + '_ {
        self.words().enumerate().flat_map(|(at, word)| Bits(word).map(move |bit| at * WORD + bit)).map(|index| {
            BackendId(u16::try_from(index).expect("only ids of 16 bits are inserted, so no higher bit is ever set"))
        })
    }

    fn word(&self, at: usize) -> u64 {
        match at.checked_sub(1) {
            None => self.first,
            Some(at) => self.rest.get(at).copied().unwrap_or(0),
        }
    }

    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }
}

impl FromIterator<BackendId> for BackendSet {
    fn from_iter<I: IntoIterator<Item = BackendId>>(ids: I) -> Self {
        let mut set = Self::new();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

/// Positions of the bits set in a word, from the lowest.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_first_64_need_no_heap() {
        let set: BackendSet = (0..64).map(BackendId).collect();
        assert_eq!(set.rest.capacity(), 0);
        assert!(set.contains(BackendId(63)) && !set.contains(BackendId(64)));
    }

    /// Around the borders of words.
    fn id() -> impl Strategy<Value = u16> {
        prop_oneof![0u16..70, Just(127), Just(128), Just(u16::MAX)]
    }

    proptest! {
        #[test]
        fn it_is_a_set(
            ops in prop::collection::vec((any::<bool>(), id()), 0..60),
            other in prop::collection::btree_set(0u16..70, 0..8),
        ) {
            let (mut set, mut model) = (BackendSet::new(), BTreeSet::new());
            for (insert, id) in ops {
                if insert {
                    set.insert(BackendId(id));
                    model.insert(id);
                } else {
                    set.remove(BackendId(id));
                    model.remove(&id);
                }
                prop_assert_eq!(set.contains(BackendId(id)), insert);
            }
            prop_assert!(set.iter().map(|id| id.0).eq(model.iter().copied()));
            prop_assert_eq!(set.is_empty(), model.is_empty());
            let bits: BackendSet = other.iter().copied().map(BackendId).collect();
            prop_assert_eq!(set.is_subset(&bits), model.is_subset(&other));
            prop_assert_eq!(bits.is_subset(&set), other.is_subset(&model));
        }
    }
}
