//! Content that goes out: it waits on its stream, and leaves when it is the stream's turn and both windows have room.

use super::{Connection, turns::frames};
use crate::{
    buf::Sink,
    http::Fields,
    http2::{
        cause::ErrorCode,
        frame::{END_STREAM, HEAD, Head, Kind},
        limits::Meter,
        stream::{Closed, Finish, Move, State},
    },
    time::Instant,
};
use bytes::Bytes;

/// Content up to so many bytes goes at once, if nothing waits before it: it holds up nobody.
const SMALL: usize = 1024;

/// Frames that go next, and have not gone, up to so many bytes: content behind them waits on its stream, where it is counted, small
/// pieces become large frames, and its backend is held up. Without this, a peer with wide windows that does not read is given memory
/// without end, a small piece at a time.
const OUT_MOST: usize = 16 * 1024;

/// Pieces up to so many bytes are copied between the heads of frames: that costs less than one piece more.
const COPIED: usize = 512;

/// A frame that is smaller because the window has no more room earns no answer of two window updates.
const EARNS: usize = 256;

impl Connection {
    /// Content, kept by reference. On a stream that is over it is thrown away.
    pub fn send(&mut self, stream: u32, data: Bytes) {
        if let Some(slot) = self.sending(stream) {
            self.streams[slot].queue.push(data);
            self.wait(slot);
        }
    }

    /// As [`Connection::send`], as a copy.
    pub fn send_copy(&mut self, stream: u32, data: &[u8]) {
        let Some(slot) = self.sending(stream) else { return };
        let known = &mut self.streams[slot];
        let room = known.send.room().min(self.send.room()).min(SMALL);
        let waits = known.has_unsent() || self.out.len() > OUT_MOST;
        if waits || data.is_empty() || data.len() > room {
            known.queue.extend(data);
            return self.wait(slot);
        }
        known.send.send(data.len());
        self.send.send(data.len());
        known.last = Some((self.written, self.out.len() + 4));
        Head { length: data.len() as u32, kind: Kind::Data, flags: 0, stream }.write(&mut self.out);
        self.out.extend_from_slice(data);
        self.earn(data.len());
    }

    /// Our message is complete, behind the content that waits.
    pub fn finish(&mut self, stream: u32, trailers: Fields) {
        let Some(slot) = self.sending(stream) else { return };
        let known = &mut self.streams[slot];
        known.finish = if trailers.is_empty() { Finish::Plain } else { Finish::Trailers(Box::new(trailers)) };
        if known.queue.is_empty() {
            self.end(slot);
        }
    }

    /// Gives a stream up, with the content that waits.
    pub fn reset(&mut self, stream: u32, code: ErrorCode) {
        if let Some(slot) = self.slot(stream) {
            self.write_reset(stream, code);
            self.remove(slot, Closed::ByUs);
        }
    }

    /// Moves frames into `sink`: those of the connection and heads first, then content of up to `room` bytes, from each stream in
    /// its turn. A room of 0 means that the peer reads nothing now: then nothing goes.
    pub fn write(&mut self, sink: &mut impl Sink, room: usize, now: Instant) {
        if room == 0 {
            return;
        }
        let mut left = room;
        while left > 0 && self.send.room() > 0 {
            let Some(slot) = self.turns.pop() else { break };
            left = left.saturating_sub(self.turn(slot, left, sink, now));
        }
        if self.send.room() == 0 && !self.turns.is_empty() && self.blocked.is_none() {
            self.blocked = Some(now);
            self.stalls(now);
        }
        self.flush(sink);
        self.unread = 0;
    }

