//! A stored response with its place, and what it costs.

use super::Place;
use crate::cache::{entry::Stored, key::Key};
use bytes::Bytes;
use std::time::Instant;

/// What an entry costs besides its own bytes: its place in the slab (twice, as a slab doubles when it grows), in the index
/// (16 bytes and a tag, at worst half of them empty), its counters of references and those of its two shared pieces, and
/// what an allocator adds to each of about a dozen allocations. With bodies of 200 bytes the process then takes 5 % more
/// than is counted.
const OVERHEAD: usize = 2 * 32 + 2 * 17 + 16 + 2 * 32 + 12 * 8;

/// A stored response. Never changed: what freshens it makes a new one.
#[derive(Debug)]
pub struct Entry {
    /// Its URI.
    pub key: Key,
    /// The hash of the URI under the store's seed.
    pub hash: u64,
    /// The response.
    pub stored: Stored,
    /// Its head as it is sent to most clients, up to where the fields begin that differ from hit to hit.
    pub wire: Bytes,
    /// From then on it is of no use: stale, and neither to be validated nor to be served. `None`: as long as there is room.
    pub useless_at: Option<Instant>,
}

impl Entry {
    /// Where it is kept.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        Place { uri: self.key.uri(), hash: self.hash }
    }

    /// All bytes that go when it goes.
    #[must_use]
    pub fn cost(&self) -> usize {
        let own = size_of::<Self>() - size_of::<Stored>() + self.key.as_str().len() + self.wire.len();
        own + usize::try_from(self.stored.weight()).unwrap_or(usize::MAX / 2) + OVERHEAD
    }

    /// Whether it can go.
    #[must_use]
    pub fn is_useless(&self, now: Instant) -> bool {
        self.useless_at.is_some_and(|at| at <= now)
    }
}
