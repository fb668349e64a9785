//! The client of a stream on an HTTP/2 connection: what its exchange says becomes frames (RFC 9113 §8.1).
//!
//! A stream says by itself where a message ends, so nothing is put around content, and nothing about the connection follows from an
//! answer. A connection that is gone takes the words of its streams with it.

use crate::{
    app::{ConnId, Reads},
    http::{BodyLength, Error, Fields, ResponseHead, hop},
    http2::ErrorCode,
    proxy::{
        client::Ending,
        failure::Failure,
        streams::{Key, Streams},
        worker::Worker,
    },
};
use bytes::Bytes;

/// One exchange's client on a stream.
#[derive(Debug)]
pub(in crate::proxy) struct Http2 {
    pub(super) conn: ConnId,
    pub(super) stream: u32,
    /// Content that was announced and has not come; `None`: there may be any.
    owed: Option<u64>,
    /// It asks for a WebSocket.
    key: Option<Key>,
}

impl Http2 {
    /// The client that has made a request on `stream`; with a key, one for a WebSocket.
    pub(in crate::proxy) fn new(conn: ConnId, stream: u32, key: Option<Key>) -> Self {
        Self { conn, stream, owed: Some(0), key }
    }

    /// Whether a backend that switches protocols does what the client wants.
    pub(super) fn accepts(&self, head: &ResponseHead) -> bool {
        self.key.as_ref().is_none_or(|key| key.is_accepted(head))
    }

    /// Whether the client takes a success for the beginning of another protocol.
    pub(super) fn wants_tunnel(&self) -> bool {
        self.key.is_some()
    }

    /// The connection, which has something to write.
    fn speak<'w>(&self, worker: &'w mut Worker) -> Option<&'w mut Streams> {
        worker.speak(self.conn)
    }

    /// The head announces content of that length.
    pub(super) fn owes(&mut self, body: BodyLength) {
        self.owed = match body {
            BodyLength::Empty => Some(0),
            BodyLength::Exact(length) => Some(length),
            BodyLength::Chunked | BodyLength::UntilClose => None,
        };
    }

    fn count(&mut self, length: usize) -> Result<(), Error> {
        if let Some(owed) = &mut self.owed {
            *owed = owed.checked_sub(length as u64).ok_or(Error::MoreThanDeclared)?;
        }
        Ok(())
    }

    pub(super) fn data(&mut self, data: &[u8], worker: &mut Worker) -> Result<(), Error> {
        self.count(data.len())?;
        if let Some(streams) = self.speak(worker) {
            streams.feed(self.stream);
            streams.core.send_copy(self.stream, data);
        }
        Ok(())
    }

    pub(super) fn data_owned(&mut self, data: Bytes, worker: &mut Worker) -> Result<(), Error> {
        self.count(data.len())?;
        if let Some(streams) = self.speak(worker) {
            streams.feed(self.stream);
            streams.core.send(self.stream, data);
        }
        Ok(())
    }

    pub(super) fn end(&mut self, trailers: &Fields, worker: &mut Worker) -> Result<(), Error> {
        if matches!(self.owed, Some(1..)) {
            return Err(Error::LessThanDeclared);
        }
        let trailers = trailers.iter().filter(|(name, _)| !hop::forbidden_in_trailers(name)).collect();
        if let Some(streams) = self.speak(worker) {
            streams.core.finish(self.stream, trailers);
        }
        Ok(())
    }

    /// Nothing more comes through the tunnel in this direction.
    pub(super) fn finish(&self, worker: &mut Worker) {
        if let Some(streams) = self.speak(worker) {
            streams.core.finish(self.stream, Fields::new());
        }
    }

    /// Lets the client go in the middle of the answer.
    pub(super) fn abort(self, code: ErrorCode, worker: &mut Worker) {
        let was_open = self.speak(worker).is_some_and(|streams| streams.broken_off(self.stream, code));
        if was_open {
            worker.counters().http2.broken_off.add(1);
        }
    }

    /// The exchange is over.
    pub(in crate::proxy) fn end_exchange(self, ending: Ending, outcome: Result<(), Failure>, worker: &mut Worker) {
        match ending {
            Ending::Clean => {
                if let Some(streams) = self.speak(worker) {
                    streams.finished(self.stream);
                }
            }
            Ending::Broken => {
                let code = self.code(outcome);
                self.abort(code, worker);
            }
        }
    }

    /// The code for an answer that breaks off. An error of the connection behind a tunnel has one of its own (RFC 9113 §8.5).
    fn code(&self, outcome: Result<(), Failure>) -> ErrorCode {
        match outcome {
            Err(Failure::ClientGone | Failure::ClientClosed | Failure::ClientStalled | Failure::LeftBehind) => {
                ErrorCode::CANCEL
            }
            _ if self.wants_tunnel() => ErrorCode::CONNECT_ERROR,
            _ => ErrorCode::INTERNAL_ERROR,
        }
    }

    pub(super) fn unsent(&self, worker: &mut Worker) -> usize {
        worker.table.streams(self.conn).map_or(0, |streams| streams.core.unsent(self.stream))
    }

    pub(super) fn reads(&self, worker: &mut Worker) -> Reads {
        worker.table.streams(self.conn).map_or(Reads::Small, |streams| streams.reads)
    }

    pub(super) fn may_await_window(&self, worker: &mut Worker) -> bool {
        worker.table.streams(self.conn).is_some_and(|streams| streams.core.may_await_window(self.stream))
    }

    /// The content that waits may go on.
    pub(super) fn begin_body(&self, bulk: bool, worker: &mut Worker) {
        if let Some(streams) = worker.table.streams(self.conn) {
            streams.resume(self.stream, bulk);
            worker.ready.push(self.conn);
        }
    }

    pub(super) fn end_body(&self, worker: &mut Worker) {
        if let Some(streams) = worker.table.streams(self.conn) {
            streams.end_body(self.stream);
        }
    }

    pub(super) fn want_body(&self, wanted: bool, worker: &mut Worker) {
        if let Some(streams) = worker.table.streams(self.conn) {
            streams.want_body(self.stream, wanted);
        }
        if wanted {
            self.begin_body(false, worker);
        }
    }

    pub(super) fn has_ended(&self, worker: &mut Worker) -> bool {
        worker.table.streams(self.conn).is_some_and(|streams| streams.ended)
    }
}
