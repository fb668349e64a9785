//! Content that comes: handed on as it lies in the input, and counted against both windows until the application has got rid
//! of it.

use super::{
    Connection, Event, Found,
    receive::{Data, Padding, Reading, Step},
};
use crate::{
    http::{Error, Fields},
    http2::{
        cause::{Cause, Fault},
        frame::{self, END_STREAM, Head, Kind, PADDED},
        limits::{Meter, TINY},
        settings::Role,
        stream::{Closed, Expect, Move, State},
    },
    time::Instant,
};

impl Connection {
    /// The head of a DATA frame. All of its payload counts, whatever becomes of it (RFC 9113 §6.9).
    pub(super) fn begin_data(
        &mut self,
        head: Head,
        checked: Result<(), Fault>,
        now: Instant,
    ) -> Result<Step<'static>, Cause> {
        self.receive.receive(head.length)?;
        let outcome = match checked.and_then(|()| self.admit(head)) {
            Ok(true) => {
                let data = Data {
                    stream: head.stream,
                    content: head.length - u32::from(head.has(PADDED)),
                    padding: if head.has(PADDED) { Padding::Unknown } else { Padding::Bytes(0) },
                    ends: head.has(END_STREAM),
                };
                self.reading = Reading::Data(data);
                return if head.has(PADDED) { Ok(Step::Quiet) } else { self.begin_content(data, now) };
            }
            Ok(false) => Ok(None),
            Err(fault) => Err(fault),
        };
        self.reading = Reading::Skip(head.length);
        self.give_back(head.length);
        self.settle(head.stream, outcome, now)
    }

    /// Whether the stream takes it. `false`: it is thrown away.
    fn admit(&mut self, head: Head) -> Result<bool, Fault> {
        let slot = match self.find(head.stream) {
            Found::Open(slot) => slot,
            Found::Closed(closed) => return closed.receives(Kind::Data),
            Found::Idle => return State::Idle.receives(Kind::Data).map(|()| false),
        };
        let stream = &mut self.streams[slot];
        stream.state.receives(Kind::Data)?;
        if matches!(stream.expect, Expect::Response { .. }) {
            return Err(Fault::Stream(Cause::WrongEnd));
        }
        stream.receive.receive(head.length).map_err(Fault::Stream)?;
        if stream.ignores {
            stream.receive.discard(head.length);
            if head.has(END_STREAM) {
                self.close_remote(slot);
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// The frame goes on: its padding, content, and end.
    pub(super) fn data<'i>(&mut self, data: Data, input: &mut &'i [u8], now: Instant) -> Result<Step<'i>, Cause> {
        match (data.padding, data.content) {
            (Padding::Bytes(0), 0) => {
                self.reading = Reading::Frame;
                let slot = self.slot(data.stream).filter(|_| data.ends);
                let event = slot.and_then(|slot| self.receive_end(slot, Fields::new()));
                Ok(event.map_or(Step::Quiet, Step::Event))
            }
            _ if input.is_empty() => Ok(Step::Starved),
            (Padding::Unknown, content) => {
                let padding = u32::from(input[0]);
                *input = &input[1..];
                let content = content.checked_sub(padding).ok_or(Cause::Padding)?;
                let data = Data { content, padding: Padding::Bytes(padding), ..data };
                self.reading = Reading::Data(data);
                self.took(data.stream, padding as usize + 1);
                self.begin_content(data, now)
            }
            (Padding::Bytes(padding), 0) => {
                let length = padding.min(u32::try_from(input.len()).unwrap_or(u32::MAX));
                *input = &input[length as usize..];
                self.reading = Reading::Data(Data { padding: Padding::Bytes(padding - length), ..data });
                Ok(Step::Quiet)
            }
            (Padding::Bytes(_), content) => {
                let length = content.min(u32::try_from(input.len()).unwrap_or(u32::MAX));
                let (piece, rest) = input.split_at(length as usize);
                *input = rest;
                self.reading = Reading::Data(Data { content: content - length, ..data });
                let heard = self.slot(data.stream).is_some_and(|slot| !self.streams[slot].ignores);
                Ok(if heard { Step::Event(Event::Data { stream: data.stream, data: piece }) } else { Step::Quiet })
            }
        }
    }

    /// It is known how much content the frame has.
    fn begin_content(&mut self, data: Data, now: Instant) -> Result<Step<'static>, Cause> {
        let rest = match data.padding {
            Padding::Bytes(padding) => data.content + padding,
            Padding::Unknown => data.content,
        };
        let outcome = self.check_content(data, now);
        if !matches!(outcome, Ok(None)) {
            self.reading = Reading::Skip(rest);
        }
        self.settle(data.stream, outcome, now)
    }

    fn check_content(&mut self, data: Data, now: Instant) -> Result<Option<Event<'static>>, Fault> {
        let meter = match data.content {
            _ if data.ends => None,
            0 => Some(Meter::EmptyData),
            length if length < TINY => Some(Meter::TinyData),
            _ => None,
        };
        if let Some(meter) = meter {
            self.meters.count(meter, 1, now).map_err(Fault::Connection)?;
        }
        let Some(slot) = self.slot(data.stream) else { return Ok(None) };
        let stream = &mut self.streams[slot];
        let content = u64::from(data.content);
        if let Some(expected) = &mut stream.expected {
            *expected = expected.checked_sub(content).ok_or(Fault::Stream(Cause::LengthMismatch))?;
        }
        stream.received += content;
        if stream.received > self.limits.http.body && self.role == Role::Server {
            return Ok(self.refuse_rest(data.stream, Error::BodyTooLarge.into(), data.ends));
        }
        if data.ends { self.length_fits(slot).map(|()| None) } else { Ok(None) }
    }

    /// The peer's message is complete.
    pub(super) fn receive_end(&mut self, slot: usize, trailers: Fields) -> Option<Event<'static>> {
        let stream = &self.streams[slot];
        let (number, ignores) = (stream.id, stream.ignores);
        self.close_remote(slot);
        (!ignores).then_some(Event::End { stream: number, trailers })
    }

    /// The peer sends nothing more on this stream, though it has not said so: its connection has ended. Our own message goes on.
    pub fn end_of_input(&mut self, stream: u32) {
        if let Some(slot) = self.slot(stream).filter(|slot| self.streams[*slot].state.is_receiving()) {
            self.close_remote(slot);
        }
    }

    pub(super) fn close_remote(&mut self, slot: usize) {
        let stream = &mut self.streams[slot];
        stream.state = stream.state.after(Move::ReceiveEnd);
        if stream.state == State::Closed {
            self.remove(slot, Closed::Ended);
        }
    }

    /// Whether the peer may have to wait, before it sends more on this stream, for a window that we have announced or still hold.
    #[must_use]
    pub fn may_await_window(&self, stream: u32) -> bool {
        self.slot(stream).is_some_and(|slot| self.streams[slot].receive.may_be_awaited())
    }

    /// The application has got rid of so many bytes of a stream's content: the peer may send as many again.
    pub fn took(&mut self, stream: u32, length: usize) {
        let Some(slot) = self.slot(stream) else { return };
        let known = &mut self.streams[slot];
        let length = u32::try_from(length).unwrap_or(u32::MAX).min(known.receive.held());
        let increment = known.receive.take(length);
        if let Some(increment) = increment.filter(|_| known.state.is_receiving()) {
            self.unread += frame::HEAD + 4;
            frame::write_window_update(stream, increment, &mut self.out);
        }
        self.give_back(length);
    }

    /// The rest of the peer's message is not wanted: it is thrown away. Once our own message is complete, the peer is asked to stop
    /// (RFC 9113 §8.1).
    pub fn ignore(&mut self, stream: u32) {
        let Some(slot) = self.slot(stream) else { return };
        let known = &mut self.streams[slot];
        known.ignores = true;
        let held = known.receive.held();
        known.receive.discard(held);
        self.give_back(held);
        if self.streams[slot].state == State::HalfClosedLocal {
            self.stop(slot);
        }
    }
}
