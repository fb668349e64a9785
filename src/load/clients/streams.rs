//! Requests with streams of their own: they end in any order, a server may allow fewer than there are slots, and it may hand some back.

use super::{Clients, Pace, Phase, ends::Farewell};
use crate::{
    app::{ConnId, Cx, TimerKey},
    http2::ErrorCode,
    load::{Kind, talk::End},
    time::Instant,
};

impl Clients {
    /// Sends the frames of all clients that have some.
    pub(super) fn flush(&mut self, cx: &mut Cx) {
        while let Some(index) = self.dirty.0.pop() {
            self.clients[index].dirty = false;
            let now = (self.clock)(cx);
            self.write_frames(cx, index, now);
        }
    }

    /// Sends what one client has to say now.
    pub(super) fn write_frames(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        let client = &mut self.clients[index];
        let (true, Some(streams)) = (client.is_connected(), client.talk.streams()) else { return };
        // Content is bounded by the server's windows. More of it follows when the last of this was taken.
        let room = if client.undelivered == 0 { usize::MAX } else { 0 };
        streams.write(&mut self.frames, room, now);
        while let Some(piece) = self.frames.pop() {
            client.say(cx, piece);
        }
    }

    /// Before we close: no server has to guess why.
    pub(super) fn say_goodbye(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        if let Some(streams) = self.clients[index].talk.streams() {
            streams.leave(now);
            self.write_frames(cx, index, now);
        }
    }

    /// The request on this stream has come to its end. Tells how many slots are free now.
    pub(super) fn end_stream(&mut self, cx: &mut Cx, index: usize, stream: u32, end: End, now: Instant) -> u32 {
        let client = &mut self.clients[index];
        // We may have given it up before.
        let Some(at) = client.find(stream) else { return 0 };
        let verdict = match (end, client.goodbye) {
            (End::Answered { verdict, .. }, _) => verdict,
            (End::Failed(kind), _) => Err(kind),
            (End::Unprocessed, Some(code)) => Err(Kind::GoAway(code)),
            (End::Unprocessed, None) => {
                client.requeue(at);
                self.record.sent_again += 1;
                return 0;
            }
        };
        self.judge(index, at, verdict, now);
        if matches!(end, End::Answered { last: true, .. }) {
            self.leave(cx, index, now);
        }
        1
    }

    /// The server takes no more requests on this connection.
    pub(super) fn told_to_go(&mut self, cx: &mut Cx, index: usize, code: ErrorCode, now: Instant) {
        self.clients[index].goodbye = Some(code).filter(|code| *code != ErrorCode::NO_ERROR);
        self.leave(cx, index, now);
    }

    /// All of some input was heard: streams may be free, the server may allow more or fewer of them, or it was the last that came on
    /// this connection.
    pub(super) fn heard_all(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        let client = &mut self.clients[index];
        let Some(streams) = client.talk.streams() else { return };
        if let Some(allowed) = streams.allowed() {
            // Without any, a request waits until it times out, which is what its user sees.
            client.room = allowed.clamp(1, self.orders.slots);
            self.record.allow(allowed);
        }
        self.dirty.note(client, index);
        match client.phase {
            Phase::Leaving if client.waiting.len() == client.unsent => {
                self.close(cx, index, now);
                self.down(cx, index, now);
            }
            Phase::Up => {
                self.send_waiting(cx, index, now);
                self.unpark(cx, index, now);
            }
            Phase::Down | Phase::Connecting | Phase::Shaking | Phase::Greeting | Phase::Leaving => {}
        }
    }

    /// Slots that the server allows now are free.
    fn unpark(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        let client = &mut self.clients[index];
        let count = client.parked.min(client.room.saturating_sub(client.busy));
        if count == 0 || self.is_over(now) {
            return;
        }
        self.clients[index].parked -= count;
        match &mut self.pace {
            Pace::Closed => (0..count).for_each(|_| self.fill(cx, index, now)),
            Pace::Open { free, .. } => {
                free.extend((0..count).map(|_| index));
                self.dispatch(cx);
            }
        }
    }

    /// The oldest request has waited for too long. A connection on which nothing came since it began is given up; else the request is,
    /// and with it all others that are due.
    pub(super) fn give_up(&mut self, cx: &mut Cx, index: usize, conn: ConnId, oldest: Instant, now: Instant) {
        let client = &mut self.clients[index];
        let is_dead = client.heard.is_none_or(|heard| heard <= oldest);
        let is_up = matches!(client.phase, Phase::Up | Phase::Leaving);
        if is_dead || !is_up || client.talk.streams().is_none() {
            return self.lose(cx, index, Kind::Timeout, Farewell::Abort, now);
        }
        let (mut at, mut free) = (0, 0);
        while let Some(asked) = self.clients[index].waiting.get(at).copied() {
            if asked.started + self.orders.timeout > now {
                at += 1;
                continue;
            }
            if let Some(streams) = self.clients[index].talk.streams() {
                streams.reset(asked.stream);
            }
            self.judge(index, at, Err(Kind::Timeout), now);
            free += 1;
        }
        let client = &mut self.clients[index];
        let next = client.oldest().map(|started| started + self.orders.timeout);
        client.armed = next.is_some();
        cx.set_deadline(TimerKey::Conn(conn), next);
        if client.phase == Phase::Up {
            self.freed(cx, index, free, now);
        }
        self.heard_all(cx, index, now);
    }
}
