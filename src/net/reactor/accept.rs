//! Taking connections from the listeners: how many, and when not.
//!
//! At the limit, the application is asked to close a connection that is not used ([`App::crowded`]): once for each one that
//! waits, for which the kernel is asked first.

use super::{Reactor, connection::Phase, io::Io};
use crate::{
    app::{App, ListenerId, Origin},
    net::driver::{BACK_OFF, is_passing, out_of_descriptors},
};
use mio::{
    Registry,
    net::{TcpListener, TcpStream},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{io::ErrorKind, net::SocketAddr, os::fd::AsFd as _};

/// Connections that one listener gives in one turn. Those that are open already come first.
const BURST: usize = 64;

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    /// The name under which its connections come in.
    pub(super) id: ListenerId,
    /// `None`: it was closed, and its place is free.
    socket: Option<TcpListener>,
    /// Connections may wait in its backlog.
    pub(super) ready: bool,
    /// One does, for certain: the kernel was asked since the last one was accepted.
    waits: bool,
}

impl Listener {
    pub(super) fn new(id: ListenerId, socket: TcpListener) -> Self {
        Self { id, socket: Some(socket), ready: false, waits: false }
    }

    /// The kernel is told so: other processes may have the same socket, and then closing it here would not end the events.
    pub(super) fn close(&mut self, registry: &Registry) {
        if let Some(socket) = &mut self.socket {
            // An error would mean that there are no events to come.
            let _ = registry.deregister(socket);
        }
        (self.socket, self.ready, self.waits) = (None, false, false);
    }

    /// Whether a connection waits. An event from the past does not say so: all that it told of may have been accepted.
    fn has_waiting(&mut self) -> bool {
        if self.ready
            && !self.waits
            && let Some(socket) = &self.socket
        {
            match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) {
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

impl Io {
    /// Keeps descriptors aside for connections beyond those that are open.
    pub(super) fn keep_spare(&mut self) {
        let open = self.common.table.accepted();
        self.common.gate.keep_spare(open);
    }

    /// The place of the next listener.
    pub(super) fn vacant_listener(&self) -> usize {
        self.listeners.iter().position(|listener| listener.socket.is_none()).unwrap_or(self.listeners.len())
    }

    pub(super) fn add_listener(&mut self, index: usize, listener: Listener) {
        match self.listeners.get_mut(index) {
            Some(place) => *place = listener,
            None => self.listeners.push(listener),
        }
    }

    /// Whether some connection could be accepted from this listener now.
    pub(super) fn is_ready_at(&self, index: usize) -> bool {
        self.common.gate.is_open() && self.listeners[index].ready
    }
}

impl<A: App> Reactor<A> {
    /// Accepts what waits: at most `burst` a listener.
    pub(super) fn accept_waiting(&mut self, burst: usize) {
        if !self.io.common.gate.open_if_due(self.cx.now()) {
            return;
        }
        self.io.common.gate.ask_again = None;
        for index in 0..self.io.listeners.len() {
            self.accept_from(index, burst);
        }
        self.io.keep_spare();
    }

    /// Accepts what waits at one listener.
    pub(super) fn accept_from(&mut self, index: usize, burst: usize) {
        for _ in 0..burst {
            if !self.io.is_ready_at(index) || !(self.io.common.room() > 0 || self.make_room(index)) {
                break;
            }
            self.accept_one(index);
        }
    }

    /// Has the application close a connection for one that waits. `false`: none waits, or there is no room yet.
    fn make_room(&mut self, index: usize) -> bool {
        if !self.io.listeners[index].has_waiting() {
            return false;
        }
        self.crowded();
        let room = self.io.common.room() > 0;
        if !room {
            self.io.common.gate.ask_again = Some(self.cx.now() + BACK_OFF);
        }
        room
    }

    /// The listeners' share of a turn.
    pub(super) fn accept_burst(&mut self) {
        if self.io.listeners.iter().any(|listener| listener.ready) {
            self.accept_waiting(BURST);
        }
    }

    fn accept_one(&mut self, index: usize) {
        let Listener { id, socket, .. } = &self.io.listeners[index];
        let id = *id;
        let accepted = socket.as_ref().map_or_else(|| Err(ErrorKind::WouldBlock.into()), TcpListener::accept);
        match accepted {
            Ok((stream, peer)) => {
                self.io.common.gate.works();
                self.io.listeners[index].waits = false;
                self.admit(id, stream, peer);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let listener = &mut self.io.listeners[index];
                (listener.ready, listener.waits) = (false, false);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) if out_of_descriptors(&error) && self.free_descriptor() => {}
            Err(error) => self.io.common.gate.back_off(&error, self.cx.now()),
        }
    }

    /// Finds a descriptor for a connection that waits: one that was kept, or that of a connection which is not used.
    fn free_descriptor(&mut self) -> bool {
        if self.io.common.gate.release_spare() {
            return true;
        }
        let before = self.io.common.table.accepted();
        self.crowded();
        self.io.common.table.accepted() < before
    }

    fn admit(&mut self, listener: ListenerId, stream: TcpStream, peer: SocketAddr) {
        // Linux copies the option from the listener.
        #[cfg(not(target_os = "linux"))]
        let _ = stream.set_nodelay(true);
        let local = if self.io.common.config.tells_local { stream.local_addr().ok() } else { None };
        let conn = self.cx.allocate();
        if let Err(error) = self.io.adopt(stream, conn, Phase::Open, true) {
            tracing::warn!(%error, %peer, "cannot watch a connection; closed");
            self.cx.release(conn);
            return;
        }
        self.app.accepted(&mut self.cx, conn, Origin { listener, peer, local, secure: None });
        self.settle();
    }
}
