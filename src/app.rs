//! The contract of an application with many connections that talk to each other, as those of the proxy do.
//!
//! The driver calls [`App`] with what happened; the application answers through [`Cx`] with what should happen. Neither
//! sees the other's world: an application never learns about sockets, readiness or clocks, a driver never learns about
//! protocols. So a whole proxy runs in a unit test, and one reactor serves every application.
//!
//! ```text
//!        accepted connected received sent ended peeked progressed failed expired woken crowded drain cut_off
//!   driver ───────────────────────────────────────────────────────────────────────────▶ App
//!          ◀───────────────────────────────────────────────────────────────────────────
//!             Cx: connect send forward send_file set_reading peek progress finish close hang_up abort set_deadline
//! ```
//!
//! # The life of a connection
//!
//! It starts with [`App::accepted`], or with [`Cx::connect`] and later [`App::connected`]. It ends exactly once: by
//! [`App::failed`], which the driver calls, or by [`Cx::close`] / [`Cx::hang_up`] / [`Cx::abort`], which the application
//! calls. After either, its [`ConnId`] is stale and no event names it again; actions that name it are ignored.

mod cx;
mod secure;

pub use cx::Cx;
pub use secure::{Insecure, Names, Secure, canonical};

use crate::{
    buf::{FilePart, Unreadable},
    time::wheel::Key,
};
use bytes::Bytes;
use std::{io, net::SocketAddr, ops::Range, sync::Arc};

/// A connection, named by slot and generation: a stale name never reaches the slot's next tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    index: u32,
    generation: u32,
}

impl ConnId {
    /// For tables indexed by connection: small and dense, reused after the connection ended.
    #[must_use]
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// How many connections had this slot before.
    #[must_use]
    pub fn generation(self) -> u32 {
        self.generation
    }

    /// The name whose index is the place of a table's entry, and whose generation the entry has kept.
    pub(crate) fn of_parts(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }
}

/// Which of the driver's listeners a connection came in by, in the order they were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u8);

/// Which server a protected connection has to lead to, as the layer that speaks TLS numbers them ([`Cx::connect_secured`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerId(pub u16);

/// Where an accepted connection came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The listener it came in by.
    pub listener: ListenerId,
    /// The peer's address.
    pub peer: SocketAddr,
    /// Our own address, as the peer knows it, if the driver was asked to tell it.
    pub local: Option<SocketAddr>,
    /// How the connection is protected; `None`: it is not. Drivers know nothing of that: the value comes from a layer between
    /// driver and application (`tls::Terminator`), for which "accepted" means that the handshake is over.
    pub secure: Option<Arc<Secure>>,
}

/// The owner of a deadline. One deadline per key; keys are dense small numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimerKey {
    /// The earliest deadline of a connection. Dropped with the connection.
    Conn(ConnId),
    /// Anything else the application numbers itself: a queued request, a health probe.
    App(u32),
}

impl TimerKey {
    /// The one deadline that passes on time instead of within a tick: for who measures, or sends at a rate. Each change may
    /// cost a system call, which the others do not.
    pub const ALARM: Self = Self::App(u32::MAX);
}

/// Connections have the even places, by their slots: the generation does not count, since a slot has one tenant at a time.
/// Numbers have the odd places.
impl Key for TimerKey {
    fn index(self) -> usize {
        match self {
            Self::Conn(conn) => conn.index() * 2,
            Self::App(number) => number as usize * 2 + 1,
        }
    }
}

/// How far a peer is with what was sent to it. A driver whose system does not tell takes its own system's word for the peer's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes confirmed by the peer's system, of all that were ever sent on this connection.
    pub acknowledged: u64,
    /// Bytes that were sent and not yet confirmed: they wait in our memory or in our system's, or are on their way.
    pub outstanding: u64,
}

