//! Taking connections from the listeners: how many, and when not.
//!
//! One operation accepts all connections that come, until it is cancelled. Near the limit that would be too many: from
//! there on, one operation accepts one connection. At the limit, another one tells that a connection waits, and the
//! application is asked to close one that is not used ([`App::crowded`]).

use super::{
    Proactor,
    connection::{Connection, Phase},
    io::Io,
    operations::{Kind, Operation},
    ring::Ring,
};
use crate::{
    app::{App, ListenerId, Origin},
    net::driver::{BACK_OFF, StillOpen, is_passing, out_of_descriptors},
};
use socket2::Socket;
use std::{collections::VecDeque, io, mem, net::TcpListener, os::fd::AsRawFd, time::Duration};

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
    /// The name under which its connections come in.
    id: ListenerId,
    /// `None`: it was closed, and its place is free.
    socket: Option<TcpListener>,
    /// It is to be closed as soon as the kernel lets go of it, and holds this until then.
    given_up: Option<StillOpen>,
    accepting: Accepting,
    /// The kernel was asked to tell when a connection waits.
    watched: bool,
    /// It has told.
    waits: bool,
}

/// The listeners to accept from, and when.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// Accepted by the kernel when there was no room any more. No application knows of them.
    surplus: VecDeque<(ListenerId, Socket)>,
    /// How many there were when the application closed one, which the kernel has not let go of yet.
    leaving: Option<usize>,
    /// No more.
    pub(super) closing: bool,
    /// Asked to drain within this time, while the kernel may still be accepting.
    pub(super) drain: Option<Duration>,
}

impl Listeners {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn add(&mut self, id: ListenerId, socket: TcpListener) {
        let accepting = Accepting::No;
        let (given_up, watched, waits) = (None, false, false);
        let listener = Listener { id, socket: Some(socket), given_up, accepting, watched, waits };
        match self.all.iter_mut().find(|listener| listener.socket.is_none()) {
            Some(place) => *place = listener,
            None => self.all.push(listener),
        }
    }

    pub(super) fn rename(&mut self, id: ListenerId, other: ListenerId) {
        self.all.iter_mut().filter(|listener| listener.id == id).for_each(|listener| listener.id = other);
    }

    /// The listeners with this id are to be closed.
    pub(super) fn give_up(&mut self, id: ListenerId, open: &StillOpen) {
        let those = self.all.iter_mut().filter(|listener| listener.id == id && listener.socket.is_some());
        those.for_each(|listener| listener.given_up = Some(open.clone()));
    }

    /// Whether a listener is to be closed that the kernel has let go of.
    pub(super) fn can_close(&self) -> bool {
        self.all.iter().any(Listener::can_close)
    }

    /// Whether no operation accepts or watches.
    pub(super) fn is_idle(&self) -> bool {
        self.all.iter().all(Listener::is_idle)
    }

    /// Whether it was asked to drain, and the kernel accepts no more.
    pub(super) fn can_drain(&self) -> bool {
        self.drain.is_some() && self.is_idle()
    }

    /// Whether a connection waits at a listener, or was accepted for which there is no room.
    fn has_waiting(&self) -> bool {
        !self.surplus.is_empty() || self.all.iter().any(|listener| listener.waits)
    }
}

impl Listener {
    fn is_idle(&self) -> bool {
        self.accepting == Accepting::No && !self.watched
    }

    fn can_close(&self) -> bool {
        self.given_up.is_some() && self.is_idle()
    }

    /// Has the kernel tell of the next connection that waits, or not.
    fn watch(&mut self, index: usize, wanted: bool, ring: &mut Ring) {
        if !wanted {
            self.waits = false;
        }
        if wanted
            && !self.watched
            && !self.waits
            && let Some(socket) = &self.socket
        {
            self.watched = true;
            ring.push(Operation::knock(socket.as_raw_fd(), index));
        } else if !wanted && self.watched {
            ring.cancel(Kind::Knock.token(index));
        }
    }
}

impl Io {
    /// How many more connections there is room for, beside those that the kernel has accepted.
    fn room(&self) -> usize {
        self.common.room().saturating_sub(self.listeners.surplus.len())
    }

    /// Whether a connection was accepted that can be admitted now.
    pub(super) fn can_admit(&self) -> bool {
        !self.listeners.surplus.is_empty() && self.common.room() > 0
    }

    /// Keeps descriptors aside for connections beyond those that are open.
    pub(super) fn keep_spare(&mut self) {
        let open = self.common.table.accepted() + self.listeners.surplus.len();
        self.common.gate.keep_spare(open);
    }

