//! Remembers which responses were declared untrue while they were on their way: by an unsafe request, or by the
//! operator. They must not be stored then, for the backend may have made them before.
//!
//! There is no list of all responses that are on their way. Instead, each fetch takes a [`Mark`] at its start, and asks
//! at its end whether something was cut since. A wrong yes costs only a miss, so the counts may be coarse: URIs in
//! buckets, and the last few patterns of the operator.

use super::Entry;
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

/// Counters that URIs share. Few enough to be small, many enough that a busy API does not cut what is fetched beside it.
const BUCKETS: usize = 4096;

/// Patterns that are remembered. A fetch during which there were more than that is not stored.
const RECENT: usize = 64;

/// A moment, as far as one URI is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    uri: u32,
    pattern: u64,
}

/// Whether a response is among those that were declared untrue.
type Pattern = Box<dyn Fn(&Entry) -> bool + Send + Sync>;

/// The cuts so far.
pub(super) struct Cuts {
    by_uri: Box<[AtomicU32]>,
    /// How many patterns there were.
    patterns: AtomicU64,
    /// The last of them, with their numbers from 1.
    recent: Mutex<VecDeque<(u64, Pattern)>>,
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

    fn recent(&self) -> MutexGuard<'_, VecDeque<(u64, Pattern)>> {
        // No code that can panic runs under the lock, so a poisoned one is still in order.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Responses fetched for the URI until now are untrue. To be called before entries are taken out: then an insertion
    /// at the same time either sees the cut, or its entry is taken out.
    pub(super) fn cut(&self, hash: u64) {
        self.of(hash).fetch_add(1, Relaxed);
    }

    /// The same for every response that `matches`.
    pub(super) fn cut_all(&self, matches: impl Fn(&Entry) -> bool + Send + Sync + 'static) {
        let mut recent = self.recent();
        let number = self.patterns.fetch_add(1, Relaxed) + 1;
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back((number, Box::new(matches)));
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
        forgotten || recent.iter().any(|(number, matches)| *number > mark.pattern && matches(entry))
    }
}

impl fmt::Debug for Cuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cuts").field("patterns", &self.patterns).finish_non_exhaustive()
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
    fn a_cut_since_the_mark_is_noticed() {
        let cuts = Cuts::new();
        let (here, there) = (entry("/here", 1 << 40), entry("/there", 2 << 40));
        let under = |start: &'static str| move |entry: &Entry| entry.key.uri().path.starts_with(start);
        cuts.cut(here.hash);
        cuts.cut_all(|_| true);
        let mark = |cuts: &Cuts| (cuts.mark(here.hash), cuts.mark(there.hash));
        let begun = mark(&cuts);
        assert!(!cuts.has_cut(begun.0, &here) && !cuts.has_cut(begun.1, &there), "that was before");
        cuts.cut(here.hash);
        assert!(cuts.has_cut(begun.0, &here) && !cuts.has_cut(begun.1, &there));
        let begun = mark(&cuts);
        cuts.cut_all(under("/there"));
        assert!(!cuts.has_cut(begun.0, &here) && cuts.has_cut(begun.1, &there));
        assert!(!cuts.has_cut(mark(&cuts).1, &there));
    }

    /// If the answer is not known any more, it is "cut".
    #[test]
    fn patterns_are_forgotten_on_the_safe_side() {
        let cuts = Cuts::new();
        let here = entry("/here", 0);
        let begun = cuts.mark(here.hash);
        let elsewhere = |entry: &Entry| entry.key.uri().path == "/elsewhere";
        for n in 1..=RECENT {
            cuts.cut_all(elsewhere);
            assert!(!cuts.has_cut(begun, &here), "after {n}");
        }
        cuts.cut_all(elsewhere);
        assert!(cuts.has_cut(begun, &here));
        assert_eq!(cuts.recent().len(), RECENT);
    }
}
