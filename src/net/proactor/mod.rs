//! One thread, any number of connections: the kernel is told what to do and says when it was done (io_uring).
//!
//! ```text
//!   turn:  submit and wait ─▶ note completions ─▶ tell the application ─▶ note what it asks for ─▶ submit and wait …
//!             (one system call)
//! ```
//!
//! The [reactor](super::reactor) asks "who is ready?" and then reads and writes itself: three system calls for a request. The
//! proactor says "receive whatever comes, send this" and hears about results. All that a turn has to ask for goes to the
//! kernel in one call, and all that was done comes back with it. What is different for the rest of the code:
//!
//! 1. **Buffers belong to the kernel.** It writes and reads them at any time until it says otherwise. So a connection cannot
//!    be closed at once: its operations are cancelled first ([`closing`]), and its output is left alone while it is sent
//!    ([`operations`]).
//! 2. **Nobody holds a buffer in advance.** Buffers wait in a common queue ([`buffers`]); the kernel takes one when bytes
//!    have arrived.
//! 3. **What was asked for may come although nobody wants it any more.** Input that arrives after
//!    [`crate::app::Cx::set_reading`] said stop is kept for later; completions of a connection that is gone meet a socket
//!    that ignores them, because its key stays taken until the last of them came.
//! 4. **Silence is an answer.** A send that can be done is done while it is submitted. One that was not completed by then
//!    is refused for now: the application hears of it ([`complete`]).
//!
//! Applications do not notice: the same tests run on both.

mod accept;
mod actions;
mod buffers;
mod closing;
mod complete;
mod connection;
mod deliver;
mod heard;
mod io;
mod operations;
mod relay;
mod ring;
#[cfg(test)]
mod tests;

use crate::{
    app::{App, Cx, ListenerId},
    net::{Error, ReactorConfig, Remote, clock, ending::Ending, options::limit_ahead, reactor::report_cut},
};
use accept::Listeners;
use io::Io;
use socket2::SockRef;
use std::{
    fmt,
    io::{ErrorKind, Result},
    net::TcpListener,
    sync::Arc,
    time::Duration,
};

/// Deadlines that one turn reports at most: after a pause of a thousand connections, others have their turn in between.
const DEADLINES: usize = 1024;

/// How long the kernel may take to let go of everything at the end; it is asked so often.
const ENDING: Duration = Duration::from_millis(100);
const ENDINGS: usize = 10;

/// A completion-driven event loop that runs one application on the thread that calls [`Proactor::run`].
///
/// It is configured as a [`super::Reactor`] and keeps the same contract, [`App`].
pub struct Proactor<A> {
    app: A,
    cx: Cx,
    io: Io,
    listeners: Listeners,
    remote: Remote,
    /// Asked to drain, while the kernel may still be accepting.
    asked_to_drain: Option<Duration>,
    /// No more is accepted; ends at this time if connections are left.
    ending: Ending,
}

impl<A> fmt::Debug for Proactor<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proactor").field("cx", &self.cx).field("ending", &self.ending).finish_non_exhaustive()
    }
}

impl<A: App> Proactor<A> {
    /// An event loop without listeners.
    ///
    /// # Errors
    ///
    /// [`Error::IoUring`]: this system has no io_uring that will do, or no memory or descriptors for it.
    pub fn new(app: A, config: ReactorConfig) -> std::result::Result<Self, Error> {
        let now = clock::now();
        let io = Io::new(config, now.instant).map_err(Error::IoUring)?;
        let bell = Arc::clone(&io.bell);
        let remote = Remote::new(move || bell.write(1).map(drop).map_err(Into::into));
        let (listeners, cx) = (Listeners::new(config.spare), Cx::new(now));
        Ok(Self { app, cx, io, listeners, remote, asked_to_drain: None, ending: Ending::default() })
    }

    /// Accepts connections from `listener`, too. Its connections will send small writes at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// There are 256 listeners already, or the system refuses to prepare this one.
    pub fn listen(&mut self, listener: TcpListener) -> Result<ListenerId> {
        let Ok(id) = u8::try_from(self.listeners.len()) else {
            let text = "an event loop takes at most 256 listeners";
            return Err(std::io::Error::new(ErrorKind::InvalidInput, text));
        };
        // Else the kernel would say "nobody is there" at once instead of waiting for somebody.
        listener.set_nonblocking(false)?;
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        limit_ahead(&listener)?;
        self.listeners.add(listener);
        Ok(ListenerId(id))
    }

