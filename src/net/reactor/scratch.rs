//! The buffer that all reads of a thread go to.
//!
//! Between reads nothing lives in it, so a thousand idle connections share one. When the kernel refuses a large part of
//! what an application forwards, the buffer itself is given away instead of copied, and another takes its place:
//!
//! ```text
//!   Own ──share──▶ Shared ──renew──▶ lent … sent, and nobody else refers to it ──renew──▶ Own
//! ```

use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// How many buffers are kept for when their readers are done with them. More at once means that many slow peers hold one
/// each; those are freed when they are sent.
const MAX_LENT: usize = 4;

/// The buffer of the next read, and those on their way back.
#[derive(Debug)]
pub(super) struct Scratch {
    current: Current,
    lent: Vec<Bytes>,
    size: usize,
}

#[derive(Debug)]
enum Current {
    /// There is no other reference to it: it may be read into.
    Own(BytesMut),
    /// Queues of the present call refer to parts of it.
    Shared(Bytes),
}

impl Scratch {
    /// Room for the largest read.
    pub(super) fn new(size: usize) -> Self {
        Self { current: Current::Own(BytesMut::zeroed(size)), lent: Vec::new(), size }
    }

    /// Room for a read of up to `len` bytes.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if let Current::Shared(_) = self.current {
            self.renew();
        }
        match &mut self.current {
            Current::Own(buffer) => &mut buffer[..len],
            Current::Shared(_) => unreachable!("renew() has just made it ours"),
        }
    }

    /// A part of what was read.
    pub(super) fn heard(&self, range: Range<usize>) -> &[u8] {
        match &self.current {
            Current::Own(buffer) => &buffer[range],
            Current::Shared(buffer) => &buffer[range],
        }
    }

    /// Whether `len` bytes should be shared rather than copied. A reference to a part keeps the whole buffer. So only
    /// parts of at least half of it are shared, or a thousand slow peers would hold many times the memory that the
    /// application was told of. Copying less was not measurably slower.
    pub(super) fn is_worth_sharing(&self, len: usize) -> bool {
        len >= self.size / 2
    }

    /// A part of what was read, by reference: it outlives the present call.
    pub(super) fn share(&mut self, range: Range<usize>) -> Bytes {
        if let Current::Own(buffer) = &mut self.current {
            self.current = Current::Shared(std::mem::take(buffer).freeze());
        }
        match &self.current {
            Current::Shared(buffer) => buffer.slice(range),
            Current::Own(_) => unreachable!("was made shared above"),
        }
    }

    /// After a call: if parts of the buffer were given away, another takes its place.
    pub(super) fn renew(&mut self) {
        let Current::Shared(buffer) = &mut self.current else { return };
        self.lent.push(std::mem::take(buffer));
        let returned = self.lent.iter().position(Bytes::is_unique).map(|at| self.lent.swap_remove(at));
        self.lent.truncate(MAX_LENT);
        let buffer = returned.and_then(|bytes| bytes.try_into_mut().ok());
        self.current = Current::Own(buffer.unwrap_or_else(|| BytesMut::zeroed(self.size)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(scratch: &mut Scratch) -> usize {
        scratch.room(1).as_ptr().addr()
    }

    #[test]
    fn a_lent_buffer_comes_back_when_nobody_refers_to_it() {
        let mut scratch = Scratch::new(8);
        scratch.room(4).copy_from_slice(b"abcd");
        let first = address(&mut scratch);
        let part = scratch.share(1..3);
        assert_eq!((scratch.heard(0..4), &part[..]), (&b"abcd"[..], &b"bc"[..]));
        scratch.renew();
        let second = address(&mut scratch);
        assert_ne!(first, second);
        scratch.room(8).fill(b'x');
        assert_eq!(part, &b"bc"[..], "a later read must not change it");

        drop(part);
        let _held = scratch.share(0..8);
        scratch.renew();
        assert_eq!(address(&mut scratch), first);
        assert_eq!(scratch.room(8).len(), 8);
    }

    #[test]
    fn half_of_it_is_worth_sharing() {
        let scratch = Scratch::new(8);
        assert!(!scratch.is_worth_sharing(3) && scratch.is_worth_sharing(4));
    }

    #[test]
    fn a_buffer_that_was_not_lent_stays() {
        let mut scratch = Scratch::new(8);
        let first = address(&mut scratch);
        scratch.renew();
        assert_eq!(address(&mut scratch), first);
    }

    #[test]
    fn slow_peers_do_not_make_us_keep_more_than_a_few() {
        let mut scratch = Scratch::new(8);
        let held: Vec<Bytes> = (0..10)
            .map(|_| {
                let part = scratch.share(0..8);
                scratch.renew();
                part
            })
            .collect();
        assert_eq!((held.len(), scratch.lent.len()), (10, MAX_LENT));
    }
}
