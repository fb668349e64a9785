//! The mailbox between the threads that ask and the thread that has the connection.

use mio::{Token, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Wakes the thread.
pub(super) const WAKER: Token = Token(0);

/// The mailbox, and the way to call the thread that reads it.
pub(super) struct Shared<T> {
    pub(super) mail: Mutex<Mail<T>>,
    pub(super) waker: Waker,
    /// Questions without an answer at once.
    pub(super) most: usize,
}

/// Orders of other threads, and what they have to know.
pub(super) struct Mail<T> {
    /// Commands, and the tag of each.
    pub(super) bytes: Vec<u8>,
    pub(super) tags: Vec<T>,
    /// Questions that the thread has taken, and that have no answer yet; bytes that it could not send yet.
    pub(super) unanswered: usize,
    pub(super) unsent: usize,
    pub(super) is_up: bool,
    /// The connection is to be given up, and why.
    pub(super) reset: Option<&'static str>,
    pub(super) stop: bool,
}

impl<T> Shared<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, Mail<T>> {
        // Nothing in here can panic halfway through a change.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the thread for Redis cannot be woken");
        }
    }
}
