//! From the head of a request to an exchange, or to an answer without one.

use super::{End, Key, Open, counters::Goodbye, websocket};
use crate::{
    app::{ConnId, Cx, Secure},
    http::{BodyLength, RequestHead, target::Scheme},
    http2::{self, Cause, ErrorCode},
    proxy::{
        Proxy,
        access_log::{Line, RequestLine},
        answer,
        client::{Client, Http2},
        exchange::{BEGINNING, Core, Event, Exchange, Needed, Request, needed},
        explain::Explanation,
        failure::Failure,
        identity,
        marks::{self, Marks},
        record::Record,
        refusals::refusal,
        routing::Way,
        shared::Shared,
    },
    time::Instant,
};
use rand::{RngExt as _, rngs::SmallRng};
use std::net::{IpAddr, SocketAddr};

/// Exchanges of one worker beyond which no stream is let in. As many as clients of HTTP/1.1 could have there, with as many
/// connections as a worker takes.
pub(in crate::proxy) const MOST_EXCHANGES: usize = 50_000;

/// A request that is let in, as its exchange takes it.
struct Asked {
    head: RequestHead,
    body: BodyLength,
    /// It asks for a WebSocket.
    key: Option<Key>,
    way: Way,
    failure: Option<Failure>,
    overrides_method: bool,
    client: IpAddr,
    explanation: Option<Box<Explanation>>,
}

impl Proxy {
    /// The head of a request is here: an exchange begins. `ends`: so is the rest of it.
    pub(super) fn begin_stream(&mut self, cx: &mut Cx, conn: ConnId, stream: u32, request: http2::Request, ends: bool) {
        if self.is_full(conn, stream) {
            return;
        }
        let shared = &self.worker.shared;
        let config = &shared.config;
        let Some(streams) = self.worker.table.streams(conn) else { return };
        streams.served += 1;
        let is_last = streams.served == config.keep_alive_requests;
        let now = cx.clock();
        let (peer, local, secure) = (streams.peer, streams.local, streams.secure.clone());
        let asked = ask(request, peer, secure.as_deref(), (&mut self.worker.rng, now.instant), shared);
        let missing = if asked.failure.is_some() || ends { 0 } else { needed(&asked.head, asked.body) };
        let by = now.instant + config.deadlines.body * BEGINNING;
        let needed = (missing > 0).then_some(Needed { bytes: missing, by });
        let until = config.deadlines.exchange.map(|limit| now.instant + limit);
        let first = now.instant + config.deadlines.body;
        let entry = self.exchanges.vacant_entry();
        let key = u32::try_from(entry.key()).expect("so many exchanges are not let in");
        let end = if ends { End::Heard } else { End::Awaited };
        streams.open.push(Open::new(stream, key, end));
        let mut exchanged = Request::new(asked.head, asked.body, needed);
        exchanged.overrides_method = asked.overrides_method;
        let mut record = Record::new(peer, asked.client, secure, now);
        (record.stream, record.local) = (Some(stream), local);
        let client = Client::Stream(Http2::new(conn, stream, asked.key));
        let core = Core::new((key, self.worker.version), client, exchanged, until, record);
        let core = Core { way: asked.way, explanation: asked.explanation, ..core };
        let exchange = entry.insert(Exchange::new(core));
        if needed.is_some() {
            exchange.await_body(cx, Some(first));
        }
        self.worker.counters().requests.add(1);
        self.worker.counters().http2.streams.add(1);
        self.worker.chooser(asked.way.group).retry_budget.request(now.instant);
        if is_last {
            self.say_goodbye(cx, conn, Goodbye::EnoughRequests);
        }
        if needed.is_none() {
            self.on(cx, key, asked.failure.map_or(Event::Route, Event::RequestBad));
        }
    }

    /// Whether there is no room for another exchange. The client may ask elsewhere: nothing was done (RFC 9113 §8.7).
    fn is_full(&mut self, conn: ConnId, stream: u32) -> bool {
        if self.exchanges.len() < MOST_EXCHANGES {
            return false;
        }
        self.worker.counters().http2.refused.add(1);
        if let Some(streams) = self.worker.speak(conn) {
            streams.core.reset(stream, ErrorCode::REFUSED_STREAM);
        }
        true
    }

