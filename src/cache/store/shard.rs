//! One shard: an index by hash, and the entries in a slab that is at once a list by age.
//!
//! ```text
//! index   hash ──▶ 7
//! slots   …  7: entry, next variant ──▶ 3 …      variants of one key (and colliding hashes) hang on each other
//!            newer ◀── 7 ──▶ older               every entry is in the list
//! ```
//!
//! A hit does not move its entry to the front of the list: that would write to two neighbours, which are anywhere in
//! memory, to prepare for an eviction that may never come. It leaves a mark ([`Entry::touch`]), and an entry that has
//! one when it is the oldest gets a second life at the front (CLOCK, as Corbató called it in 1968). An entry that was
//! not asked for again goes after one life.
//!
//! Nothing here allocates or frees a body: entries that leave are handed out, so that they are dropped after the lock.

use super::{Entry, Place};
use crate::time::Instant;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

/// No slot.
const NONE: u32 = u32::MAX;

/// Entries that get a second life in one eviction, under one lock. When more are in use than that, the shard is full of what
/// is in use, and one of these has to go.
pub(super) const SECOND_LIVES: usize = 16;

/// Keys come hashed, with a seed that no client knows.
#[derive(Debug, Default)]
pub(in crate::cache) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` is used; this keeps the contract for anything else.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A map by hashes.
pub(in crate::cache) type ByHash<V> = HashMap<u64, V, BuildHasherDefault<Hashed>>;

/// A place in the slab.
#[derive(Debug)]
struct Slot {
    /// `None`: free.
    entry: Option<Arc<Entry>>,
    /// The next entry of the same hash; of a free slot, the next free one.
    next: u32,
    newer: u32,
    older: u32,
}

/// An entry that fell out of a shard, to be dropped outside its lock.
type Dropped = Option<Arc<Entry>>;

/// The part of the store behind one lock.
#[derive(Debug)]
pub(super) struct Shard {
    index: ByHash<u32>,
    slots: Vec<Slot>,
    free: u32,
    newest: u32,
    oldest: u32,
    /// Where the search for useless entries goes on.
    hand: u32,
    pub(super) len: usize,
    /// How often an entry was put in: a request that looked in vain before may look again.
    pub(super) stamp: u64,
    /// URIs whose responses could not be stored lately, and until when that is remembered.
    pub(super) uncacheable: ByHash<Instant>,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            index: ByHash::default(),
            slots: Vec::new(),
            free: NONE,
            newest: NONE,
            oldest: NONE,
            hand: 0,
            len: 0,
            stamp: 0,
            uncacheable: ByHash::default(),
        }
    }
}

impl Shard {
    /// The entries of a key, by slot.
    pub(super) fn of<'a>(&'a self, place: Place<'a>) -> impl Iterator<Item = (u32, &'a Arc<Entry>)> {
        self.chain(place.hash).filter(move |(_, entry)| place.uri.is(&entry.key))
    }

    fn chain(&self, hash: u64) -> impl Iterator<Item = (u32, &Arc<Entry>)> {
        let mut at = self.index.get(&hash).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let slot = self.slots.get(at as usize)?;
            let here = at;
            at = slot.next;
            Some((here, slot.entry.as_ref()?))
        })
    }

    /// The slot that holds exactly this entry.
    pub(super) fn slot_of(&self, entry: &Arc<Entry>) -> Option<u32> {
        self.chain(entry.hash).find(|(_, other)| Arc::ptr_eq(entry, other)).map(|(slot, _)| slot)
    }

    /// Makes it the newest.
    fn renew(&mut self, slot: u32) {
        if self.newest != slot {
            self.unlink(slot);
            self.link(slot);
        }
    }

    /// Puts an entry in.
    pub(super) fn insert(&mut self, entry: Arc<Entry>) -> u32 {
        let hash = entry.hash;
        self.len += 1;
        self.stamp += 1;
        let next = self.index.get(&hash).copied().unwrap_or(NONE);
        let filled = Slot { entry: Some(entry), next, newer: NONE, older: NONE };
        let slot = if self.free == NONE {
            self.slots.push(filled);
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        } else {
            let slot = self.free;
            self.free = self.slots[slot as usize].next;
            self.slots[slot as usize] = filled;
            slot
        };
        self.index.insert(hash, slot);
        self.link(slot);
        slot
    }

    /// Puts `entry` in the place of the one in `slot`, which has the same key.
    pub(super) fn exchange(&mut self, slot: u32, entry: Arc<Entry>) -> Dropped {
        self.stamp += 1;
        let old = self.slots[slot as usize].entry.replace(entry);
        self.renew(slot);
        old
    }

    /// Takes the entry out.
    pub(super) fn remove(&mut self, slot: u32) -> Dropped {
        let entry = self.slots.get_mut(slot as usize)?.entry.take()?;
        self.unchain(entry.hash, slot);
        self.unlink(slot);
        self.slots[slot as usize].next = self.free;
        self.free = slot;
        self.len -= 1;
        Some(entry)
    }

    /// Takes out the oldest entry, but for those that were used since they last were the oldest.
    pub(super) fn evict(&mut self) -> Dropped {
        for _ in 0..SECOND_LIVES {
            let oldest = self.oldest;
            let used = self.slots.get(oldest as usize)?.entry.as_ref().is_some_and(|entry| entry.forget_use());
            if !used {
                break;
            }
            self.renew(oldest);
        }
        self.remove(self.oldest)
    }

    /// Looks at the next `steps` places of the slab, and takes out what is of no use any more.
    pub(super) fn sweep(&mut self, steps: usize, now: Instant, out: &mut Vec<Arc<Entry>>) {
        for _ in 0..steps.min(self.slots.len()) {
            if self.hand as usize >= self.slots.len() {
                self.hand = 0;
            }
            let slot = self.hand;
            self.hand += 1;
            if self.slots[slot as usize].entry.as_ref().is_some_and(|entry| entry.is_useless(now)) {
                out.extend(self.remove(slot));
            }
        }
    }

    /// Shows the entries in `from..from + steps` of the slab to `see`, and tells where to go on; `None`: that was the end.
    pub(super) fn walk(&self, from: usize, steps: usize, mut see: impl FnMut(u32, &Arc<Entry>)) -> Option<usize> {
        let end = self.slots.len().min(from + steps);
        for (at, slot) in self.slots.iter().enumerate().take(end).skip(from) {
            if let (Some(entry), Ok(at)) = (&slot.entry, u32::try_from(at)) {
                see(at, entry);
            }
        }
        (end < self.slots.len()).then_some(end)
    }

    fn unchain(&mut self, hash: u64, slot: u32) {
        let after = self.slots[slot as usize].next;
        let first = self.index.get(&hash).copied().unwrap_or(NONE);
        if first != slot {
            let mut at = first;
            while let Some(here) = self.slots.get_mut(at as usize) {
                if here.next == slot {
                    here.next = after;
                    return;
                }
                at = here.next;
            }
        } else if after == NONE {
            self.index.remove(&hash);
        } else {
            self.index.insert(hash, after);
        }
    }

    fn link(&mut self, slot: u32) {
        let older = self.newest;
        let here = &mut self.slots[slot as usize];
        (here.newer, here.older) = (NONE, older);
        match self.slots.get_mut(older as usize) {
            Some(older) => older.newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }

    fn unlink(&mut self, slot: u32) {
        let Slot { newer, older, .. } = self.slots[slot as usize];
        match self.slots.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
    }
}
