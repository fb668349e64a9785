//! The contract of an application with many connections that talk to each other, as those of the proxy do.
//!
//! The driver calls [`App`] with what happened; the application answers through [`Cx`] with what should happen. Neither
//! sees the other's world: an application never learns about sockets, readiness or clocks, a driver never learns about
//! protocols. So a whole proxy runs in a unit test, and one reactor serves every application.
//!
//! ```text
//!        accepted connected received sent ended probed progressed failed expired woken crowded drain cut_off
//!   driver ───────────────────────────────────────────────────────────────────────────▶ App
//!          ◀───────────────────────────────────────────────────────────────────────────
//!             Cx: connect send forward set_reading probe progress finish close hang_up abort set_deadline
//! ```
//!
//! # The life of a connection
//!
//! It starts with [`App::accepted`], or with [`Cx::connect`] and later [`App::connected`]. It ends exactly once: by
//! [`App::failed`], which the driver calls, or by [`Cx::close`] / [`Cx::hang_up`] / [`Cx::abort`], which the application
//! calls. After either, its [`ConnId`] is stale and no event names it again; actions that name it are ignored.

use crate::{
    buf::relax,
    time::{
        Now,
        wheel::{Key, Timers},
    },
};
use bytes::Bytes;
use std::{io, net::SocketAddr, ops::Range, time::Instant};

/// A connection, named by slot and generation: a stale name never reaches the slot's next tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    index: u32,
    generation: u32,
}

impl ConnId {
    /// The name of no connection, ever: for whoever may have one or not. What is sent to it goes nowhere.
    pub const NOBODY: Self = Self { index: u32::MAX, generation: 0 };

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
}

/// Which of the driver's listeners a connection came in by, in the order they were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(pub u8);

/// Where an accepted connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The listener it came in by.
    pub listener: ListenerId,
    /// The peer's address.
    pub peer: SocketAddr,
}

/// What a deadline belongs to. One deadline per key; keys are dense small numbers.
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
    /// Of all that was ever sent on this connection, so many bytes were confirmed by the peer's system.
    pub acknowledged: u64,
    /// So many were not: they wait in our memory, in our system's, or are on their way.
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
    /// In place of [`App::received`] while a [`Cx::relay`] runs: `moved` more bytes of `from` are the other side's, and were
    /// counted as if they had been forwarded to it: what it does not take is reported by [`App::sent`]. When the sum is
    /// the relay's length, it is over, and what follows is heard again.
    fn relayed(&mut self, _cx: &mut Cx, _from: ConnId, _moved: u64) {}
    /// The peer sends nothing more; it may still read. Called at most once a connection.
    fn ended(&mut self, cx: &mut Cx, conn: ConnId);
    /// The answer to [`Cx::probe`]. `quiet`: nothing waits, the peer expects us to speak. Not quiet: bytes nobody asked for,
    /// an end or an error wait; the connection is still the application's to close.
    fn probed(&mut self, _cx: &mut Cx, _conn: ConnId, _quiet: bool) {}
    /// The connection is gone: refused, reset, timed out in the kernel, unreachable. No later event names it.
    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind);
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