    /// A request that is not let in is answered without an exchange; one whose content is too long has one.
    pub(super) fn refuse_stream(&mut self, cx: &mut Cx, conn: ConnId, stream: u32, cause: Cause) {
        let failure = match cause {
            Cause::Message(error) => Failure::Request(error),
            cause => Failure::Http2(cause),
        };
        self.worker.counters().http2.count_stream(cause);
        let Some(streams) = self.worker.speak(conn) else { return };
        if let Some(open) = streams.find(stream) {
            open.end = End::Heard;
            let key = open.key;
            return self.on(cx, key, Event::RequestBad(failure));
        }
        streams.served += 1;
        let now = cx.clock();
        let mut record = Record::new(streams.peer, streams.peer.ip().to_canonical(), streams.secure.clone(), now);
        record.stream = Some(stream);
        record.status = cause.status().code();
        let unread = answer::Context::unread(failure, &self.worker.shared.config.forwarding);
        let answer = answer::failure(&answer::Context { status: cause.status(), ..unread });
        record.sent = answer.content().len() as u64;
        super::write_own_http2(&answer, conn, stream, &mut self.worker, cx);
        let counters = self.worker.counters();
        counters.http2.streams.add(1);
        counters.refused.add(1);
        counters.count_reason(failure);
        counters.count_status(record.status);
        let shared = &self.worker.shared;
        shared.explain.iter().for_each(|watcher| watcher.refuse(b"", &record, failure));
        if shared.config.access_log {
            let (asked, backend, outcome, close) = (RequestLine::Bytes("-"), "-", Err(failure), "-");
            Line { record: &record, asked, backend, outcome, close, now, way: None, marks: &Marks::default() }
                .write(&shared.log);
        }
    }
}

impl Open {
    fn new(id: u32, key: u32, end: End) -> Self {
        let (congested, holds_up, fed, bulk) = (false, false, false, false);
        Self { id, key, pending: Vec::new(), lent: 0, end, congested, holds_up, fed, bulk }
    }
}

/// Judges a request, and marks it.
fn ask(
    request: http2::Request,
    peer: SocketAddr,
    secure: Option<&Secure>,
    (rng, now): (&mut SmallRng, Instant),
    shared: &Shared,
) -> Asked {
    let config = &shared.config;
    let http2::Request { mut head, mut body, scheme, protocol, .. } = request;
    let trusted = config.forwarding.trusts(peer.ip());
    let watcher = shared.explain.as_ref();
    let mut explanation = watcher.and_then(|watcher| watcher.begin(&mut head, body, now, rng));
    let who = identity::admit(&mut head, peer.ip(), &config.forwarding);
    let mut failure = scheme.and_then(|scheme| other_scheme(scheme, secure.is_some(), trusted));
    if let Some(scheme) = scheme.filter(|scheme| trusted && (*scheme == Scheme::Https) != secure.is_some())
        && !head.fields.contains("x-forwarded-proto")
    {
        // The word of a gateway: it is what it would have said in this field over HTTP/1.1.
        head.fields.push("X-Forwarded-Proto", if scheme == Scheme::Https { "https" } else { "http" });
    }
    let mut key = None;
    if let Some(protocol) = &protocol {
        if protocol.eq_ignore_ascii_case(websocket::PROTOCOL) {
            let made = Key::of(rng.random());
            made.write(&mut head.fields);
            body = BodyLength::Empty;
            key = Some(made);
        } else {
            failure = failure.or(Some(Failure::UnknownProtocol));
        }
    }
    marks::mark(&mut head, &config.forwarding.marks, || trusted, rng);
    failure = failure.or_else(|| refusal(&head, body, peer.ip(), secure, config));
    let (way, failure) = shared.way(&mut head, who.client, now, failure);
    if let Some(explanation) = &mut explanation {
        let matched = shared.router.as_ref().and_then(|router| router.matched(way, &head));
        explanation.admitted((peer, who.client, trusted), (matched, failure), config.deadlines.exchange);
    }
    let (overrides_method, client) = (who.overrides_method, who.client);
    Asked { head, body, key, way, failure, overrides_method, client, explanation }
}

/// Why a request for a resource of that scheme does not belong on this connection, if it does not (RFC 9110 §7.4): then it is
/// misdirected, whichever of the two it is. A gateway that we trust may have had another connection itself.
fn other_scheme(scheme: Scheme, is_secure: bool, trusted: bool) -> Option<Failure> {
    match (scheme, is_secure) {
        _ if trusted => None,
        (Scheme::Https, false) => Some(Failure::Misdirected),
        (Scheme::Http, true) => Some(Failure::PlainScheme),
        (Scheme::Https, true) | (Scheme::Http, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_that_of_the_connection() {
        for (scheme, is_secure, trusted, refused) in [
            (Scheme::Http, false, false, None),
            (Scheme::Https, true, false, None),
            (Scheme::Https, false, false, Some(Failure::Misdirected)),
            (Scheme::Http, true, false, Some(Failure::PlainScheme)),
            (Scheme::Https, false, true, None),
            (Scheme::Http, true, true, None),
        ] {
            assert_eq!(other_scheme(scheme, is_secure, trusted), refused, "{scheme:?} {is_secure} {trusted}");
        }
    }
}
