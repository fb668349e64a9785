//! How much waits for slow peers in all, and how large the next read may be for that reason.
//!
//! A large read costs less per byte, and if the other side takes no more, what was read stays in our memory. For one slow peer
//! that does not matter; a thousand of them must not hold half a gigabyte. So reads are large while little waits on the whole
//! event loop, and beyond that small enough for each peer to cost little.

/// Bytes that may wait on one event loop before reads get smaller. A few slow peers may hold a large read each: in a
/// process of this kind that is little memory, and all bodies move in the cheapest way.
pub(in crate::net) const PLENTY: usize = 4 * 1024 * 1024;

/// Bytes of one read when more waits. With the mark at which the proxy stops reading, a peer that reads nothing costs 64 KiB.
/// Measured with a plain relay, it costs a third more CPU time than a read of 512 KiB.
pub(in crate::net) const MODEST: usize = 40 * 1024;

/// The bytes that wait to be sent on one event loop.
#[derive(Debug, Default)]
pub(in crate::net) struct Waiting {
    bytes: usize,
}

impl Waiting {
    /// A socket, of which `counted` bytes are counted, has `now` waiting.
    pub(in crate::net) fn recount(&mut self, counted: &mut u32, now: usize) {
        // Each connection pays for its count, and four gigabytes are much in any case.
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        if *counted != now {
            self.bytes = self.bytes + now as usize - *counted as usize;
            *counted = now;
        }
    }

    /// Whether so much waits that no connection should read much more.
    pub(in crate::net) fn is_much(&self) -> bool {
        self.bytes >= PLENTY
    }

    /// How large a read may be that would be of `size` bytes.
    pub(in crate::net) fn limit(&self, size: usize) -> usize {
        if self.is_much() { size.min(MODEST) } else { size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_get_smaller_at_the_limit_and_large_again_below_it() {
        let (mut waiting, mut one, mut other) = (Waiting::default(), 0, 0);
        waiting.recount(&mut one, PLENTY - 1);
        assert_eq!(waiting.limit(512 * 1024), 512 * 1024);
        waiting.recount(&mut other, 1);
        assert_eq!((waiting.limit(512 * 1024), waiting.limit(16 * 1024)), (MODEST, 16 * 1024));
        waiting.recount(&mut one, 0);
        assert_eq!((waiting.limit(512 * 1024), waiting.bytes, one, other), (512 * 1024, 1, 0, 1));
    }
}
