//! The far side of a fake connection: a scriptable state machine that hears what arrives and says what to do.

use super::random::Random;
use std::{io, net::SocketAddr, time::Duration};

/// A client or one connection of an origin.
pub trait Peer {
    /// Something happened. The peer's actions go into `io` and take effect in order.
    fn on(&mut self, event: PeerEvent<'_>, io: &mut PeerIo<'_>);
}

/// An event for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerEvent<'a> {
    /// The connection is up.
    Connected,
    Received(&'a [u8]),
    /// A clean end: the other side sends nothing more.
    Ended,
    /// Reset, refused: the other side is gone and what was under way is lost.
    Failed(io::ErrorKind),
    /// A timer set by [`PeerIo::wake`].
    Wake(u32),
}

/// An action of a peer.
#[derive(Debug, PartialEq, Eq)]
pub enum PeerAction {
    Write(Vec<u8>),
    /// Bytes that are written from here on are more than was asked for.
    Junk,
    SetReading(bool),
    ReadAtMost(usize),
    Finish,
    Close,
    Reset,
    Wake(Duration, u32),
}

/// A peer's view of the world during one call.
pub struct PeerIo<'a> {
    /// Since the world began.
    pub now: Duration,
    pub random: &'a mut Random,
    /// The network has swallowed this connection: only its own peers may lose patience.
    pub silent: bool,
    pub(super) actions: Vec<PeerAction>,
    pub(super) notes: Vec<String>,
}

impl PeerIo<'_> {
    /// Queues bytes; a slow reader on the other side makes them wait.
    pub fn write(&mut self, bytes: impl Into<Vec<u8>>) {
        self.actions.push(PeerAction::Write(bytes.into()));
    }

    /// Whether to read what arrives. Off: the other side runs into a full pipe.
    pub fn set_reading(&mut self, on: bool) {
        self.actions.push(PeerAction::SetReading(on));
    }

    /// How much to read at once.
    pub fn read_at_most(&mut self, most: usize) {
        self.actions.push(PeerAction::ReadAtMost(most));
    }

    /// After what was written: no more will be.
    pub fn finish(&mut self) {
        self.actions.push(PeerAction::Finish);
    }

    /// After what was written: gone in both directions. Later input is answered with a reset.
    pub fn close(&mut self) {
        self.actions.push(PeerAction::Close);
    }

    /// Gone at once, and the other side hears of it as an error.
    pub fn reset(&mut self) {
        self.actions.push(PeerAction::Reset);
    }

    /// [`PeerEvent::Wake`] with this number after a while.
    pub fn wake(&mut self, after: Duration, number: u32) {
        self.actions.push(PeerAction::Wake(after, number));
    }

    /// Any of the above.
    pub fn act(&mut self, action: PeerAction) {
        self.actions.push(action);
    }

    /// A line for the trace.
    pub fn note(&mut self, line: impl Into<String>) {
        self.notes.push(line.into());
    }
}

/// Something that listens at an address.
pub trait Host {
    /// A connection was asked for.
    fn accept(&mut self, now: Duration, random: &mut Random) -> Answer;
}

/// The answer of a host to an attempt to connect.
pub enum Answer {
    Accept(Box<dyn Peer>),
    Refuse,
    /// The packet is lost, and every copy of it.
    Nothing,
}

/// The address of fake host `n`.
pub fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 80))
}
