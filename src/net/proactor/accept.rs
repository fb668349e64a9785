//! Taking connections from the listeners: how many, and when not.
//!
//! One operation accepts whoever comes, until it is cancelled. Near the limit that would be too many: from there on, one
//! operation accepts one connection. At the limit, another one tells that a connection waits, and the application is asked to
//! close one that is not used ([`App::crowded`]).

use super::{
    Proactor,
    connection::{Connection, Phase},
    operations::{Kind, Operation},
    ring::Ring,
};
use crate::{
    app::{App, ListenerId, Origin},
    net::{
        reactor::{BACK_OFF, explain, out_of_descriptors},
        spare::Spare,
    },
};
use socket2::Socket;
use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    mem,
    net::TcpListener,
    os::fd::AsRawFd,
    time::Instant,
};

/// With less room than this, connections are accepted one by one.
const NEAR: usize = 1024;

/// Whether the kernel is accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepting {
    No,
    Many,
    Once,
    /// It was asked to end.
    Ending,
}

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    accepting: Accepting,
    /// The kernel was asked to tell when a connection waits.
    watched: bool,
    /// It has told.
    waits: bool,
}

/// Whom to accept from, and when.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// Accepted by the kernel when there was no room any more. No application knows of them.
    surplus: VecDeque<(usize, Socket)>,
    /// Descriptors ran out, most likely; until then nothing is accepted.
    pub(super) exhausted_until: Option<Instant>,
    /// A connection waits for another to end: when to ask the application again to close one.
    pub(super) ask_again: Option<Instant>,
    /// How many there were when the application closed one, which the kernel has not let go of yet.
    leaving: Option<usize>,
    spare: Spare,
    /// It was logged. Once is enough until it works again.
    complained: bool,
    /// No more.
    pub(super) closing: bool,
}

