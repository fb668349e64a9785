//! The client of an exchange, and the one way to it: every byte that an exchange says goes through [`Reply`].
//!
//! An exchange says what is to be said (a head, content, an end, that it breaks off). How that looks on the wire, and what
//! it means for the connection, is known here: for HTTP/1 in `http1.rs`, for HTTP/2 in `http2.rs`.
//!
//! ```text
//!   exchange ── Reply ──▶ nobody             the words are lost
//!                    ├──▶ a connection       HTTP/1: framing, `Connection`, one exchange at a time
//!                    ╰──▶ a stream           HTTP/2: frames, many exchanges on a connection
//! ```
//!
//! The connections themselves are in `clients.rs` (`Downstream`) and `streams/` (`Streams`).

mod http1;
mod http1_heads;
mod http2;
mod http2_heads;

pub(super) use http1::{Http1, To};
pub(super) use http1_heads::write_own;
pub(super) use http2::Http2;
pub(super) use http2_heads::write_own_http2;

use http1::Closes;

use super::{answer::Answer, record::Record, worker::Worker};
use crate::{
    app::{ConnId, Cx, PeekBy, Reads},
    cache::{Answer as Selected, CacheStatus, store::Entry},
    http::{BodyLength, Error, Fields, ResponseHead},
    http2::ErrorCode,
};
use bytes::Bytes;

/// The receiver of an exchange's answer.
#[derive(Debug)]
pub(super) enum Client {
    /// There is none: the request is our own, or its client has left and others read the response.
    Nobody,
    /// The client of an HTTP/1 connection, which has one exchange at a time.
    Connection(Http1),
    /// The client of one of the streams on an HTTP/2 connection.
    Stream(Http2),
}

impl Client {
    /// Whether no client waits for the answer.
    pub(super) fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody)
    }

    /// Why the client's connection carries no other exchange after this one. `None`: it does, or that is not the exchange's
    /// to say.
    pub(super) fn closes(&self) -> Option<&'static str> {
        match self {
            Self::Nobody => None,
            Self::Connection(http1) => http1.closes().map(Closes::as_str),
            Self::Stream(_) => None,
        }
    }

    /// How a kept connection to a backend has to be looked at before the request goes there: what lies unread on it since before the
    /// request came would be taken for its answer.
    pub(super) fn peek_by(&self) -> PeekBy {
        match self {
            Self::Nobody | Self::Connection(_) => PeekBy::Report,
            // Frames of its connection come all the time. The report may have been about one before the request.
            Self::Stream(_) => PeekBy::Asking,
        }
    }

    /// How the backend's connection is read. A response of 16 KiB and its head are one read, not two; what is not there costs nothing.
    pub(super) fn reads(&self, worker: &mut Worker) -> Reads {
        match self {
            Self::Nobody | Self::Connection(_) => Reads::Large,
            // The bytes wait in our memory until it is the turn of the stream, and as long as its window is shut.
            Self::Stream(http2) => http2.reads(worker),
        }
    }

    /// The connection to which the driver may pass the rest of a body as it comes, because nothing is put around it.
    pub(super) fn splice_to(&self) -> Option<ConnId> {
        match self {
            Self::Nobody => None,
            Self::Connection(http1) => http1.splice_to(),
            Self::Stream(_) => None,
        }
    }
}

impl Client {
    /// The connection whose driver knows how far the client is, if the client may have to wait for a window before it sends more.
    pub(super) fn may_await_window(&self, worker: &mut Worker) -> Option<ConnId> {
        match self {
            Self::Nobody | Self::Connection(_) => None,
            Self::Stream(http2) => http2.may_await_window(worker).then_some(http2.conn),
        }
    }

    /// Whether a backend that switches protocols with that head does what the client wants.
    pub(super) fn accepts_switch(&self, head: &ResponseHead) -> bool {
        match self {
            Self::Nobody | Self::Connection(_) => true,
            Self::Stream(http2) => http2.accepts(head),
        }
    }

    /// Whether a success would tell the client that the protocol it asks for is spoken from there on.
    pub(super) fn takes_success_for_switch(&self) -> bool {
        matches!(self, Self::Stream(http2) if http2.wants_tunnel())
    }
}

