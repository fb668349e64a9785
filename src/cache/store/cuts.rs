//! What was declared untrue while a response was on its way: by an unsafe request, or by the operator. It must not be
//! stored then, for the backend may have made it before.
//!
//! Nobody keeps a list of all that is on its way. Whoever starts a fetch takes a [`Mark`], and asks at its end whether
//! something was cut since. A wrong yes costs a miss, so what is counted may be coarse: URIs in buckets, and the last few
//! patterns of the operator.

use super::Entry;
use crate::cache::purge::Purge;
use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

/// Counters that URIs share. Few enough to be small, many enough that a busy API does not cut what is fetched beside it.
const BUCKETS: usize = 4096;

/// Patterns that are remembered. Whoever purges more than that during one fetch loses it.
const RECENT: usize = 64;

/// A moment, as far as one URI is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) struct Mark {
    uri: u32,
    pattern: u64,
}

/// What was cut, and when.
#[derive(Debug)]
pub(super) struct Cuts {
    by_uri: Box<[AtomicU32]>,
    /// How many patterns there were.
    patterns: AtomicU64,
    /// The last of them, with their numbers from 1.
    recent: Mutex<VecDeque<(u64, Purge)>>,
}

impl Cuts {
    pub(super) fn new() -> Self {
        Self {
            by_uri: std::iter::repeat_with(AtomicU32::default).take(BUCKETS).collect(),
            patterns: AtomicU64::new(0),
            recent: Mutex::default(),
        }
    }

    fn of(&self, hash: u64) -> &AtomicU32 {
        // Other bits than those that choose the shard.
        &self.by_uri[(hash >> 40) as usize % BUCKETS]
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<(u64, Purge)>> {
        // No code that can panic runs under the lock, so a poisoned one is still in order.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was fetched for the URI until now is untrue. To be called before entries are taken out: then whoever puts one
    /// in either sees this, or is seen.
    pub(super) fn cut(&self, hash: u64) {
        self.of(hash).fetch_add(1, Relaxed);
    }

    /// The same for all that match.
    pub(super) fn cut_all(&self, what: &Purge) {
        let mut recent = self.recent();
        let number = self.patterns.fetch_add(1, Relaxed) + 1;
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back((number, what.clone()));
    }

    pub(super) fn mark(&self, hash: u64) -> Mark {
        Mark { uri: self.of(hash).load(Relaxed), pattern: self.patterns.load(Relaxed) }
    }

    /// Whether the entry, fetched since `mark`, is untrue.
    pub(super) fn has_cut(&self, mark: Mark, entry: &Entry) -> bool {
        if self.of(entry.hash).load(Relaxed) != mark.uri {
            return true;
        }
        if self.patterns.load(Relaxed) == mark.pattern {
            return false;
        }
        let recent = self.recent();
        let forgotten = recent.front().is_none_or(|(number, _)| *number > mark.pattern + 1);
        forgotten || recent.iter().any(|(number, what)| *number > mark.pattern && what.matches(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cache::{key::Uri, testing},
        http::target::Scheme,
    };

    fn entry(path: &str, hash: u64) -> Entry {
        let key = Uri { scheme: Scheme::Http, authority: "a", path, query: None }.to_key();
        Entry::new(key, hash, testing::stored(&[], ""))
    }

    #[test]
    fn what_was_cut_since_the_mark() {
        let cuts = Cuts::new();
        let (here, there) = (entry("/here", 1 << 40), entry("/there", 2 << 40));
        let prefix = |text: &str| Purge::prefix(text).unwrap();
        cuts.cut(here.hash);
        cuts.cut_all(&Purge::All);
        let mark = |cuts: &Cuts| (cuts.mark(here.hash), cuts.mark(there.hash));
        let begun = mark(&cuts);
        assert!(!cuts.has_cut(begun.0, &here) && !cuts.has_cut(begun.1, &there), "that was before");
        cuts.cut(here.hash);
        assert!(cuts.has_cut(begun.0, &here) && !cuts.has_cut(begun.1, &there));
        let begun = mark(&cuts);
        cuts.cut_all(&prefix("/there"));
        assert!(!cuts.has_cut(begun.0, &here) && cuts.has_cut(begun.1, &there));
        assert!(!cuts.has_cut(mark(&cuts).1, &there));
    }

    /// What cannot be told is taken to be cut.
    #[test]
    fn patterns_are_forgotten_on_the_safe_side() {
        let cuts = Cuts::new();
        let here = entry("/here", 0);
        let begun = cuts.mark(here.hash);
        let elsewhere = Purge::prefix("/elsewhere").unwrap();
        for n in 1..=RECENT {
            cuts.cut_all(&elsewhere);
            assert!(!cuts.has_cut(begun, &here), "after {n}");
        }
        cuts.cut_all(&elsewhere);
        assert!(cuts.has_cut(begun, &here));
        assert_eq!(cuts.recent().len(), RECENT);
    }
}
