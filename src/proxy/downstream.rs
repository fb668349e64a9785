//! A client connection: what it has sent, which deadline it is under, whether it is read.
//!
//! An idle one is this struct, and has no buffer: ten thousand of them cost two megabytes and a half.

use super::{
    config::Deadlines,
    due::{Due, Kind},
    failure::Failure,
    stall::{Look, Stall},
};
use crate::{
    app::{ConnId, Cx, Origin, Progress, Secure, TimerKey},
    http::{self, ReadPhase, RequestReader},
    time::Instant,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// Bytes of later requests kept while one is answered. More stay with the client: its window closes.
pub(super) const PENDING_MAX: usize = 16 * 1024;

/// Over this many unsent bytes towards one side, the other is not read. With one more read of a driver that has much to send
/// already, a peer that does not read costs 64 KiB. A peer that reads does not wait for us meanwhile: the kernel has
/// as much again for it, and asks for more before that is gone.
pub(super) const HIGH_WATER: usize = 8 * 1024;
/// With this many or fewer it is read again.
pub(super) const LOW_WATER: usize = 4 * 1024;

/// One client connection.
#[derive(Debug)]
pub(super) struct Downstream {
    conn: ConnId,
    /// The address at its other end.
    pub(super) peer: SocketAddr,
    /// Our own, as that one knows it, where a server is told.
    pub(super) local: Option<SocketAddr>,
    /// How it is protected, if it is.
    pub(super) secure: Option<Arc<Secure>>,
    /// Where in the byte stream of requests we are.
    pub(super) reader: RequestReader,
    /// Bytes that arrived before their turn: a pipelined request, a body whose backend is not connected yet.
    pub(super) pending: Vec<u8>,
    /// The exchange that runs.
    pub(super) exchange: Option<u32>,
    due: Due<Late, 2>,
    /// The bytes that wait for it to read.
    stall: Stall,
    /// Requests begun.
    pub(super) served: u32,
    /// A part of a head is here, and its deadline runs.
    pub(super) head_begun: bool,
    /// The peer sends nothing more.
    pub(super) ended: bool,
    /// It has sent more requests at once than one visit begins.
    pub(super) waits_for_turn: bool,
    /// The backend takes no more of the body now.
    congested: bool,
    /// As the driver was told last.
    paused: bool,
    bulk: bool,
}

/// A kind of deadline of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// Our kernel has taken nothing for a while: the driver has to say what the peer's has.
    Write,
    /// The bytes that we wait for must have come.
    Read,
}

impl Kind for Late {
    const ALL: &'static [Self] = &[Self::Write, Self::Read];

    fn index(self) -> usize {
        self as usize
    }
}

impl Downstream {
    /// A connection just accepted: its first head is due.
    pub(super) fn new(conn: ConnId, origin: Origin) -> Self {
        Self {
            conn,
            peer: origin.peer,
            local: origin.local,
            secure: origin.secure,
            reader: RequestReader::new(),
            pending: Vec::new(),
            exchange: None,
            due: Due::default(),
            stall: Stall::default(),
            served: 0,
            head_begun: false,
            ended: false,
            waits_for_turn: false,
            congested: false,
            paused: false,
            bulk: false,
        }
    }

    /// Why bytes are not a request; the beginning of them is in the reader, or in `input`.
    pub(super) fn not_a_request(&self, error: http::Error, input: &[u8]) -> Failure {
        /// The first byte of a handshake in TLS, and of no method.
        const HANDSHAKE: u8 = 22;
        match self.reader.begun().first().or(input.first()) {
            Some(&HANDSHAKE) if self.secure.is_none() => Failure::TlsOnPlainPort,
            _ => Failure::Request(error),
        }
    }

    /// Whether it has said nothing that would rule out HTTP/2 without TLS.
    pub(super) fn may_speak_http2(&self) -> bool {
        self.served == 0 && self.secure.is_none() && self.exchange.is_none() && self.reader.phase() == ReadPhase::Idle
    }

    /// Its name.
    pub(super) fn conn(&self) -> ConnId {
        self.conn
    }

    /// Expects bytes within `limit`, or nothing in particular.
    pub(super) fn expect_input(&mut self, cx: &mut Cx, limit: Option<Duration>) {
        self.due.set(Late::Read, limit.map(|limit| cx.now() + limit));
        self.arm(cx);
    }