/// Many connections, one state: what a driver runs.
///
/// Every method may use `cx` freely; actions take effect in order after the method returns.
pub trait App {
    /// The driver begins: called once, before anything else.
    fn started(&mut self, _cx: &mut Cx) {}
    /// A peer connected to one of our listeners.
    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin);
    /// A connection asked for by [`Cx::connect`] is established.
    fn connected(&mut self, cx: &mut Cx, conn: ConnId);
    /// Bytes arrived. `input` is the driver's: use it now, [`Cx::forward`] parts of it, or copy what must stay.
    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]);
    /// Backpressure. Called when the peer did not take everything at once (`unsent` bytes wait in our memory), and again
    /// whenever it takes some of that, down to `unsent == 0`. Not called while everything leaves at once.
    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize);
    /// The answer to [`Cx::progress`].
    fn progressed(&mut self, _cx: &mut Cx, _conn: ConnId, _progress: Progress) {}
    /// In place of [`App::progressed`]: it is not the peer that is waited for, but a file of which a part is being sent.
    fn held_up(&mut self, _cx: &mut Cx, _conn: ConnId) {}
    /// In place of [`App::received`] while a [`Cx::splice`] runs: `moved` more bytes of `from` are the other side's, and were
    /// counted as if they had been forwarded to it: what it does not take is reported by [`App::sent`]. When the sum is
    /// the splice's length, it is over, and what follows is heard again.
    fn spliced(&mut self, _cx: &mut Cx, _from: ConnId, _moved: u64) {}
    /// The peer sends nothing more; it may still read. Called at most once a connection.
    fn ended(&mut self, cx: &mut Cx, conn: ConnId);
    /// The answer to [`Cx::peek`]. `quiet`: nothing waits, the peer expects us to speak. Not quiet: bytes without a
    /// request, an end or an error wait; the application still has to close the connection.
    fn peeked(&mut self, _cx: &mut Cx, _conn: ConnId, _quiet: bool) {}
    /// The connection is gone: refused, reset, timed out in the kernel, unreachable. No later event names it.
    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind);
    /// In place of [`App::failed`]: a part of a file could not be sent to its end ([`Cx::send_file`]), so the connection was reset. The
    /// application may have closed it before, while the part still waited; then its name is stale, and this is for the log only.
    fn cut_short(&mut self, cx: &mut Cx, conn: ConnId, why: Unreadable) {
        if cx.is_open(conn) {
            self.failed(cx, conn, why.kind());
        }
    }
    /// In place of [`App::connected`]: the server can be reached, but the connection asked for by [`Cx::connect_secured`] is not
    /// protected, and so it is gone. No later event names it.
    fn insecure(&mut self, cx: &mut Cx, conn: ConnId, _why: Insecure) {
        self.failed(cx, conn, io::ErrorKind::InvalidData);
    }
    /// The deadline set for `key` has passed. It is no longer set.
    fn expired(&mut self, cx: &mut Cx, key: TimerKey);
    /// Another thread called the driver's waker, or the application asked for it ([`Cx::call_again`]): look into whatever
    /// mailbox the application shares, and go on with what was put off.
    fn woken(&mut self, _cx: &mut Cx) {}
    /// A connection waits to be accepted, and the driver may have no more at once, or has no descriptor left: one that is not
    /// used should be closed. Asked again for each connection that waits, in each turn and ten times a second, until there is
    /// room. An application that closes nothing lets them wait until a connection ends by itself.
    fn crowded(&mut self, _cx: &mut Cx) {}
    /// The driver accepts no more connections: finish what runs, close what idles. The driver ends when the last
    /// connection has, or when its drain deadline passes.
    fn drain(&mut self, cx: &mut Cx);
    /// The drain deadline has passed, and connections are left. After this call they end: this is the time to say so, to their
    /// peers and in the log. A short answer still leaves; a longer one is cut.
    fn cut_off(&mut self, _cx: &mut Cx) {}
}

