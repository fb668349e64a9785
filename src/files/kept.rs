//! Files that were found a moment ago, by the path that led to them: the next request for one is answered on the event loop, without a
//! thread that looks.
//!
//! Each event loop has its own, so that its lock is nearly always free. An entry lives for `--keep` (a second) from the moment on when the
//! file was *looked at*: for so long a change may go unnoticed, and a file that was removed keeps its space on the disk. Bytes that are sent
//! from an open file are the exception, because their tag has to be theirs: they are not found once the file has changed ([`super::stamp`]). A file that was
//! changed less than two seconds before is not kept at all, because another change might not show ([`super::version`]): someone who
//! saves a file and reloads the page sees it.
//!
//! There is no order of use and nothing is thrown out for another: when it is full, what comes later is not kept, and a second later
//! there is room again.

use super::found::Found;
use crate::time::Instant;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Files per event loop. A page has a few dozen, a site's most wanted a few hundred.
pub(super) const MAX_FILES: usize = 1024;

/// Descriptors that these may keep open per event loop; they are set aside from those for clients.
pub(super) const MAX_DESCRIPTORS: usize = 256;

/// Bytes of content that these may keep in memory, per event loop.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Files by the paths of requests, as these were written.
#[derive(Debug)]
pub struct Kept {
    keep: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    files: HashMap<Box<str>, Arc<Found>>,
    descriptors: usize,
    bytes: usize,
}

impl Kept {
    /// Files are kept for so long; for no time, none is.
    #[must_use]
    pub fn new(keep: Duration) -> Self {
        Self { keep, inner: Mutex::default() }
    }

    /// The file that a path led to a moment ago.
    pub(super) fn find(&self, path: &str, now: Instant) -> Option<Arc<Found>> {
        let found = self.inner().files.get(path).filter(|found| self.is_fresh(found, now)).cloned();
        found.filter(|found| found.is_current())
    }

    /// A path has led to `found`.
    pub(super) fn keep(&self, path: &str, found: &Arc<Found>, now: Instant) {
        if !found.is_settled() || !self.is_fresh(found, now) {
            return;
        }
        let mut inner = self.inner();
        if !inner.has_room(found) {
            inner.expire(|found| self.is_fresh(found, now));
        }
        if inner.has_room(found) {
            inner.descriptors += found.descriptors();
            inner.bytes += found.kept();
            if let Some(old) = inner.files.insert(path.into(), Arc::clone(found)) {
                inner.forget(&old);
            }
        }
    }

    /// Lets go of what is too old. Whether nothing is left.
    pub fn expire(&self, now: Instant) -> bool {
        let mut inner = self.inner();
        inner.expire(|found| self.is_fresh(found, now));
        inner.files.is_empty()
    }

    fn is_fresh(&self, found: &Found, now: Instant) -> bool {
        now.saturating_duration_since(found.looked().instant) < self.keep
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_room(&self, found: &Found) -> bool {
        self.files.len() < MAX_FILES
            && self.descriptors + found.descriptors() <= MAX_DESCRIPTORS
            && self.bytes + found.kept() <= MAX_BYTES
    }

    fn expire(&mut self, is_fresh: impl Fn(&Found) -> bool) {
        self.files.retain(|_, found| is_fresh(found));
        self.descriptors = self.files.values().map(|found| found.descriptors()).sum();
        self.bytes = self.files.values().map(|found| found.kept()).sum();
    }

    fn forget(&mut self, found: &Found) {
        self.descriptors = self.descriptors.saturating_sub(found.descriptors());
        self.bytes = self.bytes.saturating_sub(found.kept());
    }
}

#[cfg(test)]
mod tests {
    use super::{super::found::testing::*, *};
    use crate::time::Now;

    const KEEP: Duration = Duration::from_secs(1);

    fn kept() -> (Kept, Now, Arc<Found>) {
        let now = now();
        (Kept::new(KEEP), now, Arc::new(found(&[], false, now)))
    }

    #[test]
    fn a_file_is_kept_from_the_moment_on_when_it_was_looked_at() {
        let (kept, now, file) = kept();
        let late = now.instant + KEEP - Duration::from_millis(1);
        kept.keep("/a", &file, late);
        assert!(kept.find("/a", late).is_some() && kept.find("/b", late).is_none());
        assert!(kept.find("/a", now.instant + KEEP).is_none());
        assert!(!kept.expire(late) && kept.expire(now.instant + KEEP));
        kept.keep("/a", &file, now.instant + KEEP);
        assert!(kept.expire(late), "it took as long to look as it may be kept");
    }

    #[test]
    fn a_file_of_which_a_change_might_not_show_is_not_kept() {
        let (kept, now, _) = kept();
        let facts = facts(now);
        let looked = |wall| Now { instant: now.instant, wall };
        for (age, keeps) in [(Duration::from_millis(1999), false), (Duration::from_secs(2), true)] {
            let then = looked(facts.modified + age);
            let version = found(&[], false, now);
            let file = Found::new(version.into_plain(), [None, None, None], false, facts, then);
            kept.keep("/a", &Arc::new(file), now.instant);
            assert_eq!(kept.find("/a", now.instant).is_some(), keeps, "{age:?}");
        }
    }

    #[test]
    fn no_time_keeps_nothing() {
        let (_, now, file) = kept();
        let kept = Kept::new(Duration::ZERO);
        kept.keep("/a", &file, now.instant);
        assert!(kept.find("/a", now.instant).is_none() && kept.expire(now.instant));
    }

    #[test]
    fn a_file_that_comes_when_it_is_full_is_not_kept_and_there_is_room_again_later() {
        let (kept, now, file) = kept();
        for number in 0..=MAX_FILES {
            kept.keep(&format!("/{number}"), &file, now.instant);
        }
        assert!(kept.find(&format!("/{}", MAX_FILES - 1), now.instant).is_some());
        assert!(kept.find(&format!("/{MAX_FILES}"), now.instant).is_none());
        let later = now.after(KEEP);
        let file = Arc::new(found(&[], false, later));
        kept.keep("/new", &file, later.instant);
        assert!(kept.find("/new", later.instant).is_some() && kept.find("/0", later.instant).is_none());
        let inner = kept.inner();
        assert_eq!((inner.files.len(), inner.bytes), (1, CONTENT.len()));
    }
}
