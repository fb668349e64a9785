//! The memory that the store may take: what is counted, and what goes when it is used up.

use super::{
    Entry, Stats, Store,
    held::{self, Held},
    lock,
};
use bytes::Bytes;
use std::sync::{Arc, atomic::Ordering::Relaxed};

impl Store {
    /// Numbers. Not of one moment: the shards are asked one after the other.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            entries: self.shards.iter().map(|shard| lock(shard).len).sum(),
            bytes: self.budget.taken(),
            unstored: self.budget.unstored(),
            stored: self.counts.stored.load(Relaxed),
            evicted: self.counts.evicted.load(Relaxed),
            expired: self.counts.expired.load(Relaxed),
        }
    }

    /// Takes everything out, and tells how many bytes are counted all the same: without a fetch and a reader, there
    /// must be none. For tests.
    #[must_use]
    pub fn emptied(&self) -> usize {
        for shard in &self.shards {
            while let Some(entry) = { lock(shard).evict() } {
                self.budget.left(entry.cost());
            }
        }
        self.budget.taken()
    }

    /// Takes `bytes` out of the budget, and makes room for them. `None`: there is none to be made.
    pub(in crate::cache) fn hold(&self, bytes: usize) -> Option<Held> {
        let held = self.budget.take(bytes);
        let mut in_vain = 0;
        while self.budget.taken() > self.limits.bytes {
            // No entry has to go for one that would not fit anyhow: it is too large, or the memory of entries that went
            // is still being read.
            if in_vain == self.shards.len() || self.budget.unstored() > self.limits.bytes {
                return None;
            }
            let at = self.counts.cursor.fetch_add(1, Relaxed) & (self.shards.len() - 1);
            let evicted = lock(&self.shards[at]).evict();
            in_vain = if evicted.is_some() { 0 } else { in_vain + 1 };
            if let Some(entry) = evicted {
                self.counts.evicted.fetch_add(1, Relaxed);
                self.budget.left(entry.cost());
            }
        }
        Some(held)
    }

    /// A copy of `data` that is counted until its last reference goes. `false`: there was no room for it, and it is counted
    /// all the same.
    pub(in crate::cache) fn piece(&self, data: &[u8]) -> (Bytes, bool) {
        let bytes = data.len() + held::PIECE;
        let held = self.hold(bytes);
        let fits = held.is_some();
        (held::counted(data, held.unwrap_or_else(|| self.budget.take(bytes))), fits)
    }

    /// Counts an entry, and what of its body does not count itself. `Err`: its body is larger than any may be, in whatever way
    /// it grew, or there is no room for it.
    pub(super) fn admit(&self, mut entry: Entry) -> Result<Arc<Entry>, Arc<Entry>> {
        if entry.stored.body.len() > self.limits.object as u64 {
            return Err(Arc::new(entry));
        }
        let loose: usize = entry.stored.body.pieces().iter().map(held::uncounted).sum();
        let Some(mut held) = self.hold(entry.own_cost() + loose) else { return Err(Arc::new(entry)) };
        if loose > 0 {
            entry.stored.body = entry.stored.body.map(|piece| held::count(piece, &mut held));
        }
        entry.held = held;
        Ok(Arc::new(entry))
    }

    /// Entries that were of no use any more have left.
    pub(super) fn expired(&self, entries: &[Arc<Entry>]) {
        if !entries.is_empty() {
            self.counts.expired.fetch_add(entries.len() as u64, Relaxed);
            self.left(entries);
        }
    }

    pub(super) fn left(&self, entries: &[Arc<Entry>]) {
        entries.iter().for_each(|entry| self.budget.left(entry.cost()));
    }
}
