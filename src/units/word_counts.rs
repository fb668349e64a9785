//! How often each of some fixed words was counted, such as the reasons for which requests fail. A reader holds up no writer.

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Different words that can be counted: more than any kind of words has. Those beyond would be counted under [`OTHERS`].
const MOST: usize = 160;

/// The word that stands for those that found no place.
pub const OTHERS: &str = "others";

/// Counts by words. A word has a place from its first time on, and no place is ever given up: so nothing is locked.
#[derive(Debug)]
pub struct WordCounts {
    places: Box<[(OnceLock<&'static str>, AtomicU64)]>,
    others: AtomicU64,
}

impl Default for WordCounts {
    fn default() -> Self {
        Self { places: (0..MOST).map(|_| Default::default()).collect(), others: AtomicU64::new(0) }
    }
}

impl WordCounts {
    /// Counts `word` once more.
    pub fn count(&self, word: &'static str) {
        let place = self.places.iter().find(|(place, _)| *place.get_or_init(|| word) == word);
        place.map_or(&self.others, |(_, count)| count).fetch_add(1, Relaxed);
    }

    /// Adds all counts to `total`.
    pub fn add_to(&self, total: &mut BTreeMap<&'static str, u64>) {
        let counted = self.places.iter().map_while(|(word, count)| Some((*word.get()?, count)));
        for (word, count) in counted.chain([(OTHERS, &self.others)]) {
            let count = count.load(Relaxed);
            // None yet: its place was taken a moment ago.
            if count > 0 {
                *total.entry(word).or_default() += count;
            }
        }
    }

    /// The counts now.
    #[must_use]
    pub fn read(&self) -> BTreeMap<&'static str, u64> {
        let mut total = BTreeMap::new();
        self.add_to(&mut total);
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn words_are_counted_by_several_threads_and_those_without_a_place_together() {
        let counts = WordCounts::default();
        assert_eq!(counts.read(), BTreeMap::new());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|at| counts.count(["a", "b", "c"][at % 3])));
            }
        });
        assert_eq!(counts.read(), BTreeMap::from([("a", 1336), ("b", 1332), ("c", 1332)]));
        for number in 0..MOST {
            counts.count(format!("word {number}").leak());
        }
        let mut total = counts.read();
        assert_eq!((total.len(), total[OTHERS], total["word 0"]), (MOST + 1, 3, 1));
        counts.add_to(&mut total);
        assert_eq!((total["a"], total[OTHERS]), (2 * 1336, 6));
    }
}
