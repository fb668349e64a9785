//! The calls by which an application asks for names of connections, actions and deadlines, and those by which its
//! driver collects them.

use super::{Action, ConnId, PeekBy, Reads, ServerId, TimerKey};
use crate::{
    buf::{FilePart, relax},
    time::{Instant, Now, wheel::Timers},
};
use bytes::Bytes;
use std::{net::SocketAddr, ops::Range};

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

    /// Opens a protected connection; see [`Action::ConnectSecured`].
    pub fn connect_secured(&mut self, to: SocketAddr, server: ServerId, first: Bytes) -> ConnId {
        let conn = self.allocate();
        self.actions.push(Action::ConnectSecured(conn, to, server, first));
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

    /// See [`Action::SendFile`]. A part without bytes asks for nothing.
    pub fn send_file(&mut self, conn: ConnId, part: FilePart) {
        if part.length > 0 {
            self.actions.push(Action::SendFile(conn, part));
        }
    }

    /// See [`Action::Splice`]. A length of zero asks for nothing.
    pub fn splice(&mut self, from: ConnId, to: ConnId, len: u64) {
        if len > 0 {
            self.actions.push(Action::Splice { from, to, len });
        }
    }

    /// See [`Action::SetReading`].
    pub fn set_reading(&mut self, conn: ConnId, on: bool) {
        self.actions.push(Action::SetReading(conn, on));
    }

    /// See [`Action::SetReads`].
    pub fn set_reads(&mut self, conn: ConnId, reads: Reads) {
        self.actions.push(Action::SetReads(conn, reads));
    }

    /// Has it read in large pieces, or in small ones again.
    pub fn set_bulk(&mut self, conn: ConnId, on: bool) {
        self.set_reads(conn, if on { Reads::Large } else { Reads::Small });
    }

    /// See [`Action::Peek`].
    pub fn peek(&mut self, conn: ConnId, by: PeekBy) {
        self.actions.push(Action::Peek(conn, by));
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

    /// Has [`App::woken`](super::App::woken) called in the driver's next turn, after the events of other connections.
    /// For work that one event brings and that would keep all others waiting: a part of it now, the rest then. Costs no
    /// system call.
    pub fn call_again(&mut self) {
        self.again = true;
    }

    /// Sets, moves or (with `None`) drops the deadline of `key`; [`App::expired`](super::App::expired) follows, never early, at most a tick late.
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

    /// Moves what the application asked for into `into`, in order. An empty list takes its place: give back what it has grown by
    /// ([`relax`]) before it is used again.
    pub fn take_actions(&mut self, into: &mut Vec<Action>) {
        if into.is_empty() {
            std::mem::swap(into, &mut self.actions);
        } else {
            into.append(&mut self.actions);
            relax(&mut self.actions);
        }
    }

    /// Adds an action as it is, behind those that were asked for: for a layer between driver and application, which takes the
    /// application's actions and passes on others. The name of a connection in it may be stale already: `Send` before `Close`.
    pub fn pass_on(&mut self, action: Action) {
        self.actions.push(action);
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
    use crate::buf::ROOM;
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
            assert_eq!(actions.len(), count);
            // As drivers do.
            actions.clear();
            relax(&mut actions);
            assert_eq!(actions.capacity() == 0, given_back, "{count}");
            assert!(cx.actions.capacity() <= ROOM, "{count}");
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
