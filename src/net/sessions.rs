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
//!
//! Fairness has one, too: after [`ANSWERS`] answers to one peer, the others have their turn ([`Cx::call_again`]).
//!
//! An answer that a session has promised for a time ([`Session::promised`]) is sent by the driver's one exact deadline,
//! [`TimerKey::ALARM`]: it is set to the earliest promise of all sessions. Patience ends by the driver's coarse timers.
//!
//! What a session wants computed is computed on the spot ([`OnTheSpot`]), and that is the weakness of an event loop: until
//! it is done nobody else is heard, nobody is answered, no deadline passes. [`Sessions::computing`] sends it elsewhere.

use super::{Traffic, reactor::CONFIRMED, work};
use crate::{
    app::{App, ConnId, Cx, Origin, Progress, TimerKey},
    session::{ANSWERS, CloseReason, Session, Wants, Work, Worked},
    time::Now,
};
use std::{
    collections::{BTreeSet, VecDeque},
    io, mem,
    sync::Arc,
    time::Instant,
};

/// Who computes for sessions.
pub trait Workshop {
    /// Takes work that the session of `conn` wants done: does it, or promises that [`Workshop::finished`] will tell of it.
    fn begin(&mut self, conn: ConnId, work: Work) -> Option<Worked>;
    /// What was promised and is over, each piece once. Asked after the driver was woken ([`App::woken`]).
    fn finished(&mut self) -> Vec<(ConnId, Worked)> {
        Vec::new()
    }
}

/// Computes on the thread of the event loop, while everybody on it waits.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnTheSpot;

impl Workshop for OnTheSpot {
    fn begin(&mut self, _: ConnId, work: Work) -> Option<Worked> {
        Some(work::carry_out(work))
    }
}

/// Runs a session of its own for each connection that is accepted.
#[derive(Debug)]
pub struct Sessions<F, S, W = OnTheSpot> {
    factory: F,
    /// By [`ConnId::index`].
    running: Vec<Option<Running<S>>>,
    /// The promises of sessions, the earliest first: at most one of each session.
    promises: BTreeSet<(Instant, ConnId)>,
    traffic: Arc<Traffic>,
    workshop: W,
    /// Peers to which more answers are due than one visit gives.
    later: VecDeque<ConnId>,
}

/// Peers that are given more answers in one turn, of those to whom more are due.
const RESUMED: usize = 8;

/// A session and what its driver has to remember.
#[derive(Debug)]
struct Running<S> {
    session: S,
    conn: ConnId,
    /// Bytes that the peer has not taken, as far as we were told.
    unsent: usize,
    /// Of all that was sent, how much the peer had confirmed when a deadline passed since `unsent` moved last.
    acknowledged: Option<u64>,
    paused: bool,
    /// What it wants computed is being computed elsewhere.
    working: bool,
    /// The session was told that nothing more comes.
    ended: bool,
    /// Its entry in [`Sessions::promises`].
    promised: Option<Instant>,
    /// More answers are due in the next turn.
    put_off: bool,
}

impl<F, S> Sessions<F, S>
where
    F: FnMut(Origin, Now) -> S,
    S: Session,
{
    /// Sessions made by `factory`, which is told where the peer comes from and what time it is.
    pub fn new(factory: F) -> Self {
        let (promises, later) = (BTreeSet::new(), VecDeque::new());
        Self { factory, running: Vec::new(), promises, traffic: Arc::default(), workshop: OnTheSpot, later }
    }
}

