//! News of other threads for the broker's event loop: records that are stored, passwords that were looked at, a wish for statistics.

use super::password::{Ask, Verdict};
use crate::{app::ConnId, net::Remote};
use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{AcqRel, Acquire, Release},
    },
    mpsc::SyncSender,
};

/// The mailbox of the event loop.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    stored: AtomicU64,
    report: AtomicBool,
    verdicts: Mutex<Vec<(ConnId, Verdict)>>,
    /// To the threads that know passwords, until the end.
    asks: Mutex<Option<SyncSender<(ConnId, Ask)>>>,
    remote: OnceLock<Remote>,
}

/// All that was told since it was last looked at.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) stored: u64,
    pub(crate) verdicts: Vec<(ConnId, Verdict)>,
    pub(crate) report: bool,
}

impl Shared {
    /// The event loop that is told, and the threads that it asks.
    pub(crate) fn attach(&self, remote: Remote, asks: SyncSender<(ConnId, Ask)>) {
        // An event loop has one remote: a second one would lead to the same.
        let _ = self.remote.set(remote);
        *lock(&self.asks) = Some(asks);
    }

    fn wake(&self) {
        self.remote.get().into_iter().for_each(Remote::wake);
    }

    /// The number of records that are stored, of all that came.
    pub(crate) fn store(&self, records: u64) {
        self.stored.store(records, Release);
        self.wake();
    }

    /// The answer to [`Shared::ask`].
    pub(crate) fn judge(&self, conn: ConnId, verdict: Verdict) {
        lock(&self.verdicts).push((conn, verdict));
        self.wake();
    }

    /// A user wants to see statistics.
    pub(crate) fn report(&self) {
        self.report.store(true, Release);
        self.wake();
    }

    /// Has a password looked at. `false`: too many others wait.
    pub(crate) fn ask(&self, conn: ConnId, ask: Ask) -> bool {
        lock(&self.asks).as_ref().is_some_and(|asks| asks.try_send((conn, ask)).is_ok())
    }

    /// No more passwords are looked at: the threads for that come to an end.
    pub(crate) fn let_go(&self) {
        *lock(&self.asks) = None;
    }

    /// Nothing can be stored any more: the event loop ends, and with it the process.
    pub(crate) fn fail(&self) {
        self.remote.get().into_iter().for_each(Remote::stop);
    }

    /// Takes what was told.
    pub(crate) fn news(&self) -> News {
        News {
            stored: self.stored.load(Acquire),
            verdicts: std::mem::take(&mut *lock(&self.verdicts)),
            report: self.report.swap(false, AcqRel),
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
