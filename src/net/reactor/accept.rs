//! Taking connections from the listeners: how many, and when not.

use super::{Reactor, connection::Phase};
use crate::app::{App, ListenerId, Origin};
use mio::net::{TcpListener, TcpStream};
use nix::errno::Errno;
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Connections that one listener gives in one turn. Those that are open already come first.
const BURST: usize = 64;

/// How long to wait when descriptors ran out, or another error says that accepting makes no sense. Trying at once would
/// fail at once, and burn a core.
pub(in crate::net) const BACK_OFF: Duration = Duration::from_millis(100);

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// Connections may wait in its backlog.
    pub(super) ready: bool,
}

/// Whom to accept from, and when.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pub(super) all: Vec<Listener>,
    /// Descriptors ran out, most likely; until then nothing is accepted.
    pub(super) exhausted_until: Option<Instant>,
    /// It was logged. Once is enough until it works again.
    complained: bool,
}

impl Listeners {
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
        for index in 0..self.listeners.all.len() {
            for _ in 0..burst {
                if !self.listeners.is_ready_at(index) || !self.has_room() {
                    break;
                }
                self.accept_one(index);
            }
        }
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
                self.admit(index, stream, peer);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.listeners.all[index].ready = false,
            // A peer that gave up while it waited, or a signal: the next one is not affected.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(error) => self.back_off(&error),
        }
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
fn out_of_descriptors(error: &io::Error) -> bool {
    const CAUSES: [Errno; 4] = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| CAUSES.contains(&Errno::from_raw(code)))
}
