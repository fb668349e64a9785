//! The part that every event loop has in common, however bytes are moved.
//!
//! ```text
//!   turn:  wait ─▶ note what happened ─▶ hear it ─▶ accept ─▶ deadlines ─▶ mailbox ─▶ put off ─▶ wait …
//!                                          │  ▲
//!                              App hears ◀─┘  │ carry out what it asked for
//!                                  └──────────┘
//! ```
//!
//! [`EventLoop`] owns the application and the order of things: what is heard when, how much of it in one turn, and how the
//! loop ends. A [`Transport`] owns sockets and speaks with the kernel: by readiness in the [reactor](super::reactor), by
//! completion in the [proactor](super::proactor). [`Common`] is what every transport has to remember.
//!
//! Three rules hold for both:
//!
//! 1. Nothing is called from inside a call: an effect of what the application asks for is heard later, from the ready queue.
//! 2. Everything that the kernel said is noted before the application hears the first of it.
//! 3. A turn is shared out: at most [`BUDGET`] bytes of one connection, [`SHARE`] of the files sent to it, [`EXTRA`] visits, [`DEADLINES`] deadlines.
//!
//! # Files
//!
//! The loop's thread never reads a file whose bytes are on a disk. The part that is due ([`filing`]) is looked at first, which does not wait
//! (`RWF_NOWAIT`, `file/cached.rs`): bytes in the kernel's memory are sent from there; for others a thread is asked (`file/reads.rs`), and the
//! loop is woken when it has them. Systems and file systems that cannot tell have all their bytes read by such threads, and so has a file
//! without a descriptor.

mod closing;
mod common;
mod config;
mod ending;
mod file;
mod filing;
mod gate;
mod pipe;
mod remote;
mod spare;
mod table;
mod waiting;

pub use common::Common;
pub use config::DriverConfig;
pub use file::Files;
pub use remote::{Closed, Remote, StillOpen};
pub use table::Socket;
pub(super) use {
    closing::{ALLOWANCE, Closing, LINGER},
    common::{Ready, Told},
    file::{Behind, Piece},
    filing::{Next, SHARE},
    gate::{BACK_OFF, Gate, is_passing, out_of_descriptors},
    pipe::{Moved, Pipe, Pipes, is_unsupported},
    remote::Change,
    table::Table,
    waiting::Waiting,
};
#[cfg(test)]
pub(super) use {
    pipe::CAPACITY,
    waiting::{MODEST, PLENTY},
};

use super::clock;
use crate::{
    app::{App, ConnId, Cx, ListenerId},
    time::Instant,
};
use ending::Ending;
use std::{
    fmt,
    io::{ErrorKind, Result},
    mem,
    net::TcpListener,
    time::Duration,
};

/// Bytes that the application hears of one connection before others have their turn: four small reads, or a large one.
pub(super) const BUDGET: usize = 64 * 1024;

/// A call that queues at least so much for one connection hears [`App::sent`] even if all of it left at once.
/// As much as the largest read, next to which one call more costs nothing; a source without end can wait for it.
pub(super) const CONFIRMED: usize = 512 * 1024;

/// How many pieces leave in one system call or operation. The kernel's own limit is 1024; an answer has a head, a body and
/// little else.
pub(super) const SLICES: usize = 64;

/// Visits that one turn makes beyond those that were due at its start: for what comes of them, so that a refused write is
/// heard of before the next read. The rest waits for the next turn, so that no two connections can keep the others out.
const EXTRA: usize = 256;

/// Deadlines that one turn reports at most: after a pause of a thousand connections, others have their turn in between.
const DEADLINES: usize = 1024;

/// How far our own stream has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// The application has not asked for it.
    No,
    /// It ends after the output.
    Asked,
    /// `shutdown(SHUT_WR)` was called.
    Done,
}

/// How bytes are moved. Nothing here calls the application, except for the functions that are given the whole event loop.
pub trait Transport: Sized {
    /// Its knowledge of one socket.
    type Socket: Socket;

    /// The things that every transport has to remember.
    fn common(&self) -> &Common<Self::Socket>;
    /// As [`Transport::common`].
    fn common_mut(&mut self) -> &mut Common<Self::Socket>;

