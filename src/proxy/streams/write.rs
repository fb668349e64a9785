//! Frames go out once in each turn of the driver, those of many streams together; and the backends of streams that take little
//! have to wait.
//!
//! ```text
//!   the core ── as many bytes as there is room for ──▶ the driver ──▶ our kernel
//!      │ unsent(stream) > HIGH_WATER: its backend is not read
//!      ╰ relieved(stream): it is read again
//! ```

use super::{Event, Streams, counters::Goodbye};
use crate::{
    app::{ConnId, Cx},
    buf::Sink,
    proxy::{
        Proxy,
        client::To,
        downstream::{HIGH_WATER, LOW_WATER},
        exchange::Exchange,
        leaving::LetGo,
    },
    time::Instant,
};
use bytes::Bytes;
use std::mem;

impl Streams {
    /// How many bytes of content may go to the driver now.
    fn room(&mut self, now: Instant) -> usize {
        if self.wrote.replace(now) != Some(now) {
            self.has_left();
        }
        match self.ahead.most().saturating_sub(self.stall.unsent() + self.given) {
            // Frames of a few bytes are not worth their heads.
            ..LOW_WATER => 0,
            _ if self.stall.unsent() > HIGH_WATER => 0,
            room => room,
        }
    }

    /// The driver has told what it could not send. If that is nothing, all has left.
    fn has_left(&mut self) {
        let given = mem::take(&mut self.given);
        if self.stall.unsent() == 0 {
            self.ahead.took(given);
        }
    }

    /// A new turn of the driver.
    pub(in crate::proxy) fn begin_turn(&mut self) {
        self.has_left();
        (self.wrote, self.writes_later) = (None, false);
        for stream in mem::take(&mut self.lent) {
            self.give_window_back(stream);
        }
    }

    /// Its rest may be heard.
    pub(in crate::proxy) fn has_turn(&mut self) {
        self.waits_for_turn = false;
    }
}

/// A connection as a place for frames, with their length.
struct Counted<'a> {
    to: To<'a>,
    bytes: usize,
}

impl Sink for Counted<'_> {
    fn owned(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.to.owned(bytes);
    }

    fn borrowed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.to.borrowed(bytes);
    }
}

impl Proxy {
    /// The first frames of a turn leave at once: they may be all. Those that come behind them leave together when the driver has told
    /// of everything that has happened meanwhile: an answer from each of many backends is one write, and with TLS one record.
    pub(in crate::proxy) fn write_once_a_turn(&mut self, cx: &mut Cx, conn: ConnId) {
        let now = cx.now();
        let Some(streams) = self.worker.table.streams(conn) else { return };
        if streams.wrote != Some(now) && !streams.writes_later {
            return self.write_streams(cx, conn);
        }
        streams.dirty = false;
        if !mem::replace(&mut streams.writes_later, true) {
            self.worker.turns.write_later(cx, conn);
        }
        // Its turn may be far off if many others write, too. Until then nothing of what its backends say leaves.
        self.hold_up_backends(cx, conn);
    }

    /// Sends what a connection has to say, as far as there is room, and looks what follows from that.
    pub(in crate::proxy) fn write_streams(&mut self, cx: &mut Cx, conn: ConnId) {
        let now = cx.now();
        if self.worker.draining && self.worker.table.streams(conn).is_some_and(|streams| streams.served > 0) {
            self.say_goodbye(cx, conn, Goodbye::LetGo(LetGo::Drain));
        }
        let Some(streams) = self.worker.table.streams(conn) else { return };
        streams.dirty = false;
        let room = streams.room(now);
        let mut sink = Counted { to: To { cx, conn }, bytes: 0 };
        streams.core.write(&mut sink, room, now);
        streams.given += sink.bytes;
        // The driver tells if something is left. If everything leaves at once it does not.
        let is_left = streams.core.has_output() && streams.stall.unsent() == 0;
        if is_left && !mem::replace(&mut streams.writes_later, true) {
            self.worker.turns.write_later(cx, conn);
        }
        self.hold_up_backends(cx, conn);
        self.relieve_backends(cx, conn);
        self.steer_reads(cx, conn);
        self.rest_streams(cx, conn);
    }

    /// Backends are read in larger pieces for a client that takes much, and in small ones again when it does not.
    fn steer_reads(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(streams) = self.worker.table.streams(conn) else { return };
        let reads = streams.ahead.reads();
        if mem::replace(&mut streams.reads, reads) == reads {
            return;
        }
        for key in streams.keys() {
            let link = self.exchanges.get(key as usize).and_then(Exchange::link);
            if let Some(upstream) = link.and_then(|link| self.worker.table.upstream(link.conn)) {
                upstream.set_reads(cx, reads);
            }
        }
    }

    /// Backends of streams with much unsent wait.
    fn hold_up_backends(&mut self, cx: &mut Cx, conn: ConnId) {
        while let Some(streams) = self.worker.table.streams(conn)
            && let Some(stream) = streams.fed.pop()
        {
            // While the client takes nothing, one read is enough.
            let most = if streams.stall.unsent() > HIGH_WATER { LOW_WATER } else { HIGH_WATER };
            let is_full = streams.core.unsent(stream) > most;
            let Some(open) = streams.find(stream) else { continue };
            open.fed = false;
            if is_full && !open.holds_up {
                open.holds_up = true;
                let key = open.key;
                self.hold_up(cx, key, true);
            }
        }
    }

    /// Streams whose clients have taken nearly everything go on.
    fn relieve_backends(&mut self, cx: &mut Cx, conn: ConnId) {
        while let Some(streams) = self.worker.table.streams(conn)
            && let Some(stream) = streams.core.relieved()
        {
            let Some(open) = streams.find(stream) else { continue };
            let key = open.key;
            if mem::take(&mut open.holds_up) {
                self.hold_up(cx, key, false);
            }
            self.on(cx, key, Event::Drained);
        }
    }

    /// Whether the backend of an exchange waits for the client.
    fn hold_up(&mut self, cx: &mut Cx, key: u32, waits: bool) {
        let exchange = self.exchanges.get(key as usize).filter(|exchange| !exchange.spares_backend());
        let link = exchange.and_then(Exchange::link);
        if let Some(upstream) = link.and_then(|link| self.worker.table.upstream(link.conn)) {
            upstream.set_congested(cx, waits);
        }
    }

    /// `unsent` bytes wait for the client with the driver.
    pub(in crate::proxy) fn streams_took(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        let write = self.worker.shared.config.deadlines.write;
        let Some(streams) = self.worker.table.streams(conn) else { return };
        let given = mem::take(&mut streams.given);
        streams.ahead.told(given, unsent, cx.now());
        streams.stall.update(unsent, cx.now(), write);
        if unsent <= LOW_WATER {
            self.worker.speak(conn);
        } else {
            streams.arm(cx);
        }
    }
}