/// What an application asks of its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection to the address; answered by `connected` or `failed`.
    Connect(ConnId, SocketAddr),
    /// Queue these bytes. The reference moves to the driver: nothing is copied.
    Send(ConnId, Bytes),
    /// Queue this part of the input just heard. Written straight from the driver's buffer; only what the kernel refuses
    /// is kept.
    Forward(ConnId, Range<usize>),
    /// Pass on the next so many bytes of a connection, not counting the input just heard, without showing them: each read
    /// is a `Forward` of all it found to the other one, and is heard as [`App::relayed`] in place of [`App::received`].
    /// Backpressure, ends and failures are what they are without it. So a driver may copy; one that knows better does not.
    ///
    /// Ends with its length, or when either side ends. Bytes may have been taken by then that nobody gets: who ends it early
    /// does not use the stream any more. One relay at a time from a connection, and to one.
    Relay {
        /// Whose bytes.
        from: ConnId,
        /// Who gets them, after whatever was queued for it before.
        to: ConnId,
        /// How many.
        len: u64,
    },
    /// Whether to read from the peer. Off: the kernel's window closes and the peer stops. That a connection breaks is heard
    /// even so, and before it what had arrived: that would be lost else, and no more of it comes. Starts on.
    SetReading(ConnId, bool),
    /// Whether to read in large pieces: a long body flows. Starts off, so that heads do not cost a large buffer.
    SetBulk(ConnId, bool),
    /// Look whether bytes, an end or an error already wait on this connection, without hearing them; answered by
    /// [`App::probed`] before anything else happens to it.
    Probe(ConnId),
    /// Ask how far the peer is with what was sent to it; answered by [`App::progressed`] before anything else happens to it.
    ///
    /// [`App::sent`] tells when the driver's system takes bytes, and that may have a large buffer: full, it takes nothing for as
    /// long as a slow peer needs for a good part of it. This is exact, and costs a system call: for whoever is about to give
    /// up on a peer.
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

/// The application's view of its driver during one call: the time, and what to do.
#[derive(Debug)]
pub struct Cx {
    now: Now,
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: usize,
    actions: Vec<Action>,
    timers: Timers<TimerKey>,
    /// Deadline of [`TimerKey::ALARM`].
    alarm: Option<Instant>,
    /// [`Cx::call_again`] was called.
    again: bool,
    /// Addresses of the input being heard, to tell a part of it from other bytes. Empty between calls.
    heard: Range<usize>,
}

/// Which generation a slot's tenant has; odd while taken, so that a released name is stale at once.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    generation: u32,
}

/// For applications.
impl Cx {
    /// The time, read once a turn.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now.instant
    }

    /// Both clocks, for `Date` fields and logs.
    #[must_use]
    pub fn clock(&self) -> Now {
        self.now
    }

    /// Opens a connection; see [`Action::Connect`].
    pub fn connect(&mut self, to: SocketAddr) -> ConnId {
        let conn = self.allocate();
        self.actions.push(Action::Connect(conn, to));
        conn
    }

    /// See [`Action::Send`].
    pub fn send(&mut self, conn: ConnId, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.actions.push(Action::Send(conn, bytes));
        }
    }

    /// Sends `bytes`: by reference if they are part of the input being heard ([`Action::Forward`]), else as a copy.
    pub fn forward(&mut self, conn: ConnId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let start = bytes.as_ptr().addr();
        let end = start + bytes.len();
        if self.heard.start <= start && end <= self.heard.end {
            self.actions.push(Action::Forward(conn, start - self.heard.start..end - self.heard.start));
        } else {
            self.actions.push(Action::Send(conn, Bytes::copy_from_slice(bytes)));
        }
    }

    /// See [`Action::Relay`]. A length of zero asks for nothing.
    pub fn relay(&mut self, from: ConnId, to: ConnId, len: u64) {
        if len > 0 {
            self.actions.push(Action::Relay { from, to, len });
        }
    }

    /// See [`Action::SetReading`].
    pub fn set_reading(&mut self, conn: ConnId, on: bool) {
        self.actions.push(Action::SetReading(conn, on));
    }

    /// See [`Action::SetBulk`].
    pub fn set_bulk(&mut self, conn: ConnId, on: bool) {
        self.actions.push(Action::SetBulk(conn, on));
    }

    /// See [`Action::Probe`].
    pub fn probe(&mut self, conn: ConnId) {
        self.actions.push(Action::Probe(conn));
    }

    /// See [`Action::Progress`].
    pub fn progress(&mut self, conn: ConnId) {
        self.actions.push(Action::Progress(conn));
    }

    /// See [`Action::Finish`].
    pub fn finish(&mut self, conn: ConnId) {
        self.actions.push(Action::Finish(conn));
    }

    /// See [`Action::Close`].
    pub fn close(&mut self, conn: ConnId) {
        if self.release(conn) {
            self.actions.push(Action::Close(conn));
        }
    }

    /// See [`Action::HangUp`].
    pub fn hang_up(&mut self, conn: ConnId) {
        if self.release(conn) {
            self.actions.push(Action::HangUp(conn));
        }
    }

    /// See [`Action::Abort`].
    pub fn abort(&mut self, conn: ConnId) {
        if self.release(conn) {
            self.actions.push(Action::Abort(conn));
        }
    }

    /// Has [`App::woken`] called in the driver's next turn, after whoever else has something to say was heard. For work that
    /// one event brings and that would keep everybody else waiting: a part of it now, the rest then. Costs no system call.
    pub fn call_again(&mut self) {
        self.again = true;
    }

    /// Sets, moves or (with `None`) drops the deadline of `key`; [`App::expired`] follows, never early, at most a tick late.
    pub fn set_deadline(&mut self, key: TimerKey, at: Option<Instant>) {
        match key {
            TimerKey::ALARM => self.alarm = at,
            TimerKey::Conn(conn) if !self.is_open(conn) => {}
            _ => self.timers.set(key, at, self.now.instant),
        }
    }
}

