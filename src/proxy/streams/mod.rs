//! A client's connection with many exchanges at once (HTTP/2).
//!
//! ```text
//!   received ──▶ http2::Connection ──▶ event ──▶ an exchange for each stream      hear.rs, begin.rs
//!                       ▲                              │ Reply (client/http2.rs)
//!   Send ◀─── write ────╯◀─── respond, send, finish ───╯                          write.rs
//! ```
//!
//! | file | question |
//! |---|---|
//! | `preface.rs` | does a connection without TLS speak HTTP/2? |
//! | `hear.rs` | which exchange hears what the client sends? |
//! | `begin.rs` | what follows from the head of a request? |
//! | `websocket.rs` | how does a WebSocket get to a backend that speaks HTTP/1.1? |
//! | `write.rs` | how much leaves now, and which backends have to wait? |
//! | `ahead.rs` | how much is read, and given to the driver, ahead of the client? |
//! | `shut.rs` | when is a window that stays shut held against the client? |
//! | `ends.rs` | when is the connection over? |
//! | `args.rs`, `counters.rs` | which flags and counts are there? |
//!
//! The rules of the protocol are those of [`http2::Connection`](crate::http2::Connection). Here is what they mean for exchanges.

mod ahead;
mod args;
mod begin;
mod counters;
mod ends;
mod hear;
mod preface;
mod shut;
mod websocket;
mod write;

pub use args::Http2Args;
#[cfg(test)]
pub(super) use begin::MOST_EXCHANGES;
pub(super) use counters::{Http2Counters, http2_stats};
pub(super) use websocket::Key;

use super::{
    client::write_own_http2,
    config::Deadlines,
    downstream::PENDING_MAX,
    due::{Due, Kind},
    exchange::Event,
    failure::Failure,
    stall::{Look, Stall},
    table::{Role, Table},
    worker::Worker,
};
use crate::{
    app::{ConnId, Cx, Origin, Progress, Reads, Secure, TimerKey},
    http::Fields,
    http2::{self, Connection, Limits},
    time::Instant,
};
use ahead::Ahead;
use shut::{Shut, Step};
use std::{mem, net::SocketAddr, sync::Arc, time::Duration};

/// One connection.
#[derive(Debug)]
pub(super) struct Streams {
    conn: ConnId,
    /// The address at its other end.
    peer: SocketAddr,
    /// Our own, as that one knows it, where a server is told.
    local: Option<SocketAddr>,
    /// How it is protected, if it is.
    pub(super) secure: Option<Arc<Secure>>,
    pub(super) core: Connection,
    /// The streams with an exchange, the lowest number first.
    open: Vec<Open>,
    due: Due<Late, 5>,
    /// The bytes that wait for it to read, outside of the core.
    stall: Stall,
    shut: Shut,
    ahead: Ahead,
    /// How its backends are read.
    pub(super) reads: Reads,
    /// Bytes that the driver got in the turn that began at `wrote`, and of which it has not told anything.
    given: usize,
    /// When the turn began in which it wrote last; `None`: it may write in any.
    wrote: Option<Instant>,
    /// Requests begun.
    served: u32,
    /// Input that is not heard yet: it may hold more requests than one visit begins.
    held: Vec<u8>,
    waits_for_turn: bool,
    /// The peer sends nothing more.
    pub(super) ended: bool,
    /// It is in the list of those that have something to write.
    dirty: bool,
    /// It is in the list of those that go on to write in the next turn.
    writes_later: bool,
    /// Streams whose content may go on, or begin.
    resumed: Vec<u32>,
    /// Streams that were given content since the last write.
    fed: Vec<u32>,
    /// Streams whose backends were given content, when it is not known yet how much of that has left.
    lent: Vec<u32>,
    /// Streams with much content to come.
    bulks: u32,
    /// As the driver was told last.
    paused: bool,
    bulk: bool,
}