    /// Expects bytes within `limit`, or as soon as it did before.
    pub(super) fn expect_input_sooner(&mut self, cx: &mut Cx, limit: Duration) {
        let at = cx.now() + limit;
        self.due.set(Late::Read, Some(self.due.at(Late::Read).map_or(at, |by| by.min(at))));
        self.arm(cx);
    }

    /// Whether it has asked for nothing, and nothing waits for it.
    pub(super) fn is_idle(&self) -> bool {
        let asks = self.exchange.is_some() || self.reader.phase() != ReadPhase::Idle || !self.pending.is_empty();
        !asks && self.stall.unsent() == 0
    }

    /// `unsent` bytes wait for the peer: it has to take some of them in time.
    pub(super) fn unsent(&mut self, cx: &mut Cx, unsent: usize, deadlines: &Deadlines) {
        self.stall.update(unsent, cx.now(), deadlines.write);
        self.arm(cx);
    }

    /// The client is that far with what was sent to it.
    pub(super) fn progressed(&mut self, cx: &mut Cx, progress: Progress, deadlines: &Deadlines) -> Look {
        let look = self.stall.progressed(progress, cx.now(), deadlines.write);
        self.arm(cx);
        look
    }

    /// Whether the next request may begin: a client that pipelines and does not read must not grow our memory.
    pub(super) fn may_begin(&self) -> bool {
        self.exchange.is_none() && !self.waits_for_turn && self.stall.unsent() <= HIGH_WATER
    }

    /// Bytes that wait for the peer, as the driver said last.
    pub(super) fn unsent_now(&self) -> usize {
        self.stall.unsent()
    }

    /// Another exchange begins: what the client had confirmed before says nothing about that one.
    pub(super) fn begin(&mut self) {
        self.stall.forget();
    }

    /// Whether it is time to ask if the client reads, rather than that something is expected from it.
    pub(super) fn write_due(&self, now: Instant) -> bool {
        self.stall.is_due(now)
    }

    /// Which deadline has passed: one of them has, since the driver is told the earlier one whenever they change.
    pub(super) fn late(&self, now: Instant) -> Late {
        let late = self.due.past(now);
        debug_assert!(late.is_some(), "one of the deadlines has passed");
        late.unwrap_or(Late::Read)
    }

    /// Tells the driver the earlier of them.
    fn arm(&mut self, cx: &mut Cx) {
        self.due.set(Late::Write, self.stall.look_at());
        self.due.arm(TimerKey::Conn(self.conn), cx);
    }

    /// Keeps what could not be used yet.
    pub(super) fn keep(&mut self, cx: &mut Cx, rest: &[u8]) {
        if rest.is_empty() {
            // Gives the memory back: an idle connection holds none.
            self.pending = Vec::new();
        } else {
            self.pending.extend_from_slice(rest);
        }
        self.steer(cx);
    }

    /// Whether the backend takes more of the request body.
    pub(super) fn set_congested(&mut self, cx: &mut Cx, congested: bool) {
        self.congested = congested;
        self.steer(cx);
    }

    /// Whether nothing of it is under way: all that it said was passed on, and it has all that it was told.
    pub(super) fn is_at_rest(&self) -> bool {
        let is_read = !self.ended && !self.paused && !self.congested && !self.waits_for_turn && !self.bulk;
        is_read && self.pending.is_empty() && self.stall.unsent() == 0
    }

    /// Whether to read in large pieces.
    pub(super) fn set_bulk(&mut self, cx: &mut Cx, bulk: bool) {
        if self.bulk != bulk {
            self.bulk = bulk;
            cx.set_bulk(self.conn, bulk);
        }
    }

    /// Reads while there is room on this side and on the other.
    fn steer(&mut self, cx: &mut Cx) {
        let pause = self.congested || self.pending.len() >= PENDING_MAX;
        if pause != self.paused {
            self.paused = pause;
            cx.set_reading(self.conn, !pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_client_is_small() {
        assert!(size_of::<Downstream>() <= 248, "{}", size_of::<Downstream>());
        assert!(size_of::<super::super::table::Role>() <= 16, "{}", size_of::<super::super::table::Role>());
    }
}
