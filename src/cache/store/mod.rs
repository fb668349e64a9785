//! Stored responses, found by key, bounded in bytes.
//!
//! ```text
//!   key ── hash ──▶ shard ── lock ──▶ index ──▶ slab ──▶ Arc<Entry>      unlock, then: which variant, is it fresh
//! ```
//!
//! The lock of a shard guards a few words and is held for a few dozen nanoseconds: a look-up takes references away and
//! judges them outside. No lock is ever taken while one of these is held. Bodies are shared: a hit costs one count of
//! references.
//!
//! # Memory
//!
//! All memory of an entry is counted ([`Entry::cost`]), and so are responses that are still arriving, and those that
//! are still being read although they are not stored any more (`held.rs`). Over the limit the oldest entry goes of one
//! shard after the other, but for those that were used since they last were the oldest: as keys are spread evenly, the
//! ends of the lists are about equally old. Entries that are stale and can neither be validated nor be served go
//! earlier: when a look-up meets them, or an insertion, which looks at a few places of the slab. Nothing ever looks at
//! all of them.

mod budget;
mod cuts;
mod entry;
mod held;
mod shard;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
mod types;

pub use cuts::Mark;
pub use entry::Entry;
pub(super) use shard::ByHash;
pub use types::{Candidates, Found, Limits, Stats};

pub use super::key::Place;
use super::{
    key::{Seed, Uri},
    mail::Mail,
};
use crate::time::Instant;
use cuts::Cuts;
use held::Budget;
use shard::Shard;
use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// Places looked at for useless entries on each insertion: with two, a slab is swept at least once while it is replaced.
const SWEPT: usize = 2;

/// Places of a slab that a walk looks at under one lock.
const WALKED: usize = 128;

/// Keys per shard whose answers are remembered to be uncacheable. When there are more, the rest is not remembered.
const UNCACHEABLE_MAX: usize = 256;

/// Where a walk over all entries stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Walk {
    shard: usize,
    slot: usize,
}

/// All stored responses of a proxy, shared by its workers.
#[derive(Debug)]
pub struct Store {
    seed: Seed,
    shards: Box<[Apart<Mutex<Shard>>]>,
    limits: Limits,
    /// Written whenever something comes or goes: a hit, which does neither, must not wait for it.
    budget: Arc<Budget>,
    counts: Apart<Counts>,
    cuts: Cuts,
    mail: Mail,
}

#[derive(Debug, Default)]
struct Counts {
    /// Which shard gives something up next.
    cursor: AtomicUsize,
    stored: AtomicU64,
    evicted: AtomicU64,
    expired: AtomicU64,
}