    /// Whether [`Connection::write`] would move anything, if there were room.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.out.is_empty() || self.send.room() > 0 && !self.turns.is_empty()
    }

    /// Whether frames wait that are written as they are: not content that waits on its stream.
    #[must_use]
    pub fn has_frames(&self) -> bool {
        !self.out.is_empty()
    }

    /// One stream's turn. Tells how many bytes of content it took.
    fn turn(&mut self, slot: usize, room: usize, sink: &mut impl Sink, now: Instant) -> usize {
        let mut sent = 0;
        self.streams[slot].is_ready = false;
        for _ in 0..frames(self.streams[slot].priority) {
            let (length, ends) = self.data_frame(slot, room - sent, sink);
            sent += length;
            if ends {
                self.after_end(slot);
                return sent;
            }
            if length == 0 || sent == room {
                break;
            }
        }
        let low = self.limits.low_water;
        let stream = &mut self.streams[slot];
        if stream.is_full && stream.queue.len() <= low {
            stream.is_full = false;
            self.relieved.push(stream.id);
        }
        if stream.queue.is_empty() {
            if !matches!(stream.finish, Finish::Not) {
                self.end(slot);
            }
        } else if stream.send.room() == 0 {
            stream.blocked = Some(now);
            self.stalls(now);
        } else if self.send.room() == 0 || sent == room {
            // It is still its turn.
            stream.is_ready = true;
            self.turns.put_back(slot, stream.priority);
        } else {
            self.wake(slot);
        }
        sent
    }

    /// Writes the next DATA frame of a stream, of up to `room` bytes. Tells how many there are, and whether the frame ends the message.
    fn data_frame(&mut self, slot: usize, room: usize, sink: &mut impl Sink) -> (usize, bool) {
        let stream = &mut self.streams[slot];
        let windows = stream.send.room().min(self.send.room());
        let most = stream.queue.len().min(self.peer.max_payload as usize).min(crate::http2::frame::MAX_PAYLOAD);
        let length = most.min(windows).min(room);
        if length == 0 {
            return (0, false);
        }
        stream.send.send(length);
        self.send.send(length);
        let is_last = length == stream.queue.len();
        // Trailers, and resets, are frames of their own.
        let ends = is_last && matches!(stream.finish, Finish::Plain) && stream.malformed.is_none();
        if ends {
            stream.finish = Finish::Not;
            stream.state = stream.state.after(Move::SendEnd);
        }
        stream.last = None;
        let flags = if ends { END_STREAM } else { 0 };
        Head { length: length as u32, kind: Kind::Data, flags, stream: stream.id }.write(&mut self.out);
        let mut left = length;
        while left > 0 {
            let piece = self.streams[slot].queue.split(left);
            left -= piece.len();
            if piece.len() <= COPIED {
                self.out.extend_from_slice(&piece);
            } else {
                self.flush(sink);
                sink.owned(piece);
            }
        }
        self.earn(length);
        (length, ends)
    }

    fn flush(&mut self, sink: &mut impl Sink) {
        if !self.out.is_empty() {
            self.written = self.written.wrapping_add(1);
            sink.owned(Bytes::from(std::mem::take(&mut self.out)));
        }
    }

    /// A frame that we send lets the peer make two windows larger.
    fn earn(&mut self, length: usize) {
        if length >= EARNS {
            self.meters.earn(Meter::WindowUpdates, 2);
        }
    }

    fn sending(&self, stream: u32) -> Option<usize> {
        let is_open = |slot: &usize| {
            let stream = &self.streams[*slot];
            stream.state.is_sending() && matches!(stream.finish, Finish::Not)
        };
        self.slot(stream).filter(is_open)
    }

    /// Content waits on a stream.
    fn wait(&mut self, slot: usize) {
        let stream = &mut self.streams[slot];
        stream.is_full |= stream.queue.len() > self.limits.low_water;
        if stream.blocked.is_none() {
            self.wake(slot);
        }
    }

    /// A stream has something to send, and perhaps room for it.
    pub(super) fn wake(&mut self, slot: usize) {
        let stream = &mut self.streams[slot];
        if !stream.is_ready && !stream.queue.is_empty() {
            stream.is_ready = true;
            self.turns.push(slot, stream.priority);
        }
    }

    /// Something is blocked since now.
    fn stalls(&mut self, now: Instant) {
        self.shut.get_or_insert(now);
    }

    /// Nothing waits on the stream: our message ends here.
    pub(super) fn end(&mut self, slot: usize) {
        let stream = &mut self.streams[slot];
        let number = stream.id;
        if let Some(cause) = stream.malformed {
            self.write_reset(number, cause.code());
            return self.remove(slot, Closed::ByUs);
        }
        let last = stream.last.filter(|(written, _)| *written == self.written);
        match (std::mem::replace(&mut stream.finish, Finish::Not), last) {
            (Finish::Trailers(trailers), _) => self.write_trailers(slot, &trailers),
            // The last frame was not sent yet: it can say so itself.
            (Finish::Plain | Finish::Not, Some((_, flags))) => self.out[flags] |= END_STREAM,
            (Finish::Plain | Finish::Not, None) => self.write_frame(Kind::Data, END_STREAM, number, &[]),
        }
        let stream = &mut self.streams[slot];
        stream.state = stream.state.after(Move::SendEnd);
        self.after_end(slot);
    }

    /// Our side of a stream has ended.
    fn after_end(&mut self, slot: usize) {
        self.meters.earn(Meter::Resets, 1);
        let stream = &self.streams[slot];
        if stream.state == State::Closed {
            self.remove(slot, Closed::Ended);
        } else if stream.ignores {
            self.stop(slot);
        }
    }

    /// The response is complete, and the rest of the request is not wanted (RFC 9113 §8.1).
    pub(super) fn stop(&mut self, slot: usize) {
        let number = self.streams[slot].id;
        self.write_reset(number, ErrorCode::NO_ERROR);
        self.remove(slot, Closed::ByUs);
    }
}

/// A frame's flags are behind its length and its type.
const _: () = assert!(HEAD == 9);
