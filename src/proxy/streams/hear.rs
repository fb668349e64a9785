//! From what a client sends to what exchanges hear.
//!
//! Content goes to the exchange of its stream as long as that has a place for it. Else it waits here, and the client's window stays
//! as small as it is. A window is given back when the backend's connection has got rid of the bytes, which the driver tells before the
//! next turn. So what waits of a request, here and for the backend, is no more than one window, beside the [`HIGH_WATER`] bytes that
//! a connection may have unsent without being full.

use super::{End, Event, Failure, Open, Streams};
#[cfg(doc)]
use crate::proxy::downstream::HIGH_WATER;
use crate::{
    app::{ConnId, Cx},
    http::Fields,
    http2::{self, Cause, Event as Heard, Reset},
    proxy::{Proxy, turns::BEGUN},
};

impl Proxy {
    /// Bytes from a client, after those that were kept back.
    pub(in crate::proxy) fn hear_streams(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        self.resume_streams(cx, conn);
        let Some(streams) = self.worker.speak(conn) else { return };
        if streams.waits_for_turn {
            return if !input.is_empty() {
                streams.keep(cx, input)
            };
        }
        if streams.held.is_empty() {
            let rest = self.pull_streams(cx, conn, input);
            self.keep_input(cx, conn, rest);
        } else {
            let mut held = std::mem::take(&mut streams.held);
            held.extend_from_slice(input);
            let rest = self.pull_streams(cx, conn, &held);
            self.keep_input(cx, conn, rest);
        }
        self.end_unfinished(cx, conn);
        self.give_windows_back_later(cx, conn);
    }

    fn keep_input(&mut self, cx: &mut Cx, conn: ConnId, rest: &[u8]) {
        if let Some(streams) = self.worker.table.streams(conn) {
            streams.keep(cx, rest);
        }
    }