    /// Has the kernel accept as many as there is room for.
    pub(super) fn arm_listeners(&mut self) {
        let open = self.common.gate.open_if_due(self.common.now) && !self.listeners.closing;
        self.keep_spare();
        let full = open && self.room() == 0;
        let wanted = match self.room() {
            _ if !open => Accepting::No,
            0 => Accepting::No,
            1..NEAR => Accepting::Once,
            _ => Accepting::Many,
        };
        for (index, listener) in self.listeners.all.iter_mut().enumerate() {
            let Some(socket) = listener.socket.as_ref().map(AsRawFd::as_raw_fd) else { continue };
            let wanted = if listener.given_up.is_some() { Accepting::No } else { wanted };
            match listener.accepting {
                Accepting::No if wanted != Accepting::No => {
                    listener.accepting = wanted;
                    let many = wanted == Accepting::Many;
                    self.ring.push(Operation::accept(socket, index, many));
                }
                // A single accept that is still armed may complete once more.
                Accepting::Once if wanted == Accepting::Many => {}
                Accepting::Many | Accepting::Once if listener.accepting != wanted => {
                    listener.accepting = Accepting::Ending;
                    self.ring.cancel(Kind::Accept.token(index));
                }
                _ => {}
            }
            listener.watch(index, full && listener.given_up.is_none(), &mut self.ring);
        }
    }
}

impl<A: App> Proactor<A> {
    /// Lets the application hear of the connections that the kernel has accepted.
    pub(super) fn hear_accepted(&mut self) {
        self.note_accepted();
        self.admit_surplus();
        self.make_room();
        self.admit_surplus();
    }

    fn admit_surplus(&mut self) {
        while self.io.can_admit()
            && let Some((listener, socket)) = self.io.listeners.surplus.pop_front()
        {
            self.admit(listener, socket);
        }
    }

    /// Has the application close a connection for one that waits. The closed connection is gone when the kernel has let
    /// go of it: until then, the application is not asked for another.
    fn make_room(&mut self) {
        let (now, before) = (self.cx.now(), self.io.common.table.accepted());
        let ask_again = self.io.common.gate.ask_again;
        let due = ask_again.is_none_or(|at| at <= now) || self.io.listeners.leaving != Some(before);
        if self.io.room() > 0 || !self.io.listeners.has_waiting() || self.io.listeners.closing {
            (self.io.common.gate.ask_again, self.io.listeners.leaving) = (None, None);
        } else if due {
            self.io.listeners.leaving = self.crowded().then_some(before);
            self.io.common.gate.ask_again = Some(now + BACK_OFF);
        }
    }

    pub(super) fn note_accepted(&mut self) {
        while let Some(index) = self.io.knocked.pop_front() {
            if let Some(listener) = self.io.listeners.all.get_mut(index) {
                (listener.watched, listener.waits) = (false, true);
            }
        }
        while let Some(accepted) = self.io.accepted.pop_front() {
            if accepted.last
                && let Some(listener) = self.io.listeners.all.get_mut(accepted.index)
            {
                listener.accepting = Accepting::No;
            }
            match accepted.socket {
                Ok(socket) => {
                    let listener = self.io.listeners.all.get(accepted.index).map(|listener| listener.id);
                    self.io.listeners.surplus.extend(listener.map(|id| (id, socket)));
                }
                Err(error) => self.refused(&error),
            }
        }
    }

    /// No connection was accepted.
    fn refused(&mut self, error: &io::Error) {
        const CANCELLED: i32 = nix::libc::ECANCELED;
        if is_passing(error) || error.raw_os_error() == Some(CANCELLED) {
            return;
        }
        if out_of_descriptors(error) && self.free_descriptor() {
            return;
        }
        self.io.common.gate.back_off(error, self.cx.now());
    }

    /// Finds a descriptor for a connection that waits: one that was kept, or that of a connection which is not used.
    fn free_descriptor(&mut self) -> bool {
        if self.io.common.gate.release_spare() {
            return true;
        }
        self.crowded();
        // The closed connection is gone a little later.
        false
    }

    fn admit(&mut self, listener: ListenerId, socket: Socket) {
        // The kernel does not tell who it is when it accepts many. If it cannot say now, the peer has gone already.
        let Ok(Some(peer)) = socket.peer_addr().map(|address| address.as_socket()) else { return };
        let tells = self.io.common.config.tells_local;
        let local = tells.then(|| socket.local_addr().ok().and_then(|address| address.as_socket())).flatten();
        self.io.common.gate.works();
        let conn = self.cx.allocate();
        self.io.adopt(Connection::new(socket, conn, Phase::Open, true));
        self.app.accepted(&mut self.cx, conn, Origin { listener, peer, local, secure: None });
        self.settle();
    }

    /// Takes the connections of the kernel's backlog, as far as there is room, and closes the listeners.
    pub(super) fn close_listeners(&mut self) {
        for listener in mem::take(&mut self.io.listeners.all) {
            self.take_the_rest(listener.id, listener.socket);
        }
        self.io.listeners.surplus.clear();
    }

    /// The same with those that were given up, as soon as the kernel has let go of them.
    pub(super) fn close_given_up(&mut self) {
        while let Some(listener) = self.io.listeners.all.iter_mut().find(|listener| listener.can_close()) {
            let (id, socket) = (listener.id, listener.socket.take());
            let _until_then = listener.given_up.take();
            self.take_the_rest(id, socket);
        }
    }

    fn take_the_rest(&mut self, id: ListenerId, socket: Option<TcpListener>) {
        let Some(socket) = socket.filter(|socket| socket.set_nonblocking(true).is_ok()) else { return };
        while self.io.room() > 0
            && let Ok((stream, _)) = socket.accept()
        {
            self.admit(id, stream.into());
        }
    }
}
