//! News of other threads for the broker's event loop: records that are stored, passwords that were looked at, a wish for statistics.

use super::password::{Ask, Verdict};
use crate::app::ConnId;
use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{AcqRel, Acquire, Release},
        },
        mpsc::SyncSender,
    },
};

/// A call to the event loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// There is news: [`App::woken`](crate::app::App::woken).
    Wake,
    /// It has to end at once, and the process with it.
    Stop,
}

/// The way to the event loop.
type Caller = Box<dyn Fn(Call) + Send + Sync>;

/// The mailbox of the event loop.
#[derive(Default)]
pub(crate) struct Shared {
    stored: AtomicU64,
    /// The disk takes nothing.
    fails: AtomicBool,
    report: AtomicBool,
    verdicts: Mutex<Vec<(ConnId, Verdict)>>,
    /// To the threads that know passwords, until the end.
    asks: Mutex<Option<SyncSender<(ConnId, Ask)>>>,
    caller: OnceLock<Caller>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("stored", &self.stored).field("fails", &self.fails).finish_non_exhaustive()
    }
}

/// All that was told since it was last looked at.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) stored: u64,
    pub(crate) fails: bool,
    pub(crate) verdicts: Vec<(ConnId, Verdict)>,
    pub(crate) report: bool,
}

impl Shared {
    /// The event loop that is told.
    pub(crate) fn attach(&self, caller: Caller) {
        // An event loop has one way to it: a second one would lead to the same.
        let _ = self.caller.set(caller);
    }

    /// The threads that it asks about passwords.
    pub(crate) fn attach_guards(&self, asks: SyncSender<(ConnId, Ask)>) {
        *lock(&self.asks) = Some(asks);
    }

    fn call(&self, call: Call) {
        self.caller.get().into_iter().for_each(|caller| caller(call));
    }

    fn wake(&self) {
        self.call(Call::Wake);
    }

    /// The number of records that are stored, of all that came.
    pub(crate) fn store(&self, records: u64) {
        self.stored.store(records, Release);
        self.wake();
    }

    /// The disk takes nothing, or takes something again.
    pub(crate) fn fails(&self, fails: bool) {
        self.fails.store(fails, Release);
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
        self.call(Call::Stop);
    }

    /// Takes what was told.
    pub(crate) fn news(&self) -> News {
        News {
            stored: self.stored.load(Acquire),
            fails: self.fails.load(Acquire),
            verdicts: std::mem::take(&mut *lock(&self.verdicts)),
            report: self.report.swap(false, AcqRel),
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
