//! A question of an exchange to the store, and the place where it finds the answer.

use crate::cache::{Key, Stored, Ticket, encoding::Variants};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, Ordering::Relaxed},
};

/// The result of a look-up.
#[derive(Debug)]
pub(in crate::proxy) enum Answer {
    /// This is stored there. It may be stale.
    Found(Box<Stored>),
    /// Responses differ by these fields of the request: the right one has another name.
    Variants(Variants),
    /// Nothing.
    Nothing,
    /// Something that is not what this project writes, or not whole.
    Unreadable,
    /// The connection was lost.
    Lost,
}

/// A look-up that is under way.
#[derive(Debug)]
pub(in crate::proxy) struct Lookup {
    pub(super) key: Key,
    pub(super) ticket: Ticket,
    /// Milliseconds; 0: that is not known.
    left: AtomicI64,
    answer: Mutex<Option<Answer>>,
}

impl Lookup {
    pub(super) fn new(key: Key, ticket: Ticket) -> Self {
        Self { key, ticket, left: AtomicI64::new(0), answer: Mutex::new(None) }
    }

    /// The store keeps it for so many milliseconds. -1: for ever, and then it is not this project's; -2: there is none.
    pub(super) fn has_left(&self, left: i64) {
        self.left.store(left, Relaxed);
    }

    pub(super) fn left(&self) -> Option<u64> {
        match self.left.load(Relaxed) {
            // It was put there between the two questions, and so it is new; or there is nothing.
            -2 => Some(u64::MAX),
            left => u64::try_from(left).ok(),
        }
    }

    pub(super) fn put(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// `None`: it has not come, or was taken.
    pub(in crate::proxy) fn take(&self) -> Option<Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
