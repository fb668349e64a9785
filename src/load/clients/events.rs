//! Events of a thread's clients, and the steps that follow.

use super::{Clients, Phase};
use crate::{
    app::{App, ConnId, Cx, Origin, TimerKey},
    load::{Kind, talk::Heard},
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
        if self.clients[index].talk.awaits_greeting() {
            self.clients[index].phase = Phase::Greeting;
        } else {
            self.up(cx, index);
        }
        self.settled(cx);
    }

    fn received(&mut self, cx: &mut Cx, conn: ConnId, mut input: &[u8]) {
        let Some(index) = self.index_of(conn) else { return };
        let now = (self.clock)(cx);
        if self.line.is_some_and(|line| line.covers(now)) {
            self.record.received += input.len() as u64;
        }
        if input.len() >= LONG_READ && !std::mem::replace(&mut self.clients[index].bulk, true) {
            cx.set_bulk(conn, true);
        }
        let mut free = 0;
        while !input.is_empty() {
            match self.clients[index].talk.hear(&self.orders.script, &mut input) {
                Heard::More => {}
                Heard::Greeted => self.up(cx, index),
                Heard::Answer { verdict, last } => {
                    self.judge(index, verdict, now);
                    free += 1;
                    if last {
                        self.leave(cx, index, now);
                    }
                }
                Heard::Broken(kind) => return self.lose(cx, index, kind, now),
                Heard::Unasked => {
                    self.record.unasked += 1;
                    return self.lose(cx, index, Kind::BadResponse, now);
                }
            }
        }
        // Not before all of the input was heard: it was sent before the next request.
        if free > 0 && self.clients[index].phase == Phase::Up {
            self.freed(cx, index, free, now);
        }
    }

    fn sent(&mut self, _: &mut Cx, _: ConnId, _: usize) {}

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(index) = self.index_of(conn) else { return };
        let now = (self.clock)(cx);
        if let Some(verdict) = self.clients[index].talk.end() {
            self.judge(index, verdict, now);
        }
        if self.clients[index].waiting.is_empty() {
            self.close(cx, index);
            self.down(cx, index, now);
        } else {
            self.lose(cx, index, Kind::ClosedEarly, now);
        }
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: ErrorKind) {
        let Some(index) = self.index_of(conn) else { return };
        let now = (self.clock)(cx);
        let kind = Kind::of(error, self.clients[index].phase != Phase::Connecting);
        self.lose(cx, index, kind, now);
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        let now = (self.clock)(cx);
        match key {
            TimerKey::ALARM => self.dispatch(cx),
            TimerKey::App(number) => {
                let index = number as usize;
                let count = self.clients[index].busy;
                self.freed(cx, index, count, now);
            }
            TimerKey::Conn(conn) => {
                let Some(index) = self.index_of(conn) else { return };
                let client = &mut self.clients[index];
                client.armed = false;
                match client.waiting.front().map(|asked| asked.started + self.orders.timeout) {
                    Some(due) if due > now => {
                        client.armed = true;
                        cx.set_deadline(key, Some(due));
                    }
                    Some(_) => self.lose(cx, index, Kind::Timeout, now),
                    None if matches!(client.phase, Phase::Up | Phase::Greeting) => {}
                    None => {
                        self.close(cx, index);
                        self.down(cx, index, now);
                    }
                }
            }
        }
    }

    fn woken(&mut self, cx: &mut Cx) {
        if self.line.is_none()
            && let Some(line) = self.control.line.get()
        {
            self.begin(cx, *line);
        }
    }

    /// The run is over, by its time or by its user: what is under way stays unfinished.
    fn drain(&mut self, cx: &mut Cx) {
        // Requests that are due and have a free client were only waiting for this thread.
        self.dispatch(cx);
        self.finishing = true;
        cx.set_deadline(TimerKey::ALARM, None);
        self.leave_all_unfinished((self.clock)(cx));
        for index in 0..self.clients.len() {
            self.close(cx, index);
        }
    }
}
