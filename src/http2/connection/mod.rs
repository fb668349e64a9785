//! One connection: bytes become events, what the application says becomes frames.
//!
//! ```text
//!   input ──▶ receive ──▶ headers, data, control ──▶ Event
//!                              │ acknowledgements, windows, resets
//!                              ▼
//!   write ◀────────────────── out ◀── head, send ◀── the application
//!     ╰──────────────────────────── a turn for each stream's content
//! ```

mod control;
mod data;
mod goodbye;
mod head;
mod headers;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod turns;

pub use head::{HeadWriter, NoStream};

use super::{
    cause::{Cause, ErrorCode},
    frame::{self, Kind},
    hpack::{Decoder, Encoder},
    limits::{Limits, Meter, Meters},
    message::Request,
    priority::Priority,
    settings::{DEFAULT_WINDOW, Ours, Role, Settings},
    stream::{Closed, Remembered, Stream},
    window::{ReceiveWindow, SendWindow},
};
use crate::{
    http::{Fields, ResponseHead},
    time::Instant,
};
use goodbye::Going;
use receive::{Block, Reading};
use slab::Slab;
use std::{collections::VecDeque, sync::Arc};
use turns::Turns;

/// The bytes that a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Slots of streams that a connection without streams keeps.
const KEPT_SLOTS: usize = 8;

/// A connection, seen from one of its ends.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    limits: Arc<Limits>,
    peer: Settings,

    reading: Reading,
    /// The beginning of a frame whose rest is not here.
    partial: Vec<u8>,
    block: Option<Box<Block>>,
    decoder: Decoder,
    encoder: Encoder,

    streams: Slab<Stream>,
    /// Number and slot of each stream, the lowest number first.
    numbers: Vec<(u32, u32)>,
    remembered: Remembered,
    /// Priorities of streams that have not begun.
    early: Vec<(u32, Priority)>,
    /// The last stream that the peer began.
    last_peer: u32,
    /// The next stream that we may begin.
    next_own: u32,

    send: SendWindow,
    receive: ReceiveWindow,
    /// Streams have something to send, and the window of the connection has no room, since then.
    blocked: Option<Instant>,
    /// No window is shut since before this.
    shut: Option<Instant>,
    turns: Turns,

    /// Frames that go next.
    out: Vec<u8>,
    /// How often `out` was emptied.
    written: u32,
    /// Bytes in `out` that answer frames of the peer.
    unread: usize,
    /// Streams that can take more from the application.
    relieved: Vec<u32>,

    events: VecDeque<Event<'static>>,
    going: Going,
    meters: Meters,
}

/// Something that the application has to know.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'i> {
    /// A request begins (server).
    Request {
        /// Its stream.
        stream: u32,
        /// Head, and what was said beside it.
        request: Request,
        /// Whether this was all of it: then no [`Event::End`] follows.
        ends: bool,
    },
    /// A request that is not let in, or whose content or trailers are longer than the limit: it is to be answered with [`Cause::status`], or reset. Content
    /// that still comes is thrown away. A malformed request's stream is reset behind the answer (RFC 9113 §8.1.1).
    Refused {
        /// Its stream.
        stream: u32,
        /// The rule.
        cause: Cause,
    },
    /// The head of a response, or of an interim one (client).
    Response {
        /// Its stream.
        stream: u32,
        /// As HTTP/1.1 would say it.
        head: ResponseHead,
        /// Whether this was all of it: then no [`Event::End`] follows.
        ends: bool,
    },
    /// Content. [`Connection::took`] gives its window back.
    Data {
        /// Its stream.
        stream: u32,
        /// A part of the input, never empty.
        data: &'i [u8],
    },
    /// The message is complete.
    End {
        /// Its stream.
        stream: u32,
        /// Often none.
        trailers: Fields,
    },
    /// The stream is over before its time. Nothing that is said on it matters any more.
    Reset {
        /// Its number; perhaps of a stream of which nothing was heard before.
        stream: u32,
        /// Why.
        why: Reset,
    },
    /// The peer says goodbye: it begins or takes no new streams. Those that run go on to their end.
    GoAway(ErrorCode),
    /// The connection is over: our last words are to be written, and then it is to be closed.
    Failed(Cause),
}

/// Why a stream is over before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// The peer gave it up.
    Peer(ErrorCode),
    /// The peer did so when our message was complete: it has sent less than its own message (server).
    Answered(ErrorCode),
    /// The peer broke a rule, and we gave it up.
    Fault(Cause),
    /// The peer has not looked at the request, and will not: it may be sent again elsewhere (client).
    Unprocessed,
}

/// Where the number of a stream leads.
enum Found {
    Open(usize),
    Closed(Closed),
    Idle,
}

impl Connection {
    /// A connection on which nothing was said. Our first frames wait to be written.
    #[must_use]
    pub fn new(role: Role, limits: Arc<Limits>, now: Instant) -> Self {
        let mut out = Vec::with_capacity(128);
        if role == Role::Client {
            out.extend_from_slice(PREFACE);
        }
        let max_list = u32::try_from(limits.http.head).unwrap_or(u32::MAX);
        let (max_streams, initial_window) = (limits.max_streams, limits.stream_window);
        Ours { role, max_streams, initial_window, max_list }.write(&mut out);
        // No stream has to wait because others' content is not taken.
        let mut receive = ReceiveWindow::new(DEFAULT_WINDOW);
        let all = max_streams.saturating_mul(initial_window).min(frame::MAX_31);
        let increment = receive.enlarge(all);
        if increment > 0 {
            frame::write_window_update(0, increment, &mut out);
        }
        Self {
            role,
            peer: Settings::default(),
            reading: Reading::first(role),
            partial: Vec::new(),
            block: None,
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            streams: Slab::new(),
            numbers: Vec::new(),
            remembered: Remembered::default(),
            early: Vec::new(),
            last_peer: 0,
            next_own: 1,
            send: SendWindow::new(DEFAULT_WINDOW),
            receive,
            blocked: None,
            shut: None,
            turns: Turns::default(),
            out,
            written: 0,
            unread: 0,
            relieved: Vec::new(),
            events: VecDeque::new(),
            going: Going::No,
            meters: Meters::new(now, limits.floods),
            limits,
        }
    }

