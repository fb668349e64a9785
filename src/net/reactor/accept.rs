//! Taking connections from the listeners: how many, and when not.
//!
//! At the limit, the application is asked to close a connection that is not used ([`App::crowded`]): once for each one that
//! waits, for which the kernel is asked first.

use super::{Reactor, connection::Phase};
use crate::{
    app::{App, ListenerId, Origin},
    net::spare::Spare,
};
use mio::net::{TcpListener, TcpStream};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

/// Connections that one listener gives in one turn. Those that are open already come first.
const BURST: usize = 64;

/// How long to wait when descriptors ran out, or another error says that accepting makes no sense. Trying at once would
/// fail at once, and burn a core. Also how soon an application that had nothing to close is asked again.
pub(in crate::net) const BACK_OFF: Duration = Duration::from_millis(100);

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// Connections may wait in its backlog.
    pub(super) ready: bool,
    /// One does, for certain: the kernel was asked since the last one was accepted.
    waits: bool,
}

impl Listener {
    pub(super) fn new(socket: TcpListener) -> Self {
        Self { socket, ready: false, waits: false }
    }

    /// Whether a connection waits. An event from the past does not say so: all that it told of may have been accepted.
    fn has_waiting(&mut self) -> bool {
        if self.ready && !self.waits {
            match poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) {
                // The next one is an event again.
                Ok(0) => self.ready = false,
                Ok(_) => self.waits = true,
                // It did not say: the next turn asks again.
                Err(_) => {}
            }
        }
        self.waits
    }
}

/// Whom to accept from, and when.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pub(super) all: Vec<Listener>,
    /// Descriptors ran out, most likely; until then nothing is accepted.
    pub(super) exhausted_until: Option<Instant>,
    /// A connection waits for another to end: when to ask the application again to close one.
    pub(super) ask_again: Option<Instant>,
    spare: Spare,
    /// It was logged. Once is enough until it works again.
    complained: bool,
}

impl Listeners {
    pub(super) fn new(spare: usize) -> Self {
        Self { spare: Spare::new(spare), ..Self::default() }
    }

    /// Keeps descriptors aside for connections beyond the `open` ones.
    pub(super) fn keep_spare(&mut self, open: usize) {
        if let Some(first) = self.all.first() {
            self.spare.keep(&first.socket, open);
        }
    }

    /// Whether some connection could be accepted now.
    pub(super) fn is_ready(&self) -> bool {
        (0..self.all.len()).any(|index| self.is_ready_at(index))
    }

    fn is_ready_at(&self, index: usize) -> bool {
        self.exhausted_until.is_none() && self.all[index].ready
    }
}

impl<A: App> Reactor<A> {
    /// Whether there is room for another connection. When there is not, the backlog waits, and behind it the clients.
    pub(super) fn has_room(&self) -> bool {
        self.io.table.accepted() < self.io.config.max_connections
    }

    /// Accepts what waits: at most `burst` a listener.
    pub(super) fn accept(&mut self, burst: usize) {
        if self.listeners.exhausted_until.is_some_and(|until| self.cx.now() < until) {
            return;
        }
        self.listeners.exhausted_until = None;
        self.listeners.ask_again = None;
        for index in 0..self.listeners.all.len() {
            for _ in 0..burst {
                if !self.listeners.is_ready_at(index) || !(self.has_room() || self.make_room(index)) {
                    break;
                }
                self.accept_one(index);
            }
        }
        self.listeners.keep_spare(self.io.table.accepted());
    }

    /// Has the application close a connection for one that waits. `false`: none waits, or there is no room yet.
    fn make_room(&mut self, index: usize) -> bool {
        if !self.listeners.all[index].has_waiting() {
            return false;
        }
        self.app.crowded(&mut self.cx);
        self.settle();
        if !self.has_room() {
            self.listeners.ask_again = Some(self.cx.now() + BACK_OFF);
        }
        self.has_room()
    }

    /// The listeners' share of a turn.
    pub(super) fn accept_burst(&mut self) {
        if self.listeners.all.iter().any(|listener| listener.ready) {
            self.accept(BURST);
        }
    }

    fn accept_one(&mut self, index: usize) {
        match self.listeners.all[index].socket.accept() {
            Ok((stream, peer)) => {
                self.listeners.complained = false;
                self.listeners.all[index].waits = false;
                self.admit(index, stream, peer);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let listener = &mut self.listeners.all[index];
                (listener.ready, listener.waits) = (false, false);
            }
            // A peer that gave up while it waited, or a signal: the next one is not affected.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(error) if out_of_descriptors(&error) && self.free_descriptor() => {}
            Err(error) => self.back_off(&error),
        }
    }

    /// Finds a descriptor for a connection that waits: one that was kept, or that of a connection which is not used.
    fn free_descriptor(&mut self) -> bool {
        if self.listeners.spare.release() {
            return true;
        }
        let before = self.io.table.accepted();
        self.app.crowded(&mut self.cx);
        self.settle();
        self.io.table.accepted() < before
    }

    /// Accepts nothing for a while. Whatever it was, it will not be better at once.
    fn back_off(&mut self, error: &io::Error) {
        self.listeners.exhausted_until = Some(self.cx.now() + BACK_OFF);
        if !std::mem::replace(&mut self.listeners.complained, true) {
            explain(error);
        }
    }

    fn admit(&mut self, index: usize, stream: TcpStream, peer: SocketAddr) {
        // Linux copies the option from the listener.
        #[cfg(not(target_os = "linux"))]
        let _ = stream.set_nodelay(true);
        let conn = self.cx.allocate();
        if let Err(error) = self.io.adopt(stream, conn, Phase::Open, true) {
            tracing::warn!(%error, %peer, "cannot watch a connection; closed");
            self.cx.release(conn);
            return;
        }
        let listener = ListenerId(u8::try_from(index).expect("listen() takes at most 256 listeners"));
        self.app.accepted(&mut self.cx, conn, Origin { listener, peer });
        self.settle();
    }
}

/// Says what may help.
pub(in crate::net) fn explain(error: &io::Error) {
    if out_of_descriptors(error) {
        tracing::warn!(%error, "cannot accept: raise the limit with `ulimit -n`, or take fewer at once");
    } else {
        tracing::warn!(%error, "cannot accept: trying again every 100 ms");
    }
}

/// The process or the system has no descriptor, or no memory for one.
pub(in crate::net) fn out_of_descriptors(error: &io::Error) -> bool {
    const CAUSES: [Errno; 4] = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| CAUSES.contains(&Errno::from_raw(code)))
}