/// In lines of memory of its own: two of them, as processors fetch neighbours along. A write of one worker there throws
/// nothing else out of the caches of the others.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(T);

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Store {
    /// An empty store of `shards` shards (rounded up to a power of two). `mail` reaches exchanges that wait for
    /// fetches; `seed` is what no client may know.
    #[must_use]
    pub fn new(limits: Limits, shards: usize, seed: Seed, mail: Mail) -> Self {
        Self {
            seed,
            shards: std::iter::repeat_with(Apart::default).take(shards.next_power_of_two()).collect(),
            limits: Limits { object: limits.object.min(limits.bytes / 2), ..limits },
            budget: Arc::default(),
            counts: Apart::default(),
            cuts: Cuts::new(),
            mail,
        }
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The mail by which waiting exchanges hear of progress.
    #[must_use]
    pub fn mail(&self) -> &Mail {
        &self.mail
    }

    /// Where a URI is kept.
    #[must_use]
    pub fn place<'a>(&self, uri: Uri<'a>) -> Place<'a> {
        Place { uri, hash: uri.hash(self.seed) }
    }

    /// The responses stored for a URI. The caller has to [`Entry::touch`] the one that it uses.
    #[must_use]
    pub fn look_up(&self, place: Place<'_>, now: Instant) -> Found {
        let mut useless = None;
        let mut shard = self.shard(place.hash);
        let mut found = Found { stamp: shard.stamp, ..Found::default() };
        let mut first = None;
        for (slot, entry) in shard.of(place) {
            first = first.or(Some(slot));
            found.entries.push(entry.clone());
        }
        if let (Some(slot), Candidates::One(entry)) = (first, &found.entries)
            && entry.is_useless(now)
        {
            useless = shard.remove(slot);
            found.entries = Candidates::None;
        }
        found.uncacheable =
            !shard.uncacheable.is_empty() && shard.uncacheable.get(&place.hash).is_some_and(|until| *until > now);
        drop(shard);
        self.expired(useless.as_slice());
        found
    }

    /// The same, for the operator: also what is of no use any more.
    #[must_use]
    pub fn peek(&self, place: Place<'_>) -> Vec<Arc<Entry>> {
        self.shard(place.hash).of(place).map(|(_, entry)| entry.clone()).collect()
    }

    /// Whether something was stored beside this URI since the look-up that `found` this.
    pub(super) fn has_changed(&self, place: Place<'_>, found: &Found) -> bool {
        self.shard(place.hash).stamp != found.stamp
    }

    /// The secret seed of hashes, which no client may know.
    pub(super) fn seed(&self) -> Seed {
        self.seed
    }

    /// Remembers for a while that no request need wait for an answer to this URI.
    pub fn note_uncacheable(&self, place: Place<'_>, now: Instant) {
        let mut shard = self.shard(place.hash);
        if shard.uncacheable.len() >= UNCACHEABLE_MAX {
            shard.uncacheable.retain(|_, until| *until > now);
        }
        if shard.uncacheable.len() < UNCACHEABLE_MAX {
            shard.uncacheable.insert(place.hash, now + self.limits.uncacheable_for);
        }
    }

    /// Puts an entry in, in the place of the one that it `replaces`, if there is one. `Err`: there is no room for it.
    pub fn insert(
        &self,
        entry: Entry,
        now: Instant,
        replaces: impl Fn(&Entry, &Entry) -> bool,
    ) -> Result<Arc<Entry>, Arc<Entry>> {
        let entry = self.admit(entry)?;
        let mut out = Vec::new();
        let mut shard = self.shard(entry.hash);
        shard.uncacheable.remove(&entry.hash);
        let (mut place, mut last, mut variants) = (None, None, 0);
        for (slot, other) in shard.of(entry.place()) {
            variants += 1;
            last = Some(slot);
            if replaces(&entry, other) {
                place = Some(slot);
                break;
            }
        }
        match (place, last) {
            (Some(slot), _) => out.extend(shard.exchange(slot, entry.clone())),
            (None, last) => {
                if let Some(last) = last.filter(|_| variants >= self.limits.variants) {
                    out.extend(shard.remove(last));
                }
                shard.insert(entry.clone());
            }
        }
        let replaced = out.len();
        shard.sweep(SWEPT, now, &mut out);
        // Entries that have left are freed outside of the lock.
        drop(shard);
        self.counts.stored.fetch_add(1, Relaxed);
        self.budget.came(entry.cost());
        let (replaced, useless) = out.split_at(replaced);
        self.left(replaced);
        self.expired(useless);
        Ok(entry)
    }

    /// Puts `new` in the place of `old`. `Err`: `old` is gone, or there is no room.
    pub fn replace(&self, old: &Arc<Entry>, new: Entry) -> Result<Arc<Entry>, Arc<Entry>> {
        let new = self.admit(new)?;
        let mut shard = self.shard(old.hash);
        let replaced = shard.slot_of(old).and_then(|slot| shard.exchange(slot, new.clone()));
        drop(shard);
        if let Some(old) = replaced {
            self.budget.came(new.cost());
            self.budget.left(old.cost());
            Ok(new)
        } else {
            Err(new)
        }
    }

    /// Takes out everything stored for a URI, and lets nothing in that was fetched for it until now. How many entries that were.
    /// Requests that come later may still follow a fetch under way: [`Flights::remove`](super::Flights::remove) stops that, too.
    pub fn remove(&self, place: Place<'_>) -> usize {
        self.cuts.cut(place.hash);
        let mut out = Vec::new();
        let mut shard = self.shard(place.hash);
        loop {
            let first = shard.of(place).next().map(|(slot, _)| slot);
            let Some(slot) = first else { break };
            out.extend(shard.remove(slot));
        }
        drop(shard);
        self.left(&out);
        out.len()
    }

    /// Responses fetched for this URI until now are not to be stored.
    pub(super) fn cut(&self, place: Place<'_>) {
        self.cuts.cut(place.hash);
    }

    /// The same for every response that `matches`.
    pub(super) fn cut_all(&self, matches: impl Fn(&Entry) -> bool + Send + Sync + 'static) {
        self.cuts.cut_all(matches);
    }

    /// Now, as far as a fetch of this URI is concerned.
    pub(super) fn mark(&self, hash: u64) -> Mark {
        self.cuts.mark(hash)
    }

    /// Takes an entry out again that was fetched since `mark`, if it was cut meanwhile. Whether it was.
    pub(super) fn withdraw(&self, mark: Mark, entry: &Arc<Entry>) -> bool {
        let cut = self.cuts.has_cut(mark, entry);
        if cut {
            self.remove_entry(entry);
        }
        cut
    }

    /// Whether an entry that was fetched since `mark` was cut meanwhile.
    #[must_use]
    pub fn was_cut(&self, mark: Mark, entry: &Entry) -> bool {
        self.cuts.has_cut(mark, entry)
    }

    /// Takes out one entry. `false`: it was not there any more.
    pub fn remove_entry(&self, entry: &Arc<Entry>) -> bool {
        let mut shard = self.shard(entry.hash);
        let removed = shard.slot_of(entry).and_then(|slot| shard.remove(slot));
        drop(shard);
        self.left(removed.as_slice());
        removed.is_some()
    }

    /// Shows `see` the entries of the next few places; `false`: that were all. No lock is held while `see` runs. Entries
    /// that are stored or moved meanwhile may be missed.
    pub fn walk(&self, walk: &mut Walk, mut see: impl FnMut(&Arc<Entry>)) -> bool {
        let Some(shard) = self.shards.get(walk.shard) else { return false };
        let mut entries = Vec::new();
        let next = lock(shard).walk(walk.slot, WALKED, |_, entry| entries.push(entry.clone()));
        match next {
            Some(slot) => walk.slot = slot,
            None => *walk = Walk { shard: walk.shard + 1, slot: 0 },
        }
        entries.iter().for_each(&mut see);
        true
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[self.shard_of(hash)])
    }

    fn shard_of(&self, hash: u64) -> usize {
        // Bits that the map inside does not use: it takes the low ones for the place and the high ones for its tags.
        (hash >> 32) as usize & (self.shards.len() - 1)
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // No code that can panic runs under the lock, so a poisoned one is still in order.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
