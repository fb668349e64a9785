//! One [`Session`] per accepted connection, as an application: what an event-driven server runs.
//!
//! ```text
//!   accepted ──▶ factory ──▶ session ◀─── receive, expire ─── received, ended, expired
//!                               │
//!                               └─ output ──▶ cx.send      not before the last of it was taken
//! ```
//!
//! Backpressure has one rule: while a byte of an answer waits in our memory, no more answers are fetched from the session
//! and nothing is read from the peer. So a peer that never reads costs what its session and one refused write hold.

use super::{Traffic, reactor::CONFIRMED};
use crate::{
    app::{App, ConnId, Cx, Origin, TimerKey},
    session::{CloseReason, Session, Wants},
    time::Now,
};
use std::{io, sync::Arc};

/// Runs a session of its own for each connection that is accepted.
#[derive(Debug)]
pub struct Sessions<F, S> {
    factory: F,
    /// By [`ConnId::index`].
    running: Vec<Option<Running<S>>>,
    traffic: Arc<Traffic>,
}

/// A session and what its driver has to remember.
#[derive(Debug)]
struct Running<S> {
    session: S,
    conn: ConnId,
    /// Bytes that the peer has not taken, as far as we were told.
    unsent: usize,
    paused: bool,
    /// The session was told that nothing more comes.
    ended: bool,
}

impl<F, S> Sessions<F, S>
where
    F: FnMut(Origin, Now) -> S,
    S: Session,
{
    /// Sessions made by `factory`, which is told where the peer comes from and what time it is.
    pub fn new(factory: F) -> Self {
        Self { factory, running: Vec::new(), traffic: Arc::default() }
    }

    /// Counts what passes in `traffic`.
    #[must_use]
    pub fn counting(self, traffic: Arc<Traffic>) -> Self {
        Self { traffic, ..self }
    }

    /// Calls a session, then does what it wants.
    fn with(&mut self, cx: &mut Cx, conn: ConnId, call: impl FnOnce(&mut Running<S>, Now)) {
        let Some(slot) = self.running.get_mut(conn.index()) else { return };
        let Some(running) = slot.as_mut().filter(|running| running.conn == conn) else { return };
        call(running, cx.clock());
        if running.advance(cx, &self.traffic).is_some() {
            *slot = None;
        }
    }
}

impl<S: Session> Running<S> {
    /// The session's peer, or we, have nothing more to tell it.
    fn end(&mut self, now: Now) {
        if !self.ended {
            self.ended = true;
            self.session.receive_end(now);
        }
    }

    /// Sends what there is to send, then obeys. `Some`: the connection is closed.
    fn advance(&mut self, cx: &mut Cx, traffic: &Traffic) -> Option<CloseReason> {
        self.send(cx, traffic);
        let more = !self.session.output().is_empty();
        let reason = match self.session.wants() {
            // What is left of an answer that nobody takes is not worth the wait. A session that gave everything away thinks
            // that its peer is merely silent; here is known that it does not read.
            Wants::Close(CloseReason::TooSlow | CloseReason::Idle) if self.unsent > 0 => {
                cx.abort(self.conn);
                return Some(CloseReason::TooSlow);
            }
            Wants::Close(reason) if !more => Some(reason),
            Wants::Input if self.ended && !more => Some(CloseReason::PeerFinished),
            _ => None,
        };
        if let Some(reason) = reason {
            if reason.was_heard_out() {
                cx.hang_up(self.conn);
            } else {
                cx.close(self.conn);
            }
            return Some(reason);
        }
        let pause = more || self.unsent > 0;
        if pause != self.paused {
            self.paused = pause;
            cx.set_reading(self.conn, !pause);
        }
        cx.set_deadline(TimerKey::Conn(self.conn), self.session.deadline());
        None
    }

    /// Moves output to the driver, which tells about so much in any case: then the rest follows.
    fn send(&mut self, cx: &mut Cx, traffic: &Traffic) {
        let mut queued = 0;
        while self.unsent == 0
            && let Some(piece) = self.session.output().pop()
        {
            queued += piece.len();
            traffic.sent(piece.len());
            cx.send(self.conn, piece);
            if queued >= CONFIRMED {
                self.unsent = queued;
            }
        }
    }
}

impl<F, S> App for Sessions<F, S>
where
    F: FnMut(Origin, Now) -> S,
    S: Session,
{
    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        let session = (self.factory)(origin, cx.clock());
        if self.running.len() <= conn.index() {
            self.running.resize_with(conn.index() + 1, || None);
        }
        self.running[conn.index()] = Some(Running { session, conn, unsent: 0, paused: false, ended: false });
        // It may speak first.
        self.with(cx, conn, |_, _| {});
    }

    fn connected(&mut self, _: &mut Cx, _: ConnId) {}

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        self.traffic.received(input.len());
        self.with(cx, conn, |running, now| running.session.receive(input, now));
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        self.with(cx, conn, |running, _| running.unsent = unsent);
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        self.with(cx, conn, Running::end);
    }

    fn failed(&mut self, _: &mut Cx, conn: ConnId, error: io::ErrorKind) {
        tracing::debug!(?conn, %error, "connection failed");
        self.traffic.failed();
        if let Some(slot) = self.running.get_mut(conn.index()) {
            *slot = None;
        }
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        if let TimerKey::Conn(conn) = key {
            self.with(cx, conn, |running, now| running.session.expire(now));
        }
    }

    /// A session has no word for "come to an end" but the end of its input: what it has heard is answered, then it closes.
    fn drain(&mut self, cx: &mut Cx) {
        let conns: Vec<ConnId> = self.running.iter().flatten().map(|running| running.conn).collect();
        for conn in conns {
            self.with(cx, conn, Running::end);
        }
    }
}
