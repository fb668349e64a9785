//! A connection to a backend: idle in the pool, or carrying one exchange.

use super::{
    config::Deadlines,
    due::{Due, Kind},
    stall::{Look, Stall},
};
use crate::{
    app::{ConnId, Cx, Insecure, Progress, Reads, ServerId, TimerKey},
    backend::{Backend, BackendId},
    http::ResponseReader,
    pool::Lease,
    resilience::Dial,
    time::Instant,
};
use bytes::Bytes;
use std::{io::ErrorKind, mem, net::SocketAddr, sync::Arc, time::Duration};

/// One connection to a backend.
#[derive(Debug)]
pub(super) struct Upstream {
    conn: ConnId,
    /// While it is being opened: the addresses of its backend that are left.
    dial: Option<Dial>,
    /// Why no connection at an address of the backend is protected, if that says more than what the others did.
    insecure: Option<Insecure>,
    /// The bytes that the backend hears before all else, at whichever address: none, or whose connection it is.
    pub(super) first: Bytes,
    /// The backend at the other end.
    pub(super) backend: BackendId,
    /// The same, in a forward proxy: for as long as this connection is there, the id means no other server.
    pub(super) origin: Option<Arc<Backend>>,
    /// Where in the byte stream of responses we are.
    pub(super) reader: ResponseReader,
    /// The exchange it carries; `None` while it idles.
    pub(super) exchange: Option<u32>,
    /// As the driver was told last.
    reads: Reads,
    /// The driver splices the rest of its response to the client.
    pub(super) splicing: bool,
    /// Its place in the pool's count, while it is busy.
    pub(super) lease: Option<Lease>,
    due: Due<Late, 2>,
    /// The bytes that wait for it to read.
    stall: Stall,
    /// While the client takes no more of the response, nothing is expected to come.
    held: Option<Held>,
}

/// A kind of deadline of a backend's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// Our kernel has taken nothing for a while: the driver has to say what the peer's has.
    Write,
    /// The next step must have come: the connection, the head, more of the body.
    Answer,
}

impl Kind for Late {
    const ALL: &'static [Self] = &[Self::Write, Self::Answer];

    fn index(self) -> usize {
        self as usize
    }
}

/// A deadline that does not run.
#[derive(Debug, Clone, Copy)]
struct Held {
    since: Instant,
    /// When it was to be.
    at: Option<Instant>,
}

/// Asks for a connection to one address of a backend. It counts as established when all that the backend has to prove is proved.
/// `first`: what it has to hear before all else. Where nothing is between us and it, that is sent when it is reached.
pub(super) fn connect(cx: &mut Cx, backend: &Backend, address: SocketAddr, first: &Bytes) -> ConnId {
    match backend.secured {
        None => cx.connect(address),
        Some(_) => cx.connect_secured(address, ServerId(backend.id.0), first.clone()),
    }
}

/// Why there is no connection at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unconnected {
    Failed(ErrorKind),
    Insecure(Insecure),
}

impl Unconnected {
    /// As it counts for the order in which addresses are tried.
    pub(super) fn kind(self) -> ErrorKind {
        match self {
            Self::Failed(error) => error,
            Self::Insecure(_) => ErrorKind::InvalidData,
        }
    }
}

impl Upstream {
    /// A connection just asked for, to the first address of `dial`.
    pub(super) fn new(conn: ConnId, backend: BackendId, dial: Dial, origin: Option<Arc<Backend>>) -> Self {
        Self {
            conn,
            dial: Some(dial),
            insecure: None,
            first: Bytes::new(),
            backend,
            origin,
            reader: ResponseReader::new(),
            exchange: None,
            reads: Reads::Small,
            splicing: false,
            lease: None,
            due: Due::default(),
            stall: Stall::default(),
            held: None,
        }
    }

    /// Whether nothing of it is under way: it has all that it was told, and all that it said was passed on. If so: how it is read, and
    /// until when something is expected of it.
    pub(super) fn at_rest(&self) -> Option<(Reads, Option<Instant>)> {
        let rests = self.dial.is_none() && self.held.is_none() && !self.splicing && self.stall.unsent() == 0;
        rests.then(|| (self.reads, self.due.at(Late::Answer)))
    }

    /// Without a word of HTTP since it was [`Upstream::at_rest`]. The driver knows of its deadline.
    pub(super) fn resumed(conn: ConnId, backend: BackendId, (reads, at): (Reads, Option<Instant>)) -> Self {
        let mut due = Due::default();
        due.resume(Late::Answer, at);
        Self {
            conn,
            dial: None,
            insecure: None,
            first: Bytes::new(),
            backend,
            origin: None,
            reader: ResponseReader::new(),
            exchange: None,
            reads,
            splicing: false,
            lease: None,
            due,
            stall: Stall::default(),
            held: None,
        }
    }