/// The content of a stored response as its head announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) length: BodyLength,
    /// It is not only announced.
    pub(super) follows: bool,
}

/// How an exchange ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With an answer that is complete.
    Clean,
    /// The answer breaks off: the client must not take what it has for complete.
    Broken,
}

/// Why the rest of a request is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// The response is complete, or an answer of our own, and the request is late, broken or too long.
    NotToItsEnd,
    /// The client waits for 100 and got a final response: it may send its content or not (RFC 9110 §10.1.1).
    AnsweredInsteadOf100,
    /// The backend has answered, and closes its connection after that.
    BackendCloses,
    /// The backend has answered, and has closed its connection.
    BackendClosed,
}

impl Unread {
    /// For the access log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotToItsEnd => "request not read to its end",
            Self::AnsweredInsteadOf100 => "answered instead of 100",
            Self::BackendCloses => "backend answered early and closes",
            Self::BackendClosed => "backend closed before the request ended",
        }
    }
}

/// One step's way to the client.
pub(super) struct Reply<'a> {
    pub(super) client: &'a mut Client,
    pub(super) record: &'a mut Record,
    pub(super) worker: &'a mut Worker,
    pub(super) cx: &'a mut Cx,
}

impl Reply<'_> {
    /// A 1xx. Clients that do not know them get none (RFC 9110 §15.2).
    pub(super) fn interim(&mut self, head: &ResponseHead) {
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => http1.interim(head, self.worker, self.cx),
            Client::Stream(http2) => http2.interim(head, self.worker),
        }
    }

    /// 101: from here on content is what the backend says in another protocol, without framing.
    pub(super) fn switch(&mut self, head: &ResponseHead) {
        self.record.is_tunnel = true;
        self.record.status = match self.client {
            Client::Nobody | Client::Connection(_) => head.status,
            Client::Stream(_) => Http2::SWITCHED,
        }
        .code();
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => http1.switch(head, self.worker, self.cx),
            Client::Stream(http2) => http2.switch(head, self.worker, self.cx),
        }
    }

    /// The head of a backend's response; content of that length follows. `cache_status`: what the cache did, if that is told.
    pub(super) fn head(&mut self, head: &ResponseHead, body: BodyLength, cache_status: Option<CacheStatus<'_>>) {
        self.record.status = head.status.code();
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => http1.head(head, body, cache_status, self.worker, self.cx),
            Client::Stream(http2) => http2.head(head, body, cache_status, self.worker, self.cx),
        }
    }

    /// The head of a stored response, which announces content of that length; it follows, unless the request was `HEAD`.
    pub(super) fn stored(&mut self, entry: &Entry, body: Announced, cache_status: Option<CacheStatus<'_>>) {
        self.record.status = entry.stored.head.status.code();
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => http1.stored(entry, body, cache_status, self.worker, self.cx),
            Client::Stream(http2) => http2.stored(entry, body, cache_status, self.worker, self.cx),
        }
    }

    /// The head of an answer that only some clients get from what is stored: a part of it, or that nothing has changed.
    pub(super) fn selected(&mut self, entry: &Entry, answer: &Selected, cache_status: Option<CacheStatus<'_>>) {
        self.record.status = answer.status(&entry.stored).code();
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => http1.selected(entry, answer, cache_status, self.worker, self.cx),
            Client::Stream(http2) => http2.selected(entry, answer, cache_status, self.worker, self.cx),
        }
    }

    /// An answer of the proxy itself, head and content.
    pub(super) fn own(&mut self, answer: &Answer) {
        self.record.status = answer.status.code();
        self.record.sent += answer.content().len() as u64;
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => http1.own(answer, self.worker, self.cx),
            Client::Stream(http2) => http2.own(answer, self.worker, self.cx),
        }
    }

    /// Content, a part of what is being heard.
    pub(super) fn data(&mut self, data: &[u8]) -> Result<(), Error> {
        match self.client {
            Client::Nobody => return Ok(()),
            Client::Connection(http1) => http1.data(data, self.cx)?,
            Client::Stream(http2) => http2.data(data, self.worker)?,
        }
        self.record.sent += data.len() as u64;
        Ok(())
    }

    /// Content that is kept elsewhere, too: it is not copied.
    pub(super) fn data_owned(&mut self, data: Bytes) -> Result<(), Error> {
        let length = data.len() as u64;
        match self.client {
            Client::Nobody => return Ok(()),
            Client::Connection(http1) => http1.data_owned(data, self.cx)?,
            Client::Stream(http2) => http2.data_owned(data, self.worker)?,
        }
        self.record.sent += length;
        Ok(())
    }

    /// `length` bytes of content went to the client unseen ([`Client::splice_to`]).
    pub(super) fn passed(&mut self, length: u64) -> Result<(), Error> {
        self.record.sent += length;
        match self.client {
            Client::Nobody => Ok(()),
            Client::Connection(http1) => http1.passed(length),
            // Frames are put around its content, so nothing passes unseen.
            Client::Stream(_) => Err(Error::MoreThanDeclared),
        }
    }

    /// The content is complete.
    pub(super) fn end(&mut self, trailers: &Fields) -> Result<(), Error> {
        match self.client {
            Client::Nobody => Ok(()),
            Client::Connection(http1) => http1.end(trailers, self.cx),
            Client::Stream(http2) => http2.end(trailers, self.worker),
        }
    }

    /// Nothing more comes in this direction, after a [`Reply::switch`]: the other one goes on.
    pub(super) fn finish(&mut self) {
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => self.cx.finish(http1.conn()),
            Client::Stream(http2) => http2.finish(self.worker),
        }
    }

    /// The rest of the request is not read, for this reason: what follows of it must not be taken for the next request.
    pub(super) fn leaves_unread(&mut self, why: Unread) {
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => http1.closes_for(Closes::Unread(why)),
            // A stream says where a request ends; what comes of it is thrown away.
            Client::Stream(_) => {}
        }
    }

    /// Lets the client go in the middle of the answer. From here on no client waits for it.
    pub(super) fn break_off(&mut self) {
        match std::mem::replace(self.client, Client::Nobody) {
            Client::Nobody => {}
            Client::Connection(http1) => http1.abort(self.worker, self.cx),
            Client::Stream(http2) => http2.abort(ErrorCode::CANCEL, self.worker),
        }
    }

    /// Bytes of the answer that the client has not taken yet.
    pub(super) fn unsent(&mut self) -> usize {
        match self.client {
            Client::Nobody => 0,
            Client::Connection(http1) => http1.unsent(self.worker),
            Client::Stream(http2) => http2.unsent(self.worker),
        }
    }
}

