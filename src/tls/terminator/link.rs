//! One protected connection: how far it is, and what waits to be sealed.

use crate::{
    app::{ConnId, Origin},
    buf::Output,
    time::Instant,
    tls::{Server, session::Session},
};
use bytes::Bytes;
use std::{net::SocketAddr, sync::Arc};

/// Sealed bytes that may wait with the driver and the kernel, of one connection. As large as the largest read, so that a spliced body
/// is sealed at once; what goes beyond waits unsealed, where bytes of the cache are references and not copies.
pub(super) const AHEAD: usize = 512 * 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) conn: ConnId,
    pub(super) end: End,
    pub(super) stage: Stage,
    /// Plaintext that waits until the peer takes what is sealed.
    pub(super) held: Output,
    /// Sealed bytes that wait with the driver, as it said last.
    pub(super) unsent: usize,
    /// Sealed since, in the turn that began at `turn`.
    sealed: usize,
    turn: Instant,
    /// The peer has sent its `close_notify`.
    pub(super) ended: bool,
    /// We have sent ours.
    pub(super) finished: bool,
    /// It is in the list of those that go on in the next turn.
    pub(super) put_off: bool,
}

/// The other end.
#[derive(Debug)]
pub(super) enum End {
    /// A client that has come to the TLS listener.
    Client(Origin),
    /// A server that the application asked for, and its address.
    Server(Arc<Server>, SocketAddr),
}

/// How far a connection is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its handshake is not over, and the application does not know it.
    Shaking(Shaking),
    /// The application has it.
    Open(Session),
}

/// A connection in its handshake.
#[derive(Debug, Default)]
pub(super) struct Shaking {
    /// As soon as a client has said something, or a server can be reached.
    pub(super) session: Option<Session>,
    /// Bytes that wait for their turn: the peer's hello, or a part of it.
    pub(super) waiting: Vec<u8>,
    /// Bytes since the connection began.
    pub(super) heard: usize,
    /// It waits in the queue for a turn.
    pub(super) queued: bool,
    /// The bytes that a server hears before the handshake, in plain.
    pub(super) first: Bytes,
}

impl Link {
    pub(super) fn new(conn: ConnId, end: End, now: Instant) -> Self {
        Self {
            conn,
            end,
            stage: Stage::Shaking(Shaking::default()),
            held: Output::new(),
            unsent: 0,
            sealed: 0,
            turn: now,
            ended: false,
            finished: false,
            put_off: false,
        }
    }

    pub(super) fn is_shaking(&self) -> bool {
        matches!(self.stage, Stage::Shaking(_))
    }

    /// Whether it is one of a client in its handshake, of which the application knows nothing.
    pub(super) fn is_unknown(&self) -> bool {
        self.is_shaking() && matches!(self.end, End::Client(_))
    }

    /// Whether a client has said nothing yet.
    pub(super) fn is_silent(&self) -> bool {
        self.is_unknown() && matches!(self.stage, Stage::Shaking(Shaking { heard: 0, .. }))
    }

    /// Whether its handshake is under way: a server was reached, and is not verified.
    pub(super) fn has_begun(&self) -> bool {
        matches!(&self.stage, Stage::Shaking(Shaking { session: Some(_), .. }))
    }

    /// Whether the other end is a server.
    pub(super) fn is_to_server(&self) -> bool {
        matches!(self.end, End::Server(..))
    }

    /// Its state of the protocol, once the handshake is over.
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.stage {
            Stage::Open(session) => Some(session),
            Stage::Shaking(_) => None,
        }
    }

    /// How much may be sealed now. With half of [`AHEAD`] waiting, nothing: larger portions make fewer records.
    pub(super) fn room(&mut self, now: Instant) -> usize {
        if self.turn != now {
            (self.turn, self.sealed) = (now, 0);
        }
        let ahead = self.unsent + self.sealed;
        if self.unsent > AHEAD / 2 { 0 } else { AHEAD.saturating_sub(ahead) }
    }

    /// Counts bytes that were sealed.
    pub(super) fn sealed(&mut self, len: usize) {
        self.sealed += len;
    }

    /// The driver says that so many sealed bytes wait.
    pub(super) fn told(&mut self, unsent: usize) {
        (self.unsent, self.sealed) = (unsent, 0);
    }

    /// Bytes that the peer has not taken, for the application.
    pub(super) fn total_unsent(&self) -> usize {
        self.held.len() + self.unsent
    }
}

/// All protected connections, by [`ConnId::index`].
#[derive(Debug, Default)]
pub(super) struct Links {
    links: Vec<Option<Box<Link>>>,
    open: usize,
}

impl Links {
    pub(super) fn insert(&mut self, link: Link) {
        let slot = link.conn.index();
        if self.links.len() <= slot {
            self.links.resize_with(slot + 1, || None);
        }
        self.open += 1;
        self.links[slot] = Some(Box::new(link));
    }

    /// The link of a connection; `None`: it is plain, or gone.
    pub(super) fn get(&mut self, conn: ConnId) -> Option<&mut Link> {
        self.links.get_mut(conn.index())?.as_deref_mut().filter(|link| link.conn == conn)
    }

    pub(super) fn has(&self, conn: ConnId) -> bool {
        self.links.get(conn.index()).and_then(Option::as_deref).is_some_and(|link| link.conn == conn)
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Box<Link>> {
        let slot = self.links.get_mut(conn.index())?;
        let link = slot.take_if(|link| link.conn == conn)?;
        self.open -= 1;
        Some(link)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open == 0
    }
}
