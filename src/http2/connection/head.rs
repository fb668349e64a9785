//! Heads that go out: encoded where they are sent from, line by line, without a list of them in between.

use super::Connection;
use crate::{
    http::{Fields, Status, is_token_byte},
    http2::{
        frame::{END_HEADERS, END_STREAM, HEAD, Head, Kind},
        settings::Role,
        stream::{Expect, Stream},
    },
};
use std::fmt;

/// Why no request can be made on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoStream {
    /// As many are open as the peer takes.
    TooMany,
    /// One of the sides has said goodbye.
    GoingAway,
    /// All numbers are used up.
    Exhausted,
}

/// A head that is being written. It is sent with [`HeadWriter::finish`].
#[must_use = "a head is sent when it is finished"]
pub struct HeadWriter<'c> {
    connection: &'c mut Connection,
    slot: usize,
    stream: u32,
    /// Where its frame begins in the output.
    start: usize,
    /// Another head of the same message follows.
    interim: bool,
}

impl Connection {
    /// Begins the head of a response, or of an interim one (server). `None`: the stream is over, or its message complete.
    pub fn respond(&mut self, stream: u32, status: Status) -> Option<HeadWriter<'_>> {
        let slot = self.slot(stream).filter(|slot| self.streams[*slot].state.is_sending())?;
        let mut head = self.head(slot, stream, status.is_interim());
        head.line(b":status", &status.digits());
        Some(head)
    }

    /// Begins a request (client), and with it a stream. `path` is empty for `CONNECT`.
    pub fn request(
        &mut self,
        method: &str,
        scheme: &str,
        authority: &str,
        path: &str,
    ) -> Result<(u32, HeadWriter<'_>), NoStream> {
        let number = self.next_own;
        if self.role == Role::Server || self.is_going() {
            return Err(NoStream::GoingAway);
        }
        if number > crate::http2::frame::MAX_31 {
            return Err(NoStream::Exhausted);
        }
        if self.streams.len() >= self.peer.max_streams as usize {
            return Err(NoStream::TooMany);
        }
        self.next_own += 2;
        let expect = Expect::Response { bodiless: method == "HEAD" };
        let slot = self.insert(Stream::new(number, expect, self.peer.initial_window, self.limits.stream_window));
        let mut head = self.head(slot, number, false);
        head.line(b":method", method.as_bytes());
        if !path.is_empty() {
            head.line(b":scheme", scheme.as_bytes());
        }
        head.line(b":authority", authority.as_bytes());
        if !path.is_empty() {
            head.line(b":path", path.as_bytes());
        }
        Ok((number, head))
    }

    fn head(&mut self, slot: usize, stream: u32, interim: bool) -> HeadWriter<'_> {
        if self.out.capacity() == 0 {
            // A usual head, and a small body.
            self.out.reserve(512);
        }
        let start = self.out.len();
        self.out.extend_from_slice(&[0; HEAD]);
        self.encoder.begin(&mut self.out);
        HeadWriter { connection: self, slot, stream, start, interim }
    }

    /// Sends trailers, which end a message.
    pub(super) fn write_trailers(&mut self, slot: usize, trailers: &Fields) {
        let stream = self.streams[slot].id;
        let mut head = self.head(slot, stream, false);
        trailers.lines().for_each(|(name, value)| head.field(name, value));
        head.write_heads(END_STREAM);
    }
}

impl HeadWriter<'_> {
    /// Of a `CONNECT` with a path: the protocol that is wanted on the stream (RFC 8441 §4). Said before any field.
    pub fn protocol(&mut self, protocol: &str) {
        self.line(b":protocol", protocol.as_bytes());
    }

    /// One more field. The name is written in lower case; a field about a connection has no place here and is left out (RFC
    /// 9113 §8.2.2). Before all others, a request of `CONNECT` may have `:protocol` (RFC 8441 §4).
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.field_of(name, &[value]);
    }

    /// As [`HeadWriter::field`], for a value in pieces.
    pub fn field_of(&mut self, name: &[u8], value: &[&[u8]]) {
        let is_name = name == b":protocol" || name.iter().all(|byte| is_token_byte(*byte));
        debug_assert!(is_name, "field name {}", name.escape_ascii());
        let Connection { encoder, out, .. } = &mut *self.connection;
        match value {
            _ if is_of_connection(name) => {}
            [value] => encoder.field(name, value, out),
            pieces => encoder.field_of(name, pieces, out),
        }
    }

    fn line(&mut self, name: &[u8], value: &[u8]) {
        let Connection { encoder, out, .. } = &mut *self.connection;
        encoder.field(name, value, out);
    }

    /// Sends the head. `ends`: there is no content, and the message is complete.
    pub fn finish(self, ends: bool) {
        let (slot, interim) = (self.slot, self.interim);
        let place = (self.connection.written, self.start + 4);
        let connection = self.write_heads(0);
        if !interim {
            connection.streams[slot].last = Some(place);
            if ends {
                connection.end(slot);
            }
        }
    }

    /// Writes the heads of the frames that the block takes: one, nearly always.
    fn write_heads<'c>(self, flags: u8) -> &'c mut Connection
    where
        Self: 'c,
    {
        let Self { connection, stream, start, .. } = self;
        let most = crate::http2::frame::MAX_PAYLOAD;
        let length = connection.out.len() - start - HEAD;
        let rest = connection.out.split_off((start + HEAD + most).min(connection.out.len()));
        let head = |kind, flags, length: usize| Head { length: length as u32, kind, flags, stream };
        let ends = if rest.is_empty() { END_HEADERS } else { 0 };
        connection.out[start..start + HEAD]
            .copy_from_slice(&head(Kind::Headers, flags | ends, length.min(most)).bytes());
        let mut pieces = rest.chunks(most).peekable();
        while let Some(piece) = pieces.next() {
            let ends = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            head(Kind::Continuation, ends, piece.len()).write(&mut connection.out);
            connection.out.extend_from_slice(piece);
        }
        connection
    }
}

/// Whether HTTP/2 has no such field.
fn is_of_connection(name: &[u8]) -> bool {
    const NAMES: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    matches!(name.len(), 7 | 10 | 16 | 17) && NAMES.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
}

impl fmt::Debug for HeadWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadWriter").field("stream", &self.stream).finish_non_exhaustive()
    }
}