    /// Whether it is not open yet.
    pub(super) fn is_opening(&self) -> bool {
        self.dial.is_some()
    }

    /// It is open: the next ones begin with the same address. The bytes that it hears first, if they have not gone before TLS.
    pub(super) fn opened(&mut self, is_secured: bool) -> Bytes {
        if let Some(dial) = self.dial.take() {
            dial.connected();
        }
        let first = mem::take(&mut self.first);
        if is_secured { Bytes::new() } else { first }
    }

    /// The present address refused, or said nothing in its time, or is not protected: another one, and how long it may take; or why
    /// there is no connection. `None`: it was open already.
    pub(super) fn next_address(
        &mut self,
        why: Unconnected,
        now: Instant,
    ) -> Option<Result<(SocketAddr, Duration), Unconnected>> {
        let dial = self.dial.as_mut()?;
        if dial.failed(why.kind()) {
            self.insecure = if let Unconnected::Insecure(why) = why { Some(why) } else { None };
        }
        let verdict = |dial: &Dial| self.insecure.map_or(Unconnected::Failed(dial.verdict()), Unconnected::Insecure);
        Some(dial.next(now).ok_or_else(|| verdict(dial)))
    }

    /// It goes on under another name: as the attempt to connect to the next address.
    pub(super) fn renamed(self: Box<Self>, cx: &mut Cx, conn: ConnId) -> Box<Self> {
        let mut upstream = self;
        upstream.conn = conn;
        cx.set_reads(conn, upstream.reads);
        upstream
    }

    /// Reads in pieces of that size.
    pub(super) fn set_reads(&mut self, cx: &mut Cx, reads: Reads) {
        if mem::replace(&mut self.reads, reads) != reads {
            cx.set_reads(self.conn, reads);
        }
    }

    /// Expects the next step (connection, head, body) by `at`; `None`: nothing.
    pub(super) fn expect(&mut self, cx: &mut Cx, at: Option<Instant>) {
        match &mut self.held {
            Some(held) => *held = Held { since: cx.now(), at },
            None => self.due.set(Late::Answer, at),
        }
        self.arm(cx);
    }

    /// `unsent` bytes wait for the backend: it has to take some of them in time.
    pub(super) fn unsent(&mut self, cx: &mut Cx, unsent: usize, deadlines: &Deadlines) {
        self.stall.update(unsent, cx.now(), deadlines.write);
        self.arm(cx);
    }

    /// Whether it is known how far it was a while ago.
    pub(super) fn was_looked_at(&self) -> bool {
        self.stall.was_looked_at()
    }

    /// Bytes that wait for the backend in our memory.
    pub(super) fn unsent_now(&self) -> usize {
        self.stall.unsent()
    }

    /// Another exchange begins: what the backend had confirmed before says nothing about that one.
    pub(super) fn begin(&mut self) {
        self.stall.forget();
    }

    /// Whether it is time to ask if the backend reads, rather than that an answer is overdue.
    pub(super) fn write_due(&self, now: Instant) -> bool {
        self.stall.is_due(now)
    }

    /// The backend is that far with what was sent to it.
    pub(super) fn progressed(&mut self, cx: &mut Cx, progress: Progress, deadlines: &Deadlines) -> Look {
        let look = self.stall.progressed(progress, cx.now(), deadlines.write);
        self.arm(cx);
        look
    }

    /// Whether an answer is overdue. While the client is slow, the backend is not.
    pub(super) fn answer_late(&self, now: Instant) -> bool {
        self.due.is_past(Late::Answer, now)
    }

    /// Tells the driver the earlier of the two deadlines.
    fn arm(&mut self, cx: &mut Cx) {
        self.due.set(Late::Write, self.stall.look_at());
        self.due.arm(TimerKey::Conn(self.conn), cx);
    }

    /// Whether the client takes more of the response.
    pub(super) fn set_congested(&mut self, cx: &mut Cx, congested: bool) {
        match (self.held, congested) {
            (None, true) => {
                self.held = Some(Held { since: cx.now(), at: self.due.at(Late::Answer) });
                self.due.set(Late::Answer, None);
            }
            (Some(held), false) => {
                self.held = None;
                // The time the client took is not the backend's, whatever it is expected to do.
                let took = cx.now().saturating_duration_since(held.since);
                self.due.set(Late::Answer, held.at.map(|at| at + took));
            }
            (None, false) | (Some(_), true) => return,
        }
        cx.set_reading(self.conn, !congested);
        self.arm(cx);
    }
}
