//! Calls of other threads for single sessions, until their driver is awake.

use crate::{app::ConnId, net::Remote, session::Waker};
use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Wakes an event loop.
type Wake = Box<dyn Fn() + Send + Sync>;

/// The sessions that were called, by a number that leads to them.
#[derive(Default)]
pub struct Calls {
    called: Mutex<Vec<u64>>,
    wake: OnceLock<Wake>,
}

impl Calls {
    /// The event loop on which the sessions run. Without it, calls wait until it wakes for something else.
    pub fn wake(&self, remote: Remote) {
        self.wake_by(move || remote.wake());
    }

    /// As [`Calls::wake`], for an event loop of another kind.
    pub fn wake_by(&self, wake: impl Fn() + Send + Sync + 'static) {
        // An event loop has one remote: a second one would lead to the same.
        let _ = self.wake.set(Box::new(wake));
    }

    pub(super) fn waker(self: &Arc<Self>, conn: ConnId) -> Waker {
        let calls = Arc::clone(self);
        Waker::new(number(conn), Arc::new(move |session| calls.call(session)))
    }

    fn call(&self, session: u64) {
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = called.is_empty();
        called.push(session);
        drop(called);
        if is_first && let Some(wake) = self.wake.get() {
            wake();
        }
    }

    /// The sessions that were called since this was last asked, each once.
    pub(super) fn take(&self) -> Vec<u64> {
        let mut called = std::mem::take(&mut *self.called.lock().unwrap_or_else(PoisonError::into_inner));
        called.sort_unstable();
        called.dedup();
        called
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("called", &self.called).finish_non_exhaustive()
    }
}

/// A connection as a number: a later one in the same slot has another.
pub(super) fn number(conn: ConnId) -> u64 {
    (conn.index() as u64) << 32 | conn.generation() as u64
}

/// The slot that a number leads to.
pub(super) fn slot(number: u64) -> usize {
    (number >> 32) as usize
}