/// The client's side of a request's content.
impl Reply<'_> {
    /// There is room for the content of the request from here on. `bulk`: there is much of it.
    pub(super) fn begin_body(&mut self, bulk: bool) {
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => http1.begin_body(bulk, self.worker, self.cx),
            Client::Stream(http2) => http2.begin_body(bulk, self.worker),
        }
    }

    /// The request is complete.
    pub(super) fn end_body(&mut self) {
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => http1.end_body(self.worker, self.cx),
            Client::Stream(http2) => http2.end_body(self.worker),
        }
    }

    /// Whether the backend takes more of the content: the client sends no more than is taken.
    pub(super) fn want_body(&mut self, wanted: bool) {
        match self.client {
            Client::Nobody => {}
            Client::Connection(http1) => http1.want_body(wanted, self.worker, self.cx),
            Client::Stream(http2) => http2.want_body(wanted, self.worker),
        }
    }

    /// A client that has ended its side is asked whether it still listens, once.
    pub(super) fn ask_whether_it_listens(&mut self) -> Result<(), CannotAsk> {
        match self.client {
            Client::Nobody => Err(CannotAsk),
            Client::Connection(http1) => http1.ask_whether_it_listens(self.cx),
            // A client of HTTP/2 says by itself which answers it does not want.
            Client::Stream(_) => Err(CannotAsk),
        }
    }

    /// Whether the client has ended its side, so that it is not known whether it listens.
    pub(super) fn has_ended(&mut self) -> bool {
        match self.client {
            Client::Nobody => false,
            Client::Connection(http1) => http1.has_ended(self.worker),
            Client::Stream(http2) => http2.has_ended(self.worker),
        }
    }
}

/// There is no message that means nothing to this client, or it was sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CannotAsk;