    /// The calling thread is the one that runs the loop from now on.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    fn begin(&mut self) -> Result<()> {
        Ok(())
    }
    /// Waits for the kernel, at most for `patience`. `alarm`: a deadline that has to be met on time.
    ///
    /// # Errors
    ///
    /// The kernel refuses to wait. A signal is no error.
    fn wait(&mut self, patience: Option<Duration>, alarm: Option<Instant>) -> Result<()>;
    /// Notes what the kernel said. The time was read since.
    fn note(&mut self);
    /// Whether there is something to do that the kernel need not be waited for. The ready queue is known already.
    fn is_busy(&self) -> bool;
    /// Carries out what the application asked for since the last time.
    fn carry_out(&mut self, cx: &mut Cx);
    /// Sends on: what a thread has read for a socket is there.
    fn go_on(&mut self, key: usize);
    /// Closes a socket now, whatever it was doing.
    fn close_now(&mut self, key: usize);
    /// Closes a socket that has not come to its end. If something was still to be sent, with a reset: the peer must not
    /// take what it has for the whole.
    fn give_up(&mut self, key: usize);
    /// Has the kernel take what was asked for, without waiting.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    fn flush_all(&mut self) -> Result<()> {
        Ok(())
    }

    /// Lets the application hear what was noted.
    fn hear<A: App>(on: &mut EventLoop<A, Self>) {
        on.hear_ready();
    }
    /// Lets the application hear of one socket.
    fn visit<A: App>(on: &mut EventLoop<A, Self>, key: usize);
    /// Lets the application hear of new connections: a share of them.
    fn accept<A: App>(on: &mut EventLoop<A, Self>);
    /// Accepts connections from one more listener, which come in by `id`.
    ///
    /// # Errors
    ///
    /// The system refuses to watch it.
    fn listen(&mut self, id: ListenerId, listener: TcpListener) -> Result<()>;
    /// Connections of one listener come in by another id from now on.
    fn rename(&mut self, id: ListenerId, other: ListenerId);
    /// Accepts what waits at the listeners with this id, and closes them: at once, or as soon as the kernel lets go of them. Until then
    /// `open` is held.
    fn close_listener<A: App>(on: &mut EventLoop<A, Self>, id: ListenerId, open: StillOpen);
    /// Takes the connections that the kernel has accepted, closes the listeners, and calls [`EventLoop::begin_drain`]: at once,
    /// or as soon as the kernel lets go of them.
    fn drain<A: App>(on: &mut EventLoop<A, Self>, within: Duration);
    /// Closes what is left.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    fn end<A: App>(_on: &mut EventLoop<A, Self>) -> Result<()> {
        Ok(())
    }
}

/// An event loop that runs one application on the thread that calls [`EventLoop::run`].
pub struct EventLoop<A, T> {
    pub(super) app: A,
    pub(super) cx: Cx,
    pub(super) io: T,
    remote: Remote,
    /// No more is accepted; ends at this time if connections are left.
    ending: Ending,
}

impl<A, T> fmt::Debug for EventLoop<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("cx", &self.cx).field("ending", &self.ending).finish_non_exhaustive()
    }
}

