//! The beginning and the end of a connection: accepted, idle, late, drained, cut off.
//!
//! ```text
//!   SIGTERM ──▶ idle: GOAWAY, closed
//!          ╰──▶ busy: GOAWAY, PING ─▶ ACK ─▶ GOAWAY with the last stream ─▶ streams end, PING ─▶ ACK ─▶ closed
//!                                                     ├── `--drain-timeout`: they are reset
//!                                                     ╰── no ACK for the time of a connection that idles: closed
//! ```
//!
//! GOAWAY says which requests were looked at. So an idle connection can be closed at once: a client whose request crosses that knows that
//! it may ask elsewhere. In HTTP/1.1 it does not (`leaving.rs`).

use super::{Event, Failure, Late, Streams, counters::Goodbye, shut::Step};
use crate::{
    app::{ConnId, Cx, Origin, Progress},
    http2::{Cause, ErrorCode},
    proxy::{Proxy, idle::Past, leaving::LetGo, stall::Look, table::Role},
};

impl Proxy {
    /// A client that speaks HTTP/2, as its handshake says.
    pub(in crate::proxy) fn accept_streams(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        self.worker.counters().accepted.add(1);
        self.begin_streams(cx, conn, origin);
    }

    /// A connection turns out to be one of HTTP/2; its first request is due.
    pub(in crate::proxy) fn begin_streams(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        let config = &self.worker.shared.config;
        let Some(limits) = &config.http2 else { return };
        let mut streams = Streams::new(conn, origin, limits.clone(), config.deadlines.write, cx.now());
        // A handshake may end when the proxy is about to: its request comes at once, or never.
        let first = if self.worker.draining { config.drain_grace } else { config.deadlines.head };
        streams.due.set(Late::Head, Some(cx.now() + first));
        self.worker.table.insert(conn, Role::Streams(Box::new(streams)));
        self.worker.counters().http2.connections.add(1);
        self.worker.speak(conn);
    }

    /// After something was written: is the connection over, and what is due next?
    pub(super) fn rest_streams(&mut self, cx: &mut Cx, conn: ConnId) {
        let idle = self.idle_limit();
        let head = self.worker.shared.config.deadlines.head;
        let now = cx.now();
        let Some(streams) = self.worker.table.streams(conn) else { return };
        // A stream can be over before its exchange is: it is answered, and its backend has not taken all of the request yet.
        let is_left = streams.exchanges() == 0;
        let is_free = is_left && streams.core.open() == 0;
        let has_ended = streams.ended && is_free && streams.held.is_empty();
        if (streams.core.is_over() && is_left || has_ended) && !streams.core.has_output() {
            self.worker.forget_streams(conn);
            return cx.close(conn);
        }
        let (goes, reads_on) = (streams.core.is_over(), streams.stall.unsent() > 0);
        let due = &mut streams.due;
        let asks = !goes && (streams.core.is_mid_block() || streams.served == 0);
        due.set(Late::Head, asks.then(|| due.at(Late::Head).unwrap_or(now + head)));
        // It does not idle while it still reads the last answer. Whether it reads has a deadline of its own.
        let rests = !goes && !reads_on && is_free && streams.served > 0;
        due.set(Late::Idle, rests.then(|| due.at(Late::Idle).unwrap_or(now + idle)));
        streams.steer_bulk(cx);
        streams.arm(cx);
        let past = if streams.served == 0 { Past::Silent } else { Past::Served };
        if is_free && !reads_on && streams.held.is_empty() {
            self.worker.idle.enter(conn, past, now);
        } else {
            self.worker.idle.leave(conn);
        }
    }

    /// A deadline of the connection passed.
    pub(in crate::proxy) fn streams_late(&mut self, cx: &mut Cx, conn: ConnId) {
        let now = cx.now();
        let why = if self.worker.draining { LetGo::Drain } else { LetGo::Idle };
        let Some(streams) = self.worker.speak(conn) else { return };
        match streams.due.past(now) {
            Some(Late::Write) => cx.progress(conn),
            Some(Late::Core) => {
                streams.core.expire(now);
                // A second goodbye may have to be said.
                self.hear_streams(cx, conn, &[]);
            }
            Some(Late::Shut) => {
                let step = streams.shut.step();
                self.look_at_windows(cx, conn, step);
            }
            Some(Late::Head) if streams.core.is_mid_block() => {
                streams.core.give_up(Cause::LateBlock);
                self.streams_failed(cx, conn, Cause::LateBlock);
            }
            Some(Late::Head | Late::Idle) => self.let_streams_go(cx, conn, why),
            None => {}
        }
    }

