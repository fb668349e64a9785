//! Memory for content that was made here, by all event loops and all clients together: listings and compressed files. A client that reads
//! slowly holds what it was promised, and ten thousand of them could hold ten thousand listings.

use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes of such content at once. More: nothing is compressed, and listings are answered with 503.
pub(super) const MAX_MADE: usize = 256 * 1024 * 1024;

/// How much of it there is.
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicUsize);

/// Content that gives its memory back to the budget with its last reference.
#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    budget: Arc<Budget>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes.capacity(), Relaxed);
    }
}

impl Budget {
    /// The content, to be shared. `None`: there is no memory left for it.
    pub(super) fn hold(self: &Arc<Self>, mut bytes: Vec<u8>) -> Option<Bytes> {
        bytes.shrink_to_fit();
        let size = bytes.capacity();
        // Counted first: threads that count at the same time must not all find room.
        let before = self.0.fetch_add(size, Relaxed);
        let held = Held { bytes, budget: Arc::clone(self) };
        (before + size <= MAX_MADE).then(|| Bytes::from_owner(held))
    }

    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_with_the_last_reference() {
        let budget = Arc::new(Budget::default());
        let one = budget.hold(vec![1; 1000]).unwrap();
        let (same, part) = (one.clone(), one.slice(10..20));
        drop((one, same));
        assert_eq!(budget.in_use(), 1000);
        drop(part);
        assert_eq!(budget.in_use(), 0);
    }

    #[test]
    fn there_is_a_limit() {
        let budget = Arc::new(Budget::default());
        budget.0.store(MAX_MADE - 1000, Relaxed);
        let last = budget.hold(vec![1; 1000]).unwrap();
        assert!(budget.hold(vec![1; 1]).is_none());
        drop(last);
        assert!(budget.hold(vec![1; 1001]).is_none());
        assert_eq!(budget.in_use(), MAX_MADE - 1000);
    }
}