impl<A: App, T: Transport> EventLoop<A, T> {
    /// An event loop whose wait is ended by `remote`.
    pub(super) fn with(app: A, cx: Cx, io: T, remote: Remote) -> Self {
        io.common().reads.wake(remote.clone());
        Self { app, cx, io, remote, ending: Ending::default() }
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
    /// The kernel refuses to work for us. Errors of a connection are told to the application instead.
    pub fn run(mut self) -> Result<A> {
        self.io.begin()?;
        self.app.started(&mut self.cx);
        self.settle();
        while !self.is_over() {
            self.turn()?;
        }
        let late = self.ending.is_late(self.cx.now());
        if late && self.cx.open() > 0 {
            self.app.cut_off(&mut self.cx);
            self.settle();
            self.io.flush_all()?;
        }
        let cut = self.give_up_all();
        if late && cut > 0 {
            tracing::warn!(clients = cut, "cut off after the drain timeout: they had not taken all of their answers");
        }
        T::end(&mut self)?;
        Ok(self.app)
    }

    fn turn(&mut self) -> Result<()> {
        let patience = self.patience();
        self.io.wait(patience, self.cx.alarm())?;
        self.cx.set_clock(clock::now());
        self.io.common_mut().now = self.cx.now();
        let again = self.cx.take_call();
        self.io.note();
        self.io.common_mut().begin_turn();
        T::hear(self);
        T::accept(self);
        self.hear_deadlines();
        if mem::take(&mut self.io.common_mut().mail) {
            self.hear_mail();
        }
        if again {
            self.app.woken(&mut self.cx);
            self.settle();
        }
        if !self.io.common().cut.is_empty() {
            self.hear_cut();
        }
        Ok(())
    }

    /// How long to wait for the kernel: not at all while there is something to tell, else until the next deadline.
    fn patience(&self) -> Option<Duration> {
        let common = self.io.common();
        if common.has_ready() || self.cx.is_called_again() || self.io.is_busy() {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.cx.next_deadline(),
            common.closing.next(),
            common.reading.next(),
            common.gate.deadline(),
            self.ending.deadline(),
            common.pipes.deadline(),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(self.cx.now()))
    }

    /// Visits the sockets in the ready queue.
    pub(super) fn hear_ready(&mut self) {
        let mut left = self.io.common().ready.len() + EXTRA;
        while left > 0
            && let Some(ready) = self.io.common_mut().next_ready()
        {
            left -= 1;
            match ready {
                Ready::Socket(key) => T::visit(self, key),
                Ready::Failed(conn, kind) => self.fail(conn, kind),
            }
        }
    }

    /// After a call to the application: carries out what it asked for, and answers what it wanted to know.
    pub(super) fn settle(&mut self) {
        self.io.carry_out(&mut self.cx);
        while let Some((conn, told)) = self.io.common_mut().told.pop_front() {
            if self.cx.is_open(conn) {
                match told {
                    Told::Quiet(quiet) => self.app.peeked(&mut self.cx, conn, quiet),
                    Told::Progress(progress) => self.app.progressed(&mut self.cx, conn, progress),
                    Told::HeldUp => self.app.held_up(&mut self.cx, conn),
                }
                self.io.carry_out(&mut self.cx);
            }
        }
    }

    /// The connection is gone. Its name stays until the application has heard so, and no longer.
    pub(super) fn fail(&mut self, conn: ConnId, kind: ErrorKind) {
        if let Some((key, _)) = self.io.common_mut().table.find_mut(conn) {
            self.io.close_now(key);
        }
        if self.cx.is_open(conn) {
            self.app.failed(&mut self.cx, conn, kind);
            self.cx.release(conn);
            self.settle();
        }
    }

    /// Has the application close a connection that is not used. Tells whether it closed one.
    pub(super) fn crowded(&mut self) -> bool {
        let open = self.cx.open();
        self.app.crowded(&mut self.cx);
        self.settle();
        self.cx.open() < open
    }

    fn hear_deadlines(&mut self) {
        while let Some(key) = self.io.common_mut().next_late() {
            self.io.give_up(key);
        }
        let common = self.io.common_mut();
        common.pipes.expire(common.now);
        common.give_up_reads();
        for _ in 0..DEADLINES {
            let Some(key) = self.cx.next_expired() else { return };
            self.app.expired(&mut self.cx, key);
            self.settle();
        }
    }

    fn hear_mail(&mut self) {
        let asked = self.remote.take();
        if asked.read() {
            self.hear_reads();
        }
        if asked.wake() {
            self.app.woken(&mut self.cx);
            self.settle();
        }
        if asked.change() {
            self.change_listeners();
        }
        if asked.drain() {
            T::drain(self, self.remote.within());
        }
        if asked.stop() {
            self.ending.stop();
        }
    }

    fn change_listeners(&mut self) {
        for change in self.remote.changes() {
            match change {
                // Its connections would never be accepted: better that they are refused.
                Change::Add(..) if self.ending.has_begun() => {}
                Change::Add(id, listener) => {
                    if let Err(error) = self.io.listen(id, listener) {
                        tracing::error!(%error, "cannot listen");
                    }
                }
                Change::Rename(id, other) => self.io.rename(id, other),
                Change::Remove(id, open) => T::close_listener(self, id, open),
            }
        }
    }

    /// Accepts connections from `listener`, too, which come in by `id`. They will send small writes at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// The system refuses to watch it.
    pub fn listen_as(&mut self, id: ListenerId, listener: TcpListener) -> Result<()> {
        self.io.listen(id, listener)
    }

    /// The listeners are closed: tells the application to come to an end `within` this time.
    pub(super) fn begin_drain(&mut self, within: Duration) {
        if self.ending.drain(self.cx.now(), within) {
            self.app.drain(&mut self.cx);
            self.settle();
        }
    }

    fn is_over(&self) -> bool {
        self.ending.is_over(self.cx.now(), self.io.common().table.is_empty() && self.cx.open() == 0)
    }

    /// Closes whatever is left when the event loop ends. Tells from how many clients a part of what was said to them is taken
    /// back; they have left the application already.
    fn give_up_all(&mut self) -> usize {
        let mut cut = 0;
        for key in self.io.common().table.keys() {
            let flushing = |socket: &mut T::Socket| socket.accepted() && socket.closing() == Some(Closing::Flushing);
            cut += usize::from(self.io.common_mut().table.get_mut(key).is_some_and(flushing));
            self.io.give_up(key);
        }
        cut
    }
}
