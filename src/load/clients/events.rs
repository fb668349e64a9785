//! Events of a thread's clients, and the steps that follow.

use super::{Clients, Phase, ends::Farewell};
use crate::{
    app::{App, ConnId, Cx, Origin, TimerKey},
    load::{Kind, talk::Heard},
    time::Instant,
};
use std::io::ErrorKind;

/// A read that brought so much is followed by larger ones.
const LONG_READ: usize = 16 * 1024;

impl App for Clients {
    fn started(&mut self, cx: &mut Cx) {
        self.connect_ahead(cx);
    }

    fn accepted(&mut self, _: &mut Cx, _: ConnId, _: Origin) {}

    fn connected(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(index) = self.index_of(conn) else { return };
        self.record.connections += 1;
        let now = (self.clock)(cx);
        match self.orders.callee.clone() {
            Some(callee) => self.shake(cx, index, &callee, now),
            None => self.begin_talk(cx, index, now),
        }
        self.flush(cx);
    }

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        let Some(index) = self.index_of(conn) else { return };
        let now = (self.clock)(cx);
        if self.line.is_some_and(|line| line.covers(now)) {
            self.record.received += input.len() as u64;
        }
        let client = &mut self.clients[index];
        client.heard = Some(now);
        if input.len() >= LONG_READ && !std::mem::replace(&mut client.bulk, true) {
            cx.set_bulk(conn, true);
        }
        if client.call.is_some() {
            self.hear_sealed(cx, index, conn, input, now);
        } else {
            self.hear(cx, index, input, now);
        }
        self.flush(cx);
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        let Some(index) = self.index_of(conn) else { return };
        let client = &mut self.clients[index];
        client.undelivered = unsent;
        if unsent == 0 && client.talk.streams().is_some() {
            self.dirty.note(client, index);
            self.flush(cx);
        }
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(index) = self.index_of(conn) else { return };
        let now = (self.clock)(cx);
        self.ended_by_server(cx, index, now);
        self.flush(cx);
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: ErrorKind) {
        let Some(index) = self.index_of(conn) else { return };
        let now = (self.clock)(cx);
        let client = &self.clients[index];
        let kind = Kind::of(error, client.phase != Phase::Connecting);
        let kind = client.goodbye.map_or(kind, Kind::GoAway);
        self.lose(cx, index, kind, Farewell::Abort, now);
        self.flush(cx);
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        let now = (self.clock)(cx);
        match key {
            TimerKey::ALARM => self.dispatch(cx),
            TimerKey::App(number) => self.take_up(cx, number as usize, now),
            TimerKey::Conn(conn) => self.conn_expired(cx, conn, now),
        }
        self.flush(cx);
    }

    fn woken(&mut self, cx: &mut Cx) {
        if self.line.is_none()
            && let Some(line) = self.control.line.get()
        {
            self.begin(cx, *line);
        }
        self.flush(cx);
    }

    /// The run is over, by its time or by its user: what is under way stays unfinished.
    fn drain(&mut self, cx: &mut Cx) {
        // Requests that are due and have a free client were only waiting for this thread.
        self.dispatch(cx);
        self.flush(cx);
        self.finishing = true;
        cx.set_deadline(TimerKey::ALARM, None);
        let now = (self.clock)(cx);
        self.leave_all_unfinished(now);
        for index in 0..self.clients.len() {
            self.close(cx, index, now);
        }
    }
}

impl Clients {
    /// The connection can be spoken on.
    pub(super) fn begin_talk(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        let client = &mut self.clients[index];
        let has_streams = client.talk.streams().is_some();
        if has_streams {
            self.dirty.note(client, index);
        }
        if client.talk.awaits_greeting() {
            client.phase = Phase::Greeting;
        } else {
            self.up(cx, index, now);
        }
        // A line server that serves one client greets no other; an HTTP/2 server says at once how many streams it allows.
        if !has_streams || self.clients[index].phase == Phase::Up {
            self.settled(cx);
        }
    }

    /// Hears what the server says, to its end.
    pub(super) fn hear(&mut self, cx: &mut Cx, index: usize, mut input: &[u8], now: Instant) {
        let mut free = 0;
        // Frames of several streams may follow from the last bytes.
        let has_streams = self.orders.script.has_streams();
        while has_streams || !input.is_empty() {
            match self.clients[index].talk.hear(&self.orders.script, &mut input, now) {
                Heard::More if has_streams => break,
                Heard::More => {}
                Heard::Greeted => {
                    if self.clients[index].phase == Phase::Greeting {
                        self.up(cx, index, now);
                    }
                    if has_streams {
                        self.settled(cx);
                    }
                }
                Heard::Answer { verdict, last } => {
                    self.judge(index, 0, verdict, now);
                    free += 1;
                    if last {
                        self.leave(cx, index, now);
                    }
                }
                Heard::Stream(stream, end) => free += self.end_stream(cx, index, stream, end, now),
                Heard::GoingAway(code) => self.told_to_go(cx, index, code, now),
                Heard::Broken(kind) => {
                    // A server that breaks a rule of HTTP/2 is told which one.
                    let farewell = if has_streams { Farewell::Close } else { Farewell::Abort };
                    return self.lose(cx, index, kind, farewell, now);
                }
                Heard::Unasked => {
                    self.record.unasked += 1;
                    return self.lose(cx, index, Kind::BadResponse, Farewell::Abort, now);
                }
            }
        }
        // Not before all of the input was heard: it was sent before the next request.
        if free > 0 && self.clients[index].phase == Phase::Up {
            self.freed(cx, index, free, now);
        }
        if has_streams {
            self.heard_all(cx, index, now);
        }
    }

    /// The server sends nothing more.
    pub(super) fn ended_by_server(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        let cut_off = self.cut(index);
        let client = &mut self.clients[index];
        // A body that ends with its connection is complete only if the end was the server's own.
        if let Some(verdict) = client.talk.end() {
            self.judge(index, 0, cut_off.map_or(verdict, Err), now);
        }
        let client = &self.clients[index];
        // Requests that the server has handed back are sent again.
        if client.waiting.is_empty() || client.phase == Phase::Leaving && client.waiting.len() == client.unsent {
            self.close(cx, index, now);
            self.down(cx, index, now);
        } else {
            let in_handshake = cut_off.filter(|_| client.phase == Phase::Shaking);
            let kind = client.goodbye.map_or(in_handshake.unwrap_or(Kind::ClosedEarly), Kind::GoAway);
            self.lose(cx, index, kind, Farewell::Abort, now);
        }
    }

    fn conn_expired(&mut self, cx: &mut Cx, conn: ConnId, now: Instant) {
        let Some(index) = self.index_of(conn) else { return };
        let client = &mut self.clients[index];
        client.armed = false;
        match client.oldest() {
            Some(oldest) if oldest + self.orders.timeout > now => {
                client.armed = true;
                cx.set_deadline(TimerKey::Conn(conn), Some(oldest + self.orders.timeout));
            }
            Some(oldest) => self.give_up(cx, index, conn, oldest, now),
            None if matches!(client.phase, Phase::Up | Phase::Greeting) => {}
            None => {
                self.close(cx, index, now);
                self.down(cx, index, now);
            }
        }
    }
}
