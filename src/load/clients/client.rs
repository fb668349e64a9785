//! One client, what it is told to do, and what all of them share.

use crate::{
    app::{ConnId, Cx},
    http2::ErrorCode,
    load::{Script, Timeline, talk::Talk},
    time::Instant,
    tls::{Call, Callee},
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

/// State that all threads share with their caller.
#[derive(Debug, Default)]
pub(in crate::load) struct Control {
    /// Set once, before all are woken.
    pub(in crate::load) line: OnceLock<Timeline>,
    /// For the progress bar.
    pub(in crate::load) answered: AtomicU64,
    pub(in crate::load) failed: AtomicU64,
}

/// Orders for the clients of a thread.
#[derive(Debug, Clone)]
pub(in crate::load) struct Orders {
    pub(in crate::load) to: SocketAddr,
    pub(in crate::load) script: Script,
    /// The server as TLS is spoken with it; `None`: it is spoken to in plain.
    pub(in crate::load) callee: Option<Arc<Callee>>,
    pub(in crate::load) clients: usize,
    /// Requests under way on a connection at most.
    pub(in crate::load) slots: u32,
    pub(in crate::load) keep_alive: bool,
    pub(in crate::load) timeout: Duration,
    /// Requests a second of all threads; `None`: closed loop.
    pub(in crate::load) rate: Option<u64>,
    pub(in crate::load) thread: u64,
    pub(in crate::load) threads: u64,
}

/// A request under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// When it was meant to start.
    pub(super) intended: Instant,
    /// When it did.
    pub(super) started: Instant,
    /// Its stream, if it has one of its own.
    pub(super) stream: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Down,
    Connecting,
    /// TLS: its handshake is not over.
    Shaking,
    /// The server speaks first and has not.
    Greeting,
    Up,
    /// No further request on this connection; its end is waited for.
    Leaving,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) conn: Option<ConnId>,
    pub(super) phase: Phase,
    pub(super) talk: Talk,
    /// Requests that have begun: first those that were sent, in this order, then those that wait for a connection or a stream.
    pub(super) waiting: VecDeque<Asked>,
    /// How many of them wait.
    pub(super) unsent: usize,
    /// Slots taken.
    pub(super) busy: u32,
    /// Slots that the server allows, of those that there are.
    pub(super) room: u32,
    /// Free slots beyond that, which no request may take.
    pub(super) parked: u32,
    /// A deadline is set; it may be too early, never too late.
    pub(super) armed: bool,
    /// This connection brought a good answer.
    pub(super) fruitful: bool,
    /// This client got a good answer before the end.
    pub(super) served: bool,
    pub(super) bulk: bool,
    /// TLS on this connection.
    pub(super) call: Option<Box<Call>>,
    /// When its handshake began.
    pub(super) shaking_since: Instant,
    /// The server has said that it sends nothing more (`close_notify`).
    pub(super) closed: bool,
    /// Something came on this connection, or it began.
    pub(super) heard: Option<Instant>,
    /// The server's word for why it goes away, if it is no usual end.
    pub(super) goodbye: Option<ErrorCode>,
    /// Bytes that wait with the driver.
    pub(super) undelivered: usize,
    /// It is in the list of those that have frames to send.
    pub(super) dirty: bool,
}

impl Client {
    pub(super) fn new(orders: &Orders, now: Instant) -> Self {
        Self {
            conn: None,
            phase: Phase::Down,
            talk: orders.script.talk(now),
            waiting: VecDeque::with_capacity(orders.slots as usize),
            unsent: 0,
            busy: 0,
            room: orders.slots,
            parked: 0,
            armed: false,
            fruitful: false,
            served: false,
            bulk: false,
            call: None,
            shaking_since: now,
            closed: false,
            heard: None,
            goodbye: None,
            undelivered: 0,
            dirty: false,
        }
    }

    /// Begins anew, on this connection.
    pub(super) fn connect(&mut self, orders: &Orders, conn: ConnId, now: Instant) {
        self.conn = Some(conn);
        self.phase = Phase::Connecting;
        self.talk = orders.script.talk(now);
        self.fruitful = false;
        self.bulk = false;
        self.call = None;
        self.closed = false;
        self.armed = true;
        self.heard = Some(now);
        self.goodbye = None;
        self.undelivered = 0;
    }

    /// Whether there is a connection, and something may be said on it.
    pub(super) fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Greeting | Phase::Up | Phase::Leaving)
    }

    /// Sends something, sealed if the connection is.
    pub(super) fn say(&mut self, cx: &mut Cx, bytes: Bytes) {
        let Some(conn) = self.conn else { return };
        let Some(call) = &mut self.call else { return cx.send(conn, bytes) };
        let mut out = Vec::new();
        // It fails when the connection has, and then its end is on the way.
        if call.seal(&bytes, &mut out).is_ok() {
            cx.send(conn, out);
        }
    }

    /// Whether one more request may take a slot.
    pub(super) fn has_room(&self) -> bool {
        self.busy < self.room
    }

    /// When the request began that has waited for longest.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.iter().map(|asked| asked.started).min()
    }

    /// The request on this stream.
    pub(super) fn find(&self, stream: u32) -> Option<usize> {
        self.waiting.iter().take(self.waiting.len() - self.unsent).position(|asked| asked.stream == stream)
    }

    /// Takes a request out that has come to its end.
    pub(super) fn take(&mut self, at: usize) -> Option<Asked> {
        if at >= self.waiting.len() - self.unsent {
            self.unsent = self.unsent.saturating_sub(1);
        }
        self.waiting.remove(at)
    }

    /// A sent request waits again, for the next connection.
    pub(super) fn requeue(&mut self, at: usize) {
        if let Some(asked) = self.waiting.remove(at) {
            self.waiting.push_back(Asked { stream: 0, ..asked });
            self.unsent += 1;
        }
    }
}