    /// Takes events off `input`; what is left has to wait for the next turn.
    fn pull_streams<'i>(&mut self, cx: &mut Cx, conn: ConnId, mut input: &'i [u8]) -> &'i [u8] {
        let mut begun = 0;
        loop {
            let Some(streams) = self.worker.table.streams(conn) else { return &[] };
            if begun == BEGUN && !input.is_empty() {
                streams.waits_for_turn = true;
                self.worker.turns.put_off(cx, conn);
                return input;
            }
            let Some(event) = streams.core.next(&mut input, cx.now()) else { return &[] };
            match event {
                Heard::Request { stream, request, ends } => {
                    begun += 1;
                    self.begin_stream(cx, conn, stream, request, ends);
                }
                Heard::Refused { stream, cause } => {
                    begun += 1;
                    self.refuse_stream(cx, conn, stream, cause);
                }
                Heard::Data { stream, data } => self.stream_data(cx, conn, stream, data),
                Heard::End { stream, trailers } => self.stream_end(cx, conn, stream, trailers),
                Heard::Reset { stream, why } => self.stream_reset(cx, conn, stream, why),
                Heard::GoAway(code) => self.hear_goodbye(conn, code),
                Heard::Failed(cause) => self.streams_failed(cx, conn, cause),
                // For clients.
                Heard::Response { .. } => {}
            }
        }
    }

    fn stream_data(&mut self, cx: &mut Cx, conn: ConnId, stream: u32, data: &[u8]) {
        let Some(streams) = self.worker.table.streams(conn) else { return };
        let Some(open) = streams.find(stream) else { return streams.core.took(stream, data.len()) };
        if open.pending.is_empty() && !open.congested && self.exchanges[open.key as usize].takes_body() {
            let key = open.key;
            return self.give_content(cx, conn, (stream, key), data);
        }
        open.pending.extend_from_slice(data);
        self.route_stream_if_here(cx, conn, stream);
    }

    fn stream_end(&mut self, cx: &mut Cx, conn: ConnId, stream: u32, trailers: Fields) {
        let Some(open) = self.worker.table.streams(conn).and_then(|streams| streams.find(stream)) else { return };
        open.end = End::Here(trailers);
        self.route_stream_if_here(cx, conn, stream);
        self.go_on_with(cx, conn, stream);
    }

    /// A request whose content has to come first goes on when enough of it is here.
    fn route_stream_if_here(&mut self, cx: &mut Cx, conn: ConnId, stream: u32) {
        let Some(open) = self.worker.table.streams(conn).and_then(|streams| streams.find(stream)) else { return };
        let (key, here) = (open.key, open.pending.len());
        let is_whole = !matches!(open.end, End::Awaited);
        let exchange = &mut self.exchanges[key as usize];
        let Some(needed) = exchange.needs() else { return };
        if here >= needed.bytes || is_whole {
            exchange.await_body(cx, None);
            self.on(cx, key, Event::Route);
        } else {
            let next = cx.now() + self.worker.shared.config.deadlines.body;
            exchange.await_body(cx, Some(next.min(needed.by)));
        }
    }

    /// Content goes to the exchange, which has a place for it.
    fn give_content(&mut self, cx: &mut Cx, conn: ConnId, (stream, key): (u32, u32), content: &[u8]) {
        self.on(cx, key, Event::RequestData(content));
        if let Some(streams) = self.worker.table.streams(conn) {
            streams.lend(stream, content.len());
        }
    }

    /// Requests whose content goes on get their windows back in the next turn. Others need none.
    fn give_windows_back_later(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(streams) = self.worker.table.streams(conn).filter(|streams| !streams.lent.is_empty()) else { return };
        let mut lent = std::mem::take(&mut streams.lent);
        lent.retain(|stream| streams.find(*stream).is_some_and(|open| matches!(open.end, End::Awaited)));
        streams.lent = lent;
        if !streams.lent.is_empty() && !std::mem::replace(&mut streams.writes_later, true) {
            self.worker.turns.write_later(cx, conn);
        }
    }

    /// Streams whose backends can take content go on.
    fn resume_streams(&mut self, cx: &mut Cx, conn: ConnId) {
        while let Some(streams) = self.worker.table.streams(conn)
            && let Some(stream) = streams.resumed.pop()
        {
            self.go_on_with(cx, conn, stream);
        }
    }

    /// Content that waits goes to the exchange, and then the end of it, if the exchange has a place for it.
    fn go_on_with(&mut self, cx: &mut Cx, conn: ConnId, stream: u32) {
        let Some((key, content)) = self.take_content(conn, stream) else { return };
        if !content.is_empty() {
            self.give_content(cx, conn, (stream, key), &content);
        }
        let Some(open) = self.worker.table.streams(conn).and_then(|streams| streams.find(stream)) else { return };
        if !matches!(open.end, End::Here(_)) {
            return;
        }
        let End::Here(trailers) = std::mem::replace(&mut open.end, End::Heard) else { return };
        let is_tunnel = self.exchanges[key as usize].is_tunnel();
        self.on(cx, key, if is_tunnel { Event::ClientEnded } else { Event::RequestEnd(trailers) });
    }

    /// The content that waits on a stream, and its exchange, if that has a place for it.
    fn take_content(&mut self, conn: ConnId, stream: u32) -> Option<(u32, Vec<u8>)> {
        let open = self.worker.table.streams(conn)?.find(stream)?;
        let takes = !open.congested && self.exchanges[open.key as usize].takes_body();
        takes.then(|| (open.key, std::mem::take(&mut open.pending)))
    }

    fn stream_reset(&mut self, cx: &mut Cx, conn: ConnId, stream: u32, why: Reset) {
        let open = self.worker.table.streams(conn).and_then(|streams| streams.forget(stream));
        let key = open.map(|open| open.key);
        let counters = &self.worker.counters().http2;
        let event = match why {
            // Nothing is missing but the rest of its own request.
            Reset::Answered(_) if key.is_none_or(|key| self.exchanges[key as usize].is_answered()) => {
                Event::ClientEnded
            }
            Reset::Peer(_) | Reset::Answered(_) | Reset::Unprocessed => {
                counters.given_up.add(1);
                Event::ClientLost(Failure::ClientGone)
            }
            Reset::Fault(cause) => {
                counters.count_stream(cause);
                Event::ClientLost(Failure::Http2(cause))
            }
        };
        if let Some(key) = key {
            self.on(cx, key, event);
        }
    }

    fn hear_goodbye(&mut self, conn: ConnId, code: http2::ErrorCode) {
        self.worker.counters().http2.goodbyes.add(1);
        if let Some(Streams { peer, .. }) = self.worker.table.streams(conn) {
            tracing::debug!(%peer, code = code.as_str(), "GOAWAY from a client");
        }
    }

    /// The client broke a rule of the connection: nothing more is read, and no stream goes on.
    pub(super) fn streams_failed(&mut self, cx: &mut Cx, conn: ConnId, cause: Cause) {
        self.worker.counters().http2.count_connection(cause);
        let Some(streams) = self.worker.speak(conn) else { return };
        let open = std::mem::take(&mut streams.open);
        let (peer, code) = (streams.peer, cause.code().as_str());
        tracing::info!(%peer, cause = cause.as_str(), code, streams = open.len(), "HTTP/2 connection ended");
        for Open { key, .. } in open {
            self.on(cx, key, Event::ClientLost(Failure::Http2(cause)));
        }
    }

    /// After the client's end: requests that are not complete fail, and a tunnel hears of it.
    fn end_unfinished(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(streams) = self.worker.table.streams(conn) else { return };
        if !streams.ended || !streams.held.is_empty() {
            return;
        }
        let unfinished = streams.open.iter().filter(|open| matches!(open.end, End::Awaited));
        let unfinished: Vec<(u32, u32)> = unfinished.map(|open| (open.id, open.key)).collect();
        for (stream, key) in unfinished {
            if !self.exchanges[key as usize].is_tunnel() {
                self.on(cx, key, Event::ClientEnded);
                continue;
            }
            let Some(streams) = self.worker.table.streams(conn) else { return };
            streams.core.end_of_input(stream);
            // The bytes that wait for its backend go before the end.
            if let Some(open) = streams.find(stream) {
                open.end = End::Here(Fields::new());
                self.go_on_with(cx, conn, stream);
            }
        }
    }

    /// The client sends nothing more. Its requests are still answered.
    pub(in crate::proxy) fn streams_ended(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(streams) = self.worker.speak(conn) else { return };
        streams.ended = true;
        for key in streams.keys() {
            self.on(cx, key, Event::ClientClosed);
        }
        self.end_unfinished(cx, conn);
    }
}