impl<F, S, W> Sessions<F, S, W>
where
    F: FnMut(Origin, Now) -> S,
    S: Session,
    W: Workshop,
{
    /// Has `workshop` compute what sessions want computed.
    pub fn computing<V: Workshop>(self, workshop: V) -> Sessions<F, S, V> {
        let Self { factory, running, promises, traffic, later, .. } = self;
        Sessions { factory, running, promises, traffic, workshop, later }
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
        if running.put_off {
            return; // Its place in `later` brings the rest.
        }
        let over = running.advance(cx, &self.traffic, &mut self.workshop).is_some();
        if running.put_off && !over {
            self.later.push_back(conn);
            cx.call_again();
        }
        let promised = if over { None } else { running.session.promised() };
        if promised != running.promised {
            let before = mem::replace(&mut running.promised, promised);
            self.promise(cx, conn, before, promised);
        }
        if over {
            self.running[conn.index()] = None;
        }
    }

    /// Puts one promise of a session in the place of another.
    fn promise(&mut self, cx: &mut Cx, conn: ConnId, before: Option<Instant>, now: Option<Instant>) {
        if let Some(at) = before {
            self.promises.remove(&(at, conn));
        }
        if let Some(at) = now {
            self.promises.insert((at, conn));
        }
        self.set_alarm(cx);
    }

    fn set_alarm(&self, cx: &mut Cx) {
        cx.set_deadline(TimerKey::ALARM, self.promises.first().map(|(at, _)| *at));
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
    fn advance(&mut self, cx: &mut Cx, traffic: &Traffic, workshop: &mut impl Workshop) -> Option<CloseReason> {
        self.send(cx, traffic);
        if let Wants::Work(work) = self.session.wants()
            && !self.working
        {
            match workshop.begin(self.conn, work) {
                None => self.working = true,
                Some(worked) => {
                    self.session.worked(worked, cx.clock());
                    self.send(cx, traffic);
                }
            }
        }
        let more = !self.session.output().is_empty();
        // Otherwise nothing is left, or it is sent when the peer has taken what the driver has.
        self.put_off &= more && self.unsent == 0;
        let wants = self.session.wants();
        let reason = match wants {
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
        let pause = more || self.unsent > 0 || wants != Wants::Input;
        if pause != self.paused {
            self.paused = pause;
            cx.set_reading(self.conn, !pause);
        }
        // Work that was asked for behind other work begins in another turn, so that it does not keep the others out as well.
        let postponed = matches!(wants, Wants::Work(_)) && !self.working;
        cx.set_deadline(TimerKey::Conn(self.conn), if postponed { Some(cx.now()) } else { self.session.deadline() });
        None
    }

    /// Moves output to the driver, which tells about so much in any case: then the rest follows.
    fn send(&mut self, cx: &mut Cx, traffic: &Traffic) {
        let (mut queued, mut answers) = (0, 0);
        while self.unsent == 0
            && answers < ANSWERS
            && let Some(piece) = self.session.output().pop()
        {
            queued += piece.len();
            let answered = self.session.answered();
            traffic.answered(answered);
            answers += answered;
            traffic.sent(piece.len());
            cx.send(self.conn, piece);
            if queued >= CONFIRMED {
                self.unsent = queued;
            }
        }
        self.put_off = answers >= ANSWERS;
    }
}

impl<F, S, W> App for Sessions<F, S, W>
where
    F: FnMut(Origin, Now) -> S,
    S: Session,
    W: Workshop,
{
    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        let session = (self.factory)(origin, cx.clock());
        if self.running.len() <= conn.index() {
            self.running.resize_with(conn.index() + 1, || None);
        }
        let running = Running {
            session,
            conn,
            unsent: 0,
            acknowledged: None,
            paused: false,
            working: false,
            ended: false,
            promised: None,
            put_off: false,
        };
        self.running[conn.index()] = Some(running);
        // It may speak first.
        self.with(cx, conn, |_, _| {});
    }

    fn connected(&mut self, _: &mut Cx, _: ConnId) {}

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        self.traffic.received(input.len());
        self.with(cx, conn, |running, now| running.session.receive(input, now));
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        self.with(cx, conn, |running, _| {
            if unsent < mem::replace(&mut running.unsent, unsent) {
                running.acknowledged = None;
                running.session.taken();
            }
        });
    }

    fn progressed(&mut self, cx: &mut Cx, conn: ConnId, progress: Progress) {
        self.with(cx, conn, |running, now| {
            let before = running.acknowledged.replace(progress.acknowledged);
            if before.is_none_or(|before| before < progress.acknowledged) {
                running.session.taken();
            }
            running.session.expire(now);
        });
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        self.with(cx, conn, Running::end);
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind) {
        tracing::debug!(?conn, %error, "connection failed");
        self.traffic.failed();
        let gone = self.running.get_mut(conn.index()).and_then(Option::take);
        if let Some(promised) = gone.and_then(|running| running.promised) {
            self.promise(cx, conn, Some(promised), None);
        }
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        let conn = match key {
            TimerKey::Conn(conn) => Some(conn),
            // One promise a call: the alarm is set to the next one, which may have passed, too.
            TimerKey::ALARM => self.promises.first().map(|(_, conn)| *conn),
            TimerKey::App(_) => None,
        };
        let Some(conn) = conn else { return };
        let running = self.running.get(conn.index()).and_then(Option::as_ref).filter(|running| running.conn == conn);
        if key != TimerKey::ALARM && running.is_some_and(|running| running.unsent > 0) {
            // It may be late only as far as our kernel tells. What the peer's tells decides.
            cx.progress(conn);
        } else {
            self.with(cx, conn, |running, now| running.session.expire(now));
        }
        if key == TimerKey::ALARM {
            self.set_alarm(cx);
        }
    }

    fn woken(&mut self, cx: &mut Cx) {
        for (conn, worked) in self.workshop.finished() {
            self.with(cx, conn, |running, now| {
                running.working = false;
                running.session.worked(worked, now);
            });
        }
        for _ in 0..RESUMED.min(self.later.len()) {
            let Some(conn) = self.later.pop_front() else { break };
            self.with(cx, conn, |running, _| running.put_off = false);
        }
        if !self.later.is_empty() {
            cx.call_again();
        }
    }

    /// A session has no word for "come to an end" but the end of its input: what it has heard is answered, then it closes.
    fn drain(&mut self, cx: &mut Cx) {
        let conns: Vec<ConnId> = self.running.iter().flatten().map(|running| running.conn).collect();
        for conn in conns {
            self.with(cx, conn, Running::end);
        }
    }

    fn cut_off(&mut self, _: &mut Cx) {
        let clients = self.running.iter().flatten().count();
        if clients > 0 {
            tracing::warn!(clients, "cut off after the drain timeout");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::{Action, ListenerId},
        buf::Output,
        net::clock,
        service::http::{Http, HttpConfig},
    };
    use std::{
        net::Ipv4Addr,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        time::{Duration, Instant},
    };

    /// Has a lot to say at once, and counts what it hears of its way.
    #[derive(Debug)]
    struct Told {
        output: Output,
        times: Arc<AtomicUsize>,
    }

    impl Session for Told {
        fn receive(&mut self, _: &[u8], _: Now) {}
        fn receive_end(&mut self, _: Now) {}
        fn expire(&mut self, _: Now) {}

        fn output(&mut self) -> &mut Output {
            &mut self.output
        }

        fn wants(&self) -> Wants {
            Wants::Input
        }

        fn deadline(&self) -> Option<Instant> {
            None
        }

        fn promised(&self) -> Option<Instant> {
            None
        }

        fn taken(&mut self) {
            self.times.fetch_add(1, Relaxed);
        }
    }

    /// Promises what it is told, in milliseconds, and says a word when that time has come.
    #[derive(Debug)]
    struct Promising {
        output: Output,
        promised: Option<Instant>,
    }

    impl Session for Promising {
        fn receive(&mut self, input: &[u8], now: Now) {
            self.promised = Some(now.instant + Duration::from_millis(input[0].into()));
        }

        fn receive_end(&mut self, _: Now) {}

        fn expire(&mut self, now: Now) {
            if self.promised.take_if(|at| *at <= now.instant).is_some() {
                self.output.push(b"now".to_vec().into());
            }
        }

        fn output(&mut self) -> &mut Output {
            &mut self.output
        }

        fn wants(&self) -> Wants {
            Wants::Input
        }

        fn deadline(&self) -> Option<Instant> {
            self.promised
        }

        fn promised(&self) -> Option<Instant> {
            self.promised
        }
    }

    #[test]
    fn promises_are_kept_on_time_each_by_its_own_session() {
        let start = clock::now();
        let mut sessions = Sessions::new(|_, _| Promising { output: Output::new(), promised: None });
        let mut cx = Cx::new(start);
        let conns: Vec<ConnId> = [5, 3, 3, 4]
            .iter()
            .map(|after| {
                let conn = cx.allocate();
                let peer = (Ipv4Addr::LOCALHOST, 1).into();
                sessions.accepted(&mut cx, conn, Origin { listener: ListenerId(0), peer });
                sessions.received(&mut cx, conn, &[*after]);
                conn
            })
            .collect();
        // One breaks, and one is told another time: neither is waited for any more.
        sessions.failed(&mut cx, conns[3], io::ErrorKind::ConnectionReset);
        cx.release(conns[3]);
        sessions.received(&mut cx, conns[0], &[6]);
        for (after, kept) in [(3, &conns[1..3]), (6, &conns[..1])] {
            let at = start.instant + Duration::from_millis(after);
            assert_eq!(cx.alarm(), Some(at));
            cx.set_clock(start.after(Duration::from_millis(after)));
            let mut said = Vec::new();
            while let Some(key) = cx.next_expired() {
                sessions.expired(&mut cx, key);
                cx.take_actions(&mut said);
            }
            let sent = said.iter().filter_map(|action| match action {
                crate::app::Action::Send(conn, _) => Some(*conn),
                _ => None,
            });
            assert_eq!(sent.collect::<Vec<_>>(), kept, "after {after} ms");
        }
        assert_eq!(cx.alarm(), None);
    }

    /// How many answers are among what was asked of the driver.
    fn answers(cx: &mut Cx) -> usize {
        let mut actions = Vec::new();
        cx.take_actions(&mut actions);
        let sent =
            actions.iter().filter_map(|action| if let Action::Send(_, bytes) = action { Some(bytes) } else { None });
        sent.map(|bytes| bytes.windows(8).filter(|window| window == b"HTTP/1.1").count()).sum()
    }

    #[test]
    fn many_requests_at_once_are_answered_in_many_turns() {
        let config = Arc::new(HttpConfig::default());
        let mut sessions = Sessions::new(move |_, now| Http::new(Arc::clone(&config), now));
        let mut cx = Cx::new(clock::now());
        let peer = (Ipv4Addr::LOCALHOST, 1).into();
        let mut connect = || {
            let conn = cx.allocate();
            sessions.accepted(&mut cx, conn, Origin { listener: ListenerId(0), peer });
            conn
        };
        let (conn, other) = (connect(), connect());
        sessions.received(&mut cx, conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(600).as_bytes());
        let mut turns = vec![answers(&mut cx)];
        sessions.received(&mut cx, other, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(answers(&mut cx), 1, "another client does not wait for all of them");
        while cx.take_call() {
            sessions.woken(&mut cx);
            turns.push(answers(&mut cx));
        }
        assert_eq!(turns.iter().sum::<usize>(), 600, "{turns:?}");
        assert!(turns.iter().all(|answers| *answers <= 2 * ANSWERS as usize), "{turns:?}");
    }

    #[test]
    fn a_session_hears_that_its_peer_takes_what_the_driver_has() {
        let times = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&times);
        let mut sessions = Sessions::new(move |_, _| {
            let mut output = Output::new();
            output.push(vec![b'x'; 2 * CONFIRMED].into());
            Told { output, times: Arc::clone(&count) }
        });
        let mut cx = Cx::new(clock::now());
        let conn = cx.allocate();
        let peer = (Ipv4Addr::LOCALHOST, 1).into();
        sessions.accepted(&mut cx, conn, Origin { listener: ListenerId(0), peer });
        // All of it is the driver's now. That nothing moves is no news.
        for (unsent, heard) in [(2 * CONFIRMED, 0), (CONFIRMED, 1), (CONFIRMED, 1), (7, 2), (0, 3), (0, 3)] {
            sessions.sent(&mut cx, conn, unsent);
            assert_eq!(times.load(Relaxed), heard, "{unsent} left");
        }
    }
}
