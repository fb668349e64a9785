//! One thread, any number of connections: the kernel is told what to do and says when it was done (io_uring).
//!
//! ```text
//!   turn:  submit and wait ─▶ note completions ─▶ tell the application ─▶ note what it asks for ─▶ submit and wait …
//!             (one system call)
//! ```
//!
//! The [reactor](super::reactor) asks "who is ready?" and then reads and writes itself: three system calls for a
//! request. The proactor says "receive whatever comes, send this" and hears about results. All that a turn has to ask
//! for goes to the kernel in one call, and all that was done comes back with it. Four things are different for the rest
//! of the code:
//!
//! 1. **Buffers belong to the kernel.** It writes and reads them at any time until it says otherwise. So a connection cannot
//!    be closed at once: its operations are cancelled first ([`closing`]), and its output is left alone while it is sent
//!    ([`operations`]).
//! 2. **No connection holds a buffer in advance.** Buffers wait in a common queue ([`buffers`]); the kernel takes one
//!    when bytes have arrived.
//! 3. **Results may come although the application does not want them any more.** Input that arrives after
//!    [`crate::app::Cx::set_reading`] said stop is kept for later; completions of a connection that is gone meet a
//!    socket that ignores them, because its key stays taken until the last of them came.
//! 4. **Silence is an answer.** A send that can be done is done while it is submitted, and then nothing more is said of it
//!    ([`operations::Operation::try_send`]). One that fails is asked for again, to wait for room, and the application hears that
//!    its peer is behind ([`complete`]).
//!
//! Files are the exception to "all that a turn has to ask for goes to the kernel in one call" ([`file`]): sendfile(2) is a call of its own.
//!
//! Applications do not notice: the same tests run on both.

mod accept;
mod actions;
mod buffers;
mod closing;
mod complete;
mod connection;
mod deliver;
mod file;
mod heard;
mod io;
mod operations;
mod ring;
mod splice;
#[cfg(test)]
mod tests;

use crate::{
    app::{App, Cx, ListenerId},
    net::{
        DriverConfig, Error, Remote, StillOpen, clock,
        driver::{Common, EventLoop, Transport},
        options::limit_ahead,
    },
    time::Instant,
};
use connection::Connection;
use io::Io;
use socket2::SockRef;
use std::{
    io::{ErrorKind, Result},
    mem,
    net::TcpListener,
    sync::Arc,
    time::Duration,
};

/// How long the kernel may take to let go of everything at the end; it is asked so often.
const ENDING: Duration = Duration::from_millis(100);
const ENDINGS: usize = 10;

/// A completion-driven event loop that runs one application on the thread that calls [`Proactor::run`].
///
/// It is configured as a [`super::Reactor`] and keeps the same contract, [`App`].
pub type Proactor<A> = EventLoop<A, Io>;

/// Whether this system has an io_uring that will do, and allows it.
///
/// # Errors
///
/// [`Error::IoUring`], which says why not.
pub(super) fn check() -> std::result::Result<(), Error> {
    Io::new(DriverConfig::default(), clock::now().instant).map(drop).map_err(Error::IoUring)
}

impl<A: App> Proactor<A> {
    /// An event loop without listeners.
    ///
    /// # Errors
    ///
    /// [`Error::IoUring`]: this system has no io_uring that will do, or no memory or descriptors for it.
    pub fn new(app: A, config: DriverConfig) -> std::result::Result<Self, Error> {
        let now = clock::now();
        let io = Io::new(config, now.instant).map_err(Error::IoUring)?;
        let bell = Arc::clone(&io.bell);
        let remote = Remote::new(move || bell.write(1).map(drop).map_err(Into::into));
        Ok(Self::with(app, Cx::new(now), io, remote))
    }

    /// Accepts connections from `listener`, too. Its connections will send small writes at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// There are 256 listeners already, or the system refuses to prepare this one.
    pub fn listen(&mut self, listener: TcpListener) -> Result<ListenerId> {
        let Ok(id) = u8::try_from(self.io.listeners.len()).map(ListenerId) else {
            let text = "an event loop takes at most 256 listeners";
            return Err(std::io::Error::new(ErrorKind::InvalidInput, text));
        };
        self.io.listen(id, listener)?;
        Ok(id)
    }
}

impl Transport for Io {
    type Socket = Connection;

    fn common(&self) -> &Common<Connection> {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common<Connection> {
        &mut self.common
    }

    fn begin(&mut self) -> Result<()> {
        self.ring.enable()
    }

    /// One system call: everything that was asked for since the last one goes with it.
    fn wait(&mut self, patience: Option<Duration>, _: Option<Instant>) -> Result<()> {
        self.prepare();
        let patience = if mem::take(&mut self.awaited) { Some(Duration::ZERO) } else { patience };
        self.ring.enter(patience)
    }

    fn note(&mut self) {
        self.note_all();
    }

    fn is_busy(&self) -> bool {
        !self.arrivals.is_empty()
            || !self.filing.is_empty()
            || !self.starved.is_empty()
            || self.can_admit()
            || self.listeners.can_close()
            || self.listeners.can_drain()
    }

    fn carry_out(&mut self, cx: &mut Cx) {
        self.perform_all(cx);
    }

    fn go_on(&mut self, key: usize) {
        self.touch(key);
    }

    fn close_now(&mut self, key: usize) {
        self.bid_farewell(key, false);
    }

    fn give_up(&mut self, key: usize) {
        self.end(key);
    }

    fn flush_all(&mut self) -> Result<()> {
        self.wait(Some(Duration::ZERO), None)?;
        self.note_all();
        Ok(())
    }

    /// Visits that were put off come first, then arrivals in their order, then the visits that these caused.
    fn hear<A: App>(on: &mut Proactor<A>) {
        on.hear_ready();
        on.hear_arrivals();
        on.hear_ready();
    }

    fn visit<A: App>(on: &mut Proactor<A>, key: usize) {
        on.visit_socket(key);
    }

    fn listen(&mut self, id: ListenerId, listener: TcpListener) -> Result<()> {
        // Else the kernel would say "no connection waits" at once instead of waiting for one.
        listener.set_nonblocking(false)?;
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        limit_ahead(&listener)?;
        self.listeners.add(id, listener);
        self.keep_spare();
        Ok(())
    }

    fn rename(&mut self, id: ListenerId, other: ListenerId) {
        self.listeners.rename(id, other);
    }

    /// First the kernel has to stop accepting, as in a drain.
    fn close_listener<A: App>(on: &mut Proactor<A>, id: ListenerId, open: StillOpen) {
        on.io.listeners.give_up(id, &open);
    }

    fn accept<A: App>(on: &mut Proactor<A>) {
        on.hear_accepted();
        on.close_given_up();
        if on.io.listeners.can_drain()
            && let Some(within) = on.io.listeners.drain.take()
        {
            on.close_listeners();
            on.begin_drain(within);
        }
    }

    /// First the kernel has to stop accepting: a connection that it has accepted until then is served.
    fn drain<A: App>(on: &mut Proactor<A>, within: Duration) {
        on.io.listeners.closing = true;
        on.io.listeners.drain = Some(within);
    }

    /// The kernel has to let go of everything first.
    fn end<A: App>(on: &mut Proactor<A>) -> Result<()> {
        on.io.listeners.closing = true;
        for _ in 0..ENDINGS {
            on.io.arm_listeners();
            on.hear_arrivals();
            if on.io.common.table.is_empty() && on.io.listeners.is_idle() {
                break;
            }
            on.io.wait(Some(ENDING), None)?;
            on.io.note_all();
            on.note_accepted();
        }
        Ok(())
    }
}
