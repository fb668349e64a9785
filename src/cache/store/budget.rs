//! The memory that the store may take: what is counted, and what goes when it is used up.

use super::{Entry, Stats, Store, lock};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

impl Store {
    /// Numbers. Not of one moment: the shards are asked one after the other.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            entries: self.shards.iter().map(|shard| lock(shard).len).sum(),
            bytes: self.used.load(Relaxed),
            stored: self.stored.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            expired: self.expired.load(Relaxed),
        }
    }

    /// Fetches under way, and bytes that are counted although nothing is there that takes them: with no fetch and nobody
    /// reading, there must be none. For tests.
    #[must_use]
    pub fn balance(&self) -> (usize, usize) {
        let shards = self.shards.iter().map(|shard| {
            let shard = lock(shard);
            (shard.flights.len(), shard.bytes)
        });
        let (flights, bytes) = shards.fold((0, 0), |sum, shard| (sum.0 + shard.0, sum.1 + shard.1));
        (flights, self.used.load(Relaxed).wrapping_sub(bytes))
    }

    /// Takes `bytes` out of the budget, and makes room for them. `false`: there is none to be made; nothing was taken.
    pub(in crate::cache) fn reserve(&self, bytes: usize) -> bool {
        if bytes > self.limits.bytes {
            // Nobody has to go for what would not fit anyhow.
            return false;
        }
        self.used.fetch_add(bytes, Relaxed);
        let mut in_vain = 0;
        while self.used.load(Relaxed) > self.limits.bytes {
            if in_vain == self.shards.len() {
                self.give_back(bytes);
                return false;
            }
            let at = self.cursor.fetch_add(1, Relaxed) & (self.shards.len() - 1);
            let mut shard = lock(&self.shards[at]);
            let evicted = shard.oldest().and_then(|slot| shard.remove(slot));
            drop(shard);
            in_vain = if evicted.is_some() { 0 } else { in_vain + 1 };
            self.dropped(evicted.as_slice(), &self.evicted);
        }
        true
    }

    /// Takes `bytes` out of the budget, whether there is room or not: for what cannot be refused.
    pub(in crate::cache) fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Relaxed);
    }

    /// Gives back what was reserved.
    pub(in crate::cache) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn dropped(&self, entries: &[Arc<Entry>], count: &AtomicU64) {
        if !entries.is_empty() {
            count.fetch_add(entries.len() as u64, Relaxed);
            self.release(entries);
        }
    }

    pub(super) fn release(&self, entries: &[Arc<Entry>]) {
        self.give_back(entries.iter().map(|entry| entry.cost()).sum());
    }
}
