//! A client that has several exchanges at once on one connection, and takes replies as values: what HTTP/2 asks of an
//! exchange, without its wire format. It is here for tests, which show with it that nothing in an exchange relies on HTTP/1.
//!
//! ```text
//!   test ── ask, more, end, reset ──▶ Streams ──▶ exchanges        (one for each stream)
//!   test ◀── Said::Head, Data, End … ── Streams ◀── Reply
//! ```

use super::{Announced, Client, Ending};
use crate::{
    app::{ConnId, Cx},
    cache::{Answer as Selected, CacheStatus, store::Entry},
    http::{BodyLength, Fields, RequestHead, ResponseHead, Status},
    proxy::{
        Proxy,
        answer::Answer,
        downstream::LOW_WATER,
        exchange::{Core, Event, Exchange, Request},
        failure::Failure,
        headers,
        record::Record,
        table::Role,
        worker::Worker,
    },
};
use std::{collections::BTreeMap, net::SocketAddr};

/// An exchange's side of a stream.
#[derive(Debug)]
pub(in crate::proxy) struct Stream {
    conn: ConnId,
    id: u32,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::proxy) enum Said {
    /// A 1xx.
    Interim(Status),
    /// The final head, as far as it is not about the connection.
    Head(Status, Fields),
    /// Content.
    Data(Vec<u8>),
    /// The content is complete.
    End(Fields),
    /// The exchange is over, in this way.
    Over(Ending),
}

/// A connection with streams.
#[derive(Debug)]
pub(in crate::proxy) struct Streams {
    peer: SocketAddr,
    open: BTreeMap<u32, Open>,
}

/// One stream: the client's request, and what it has been told.
#[derive(Debug, Default)]
struct Open {
    /// The exchange, until it is over.
    exchange: Option<u32>,
    /// Content of the request that no backend takes yet.
    pending: Vec<u8>,
    /// All of the content is here, and perhaps its exchange has heard so.
    complete: bool,
    heard_complete: bool,
    /// The backend takes no more of it.
    congested: bool,
    said: Vec<Said>,
    /// Content that the client has not taken.
    unsent: usize,
}

impl Stream {
    fn open<'p>(&self, worker: &'p mut Worker) -> &'p mut Open {
        let Some(Role::Streams(streams)) = worker.table.get(self.conn) else { panic!("{self:?} has no connection") };
        streams.open.get_mut(&self.id).expect("a stream is known as long as its connection is")
    }

    fn say(&self, worker: &mut Worker, said: Said) {
        self.open(worker).said.push(said);
    }

    pub(super) fn interim(&self, head: &ResponseHead, worker: &mut Worker) {
        self.say(worker, Said::Interim(head.status));
    }

    pub(super) fn head(
        &self,
        head: &ResponseHead,
        body: BodyLength,
        cache_status: Option<CacheStatus<'_>>,
        worker: &mut Worker,
        cx: &Cx,
    ) {
        let mut fields = Fields::new();
        let date = worker.writing.date(cx.clock().wall).to_owned();
        headers::response_fields(&mut fields, head, &date, cache_status, &worker.shared.config.forwarding);
        if let BodyLength::Exact(length) = body {
            fields.push("Content-Length", length.to_string());
        }
        self.say(worker, Said::Head(head.status, fields));
    }

    pub(super) fn stored(
        &self,
        entry: &Entry,
        body: Announced,
        cache_status: Option<CacheStatus<'_>>,
        worker: &mut Worker,
        cx: &Cx,
    ) {
        self.head(&entry.stored.head, body.length, cache_status, worker, cx);
    }

    pub(super) fn selected(
        &self,
        entry: &Entry,
        answer: &Selected,
        _: Option<CacheStatus<'_>>,
        worker: &mut Worker,
        _: &Cx,
    ) {
        self.say(worker, Said::Head(answer.status(&entry.stored), Fields::new()));
    }

    pub(super) fn own(&self, answer: &Answer, worker: &mut Worker) {
        self.say(worker, Said::Head(answer.status, answer.fields.clone()));
        self.say(worker, Said::Data(answer.content().to_vec()));
        self.say(worker, Said::End(Fields::new()));
    }

    pub(super) fn data(&self, data: &[u8], worker: &mut Worker) {
        self.open(worker).unsent += data.len();
        self.say(worker, Said::Data(data.to_vec()));
    }

    pub(super) fn end(&self, trailers: &Fields, worker: &mut Worker) {
        self.say(worker, Said::End(trailers.clone()));
    }

    pub(super) fn unsent(&self, worker: &mut Worker) -> usize {
        self.open(worker).unsent
    }

    pub(super) fn want_body(&self, wanted: bool, worker: &mut Worker) {
        self.open(worker).congested = !wanted;
        if wanted {
            self.resume(worker);
        }
    }

    /// The content that waits may go on.
    pub(super) fn resume(&self, worker: &mut Worker) {
        worker.ready.push(self.conn);
    }

    pub(super) fn reset(self, worker: &mut Worker) {
        self.end_exchange(Ending::Broken, worker);
    }

    pub(in crate::proxy) fn end_exchange(self, ending: Ending, worker: &mut Worker) {
        let open = self.open(worker);
        open.exchange = None;
        open.said.push(Said::Over(ending));
    }
}

