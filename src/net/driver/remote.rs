//! How other threads reach an event loop: one word of flags and one descriptor that wakes it.

use crate::app::ListenerId;
use std::{
    convert::Infallible,
    fmt, io, mem,
    net::TcpListener,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

const WAKE: u8 = 1;
const DRAIN: u8 = 2;
const STOP: u8 = 4;
const READ: u8 = 8;
const CHANGE: u8 = 16;

/// Another set of listeners.
#[derive(Debug)]
pub(in crate::net) enum Change {
    Add(ListenerId, TcpListener),
    Rename(ListenerId, ListenerId),
    Remove(ListenerId, StillOpen),
}

/// Held by a listener until it is closed. Nothing is ever sent: the end of the last one is the news.
#[derive(Debug, Clone)]
pub struct StillOpen {
    _held: Sender<Infallible>,
}

impl StillOpen {
    /// One to give to listeners, and the other end, to wait at.
    #[must_use]
    pub fn new() -> (Self, Closed) {
        let (held, closed) = channel();
        (Self { _held: held }, Closed(closed))
    }
}

/// Waits until listeners are closed.
#[derive(Debug)]
pub struct Closed(Receiver<Infallible>);

impl Closed {
    /// Waits until each listener with the other end is closed. `false`: one was not in that time.
    #[must_use]
    pub fn wait(self, patience: Duration) -> bool {
        self.0.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

/// A handle to a running event loop, reactor or proactor, for other threads. Cheap to clone; harmless after it ended.
#[derive(Debug, Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

struct Shared {
    wake: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
    /// The requests since the reactor last looked.
    asked: AtomicU8,
    /// For [`DRAIN`]: milliseconds.
    within: AtomicU64,
    /// For [`CHANGE`], in their order.
    changes: Mutex<Vec<Change>>,
}

/// The requests of other threads.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) struct Asked(u8);

impl Remote {
    /// A handle whose requests end the wait of an event loop by `wake`.
    pub(in crate::net) fn new(wake: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        let (asked, within) = (AtomicU8::new(0), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { wake: Box::new(wake), asked, within, changes: Mutex::default() }) }
    }

    /// Calls [`crate::app::App::woken`] on the reactor's thread, soon. Calls before that happens count as one.
    pub fn wake(&self) {
        self.ask(WAKE);
    }

    /// Accepts nothing new and ends when the last connection has, or after `within`. Asked again, the last `within` counts.
    pub fn drain(&self, within: Duration) {
        let millis = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        self.shared.within.store(millis, Ordering::Relaxed);
        self.ask(DRAIN);
    }

    /// A thread has read a part of a file.
    pub(in crate::net) fn tell_read(&self) {
        self.ask(READ);
    }

    /// Accepts connections from `listener`, too, which come in by `id`.
    pub fn listen(&self, id: ListenerId, listener: TcpListener) {
        self.change(Change::Add(id, listener));
    }

    /// Connections that are accepted by the listener `id` come in by `other` from now on.
    pub fn rename(&self, id: ListenerId, other: ListenerId) {
        self.change(Change::Rename(id, other));
    }

    /// Accepts what waits at the listeners `id`, and closes them. They hold `open` as long as they may accept.
    pub fn close_listener(&self, id: ListenerId, open: StillOpen) {
        self.change(Change::Remove(id, open));
    }

    fn change(&self, change: Change) {
        self.shared.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        self.ask(CHANGE);
    }

    /// Takes the changes that were asked for.
    pub(in crate::net) fn changes(&self) -> Vec<Change> {
        mem::take(&mut *self.shared.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends now: connections are closed as they are.
    pub fn stop(&self) {
        self.ask(STOP);
    }

    /// Takes what was asked. The next request wakes the reactor again.
    pub(in crate::net) fn take(&self) -> Asked {
        Asked(self.shared.asked.swap(0, Ordering::AcqRel))
    }

    /// For [`Asked::drain`].
    pub(in crate::net) fn within(&self) -> Duration {
        Duration::from_millis(self.shared.within.load(Ordering::Relaxed))
    }

    /// Only the first request since the reactor last looked costs a system call.
    fn ask(&self, what: u8) {
        if self.shared.asked.fetch_or(what, Ordering::AcqRel) == 0
            && let Err(error) = (self.shared.wake)()
        {
            tracing::error!(%error, "cannot wake an event loop");
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Asked {
    pub(in crate::net) fn wake(self) -> bool {
        self.0 & WAKE != 0
    }

    pub(in crate::net) fn read(self) -> bool {
        self.0 & READ != 0
    }

    pub(in crate::net) fn change(self) -> bool {
        self.0 & CHANGE != 0
    }

    pub(in crate::net) fn drain(self) -> bool {
        self.0 & DRAIN != 0
    }

    pub(in crate::net) fn stop(self) -> bool {
        self.0 & STOP != 0
    }
}