/// A stream with an exchange.
#[derive(Debug)]
struct Open {
    id: u32,
    /// The exchange.
    key: u32,
    /// Content of the request that no backend takes yet.
    pending: Vec<u8>,
    /// Bytes of content that its backend's connection was given, and whose window the client does not have back. With those in
    /// `pending` they are no more than the stream's window.
    lent: usize,
    end: End,
    /// The backend takes no more of the content now.
    congested: bool,
    /// The client takes so little that its backend waits.
    holds_up: bool,
    /// It is in the list of streams that were given content.
    fed: bool,
    /// There is much content.
    bulk: bool,
}

/// The end of a request.
#[derive(Debug, Default)]
enum End {
    /// It has not come.
    #[default]
    Awaited,
    /// It is here, behind the content that waits.
    Here(Fields),
    /// The exchange knows, or does not have to.
    Heard,
}

/// A kind of deadline of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    /// Our kernel has taken nothing for a while.
    Write,
    /// The core has something to do.
    Core,
    /// A window has been shut for a while.
    Shut,
    /// The first request, or the rest of a field block, must have come.
    Head,
    /// A request must have come.
    Idle,
}

impl Kind for Late {
    const ALL: &'static [Self] = &[Self::Write, Self::Core, Self::Shut, Self::Head, Self::Idle];

    fn index(self) -> usize {
        self as usize
    }
}

impl Streams {
    fn new(conn: ConnId, origin: Origin, limits: Arc<Limits>, write: Duration, now: Instant) -> Self {
        Self {
            conn,
            peer: origin.peer,
            local: origin.local,
            secure: origin.secure,
            core: Connection::new(http2::Role::Server, limits, now),
            open: Vec::new(),
            due: Due::default(),
            stall: Stall::default(),
            // A window that stays shut is another way not to read.
            shut: Shut::new(write),
            ahead: Ahead::default(),
            reads: Reads::Small,
            given: 0,
            wrote: None,
            served: 0,
            held: Vec::new(),
            waits_for_turn: false,
            ended: false,
            dirty: false,
            writes_later: false,
            resumed: Vec::new(),
            fed: Vec::new(),
            lent: Vec::new(),
            bulks: 0,
            paused: false,
            bulk: false,
        }
    }

    /// Its name.
    pub(super) fn conn(&self) -> ConnId {
        self.conn
    }

    fn place(&self, stream: u32) -> Option<usize> {
        self.open.binary_search_by_key(&stream, |open| open.id).ok()
    }

    fn find(&mut self, stream: u32) -> Option<&mut Open> {
        let place = self.place(stream)?;
        self.open.get_mut(place)
    }

    /// How many of its streams have an exchange.
    pub(super) fn exchanges(&self) -> usize {
        self.open.len()
    }

    /// The exchanges of its streams.
    fn keys(&self) -> Vec<u32> {
        self.open.iter().map(|open| open.key).collect()
    }

    /// The exchange of a stream is over, or has let it go.
    fn forget(&mut self, stream: u32) -> Option<Open> {
        self.end_body(stream);
        let open = self.open.remove(self.place(stream)?);
        if self.open.is_empty() {
            // An idle connection holds no memory for them.
            self.open = Vec::new();
        }
        Some(open)
    }

    /// Content for the client is on this stream.
    pub(super) fn feed(&mut self, stream: u32) {
        if let Some(open) = self.find(stream)
            && !mem::replace(&mut open.fed, true)
        {
            self.fed.push(stream);
        }
    }

    /// The content of a request may go on. `bulk`: there is much of it.
    pub(super) fn resume(&mut self, stream: u32, bulk: bool) {
        if let Some(open) = self.find(stream) {
            let begins = bulk && !mem::replace(&mut open.bulk, bulk);
            self.bulks += u32::from(begins);
            self.resumed.push(stream);
        }
    }

    /// Whether the backend takes more of a request's content: the connection to it has got rid of nearly all that it was given.
    pub(super) fn want_body(&mut self, stream: u32, wanted: bool) {
        if let Some(open) = self.find(stream) {
            open.congested = !wanted;
            self.give_window_back(stream);
        }
    }

