//! A stored response with its place, and what it costs.

use super::held::{self, Held};
use crate::{
    cache::{
        key::{Key, Place},
        stored::Stored,
    },
    time::Instant,
};
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The cost of an entry besides its own bytes: its place in the slab (twice, as a slab doubles when it grows), in the
/// index (16 bytes and a tag, at worst half of them empty), its counters of references and that of its head, and what
/// an allocator adds to each of about ten allocations and loses between them. Fitted to what a process was seen to
/// take, full of responses of 200 bytes.
const OVERHEAD: usize = 2 * 24 + 2 * 17 + 16 + 32 + 10 * 16 + 64;

/// A stored response. Never changed: a freshened response is a new entry.
///
/// The fields that a look-up reads stand first, behind the counter of references: so they are in one or two lines of
/// memory.
#[derive(Debug)]
#[repr(C)]
pub struct Entry {
    /// The hash of the URI under the store's seed.
    pub hash: u64,
    /// Its URI.
    pub key: Key,
    /// Asked for since it was last in danger of going.
    used: AtomicBool,
    /// From then on it is of no use: stale, and neither to be validated nor to be served. `None`: as long as there is room.
    pub useless_at: Option<Instant>,
    /// The response.
    pub stored: Stored,
    /// Its head as it is sent to most clients, up to where the fields begin that differ from hit to hit.
    pub wire: Bytes,
    /// The memory that it is counted for, without its body.
    pub(super) held: Held,
}

impl Entry {
    /// Of use as long as there is room, and without the head to be sent.
    #[must_use]
    pub fn new(key: Key, hash: u64, stored: Stored) -> Self {
        let used = AtomicBool::new(false);
        Self { hash, key, used, useless_at: None, stored, wire: Bytes::new(), held: Held::default() }
    }

    /// Where it is kept.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        Place { uri: self.key.uri(), hash: self.hash }
    }

    /// All bytes that go when it goes.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.own_cost() + self.stored.body.pieces().iter().map(held::cost).sum::<usize>()
    }

    /// The memory that it takes without the content of its body.
    pub(super) fn own_cost(&self) -> usize {
        let own = size_of::<Self>() - size_of::<Stored>() + self.key.as_str().len() + self.wire.len() + OVERHEAD;
        own + usize::try_from(self.stored.weight() - self.stored.body.len()).unwrap_or(usize::MAX / 2)
    }

    /// Whether it can go.
    #[must_use]
    pub fn is_useless(&self, now: Instant) -> bool {
        self.useless_at.is_some_and(|at| at <= now)
    }

    /// Notes that it answers a request: the next time that it would have to go for want of room, it stays.
    pub fn touch(&self) {
        // Looked at first: a line of memory that no thread writes to is in the caches of all processors.
        if !self.used.load(Relaxed) {
            self.used.store(true, Relaxed);
        }
    }

    /// Whether it answered a request since this was called last.
    pub(super) fn forget_use(&self) -> bool {
        let used = self.used.load(Relaxed);
        if used {
            self.used.store(false, Relaxed);
        }
        used
    }
}
