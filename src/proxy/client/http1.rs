//! The client of an HTTP/1 connection: how content is framed for it, and whether its connection persists.
//!
//! A response ends where its framing says, so a request may follow on the same connection; unless one of several rules
//! forbids it. The first of them is remembered, and is what the access log says ([`Http1::closes`]); but a tunnel closes for no
//! other reason than its own end.

use super::{CannotAsk, Unread};
use crate::{
    app::{ConnId, Cx},
    buf::Sink,
    http::{self, BodyLength, BodyWriter, Error, Fields, Method, NotPersistent, RequestHead, Version},
    proxy::worker::Worker,
};
use bytes::Bytes;

/// The answer that means nothing yet.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Why a connection closes after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Closes {
    /// The client said so, by a field or by its version.
    Client(NotPersistent),
    /// The bytes that follow may be for the tunnel that we do not open: they must not be read as requests.
    Connect,
    /// It has served `--keep-alive-requests`.
    EnoughRequests,
    /// The proxy is stopping.
    Draining,
    /// The end of the response is that of the connection.
    EndsWithConnection,
    /// It carried another protocol.
    Tunnel,
    /// The rest of the request would be taken for the next one.
    Unread(Unread),
}

impl Closes {
    /// For the access log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Client(reason) => reason.as_str(),
            Self::Connect => "CONNECT",
            Self::EnoughRequests => "enough requests",
            Self::Draining => "draining",
            Self::EndsWithConnection => "response ends with the connection",
            Self::Tunnel => "tunnel ended",
            Self::Unread(why) => why.as_str(),
        }
    }
}

/// One exchange's client on an HTTP/1 connection.
#[derive(Debug)]
pub(in crate::proxy) struct Http1 {
    pub(super) conn: ConnId,
    /// The version that the client speaks.
    pub(super) version: Version,
    /// Frames the content.
    pub(super) body: BodyWriter,
    /// Why the connection closes after this exchange, if it does.
    closes: Option<Closes>,
    /// The client has said that no other request follows.
    announced_last: bool,
    /// It was asked whether it listens.
    asked: bool,
}

impl Http1 {
    /// The client that has sent `head` on `conn`; it may send no other if that was the `last` one it is granted.
    pub(in crate::proxy) fn new(conn: ConnId, head: &RequestHead, last: bool) -> Self {
        let persistent = http::persistent(head.version, &head.fields);
        let closes = match persistent {
            _ if head.method == Method::Connect => Some(Closes::Connect),
            Err(reason) => Some(Closes::Client(reason)),
            Ok(()) => last.then_some(Closes::EnoughRequests),
        };
        Self {
            conn,
            version: head.version,
            body: BodyWriter::Empty,
            closes,
            announced_last: persistent.is_err(),
            asked: false,
        }
    }

    /// The connection.
    pub(in crate::proxy) fn conn(&self) -> ConnId {
        self.conn
    }

    /// Why the connection closes after this exchange, if it does.
    pub(in crate::proxy) fn closes(&self) -> Option<Closes> {
        self.closes
    }

    /// Whether the client has said that no other request follows.
    pub(in crate::proxy) fn announced_last(&self) -> bool {
        self.announced_last
    }

    /// The connection closes after this exchange; the first reason counts.
    pub(super) fn closes_for(&mut self, reason: Closes) {
        self.closes.get_or_insert(reason);
    }

    /// A client whose connection carries another protocol.
    pub(in crate::proxy) fn of_tunnel(conn: ConnId, version: Version, announced_last: bool) -> Self {
        let mut http1 = Self { conn, version, body: BodyWriter::Empty, closes: None, announced_last, asked: false };
        http1.becomes_tunnel();
        http1
    }

    /// From here on the connection carries another protocol, and closes when that ends.
    pub(super) fn becomes_tunnel(&mut self) {
        self.body = BodyWriter::UntilClose;
        self.closes = Some(Closes::Tunnel);
    }

    /// The framing of content of that length: an HTTP/1.0 client knows no chunks (RFC 9112 §6.1).
    pub(super) fn framing(&self, body: BodyLength) -> BodyLength {
        match (body, self.version) {
            (BodyLength::Chunked | BodyLength::UntilClose, Version::Http11) => BodyLength::Chunked,
            (BodyLength::Chunked | BodyLength::UntilClose, Version::Http10) => BodyLength::UntilClose,
            (BodyLength::Empty | BodyLength::Exact(_), _) => body,
        }
    }

    pub(super) fn splice_to(&self) -> Option<ConnId> {
        matches!(self.body, BodyWriter::Exact(_)).then_some(self.conn)
    }

    pub(super) fn data(&mut self, data: &[u8], cx: &mut Cx) -> Result<(), Error> {
        self.body.data(&mut To { cx, conn: self.conn }, data)
    }

    pub(super) fn data_owned(&mut self, data: Bytes, cx: &mut Cx) -> Result<(), Error> {
        self.body.data_owned(&mut To { cx, conn: self.conn }, data)
    }

    pub(super) fn passed(&mut self, length: u64) -> Result<(), Error> {
        self.body.skip(length)
    }

    pub(super) fn end(&mut self, trailers: &Fields, cx: &mut Cx) -> Result<(), Error> {
        self.body.end(&mut To { cx, conn: self.conn }, trailers)
    }

    pub(super) fn abort(self, worker: &mut Worker, cx: &mut Cx) {
        if worker.forget_client(self.conn).is_some() {
            cx.abort(self.conn);
        }
    }

    pub(super) fn unsent(&self, worker: &mut Worker) -> usize {
        worker.table.downstream(self.conn).map_or(0, |client| client.unsent_now())
    }

    pub(super) fn begin_body(&self, bulk: bool, worker: &mut Worker, cx: &mut Cx) {
        if let Some(client) = worker.table.downstream(self.conn) {
            client.set_bulk(cx, bulk);
        }
        worker.ready.push(self.conn);
    }

    pub(super) fn end_body(&self, worker: &mut Worker, cx: &mut Cx) {
        if let Some(client) = worker.table.downstream(self.conn) {
            client.set_bulk(cx, false);
        }
    }

    pub(super) fn want_body(&self, wanted: bool, worker: &mut Worker, cx: &mut Cx) {
        if let Some(client) = worker.table.downstream(self.conn) {
            client.set_congested(cx, !wanted);
        }
    }

    /// Sends what means nothing to a client that reads, and makes the system of one that does not answer with a reset
    /// (`exchange/hold.rs`).
    pub(super) fn ask_whether_it_listens(&mut self, cx: &mut Cx) -> Result<(), CannotAsk> {
        if self.asked || self.version != Version::Http11 {
            return Err(CannotAsk);
        }
        self.asked = true;
        cx.send(self.conn, CONTINUE);
        Ok(())
    }

    pub(super) fn has_ended(&self, worker: &mut Worker) -> bool {
        worker.table.downstream(self.conn).is_some_and(|client| client.ended)
    }
}

/// A connection as a place to put framed bytes.
pub(in crate::proxy) struct To<'a> {
    pub(in crate::proxy) cx: &'a mut Cx,
    pub(in crate::proxy) conn: ConnId,
}

impl Sink for To<'_> {
    fn owned(&mut self, bytes: Bytes) {
        self.cx.send(self.conn, bytes);
    }

    fn borrowed(&mut self, bytes: &[u8]) {
        self.cx.forward(self.conn, bytes);
    }
}