    /// How many streams are open, in either direction.
    #[must_use]
    pub fn open(&self) -> usize {
        self.streams.len()
    }

    /// Streams that the peer lets us open at once. `None`: its settings have not come.
    #[must_use]
    pub fn allowed(&self) -> Option<u32> {
        (!matches!(self.reading, Reading::Preface(_) | Reading::First)).then_some(self.peer.max_streams)
    }

    /// Bytes of content on this stream that wait for the peer, or for their turn.
    #[must_use]
    pub fn unsent(&self, stream: u32) -> usize {
        self.slot(stream).map_or(0, |slot| self.streams[slot].queue.len())
    }

    /// A stream of which little is unsent again, after there was much: its application may go on. Ask until there is none, after
    /// each [`Connection::write`].
    pub fn relieved(&mut self) -> Option<u32> {
        self.relieved.pop()
    }

    /// Whether anything may still be said on this stream, or heard of it.
    #[must_use]
    pub fn is_open(&self, stream: u32) -> bool {
        self.slot(stream).is_some()
    }

    /// Whether the beginning of a field block is here and the rest is not. Until that comes, nothing else can be heard.
    #[must_use]
    pub fn is_mid_block(&self) -> bool {
        self.block.is_some() || self.begins_with_block()
    }

    fn slot(&self, stream: u32) -> Option<usize> {
        // Nearly always it is the last one, or one of a few.
        let place = self.numbers.binary_search_by_key(&stream, |(number, _)| *number).ok()?;
        Some(self.numbers[place].1 as usize)
    }

    fn find(&self, stream: u32) -> Found {
        let begun = match self.role {
            _ if stream.is_multiple_of(2) => false,
            Role::Server => stream <= self.last_peer,
            Role::Client => stream < self.next_own,
        };
        match self.slot(stream) {
            Some(slot) => Found::Open(slot),
            None if begun => Found::Closed(match self.remembered.find(stream) {
                // A server cannot begin a stream by this number. It is late with one that was reset, however long ago.
                Closed::Unknown if self.role == Role::Client => Closed::ByUs,
                closed => closed,
            }),
            None => Found::Idle,
        }
    }

    fn insert(&mut self, stream: Stream) -> usize {
        let number = stream.id;
        let slot = self.streams.insert(stream);
        // Streams begin in the order of their numbers.
        self.numbers.push((number, slot as u32));
        slot
    }

    /// Forgets a stream that is closed. The content that the application had of it does not count any more.
    fn remove(&mut self, slot: usize, closed: Closed) {
        let stream = self.streams.remove(slot);
        if stream.is_ready {
            self.turns.remove(slot);
        }
        if let Ok(place) = self.numbers.binary_search_by_key(&stream.id, |(number, _)| *number) {
            self.numbers.remove(place);
        }
        self.remembered.note(stream.id, closed);
        self.give_back(stream.receive.held());
        if self.streams.is_empty() {
            if self.streams.capacity() > KEPT_SLOTS {
                self.streams = Slab::new();
            }
            self.say_last_goodbye();
        }
    }

    /// Content does not fill the window of the connection any more.
    fn give_back(&mut self, length: u32) {
        if let Some(increment) = self.receive.take(length) {
            self.unread += frame::HEAD + 4;
            frame::write_window_update(0, increment, &mut self.out);
        }
    }

    /// Ends a stream from our side, whatever is unsent.
    fn write_reset(&mut self, stream: u32, code: ErrorCode) {
        self.unread += frame::HEAD + 4;
        frame::write_reset(stream, code, &mut self.out);
    }

    /// The peer broke a rule of one stream. Errors of streams are few, or the connection ends for them.
    fn stream_fault(&mut self, number: u32, cause: Cause, now: Instant) -> Result<Option<Event<'static>>, Cause> {
        // A stream that has not begun cannot be reset (§6.4).
        if let Found::Idle = self.find(number) {
            return Err(cause);
        }
        let meter = if cause == Cause::TooManyStreams { Meter::Refused } else { Meter::MadeResets };
        self.meters.count(meter, 1, now)?;
        self.write_reset(number, cause.code());
        match self.slot(number) {
            Some(slot) => self.remove(slot, Closed::ByUs),
            None => self.remembered.note(number, Closed::ByUs),
        }
        Ok(Some(Event::Reset { stream: number, why: Reset::Fault(cause) }))
    }

    /// The peer broke a rule of the connection: it hears which one, and nothing more is read.
    fn fail(&mut self, cause: Cause) -> Event<'static> {
        frame::write_go_away(self.last_peer, cause.code(), cause.as_str(), &mut self.out);
        self.reading = Reading::Failed;
        self.going = Going::Over;
        self.partial = Vec::new();
        self.block = None;
        self.streams = Slab::new();
        self.numbers.clear();
        self.turns = Turns::default();
        (self.blocked, self.shut) = (None, None);
        self.events.clear();
        Event::Failed(cause)
    }

    fn write_frame(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        frame::write(kind, flags, stream, payload, &mut self.out);
    }
}