    /// A window is shut for a while, or for too long.
    fn look_at_windows(&mut self, cx: &mut Cx, conn: ConnId, step: Step) {
        match step {
            Step::Ask => cx.progress(conn),
            Step::End(since) => {
                let Some(streams) = self.worker.speak(conn) else { return };
                streams.core.end_shut(since, cx.now());
                // The streams and the connection that it has ended.
                self.hear_streams(cx, conn, &[]);
            }
        }
    }

    /// How far a client is that takes nothing from our kernel, or keeps a window shut.
    pub(in crate::proxy) fn streams_progressed(&mut self, cx: &mut Cx, conn: ConnId, progress: Progress) {
        let deadlines = self.worker.shared.config.deadlines.clone();
        let Some(streams) = self.worker.table.streams(conn) else { return };
        let is_due = streams.stall.is_due(cx.now());
        if streams.progressed(cx, progress, &deadlines) == Look::Late && is_due {
            self.worker.counters().count_reason(Failure::ClientStalled);
            self.lose_streams(cx, conn, Failure::ClientStalled);
            return cx.abort(conn);
        }
        if let Some(streams) = self.worker.table.streams(conn)
            && let Some(step) = streams.windows_progressed(cx, progress)
        {
            self.look_at_windows(cx, conn, step);
        }
        self.look_at_uploads(cx, conn, progress);
    }

    /// Requests whose content does not come may have to wait for their windows.
    fn look_at_uploads(&mut self, cx: &mut Cx, conn: ConnId, progress: Progress) {
        let limit = self.worker.shared.config.deadlines.body;
        let Some(streams) = self.worker.table.streams(conn) else { return };
        let unwritten = streams.core.has_frames();
        for key in streams.keys() {
            let exchange = self.exchanges.get_mut(key as usize);
            let late = exchange.and_then(|exchange| exchange.client_progressed(progress, unwritten, limit, cx));
            if let Some(event) = late {
                self.on(cx, key, event);
            }
        }
    }

    /// The connection is gone.
    pub(in crate::proxy) fn streams_gone(&mut self, cx: &mut Cx, conn: ConnId) {
        self.lose_streams(cx, conn, Failure::ClientGone);
    }

    fn lose_streams(&mut self, cx: &mut Cx, conn: ConnId, failure: Failure) {
        let Some(streams) = self.worker.forget_streams(conn) else { return };
        for key in streams.keys() {
            self.on(cx, key, Event::ClientLost(failure));
        }
    }

    /// Says goodbye to a client without requests, which is closed then.
    pub(in crate::proxy) fn let_streams_go(&mut self, cx: &mut Cx, conn: ConnId, why: LetGo) {
        let Some(streams) = self.worker.speak(conn) else { return };
        let peer = streams.peer;
        self.say_goodbye(cx, conn, Goodbye::LetGo(why));
        self.note_let_go(cx, peer, why);
    }

    /// No new requests, please: said once, with what is written next.
    pub(super) fn say_goodbye(&mut self, cx: &Cx, conn: ConnId, why: Goodbye) {
        if self.worker.table.streams(conn).is_some_and(|streams| streams.core.drain(cx.now())) {
            self.worker.counters().http2.count_goodbye(why);
        }
    }

    /// The proxy ends: no new requests, please.
    pub(in crate::proxy) fn drain_streams(&mut self, cx: &mut Cx) {
        for conn in self.worker.table.multiplexed() {
            self.worker.speak(conn);
            self.say_goodbye(cx, conn, Goodbye::LetGo(LetGo::Drain));
        }
    }

    /// The time for the end is over: a request that still runs is answered if its response has not begun, else reset.
    pub(in crate::proxy) fn cut_off_streams(&mut self, cx: &mut Cx) {
        for conn in self.worker.table.multiplexed() {
            let Some(streams) = self.worker.table.streams(conn) else { continue };
            for key in streams.keys() {
                self.cut_off += 1;
                self.on(cx, key, Event::RequestBad(Failure::DrainTimeout));
            }
            let Some(streams) = self.worker.table.streams(conn) else { continue };
            streams.core.cut_off(ErrorCode::CANCEL);
            self.say_goodbye(cx, conn, Goodbye::LetGo(LetGo::Drain));
            self.write_streams(cx, conn);
            if self.worker.forget_streams(conn).is_some() {
                cx.close(conn);
            }
        }
    }
}