impl Listeners {
    pub(super) fn new(spare: usize) -> Self {
        Self { spare: Spare::new(spare), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn add(&mut self, socket: TcpListener) {
        self.all.push(Listener { socket, accepting: Accepting::No, watched: false, waits: false });
        self.keep_spare(0);
    }

    fn keep_spare(&mut self, open: usize) {
        if let Some(first) = self.all.first() {
            self.spare.keep(&first.socket, open);
        }
    }

    /// Whether no operation accepts or watches.
    pub(super) fn is_idle(&self) -> bool {
        self.all.iter().all(|listener| listener.accepting == Accepting::No && !listener.watched)
    }

    /// Whether a connection waits at a listener, or was accepted for which there is no room.
    fn has_waiting(&self) -> bool {
        !self.surplus.is_empty() || self.all.iter().any(|listener| listener.waits)
    }
}

impl Listener {
    /// Has the kernel tell of the next connection that waits, or not.
    fn watch(&mut self, index: usize, wanted: bool, ring: &mut Ring) {
        if !wanted {
            self.waits = false;
        }
        if wanted && !self.watched && !self.waits {
            self.watched = true;
            ring.push(Operation::knock(self.socket.as_raw_fd(), index));
        } else if !wanted && self.watched {
            ring.cancel(Kind::Knock.token(index));
        }
    }
}

impl<A: App> Proactor<A> {
    /// How many more connections there is room for. When there is none, the backlog waits, and behind it the clients.
    fn room(&self) -> usize {
        self.io.config.max_connections.saturating_sub(self.io.table.accepted() + self.listeners.surplus.len())
    }

    /// Whether somebody was accepted who can be admitted now.
    pub(super) fn can_admit(&self) -> bool {
        !self.listeners.surplus.is_empty() && self.io.table.accepted() < self.io.config.max_connections
    }

    /// Has the kernel accept as many as there is room for.
    pub(super) fn accept(&mut self) {
        if self.listeners.exhausted_until.is_some_and(|until| self.cx.now() >= until) {
            self.listeners.exhausted_until = None;
        }
        self.listeners.keep_spare(self.io.table.accepted() + self.listeners.surplus.len());
        let full = self.room() == 0 && self.listeners.exhausted_until.is_none() && !self.listeners.closing;
        let wanted = match self.room() {
            _ if self.listeners.closing || self.listeners.exhausted_until.is_some() => Accepting::No,
            0 => Accepting::No,
            1..NEAR => Accepting::Once,
            _ => Accepting::Many,
        };
        for (index, listener) in self.listeners.all.iter_mut().enumerate() {
            match listener.accepting {
                Accepting::No if wanted != Accepting::No => {
                    listener.accepting = wanted;
                    let many = wanted == Accepting::Many;
                    self.io.ring.push(Operation::accept(listener.socket.as_raw_fd(), index, many));
                }
                // A single accept that is still armed may complete once more.
                Accepting::Once if wanted == Accepting::Many => {}
                Accepting::Many | Accepting::Once if listener.accepting != wanted => {
                    listener.accepting = Accepting::Ending;
                    self.io.ring.cancel(Kind::Accept.token(index));
                }
                _ => {}
            }
            listener.watch(index, full, &mut self.io.ring);
        }
    }

    /// Lets the application hear whom the kernel has accepted.
    pub(super) fn hear_accepted(&mut self) {
        self.note_accepted();
        self.admit_surplus();
        self.make_room();
        self.admit_surplus();
    }

    fn admit_surplus(&mut self) {
        while self.can_admit()
            && let Some((index, socket)) = self.listeners.surplus.pop_front()
        {
            self.admit(index, socket);
        }
    }

    /// Has the application close a connection for one that waits. What it closes is gone when the kernel has let go of it: until
    /// then, it is not asked for another.
    fn make_room(&mut self) {
        let (now, before) = (self.cx.now(), self.io.table.accepted());
        let due = self.listeners.ask_again.is_none_or(|at| at <= now) || self.listeners.leaving != Some(before);
        if self.room() > 0 || !self.listeners.has_waiting() || self.listeners.closing {
            (self.listeners.ask_again, self.listeners.leaving) = (None, None);
        } else if due {
            let open = self.cx.open();
            self.app.crowded(&mut self.cx);
            self.settle();
            self.listeners.leaving = (self.cx.open() < open).then_some(before);
            self.listeners.ask_again = Some(now + BACK_OFF);
        }
    }

    pub(super) fn note_accepted(&mut self) {
        while let Some(index) = self.io.knocked.pop_front() {
            if let Some(listener) = self.listeners.all.get_mut(index) {
                (listener.watched, listener.waits) = (false, true);
            }
        }
        while let Some(accepted) = self.io.accepted.pop_front() {
            if accepted.last
                && let Some(listener) = self.listeners.all.get_mut(accepted.index)
            {
                listener.accepting = Accepting::No;
            }
            match accepted.socket {
                Ok(socket) => self.listeners.surplus.push_back((accepted.index, socket)),
                Err(error) => self.refused(&error),
            }
        }
    }

    /// Nobody was accepted.
    fn refused(&mut self, error: &io::Error) {
        const CANCELLED: i32 = nix::libc::ECANCELED;
        // A peer that gave up while it waited, a signal, or we: the next one is not affected.
        let passing = matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted);
        if passing || error.raw_os_error() == Some(CANCELLED) {
            return;
        }
        if out_of_descriptors(error) && self.free_descriptor() {
            return;
        }
        self.listeners.exhausted_until = Some(self.cx.now() + BACK_OFF);
        if !mem::replace(&mut self.listeners.complained, true) {
            explain(error);
        }
    }

    /// Finds a descriptor for a connection that waits: one that was kept, or that of a connection which is not used.
    fn free_descriptor(&mut self) -> bool {
        if self.listeners.spare.release() {
            return true;
        }
        self.app.crowded(&mut self.cx);
        self.settle();
        // What was closed is gone a little later.
        false
    }

    fn admit(&mut self, index: usize, socket: Socket) {
        // The kernel does not tell who it is when it accepts many. If it cannot say now, the peer has gone already.
        let Ok(Some(peer)) = socket.peer_addr().map(|address| address.as_socket()) else { return };
        self.listeners.complained = false;
        let conn = self.cx.allocate();
        self.io.adopt(Connection::new(socket, conn, Phase::Open, true));
        let listener = ListenerId(u8::try_from(index).expect("listen() takes at most 256 listeners"));
        self.app.accepted(&mut self.cx, conn, Origin { listener, peer });
        self.settle();
    }

    /// Takes whom the kernel has in its backlog, as far as there is room, and closes the listeners.
    pub(super) fn close_listeners(&mut self) {
        let listeners = mem::take(&mut self.listeners.all);
        for (index, listener) in listeners.iter().enumerate() {
            let willing = listener.socket.set_nonblocking(true).is_ok();
            while willing
                && self.room() > 0
                && let Ok((stream, _)) = listener.socket.accept()
            {
                self.admit(index, stream.into());
            }
        }
        self.listeners.surplus.clear();
    }
}