/// For drivers.
impl Cx {
    /// No connection, no timer.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self {
            now,
            slots: Vec::new(),
            free: Vec::new(),
            open: 0,
            actions: Vec::new(),
            timers: Timers::new(now.instant),
            alarm: None,
            again: false,
            heard: 0..0,
        }
    }

    /// The clocks were read again.
    pub fn set_clock(&mut self, now: Now) {
        self.now = now;
    }

    /// Names a new connection: one that was accepted.
    pub fn allocate(&mut self) -> ConnId {
        self.open += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1)
                .expect("fewer connections than descriptors, fewer descriptors than 2^31")
        });
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        ConnId { index, generation: slot.generation }
    }

    /// Makes a name stale: its connection ended. `false` if it was already.
    pub fn release(&mut self, conn: ConnId) -> bool {
        if !self.is_open(conn) {
            return false;
        }
        self.timers.set(TimerKey::Conn(conn), None, self.now.instant);
        let slot = &mut self.slots[conn.index()];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(conn.index);
        self.open -= 1;
        true
    }

    /// Whether the name still stands for a connection.
    #[must_use]
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.slots.get(conn.index()).is_some_and(|slot| slot.generation == conn.generation)
    }

    /// The connection that has slot `index` now, for drivers that hear of slots (an epoll token, a completion's user data).
    #[must_use]
    pub fn tenant(&self, index: u32) -> Option<ConnId> {
        let generation = self.slots.get(index as usize)?.generation;
        (generation % 2 == 1).then_some(ConnId { index, generation })
    }

    /// Connections that have begun and not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// The bytes that the next call to the application is about; an empty slice when the call is over.
    pub fn hear(&mut self, input: &[u8]) {
        let start = input.as_ptr().addr();
        self.heard = if input.is_empty() { 0..0 } else { start..start + input.len() };
    }

    /// Moves what the application asked for into `into`, in order.
    pub fn take_actions(&mut self, into: &mut Vec<Action>) {
        into.append(&mut self.actions);
        relax(&mut self.actions);
    }

    /// Whether the application has asked to be called again: then the driver does not wait for anything.
    #[must_use]
    pub fn is_called_again(&self) -> bool {
        self.again
    }

    /// Takes the request to be called again. Asked at the beginning of a turn, before the first event of it is told.
    pub fn take_call(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }

    /// When the driver has to look at the deadlines again, at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next().into_iter().chain(self.alarm).min()
    }

    /// The deadline of [`TimerKey::ALARM`], for drivers whose waits are coarse.
    #[must_use]
    pub fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    /// Takes one deadline that has passed: the alarm first, the others in order of time. Call until `None`, with actions
    /// carried out in between.
    pub fn next_expired(&mut self) -> Option<TimerKey> {
        let rings = self.alarm.take_if(|at| *at <= self.now.instant).map(|_| TimerKey::ALARM);
        rings.or_else(|| self.timers.expire(self.now.instant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn cx() -> Cx {
        // Any instant will do: nothing here reads the clock again.
        #[allow(clippy::disallowed_methods)]
        Cx::new(Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH })
    }

    #[test]
    fn a_released_name_is_stale_and_its_slot_reused() {
        let mut cx = cx();
        let first = cx.allocate();
        assert!(cx.is_open(first));
        assert!(cx.release(first));
        assert!(!cx.is_open(first) && !cx.release(first));
        assert_eq!(cx.tenant(0), None);
        let second = cx.allocate();
        assert_eq!((second.index(), cx.tenant(0)), (0, Some(second)));
        assert!(!cx.is_open(first) && cx.is_open(second));
        assert_eq!(cx.open(), 1);
    }

    #[test]
    fn parts_of_the_input_are_forwarded_and_other_bytes_copied() {
        let mut cx = cx();
        let conn = cx.allocate();
        let input = b"hello, world".to_vec();
        cx.hear(&input);
        cx.forward(conn, &input[7..]);
        cx.forward(conn, b"elsewhere");
        cx.forward(conn, &input[..0]);
        cx.hear(&[]);
        cx.forward(conn, &input[..5]);
        let mut actions = Vec::new();
        cx.take_actions(&mut actions);
        assert_eq!(
            actions,
            [
                Action::Forward(conn, 7..12),
                Action::Send(conn, Bytes::from_static(b"elsewhere")),
                Action::Send(conn, Bytes::from_static(b"hello")),
            ]
        );
    }

    #[test]
    fn a_list_of_actions_that_grew_is_given_back() {
        let mut cx = cx();
        let conn = cx.allocate();
        let mut actions = Vec::new();
        for (count, given_back) in [(10, false), (100_000, true)] {
            (0..count).for_each(|_| cx.send(conn, Bytes::from_static(b"x")));
            cx.take_actions(&mut actions);
            assert_eq!(std::mem::take(&mut actions).len(), count);
            assert_eq!(cx.actions.capacity() == 0, given_back, "{count}");
        }
    }

    #[test]
    fn a_deadline_ends_with_its_connection() {
        let mut cx = cx();
        let conn = cx.allocate();
        let soon = cx.now() + Duration::from_millis(50);
        cx.set_deadline(TimerKey::Conn(conn), Some(soon));
        assert!(cx.next_deadline().is_some_and(|at| at <= soon + Duration::from_millis(10)));
        cx.close(conn);
        cx.set_deadline(TimerKey::Conn(conn), Some(soon));
        cx.set_clock(cx.clock().after(Duration::from_secs(1)));
        assert_eq!(cx.next_expired(), None);
    }

    #[test]
    fn the_alarm_passes_on_time_and_once() {
        let mut cx = cx();
        let at = cx.now() + Duration::from_micros(300);
        cx.set_deadline(TimerKey::ALARM, Some(at));
        assert_eq!((cx.next_deadline(), cx.next_expired()), (Some(at), None));
        cx.set_clock(cx.clock().after(Duration::from_micros(300)));
        assert_eq!((cx.next_expired(), cx.next_expired()), (Some(TimerKey::ALARM), None));
        assert_eq!(cx.next_deadline(), None);
        // Another one may be set when it rings, and dropped.
        cx.set_deadline(TimerKey::ALARM, Some(at));
        cx.set_deadline(TimerKey::ALARM, None);
        assert_eq!((cx.next_deadline(), cx.next_expired()), (None, None));
    }
}