    /// A handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Runs until it was told to stop, or to drain and the last connection has ended; gives the application back.
    ///
    /// # Errors
    ///
    /// The kernel refuses to work for us. What goes wrong with a connection is told to the application instead.
    pub fn run(mut self) -> Result<A> {
        self.io.ring.enable()?;
        self.app.started(&mut self.cx);
        self.settle();
        while !self.is_over() {
            self.turn()?;
        }
        let late = self.ending.is_late(self.cx.now());
        if late && self.cx.open() > 0 {
            self.cut_off()?;
        }
        let cut = self.io.give_up_all();
        if late {
            report_cut(cut);
        }
        self.end()?;
        Ok(self.app)
    }

    fn turn(&mut self) -> Result<()> {
        self.accept();
        self.io.prepare();
        self.io.ring.enter(self.patience())?;
        self.cx.set_clock(clock::now());
        self.io.now = self.cx.now();
        let again = self.cx.take_call();
        self.io.note_all();
        let mut later = std::mem::take(&mut self.io.later);
        self.io.ready.append(&mut later);
        self.hear_ready();
        self.hear_arrivals();
        self.hear_ready();
        self.hear_accepted();
        self.hear_deadlines();
        if std::mem::take(&mut self.io.mail) {
            self.hear_mail();
        }
        if again {
            self.app.woken(&mut self.cx);
            self.settle();
        }
        if self.listeners.is_idle()
            && let Some(within) = self.asked_to_drain.take()
        {
            self.drain(within);
        }
        Ok(())
    }

    /// How long to wait for the kernel: not at all while there is something to tell, else until the next deadline.
    fn patience(&self) -> Option<Duration> {
        let io = &self.io;
        let nothing = io.ready.is_empty() && io.later.is_empty() && io.arrivals.is_empty() && io.starved.is_empty();
        let waiting = !nothing || self.can_admit() || self.cx.is_called_again();
        if waiting || self.asked_to_drain.is_some() && self.listeners.is_idle() {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.cx.next_deadline(),
            self.io.closing.next(),
            self.listeners.exhausted_until,
            self.listeners.ask_again,
            self.ending.deadline(),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(self.cx.now()))
    }

    fn hear_deadlines(&mut self) {
        self.io.expire_closing();
        for _ in 0..DEADLINES {
            let Some(key) = self.cx.next_expired() else { return };
            self.app.expired(&mut self.cx, key);
            self.settle();
        }
    }

    fn hear_mail(&mut self) {
        let asked = self.remote.take();
        if asked.wake() {
            self.app.woken(&mut self.cx);
            self.settle();
        }
        if asked.drain() {
            // First the kernel has to stop accepting: whom it has accepted until then is served.
            self.listeners.closing = true;
            self.asked_to_drain = Some(self.remote.within());
        }
        if asked.stop() {
            self.ending.stop();
        }
    }

    /// Takes whom the kernel has accepted already, closes the listeners and tells the application to come to an end.
    fn drain(&mut self, within: Duration) {
        self.close_listeners();
        if self.ending.drain(self.cx.now(), within) {
            self.app.drain(&mut self.cx);
            self.settle();
        }
    }

    fn is_over(&self) -> bool {
        self.ending.is_over(self.cx.now(), self.io.table.is_empty() && self.cx.open() == 0)
    }

    /// Lets the application say its last words, and the kernel send them.
    fn cut_off(&mut self) -> Result<()> {
        self.app.cut_off(&mut self.cx);
        self.settle();
        self.io.prepare();
        self.io.ring.enter(Some(Duration::ZERO))?;
        self.io.note_all();
        Ok(())
    }

    /// Closes what is left. The kernel has to let go of it first.
    fn end(&mut self) -> Result<()> {
        self.listeners.closing = true;
        for _ in 0..ENDINGS {
            self.accept();
            self.hear_arrivals();
            if self.io.table.is_empty() && self.listeners.is_idle() {
                break;
            }
            self.io.prepare();
            self.io.ring.enter(Some(ENDING))?;
            self.io.note_all();
            self.note_accepted();
        }
        Ok(())
    }
}
