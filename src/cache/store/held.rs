//! Counts the memory that the store uses, of all that it may use.
//!
//! ```text
//!   Entry ── Held                                    goes when nobody refers to it any more,
//!     ╰ body ── Bytes ── Bytes ── Bytes              stored or not: then its share is free
//!                 ▲        ▲
//!                 │        ╰ a client that reads slowly
//!                 ╰ Counted: content and Held
//! ```
//!
//! An entry that is evicted may still be on its way to clients, and they take as long as they like. So the count
//! follows the memory, not the list of entries: each piece of content, and each entry, carries its share of the budget,
//! and gives it back when its memory goes. No code has to remember that, and no memory counts as free before it is
//! free.

use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The cost of a piece of content besides its bytes: the counter of references with [`Held`], and the bytes that an
/// allocator adds to both.
pub(in crate::cache) const PIECE: usize = 64;

/// How many bytes are taken, and how many of them by what is stored.
#[derive(Debug, Default)]
pub(super) struct Budget {
    taken: AtomicUsize,
    stored: AtomicUsize,
}

impl Budget {
    /// Takes so many, whether they are there or not.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Held {
        self.taken.fetch_add(bytes, Relaxed);
        Held { budget: Some(self.clone()), bytes }
    }

    /// How many are taken now.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    /// How many of them no eviction would free: what arrives, and what is read although it is not stored any more. About,
    /// as others come and go meanwhile; and what is stored and read besides is not among them.
    pub(super) fn unstored(&self) -> usize {
        self.taken().saturating_sub(self.stored.load(Relaxed))
    }

    /// An entry that costs so much is stored.
    pub(super) fn came(&self, cost: usize) {
        self.stored.fetch_add(cost, Relaxed);
    }

    /// An entry is not stored any more, be it read or not.
    pub(super) fn left(&self, cost: usize) {
        self.stored.fetch_sub(cost, Relaxed);
    }
}

/// A share of the budget, until it is dropped. The default is none.
#[derive(Debug, Default)]
pub(in crate::cache) struct Held {
    budget: Option<Arc<Budget>>,
    bytes: usize,
}

impl Held {
    /// A part of the share for itself; at most all of it.
    fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: self.budget.clone(), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.taken.fetch_sub(self.bytes, Relaxed);
        }
    }
}

/// Content with its share: what [`Bytes`] drops when the last reference to it goes.
struct Counted<T> {
    content: T,
    _held: Held,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Counted<T> {
    fn as_ref(&self) -> &[u8] {
        self.content.as_ref()
    }
}

/// A copy of `data` that counts as `held` as long as there is a reference to it.
pub(in crate::cache) fn counted(data: &[u8], held: Held) -> Bytes {
    Bytes::from_owner(Counted { content: Box::<[u8]>::from(data), _held: held })
}

/// The memory that a piece of a body has to be counted for: none, if it counts itself.
///
/// A piece with other references counts itself: all pieces that come in are [`counted`], and so are slices of them. A
/// piece that was copied since, to put parts together, has no other references.
pub(super) fn uncounted(piece: &Bytes) -> usize {
    if piece.is_unique() { cost(piece) } else { 0 }
}

/// The memory that a piece takes in all.
pub(super) fn cost(piece: &Bytes) -> usize {
    if piece.is_empty() { 0 } else { piece.len() + PIECE }
}

/// The piece, with its share of `held` if it does not count itself.
pub(super) fn count(piece: Bytes, held: &mut Held) -> Bytes {
    match uncounted(&piece) {
        0 => piece,
        cost => Bytes::from_owner(Counted { content: piece, _held: held.split(cost) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_counts_until_its_last_reference_goes() {
        let budget = Arc::new(Budget::default());
        let whole = counted(b"content", budget.take(7));
        let (slice, copy) = (whole.slice(2..3), Bytes::copy_from_slice(&whole));
        drop(whole);
        assert_eq!((&slice[..], &copy[..], budget.taken()), (&b"n"[..], &b"content"[..], 7));
        drop(slice);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn only_what_does_not_count_itself_is_counted() {
        let budget = Arc::new(Budget::default());
        let (own, copied) = (counted(b"own", budget.take(3)), Bytes::copy_from_slice(b"copied"));
        assert_eq!((uncounted(&own), uncounted(&copied), uncounted(&Bytes::new())), (0, 6 + PIECE, 0));
        let mut held = budget.take(uncounted(&copied));
        let pieces = [own, copied, Bytes::new()].map(|piece| count(piece, &mut held));
        assert_eq!((held.bytes, budget.taken()), (0, 3 + 6 + PIECE));
        assert_eq!(pieces.concat(), b"owncopied");
        assert!(pieces.iter().all(|piece| uncounted(piece) == 0), "once");
        drop(pieces);
        assert_eq!(budget.taken(), 0);
    }
}