impl Proxy {
    /// A connection whose client has several exchanges at once.
    pub(in crate::proxy) fn accept_streams(&mut self, conn: ConnId, peer: SocketAddr) {
        self.worker.table.insert(conn, Role::Streams(Box::new(Streams { peer, open: BTreeMap::new() })));
    }

    fn streams(&mut self, conn: ConnId) -> &mut Streams {
        let Some(Role::Streams(streams)) = self.worker.table.get(conn) else { panic!("{conn:?} has no streams") };
        streams
    }

    fn stream(&mut self, conn: ConnId, id: u32) -> &mut Open {
        self.streams(conn).open.get_mut(&id).expect("asked for before")
    }

    /// A request on stream `id`.
    pub(in crate::proxy) fn ask(&mut self, cx: &mut Cx, conn: ConnId, id: u32, head: RequestHead, body: BodyLength) {
        let peer = self.streams(conn).peer;
        let entry = self.exchanges.vacant_entry();
        let key = u32::try_from(entry.key()).unwrap();
        let client = Client::Stream(Stream { conn, id });
        let record = Record::new(peer, peer.ip(), None, cx.clock());
        let until = self.worker.shared.config.deadlines.exchange.map(|limit| cx.now() + limit);
        entry.insert(Exchange::new(Core::new(key, client, Request::new(head, body, None), until, record)));
        let complete = body == BodyLength::Empty;
        let open = Open { exchange: Some(key), complete, heard_complete: complete, ..Open::default() };
        let before = self.streams(conn).open.insert(id, open);
        assert!(before.is_none(), "a stream has one request");
        self.on(cx, key, Event::Route);
        self.settle(cx);
    }

    /// More content of the request on stream `id`, or the end of it.
    pub(in crate::proxy) fn more(&mut self, cx: &mut Cx, conn: ConnId, id: u32, content: &[u8], complete: bool) {
        let open = self.stream(conn, id);
        open.pending.extend_from_slice(content);
        open.complete |= complete;
        self.hear_streams(cx, conn);
        self.settle(cx);
    }

    /// Content that waits on the streams of a connection goes to the exchanges that can take it.
    pub(in crate::proxy) fn hear_streams(&mut self, cx: &mut Cx, conn: ConnId) {
        let ids: Vec<u32> = self.streams(conn).open.keys().copied().collect();
        for id in ids {
            let Some(key) = self.stream(conn, id).exchange else { continue };
            if self.stream(conn, id).congested || !self.exchanges[key as usize].takes_body() {
                continue;
            }
            let content = std::mem::take(&mut self.stream(conn, id).pending);
            if !content.is_empty() {
                self.on(cx, key, Event::RequestData(&content));
            }
            let open = self.stream(conn, id);
            if open.exchange.is_some() && open.complete && !open.heard_complete {
                open.heard_complete = true;
                self.on(cx, key, Event::RequestEnd(Fields::new()));
            }
        }
    }

    /// The client gives stream `id` up.
    pub(in crate::proxy) fn reset(&mut self, cx: &mut Cx, conn: ConnId, id: u32) {
        if let Some(key) = self.stream(conn, id).exchange {
            self.on(cx, key, Event::ClientLost(Failure::ClientGone));
            self.settle(cx);
        }
    }

    /// The words to stream `id` since the last look; the client has taken them.
    pub(in crate::proxy) fn said(&mut self, cx: &mut Cx, conn: ConnId, id: u32) -> Vec<Said> {
        let open = self.stream(conn, id);
        let (said, was_full) = (std::mem::take(&mut open.said), open.unsent > LOW_WATER);
        open.unsent = 0;
        if let (Some(key), true) = (open.exchange, was_full) {
            self.on(cx, key, Event::Drained);
            self.settle(cx);
        }
        said
    }
}
