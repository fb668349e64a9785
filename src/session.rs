//! The contract of a server session: one byte stream in, one byte stream out.
//!
//! A session hears bytes and time and answers with bytes. It does not know whether a thread blocks for it, an event loop
//! calls it, or completions arrive: so one `echo` runs under every architecture.
//!
//! ```text
//!             receive / receive_end / expire / worked
//!   driver ───────────────────────────────────▶ session
//!          ◀───────────────────────────────────
//!             output / file / wants / deadline / promised
//! ```
//!
//! After every call in, a driver drains [`Session::output`] and [`Session::file`], then obeys [`Session::wants`], then arms
//! [`Session::deadline`] and [`Session::promised`].
//!
//! # Answers from elsewhere
//!
//! A session may have asked somebody else, on another thread. Then it wants [`Wants::Flush`] with nothing to flush, and what it asked
//! calls its [`Waker`], which it was given by [`Session::attach`]: the driver calls [`Session::woken`]. Drivers that run many sessions
//! on one thread have wakers; those that give a thread to each have none.
//!
//! # Computing
//!
//! A session that has much to compute does not do it: while it did, nothing else could run on its thread. It *asks* for
//! it ([`Wants::Work`]) and hears how that went ([`Session::worked`]). So the driver, and with it the architecture,
//! decides which clients have to wait meanwhile: this one alone if a thread blocks for it, all on the event loop, or
//! none if the work goes to other threads.

use crate::{
    buf::{FilePart, Output},
    time::{Instant, Now},
};
use std::{fmt, sync::Arc, time::Duration};

/// The number of requests that a session answers before it asks for its output to be taken. A read of 16 KiB may hold
/// six hundred: a driver that serves many sessions on one thread has to be able to serve the others in between.
pub const ANSWERS: u32 = 16;

/// Bytes of input that may wait in a session for their turn. Drivers stop reading long before; only what they have already read comes on
/// top, and that is one read, half a megabyte at most.
pub(crate) const MAX_HELD: usize = 1024 * 1024;

/// Keeps `input` behind what waits for its turn already. `false`: that is more than [`MAX_HELD`], and nothing is kept.
#[must_use]
pub(crate) fn hold(held: &mut Vec<u8>, input: &[u8]) -> bool {
    let has_room = held.len() + input.len() <= MAX_HELD;
    if has_room {
        held.extend_from_slice(input);
    } else {
        *held = Vec::new();
    }
    has_room
}

/// One byte stream's protocol, without its I/O.
pub trait Session {
    /// Bytes from the peer. The session keeps what it cannot use yet; the driver's buffer is reused afterwards.
    fn receive(&mut self, input: &[u8], now: Now);
    /// The peer sends nothing more. It may still read (half-close, RFC 9293 §3.6).
    fn receive_end(&mut self, now: Now);
    /// Bytes to be sent. The driver drains them as far as the peer takes them. Each call on an empty output may answer
    /// up to [`ANSWERS`] requests that were heard before.
    fn output(&mut self) -> &mut Output;
    /// The part of a file that comes next, behind all output that was taken. Asked whenever the output is empty, until neither has
    /// more: so bytes and parts may alternate. Like [`Session::output`], it may answer requests that were heard before.
    ///
    /// While there is one, a session wants [`Wants::Flush`]. A part that cannot be sent to its end breaks the connection, and the session
    /// does not hear of it.
    fn file(&mut self) -> Option<FilePart> {
        None
    }
    /// The event that has to come next.
    fn wants(&self) -> Wants;
    /// When [`Session::expire`] is to be called, if nothing else happens before. A driver may be some 10 ms late: most
    /// deadlines only bound a wait, and a coarse timer makes them cheap.
    fn deadline(&self) -> Option<Instant>;
    /// When an answer is due for which the peer was told a time (`/delay/MS`, `DELAY`). [`Session::deadline`] is this time or an
    /// earlier one, and a driver keeps this one within a millisecond: its own timer must not be what a client measures.
    fn promised(&self) -> Option<Instant>;
    /// The deadline has passed. Early or repeated calls are harmless.
    fn expire(&mut self, now: Now);
    /// How the work that it wanted went. Called once for each [`Wants::Work`], unless the connection ends before.
    fn worked(&mut self, _worked: Worked, _now: Now) {}
    /// How it can be called from other threads. Called first of all, by drivers that have wakers; `waker` makes one.
    fn attach(&mut self, _waker: &dyn Fn() -> Waker) {}
    /// Its waker was called, once or several times.
    fn woken(&mut self, _now: Now) {}
    /// The peer takes what the driver had of the output, though not all of it yet: it is slow, but it reads. Only drivers that
    /// keep output themselves tell; others leave it where it is until it is sent. Also told when it is not the peer that is waited for but a
    /// file, whose bytes another thread reads.
    fn taken(&mut self) {}
    /// How many requests it has answered since this was last asked. For statistics.
    fn answered(&mut self) -> u32 {
        0
    }
}

/// Calls a session from any thread. Cheap to clone; harmless after the session has ended.
#[derive(Clone)]
pub struct Waker {
    session: u64,
    call: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Waker {
    /// For the session that a driver has by this number; `call` tells the driver.
    #[must_use]
    pub fn new(session: u64, call: Arc<dyn Fn(u64) + Send + Sync>) -> Self {
        Self { session, call }
    }

    /// Has [`Session::woken`] called, soon. Calls before that happens count as one.
    pub fn wake(&self) {
        (self.call)(self.session);
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("session", &self.session).finish_non_exhaustive()
    }
}

/// The event that a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// More bytes from the peer.
    Input,
    /// Its output, or its file, sent first. A peer that never reads must not grow our memory, so nothing is read meanwhile.
    Flush,
    /// Something computed first, then a call of [`Session::worked`]. Nothing is read meanwhile. Asked again before that, it is
    /// still the same piece of work.
    Work(Work),
    /// The end: send what is in the output, then close.
    Close(CloseReason),
}

/// A piece of work for a processor.
///
/// The kind of the computation makes no difference to the clients that wait, so a piece of work is named by its cost
/// alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Processor time, not time on a clock: beside other work it takes longer.
    pub time: Duration,
}

/// How a piece of work went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worked {
    /// It is done.
    Done,
    /// No thread had time for it.
    Refused,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer finished sending and everything it asked for is answered.
    PeerFinished,
    /// The peer asked to end (`quit`, `Connection: close`), and what it asked before was heard to the end.
    PeerAsked,
    /// Nothing arrived for longer than the idle limit.
    Idle,
    /// The peer was too slow in the middle of something.
    TooSlow,
    /// The peer broke the protocol; the text names the rule.
    Protocol(&'static str),
    /// The server is shutting down.
    Draining,
}

impl CloseReason {
    /// Whether the peer has nothing left to say, so that its connection can be closed without waiting for its end. Else
    /// closing at once could be answered with a reset, which destroys the answer on its way (RFC 9112 §9.6).
    #[must_use]
    pub fn was_heard_out(self) -> bool {
        match self {
            Self::PeerFinished | Self::PeerAsked | Self::Idle => true,
            Self::TooSlow | Self::Protocol(_) | Self::Draining => false,
        }
    }

    /// One or two words for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PeerFinished => "peer finished",
            Self::PeerAsked => "peer asked",
            Self::Idle => "idle",
            Self::TooSlow => "too slow",
            Self::Protocol(rule) => rule,
            Self::Draining => "draining",
        }
    }
}