/// How the answer to an [`Action::Peek`] is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeekBy {
    /// In the last report of the driver's system: bytes that it does not name came later than those with which the call began.
    Report,
    /// By asking the system: the call acts on bytes that came behind others on their connection, perhaps after that report.
    Asking,
}

/// How large the pieces are in which a connection is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// As for heads and short messages: they cost no large buffer.
    Small,
    /// As for a long body that is kept until its receiver takes it: a receiver that takes nothing costs little.
    Medium,
    /// As for a long body that is passed on: the larger the pieces, the less a byte costs.
    Large,
}

/// A request of an application to its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection to the address; answered by `connected` or `failed`.
    Connect(ConnId, SocketAddr),
    /// Open a protected connection (TLS) to the address, and to no other server than this one; answered by `connected` when that is
    /// proved, by `insecure` or `failed`. A layer between application and driver carries it out. A driver cannot, and fails it:
    /// nothing that was to be protected may leave in plain. But the bytes, if there are any, go first, as they are: they say to the
    /// server whose connection it is.
    ConnectSecured(ConnId, SocketAddr, ServerId, Bytes),
    /// Queue these bytes. The reference moves to the driver: nothing is copied.
    Send(ConnId, Bytes),
    /// Queue this part of the input just heard. Written straight from the driver's buffer; only what the kernel refuses
    /// is kept.
    Forward(ConnId, Range<usize>),
    /// Queue this part of a file, behind all that was queued before; more may be queued behind it. Backpressure counts its bytes like
    /// others. They are read when they are due: not by the thread that runs the application if that could take long, and
    /// if they cannot be read, the connection is reset ([`App::cut_short`]).
    SendFile(ConnId, FilePart),
    /// Pass on the next so many bytes of a connection, not counting the input just heard, without showing them: each read
    /// is a `Forward` of all it found to the other one, and is heard as [`App::spliced`] in place of [`App::received`].
    /// Backpressure, ends and failures are what they are without it. So a driver may copy; one that knows better does not.
    ///
    /// Ends with its length, or when either side ends. An early end may lose bytes that were taken already, so the
    /// stream is of no use after it. One splice at a time from a connection, and to one.
    Splice {
        /// The connection whose bytes are passed on.
        from: ConnId,
        /// The connection that gets them, after all that was queued for it before.
        to: ConnId,
        /// How many.
        len: u64,
    },
    /// Whether to read from the peer. Off: the kernel's window closes and the peer stops. That a connection breaks is heard
    /// even so, and before it what had arrived: that would be lost else, and no more of it comes. Starts on.
    SetReading(ConnId, bool),
    /// How large the pieces are in which it is read. Starts with [`Reads::Small`].
    SetReads(ConnId, Reads),
    /// Look whether bytes, an end or an error already wait on this connection, without hearing them; answered by
    /// [`App::peeked`] before anything else happens to it.
    Peek(ConnId, PeekBy),
    /// Ask how far the peer is with what was sent to it; answered by [`App::progressed`] before anything else happens to it.
    ///
    /// [`App::sent`] tells when the driver's system takes bytes, and that may have a large buffer: full, it takes
    /// nothing for as long as a slow peer needs for a good part of it. This is exact, and costs a system call: for an
    /// application that is about to give up on a peer.
    Progress(ConnId),
    /// After the queued output: no more will be sent (`shutdown(SHUT_WR)`). Reading goes on.
    Finish(ConnId),
    /// After the queued output: close. The driver reads and discards what the peer still sends for a bounded time, so that
    /// a reset does not destroy the answer on its way (RFC 9112 §9.6). The name is stale from now on.
    Close(ConnId),
    /// As [`Action::Close`], for a peer that has nothing more to say: its last request was heard to the end. So there is
    /// nothing to wait for, and the wait is what makes closing expensive. The name is stale from now on.
    HangUp(ConnId),
    /// Now, with a reset: the peer must see that something broke. The name is stale from now on.
    Abort(ConnId),
}
