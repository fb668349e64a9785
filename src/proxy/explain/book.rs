//! The explanations that are kept: the last ones, within bounds of number and memory.

use super::Record;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Explanations that are kept. More are of no use to a person.
pub(super) const MOST: usize = 1000;

/// Bytes of all of them, about. Heads are the largest part of one: a client that sends long ones cannot make this grow.
pub(super) const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The last explanations.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Book {
    /// The number of the next one.
    next: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// In the order in which they ended, each with its size.
    list: VecDeque<(Arc<Record>, usize)>,
    bytes: usize,
}

impl Book {
    /// A number that no other explanation has.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Relaxed) + 1
    }

    /// Keeps one, and forgets the oldest beyond the bounds.
    pub(super) fn keep(&self, record: Record) {
        let size = record.size();
        let mut kept = self.kept();
        kept.list.push_back((Arc::new(record), size));
        kept.bytes += size;
        while kept.list.len() > MOST || kept.bytes > MOST_BYTES && kept.list.len() > 1 {
            let Some((_, size)) = kept.list.pop_front() else { break };
            kept.bytes -= size;
        }
    }

    /// The one with that number, if it is kept still.
    pub(in crate::proxy) fn find(&self, number: u64) -> Option<Arc<Record>> {
        self.kept().list.iter().rev().find(|(record, _)| record.number == number).map(|(record, _)| record.clone())
    }

    /// All of them, the newest first.
    pub(in crate::proxy) fn all(&self) -> Vec<Arc<Record>> {
        self.kept().list.iter().rev().map(|(record, _)| record.clone()).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic in a holder would leave a list that is shorter, not wrong.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_beyond_the_bounds() {
        let book = Book::default();
        for _ in 0..=MOST {
            book.keep(Record::empty(book.number()));
        }
        assert_eq!((book.all().len(), book.find(1).is_none()), (MOST, true));
        assert_eq!(book.find(2).map(|record| record.number), Some(2));
        assert_eq!(book.all()[0].number, 1 + MOST as u64);
        let large = || Record { target: "x".repeat(MOST_BYTES / 2), ..Record::empty(book.number()) };
        let (first, second) = (large(), large());
        let numbers = [first.number, second.number];
        book.keep(first);
        assert!(book.all().len() > 1, "one of half the size leaves room for many small ones");
        book.keep(second);
        let kept: Vec<u64> = book.all().iter().map(|record| record.number).collect();
        assert_eq!(kept, [numbers[1]], "and two of them for none: each has more than its target");
    }
}