    /// A backend's connection was given content of that length.
    fn lend(&mut self, stream: u32, length: usize) {
        let Some(open) = self.find(stream) else { return self.core.took(stream, length) };
        let is_first = open.lent == 0;
        open.lent += length;
        if is_first {
            self.lent.push(stream);
        }
    }

    /// The client may send again as much as has left for the backend. As long as that takes no more, nothing has.
    fn give_window_back(&mut self, stream: u32) {
        if let Some(open) = self.find(stream)
            && !open.congested
        {
            let length = mem::take(&mut open.lent);
            self.core.took(stream, length);
        }
    }

    /// All of a request's content is with its backend.
    pub(super) fn end_body(&mut self, stream: u32) {
        if let Some(open) = self.find(stream)
            && mem::take(&mut open.bulk)
        {
            self.bulks -= 1;
        }
    }

    /// An exchange ended with a complete answer. The rest of its request is not wanted.
    pub(super) fn finished(&mut self, stream: u32) {
        if let Some(open) = self.forget(stream)
            && matches!(open.end, End::Awaited)
        {
            self.core.ignore(stream);
        }
    }

    /// An exchange gives its client up. `false`: the client had left before.
    pub(super) fn broken_off(&mut self, stream: u32, code: http2::ErrorCode) -> bool {
        let was_open = self.core.is_open(stream);
        self.forget(stream);
        self.core.reset(stream, code);
        was_open
    }

    /// Keeps input for later, and reads no more if that is much.
    fn keep(&mut self, cx: &mut Cx, rest: &[u8]) {
        if rest.is_empty() {
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(rest);
        }
        let pause = self.held.len() >= PENDING_MAX;
        if pause != mem::replace(&mut self.paused, pause) {
            cx.set_reading(self.conn, !pause);
        }
    }

    /// Reads in large pieces while a request brings much content.
    fn steer_bulk(&mut self, cx: &mut Cx) {
        let bulk = self.bulks > 0;
        if bulk != mem::replace(&mut self.bulk, bulk) {
            cx.set_bulk(self.conn, bulk);
        }
    }

    /// The client is that far with what was sent to it.
    fn progressed(&mut self, cx: &mut Cx, progress: Progress, deadlines: &Deadlines) -> Look {
        let look = self.stall.progressed(progress, cx.now(), deadlines.write);
        self.arm(cx);
        look
    }

    /// As [`Streams::progressed`], for its windows.
    fn windows_progressed(&mut self, cx: &mut Cx, progress: Progress) -> Option<Step> {
        self.core.shut_since()?;
        let step = self.shut.progressed(progress, cx.now());
        self.arm(cx);
        step
    }

    /// Tells the driver the earliest deadline.
    fn arm(&mut self, cx: &mut Cx) {
        self.due.set(Late::Write, self.stall.look_at());
        self.due.set(Late::Core, self.core.deadline());
        self.due.set(Late::Shut, self.shut.due(self.core.shut_since()));
        self.due.arm(TimerKey::Conn(self.conn), cx);
    }
}

/// The connection `conn`, which has something to write from here on.
pub(super) fn speak<'t>(table: &'t mut Table, unwritten: &mut Vec<ConnId>, conn: ConnId) -> Option<&'t mut Streams> {
    let streams = table.streams(conn)?;
    if !mem::replace(&mut streams.dirty, true) {
        unwritten.push(conn);
    }
    Some(streams)
}

impl Worker {
    /// As [`speak`].
    pub(super) fn speak(&mut self, conn: ConnId) -> Option<&mut Streams> {
        speak(&mut self.table, &mut self.unwritten, conn)
    }

    /// Takes a client connection with streams out of the books.
    fn forget_streams(&mut self, conn: ConnId) -> Option<Box<Streams>> {
        self.table.streams(conn)?;
        let Role::Streams(streams) = self.table.remove(conn) else { return None };
        self.idle.leave(conn);
        self.counters().closed.add(1);
        Some(streams)
    }
}
