//! The side of HTTP/1 clients: bytes become requests, an exchange's end becomes the connection's next state.

use super::{
    Proxy,
    access_log::{Line, RequestLine},
    answer,
    client::{Client, Ending, Http1, write_own},
    downstream::{Downstream, HIGH_WATER, LOW_WATER},
    exchange::{BEGINNING, Core, Event, Exchange, Fetch, Needed, Request, needed},
    failure::Failure,
    forward::Denied,
    identity,
    marks::{self, Marks},
    record::{self, Record},
    refusals::refusal,
    table::Role,
    turns::BEGUN,
    worker::Worker,
};
use crate::{
    app::{ConnId, Cx, Origin},
    http::{BodyLength, ReadPhase, RequestEvent, RequestHead, Version},
    tls::HTTP2,
};
impl Proxy {
    pub(super) fn accept_client(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        let speaks_http2 = origin
            .secure
            .as_deref()
            .is_some_and(|secure| secure.alpn.as_deref().is_some_and(|alpn| alpn.as_bytes() == HTTP2));
        if speaks_http2 && self.worker.shared.config.http2.is_some() {
            return self.accept_streams(cx, conn, origin);
        }
        self.worker.counters().accepted.add(1);
        let mut client = Downstream::new(conn, origin);
        let deadlines = &self.worker.shared.config.deadlines;
        // A handshake may end when the proxy is about to: its request comes at once, or never.
        let first = if self.worker.draining { self.worker.shared.config.drain_grace } else { deadlines.head };
        client.expect_input(cx, Some(first));
        self.worker.table.insert(conn, Role::Downstream(Box::new(client)));
        self.note_idle(cx, conn);
    }

    /// Bytes from a client, after those that were kept back.
    pub(super) fn hear_client(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        let Some(client) = self.worker.table.downstream(conn) else { return };
        if client.waits_for_turn && input.is_empty() {
            return;
        }
        if self.worker.shared.config.http2.is_some() && client.may_speak_http2() {
            return self.hear_first(cx, conn, input);
        }
        self.hear_http1(cx, conn, input);
    }

    /// Bytes of HTTP/1.
    pub(super) fn hear_http1(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        let Some(client) = self.worker.table.downstream(conn) else { return };
        if client.pending.is_empty() {
            let rest = self.pull(cx, conn, input);
            self.keep(cx, conn, rest);
        } else {
            let mut held = std::mem::take(&mut client.pending);
            held.extend_from_slice(input);
            let rest = self.pull(cx, conn, &held);
            self.keep(cx, conn, rest);
        }
        self.route_if_here(cx, conn, !input.is_empty());
        self.end_if_over(cx, conn);
        self.note_idle(cx, conn);
    }

    fn keep(&mut self, cx: &mut Cx, conn: ConnId, rest: &[u8]) {
        let head = self.worker.shared.config.deadlines.head;
        let Some(client) = self.worker.table.downstream(conn) else { return };
        client.keep(cx, rest);
        if client.exchange.is_none() && client.reader.phase() == ReadPhase::Head && !client.head_begun {
            client.head_begun = true;
            client.expect_input(cx, Some(head));
        }
    }

    /// Reads events off `input` while there is an exchange to hear them; the rest has to wait.
    fn pull<'i>(&mut self, cx: &mut Cx, conn: ConnId, mut input: &'i [u8]) -> &'i [u8] {
        let mut begun = 0;
        loop {
            let Some(client) = self.worker.table.downstream(conn) else { return &[] };
            let key = match client.exchange {
                Some(key) if !self.exchanges[key as usize].takes_body() => return input,
                Some(key) if self.exchanges[key as usize].is_tunnel() => {
                    if !input.is_empty() {
                        self.on(cx, key, Event::RequestData(input));
                    }
                    return &[];
                }
                Some(key) => Some(key),
                None if client.may_begin() && begun < BEGUN => None,
                None => {
                    if client.may_begin() && !input.is_empty() {
                        client.waits_for_turn = true;
                        self.worker.turns.put_off(cx, conn);
                    }
                    return input;
                }
            };
            // The reader has the beginning of a head that came in an earlier piece: this one may begin in the middle of a field.
            let before = if client.reader.phase() == ReadPhase::Head { &[] } else { input };
            let running = key.and_then(|key| self.worker.versions.of(self.exchanges[key as usize].core.version));
            let limits = &running.unwrap_or(&self.worker.shared).config.limits;
            match (client.reader.next(&mut input, limits), key) {
                (Ok(None), _) => return &[],
                (Ok(Some(RequestEvent::Head(head, body))), _) => {
                    begun += 1;
                    self.begin(cx, conn, head, body, input.len());
                }
                (Ok(Some(RequestEvent::Data(data))), Some(key)) => {
                    let mut gathered = std::mem::take(&mut self.worker.gathered);
                    let content = client.reader.gather(data, &mut input, limits, &mut gathered);
                    self.on(cx, key, Event::RequestData(content));
                    self.worker.gathered = gathered;
                }
                (Ok(Some(RequestEvent::End(trailers))), Some(key)) => self.on(cx, key, Event::RequestEnd(trailers)),
                // The end of a request without a body, or of one that was answered early: no exchange waits for it.
                (Ok(Some(RequestEvent::Data(_) | RequestEvent::End(_))), None) => {}
                (Err(error), Some(key)) => self.on(cx, key, Event::RequestBad(Failure::Request(error))),
                (Err(error), None) => {
                    let failure = client.not_a_request(error, before);
                    self.refuse(cx, conn, failure, before);
                    return &[];
                }
            }
        }
    }

    /// A request head is complete: an exchange begins. `here`: bytes behind the head that have come already.
    fn begin(&mut self, cx: &mut Cx, conn: ConnId, mut head: RequestHead, body: BodyLength, here: usize) {
        let now = cx.clock();
        let Worker { shared, table, version, rng, .. } = &mut self.worker;
        let Some(client) = table.downstream(conn) else { return };
        client.served += 1;
        client.begin();
        client.head_begun = false;
        let (peer, local, secure) = (client.peer, client.local, client.secure.clone());
        let watcher = shared.explain.as_ref();
        let mut explanation = watcher.and_then(|watcher| watcher.begin(&mut head, body, now.instant, rng));
        let who = identity::admit(&mut head, peer.ip(), &shared.config.forwarding);
        let forwarding = &shared.config.forwarding;
        marks::mark(&mut head, &forwarding.marks, || forwarding.trusts(peer.ip()), rng);
        let failure = refusal(&head, body, peer.ip(), secure.as_deref(), &shared.config);
        let (way, failure) = shared.way(&mut head, who.client, now.instant, failure);
        if let Some(explanation) = &mut explanation {
            let trusted = forwarding.trusts(peer.ip());
            let matched = shared.router.as_ref().and_then(|router| router.matched(way, &head));
            explanation.admitted((peer, who.client, trusted), (matched, failure), shared.config.deadlines.exchange);
        }
        let is_let_in = failure != Some(Failure::Denied(Denied::Unauthenticated));
        let user = shared.config.forward.as_ref().filter(|_| is_let_in).and_then(|rules| rules.user(&head));
        let needed = Some(needed(&head, body)).filter(|needed| failure.is_none() && *needed > here);
        let by = now.instant + shared.config.deadlines.body * BEGINNING;
        let needed = needed.map(|bytes| Needed { bytes, by });
        client.expect_input(cx, None);
        if body == BodyLength::Empty {
            // Its end follows from its head: take it now, so that the reader stands before the next request.
            let ended = client.reader.next(&mut &[][..], &shared.config.limits);
            debug_assert!(matches!(ended, Ok(Some(RequestEvent::End(_)))));
        }
        let last = client.served == shared.config.keep_alive_requests;
        let http1 = Http1::new(conn, &head, last);
        let entry = self.exchanges.vacant_entry();
        let key = u32::try_from(entry.key()).expect("one exchange per connection, fewer than 2^31 connections");
        client.exchange = Some(key);
        let mut request = Request::new(head, body, needed);
        request.overrides_method = who.overrides_method;
        let until = shared.config.deadlines.exchange.map(|limit| now.instant + limit);
        let record = Record { local, user, ..Record::new(peer, who.client, secure, now) };
        let core = Core::new((key, *version), Client::Connection(http1), request, until, record);
        let core = Core { way, explanation, ..core };
        let exchange = entry.insert(Exchange::new(core));
        // Content that is not needed first is not due before a backend takes it.
        if needed.is_some() {
            exchange.await_body(cx, Some(now.instant + shared.config.deadlines.body));
        }
        self.worker.counters().requests.add(1);
        self.worker.chooser(way.group).retry_budget.request(now.instant);
        if needed.is_none() {
            self.on(cx, key, failure.map_or(Event::Route, Event::RequestBad));
        }
    }

    /// A request of our own: no client waits for its answer.
    pub(super) fn fetch(&mut self, cx: &mut Cx, fetch: Fetch) {
        let mut way = fetch.way.uncounted();
        if fetch.version != self.worker.version {
            let found = self.worker.shared.router.as_ref().map(|router| router.find(&fetch.head));
            let Some((found, None)) = found else { return };
            way = found;
        }
        let until = self.worker.shared.config.deadlines.exchange.map(|limit| cx.now() + limit);
        let entry = self.exchanges.vacant_entry();
        let key = u32::try_from(entry.key()).expect("one exchange per connection, and as many of our own");
        let mut request = Request::new(fetch.head, BodyLength::Empty, None);
        request.upgrade = false;
        let core = Core::new((key, self.worker.version), Client::Nobody, request, until, fetch.record);
        let core = Core { caching: Some(fetch.caching), way, ..core };
        entry.insert(Exchange::new(core));
        self.worker.counters().cache.background.add(1);
        self.on(cx, key, Event::Fetch);
    }

    /// Bytes that are no request: answered and closed, without an exchange. `input`: the last of them, unless the reader
    /// has kept what there is.
    pub(super) fn refuse(&mut self, cx: &mut Cx, conn: ConnId, failure: Failure, input: &[u8]) {
        let Some(client) = self.worker.forget_client(conn) else { return };
        let now = cx.clock();
        let mut record = Record::new(client.peer, client.peer.ip().to_canonical(), client.secure.clone(), now);
        record.status = failure.status().code();
        let answer = answer::failure(&answer::Context::unread(failure, &self.worker.shared.config.forwarding));
        record.sent = answer.content().len() as u64;
        let hsts = self.worker.shared.config.hsts.as_deref().filter(|_| client.secure.is_some());
        let message = self.worker.writing.dated_head(now.wall, |out, date| {
            write_own(out, &answer, Version::Http11, false, date, hsts);
        });
        cx.send(conn, message);
        cx.close(conn);
        let counters = self.worker.counters();
        counters.refused.add(1);
        counters.count_reason(failure);
        counters.count_status(record.status);
        let shared = &self.worker.shared;
        let begun = client.reader.begun();
        let bytes = if begun.is_empty() { input } else { begun };
        shared.explain.iter().for_each(|watcher| watcher.refuse(bytes, &record, failure));
        if shared.config.access_log {
            let outcome = Err(failure);
            let shown = record::printable(bytes);
            let asked = RequestLine::Bytes(&shown);
            let (backend, close) = ("-", failure.as_str());
            Line { record: &record, asked, backend, outcome, close, now, way: None, marks: &Marks::default() }
                .write(&shared.log);
        }
    }

    /// An exchange is over: count it, log it, and let its client go on or go.
    pub(super) fn retire(&mut self, cx: &mut Cx, key: u32, outcome: Result<(), Failure>) {
        let mut exchange = self.exchanges.remove(key as usize);
        exchange.leave();
        let mut core = exchange.core;
        if core.way.counted {
            self.worker.shared.uncount(core.way, core.record.client);
        }
        self.worker.forget_exchange_of(core.version);
        let outcome = core.record.parted.map_or(outcome, Err);
        core.disarm(cx);
        self.count(&core, outcome);
        if self.worker.shared.watches && !core.is_our_own() {
            self.watch(&core, outcome, cx);
        }
        if let Some(explanation) = core.explanation.take() {
            self.worker.conclude(*explanation, &core, outcome, cx.now());
        }
        match core.client {
            Client::Nobody => {}
            Client::Connection(http1) => self.end_exchange(cx, &http1, core.ending, core.request.is_complete()),
            Client::Stream(http2) => http2.end_exchange(core.ending, outcome, &mut self.worker),
        }
    }

    /// The exchange of an HTTP/1 client is over: its next request may come, or its connection closes.
    fn end_exchange(&mut self, cx: &mut Cx, http1: &Http1, ending: Ending, request_complete: bool) {
        let conn = http1.conn();
        let idle = self.idle_limit();
        let Some(client) = self.worker.table.downstream(conn) else { return };
        client.exchange = None;
        match (ending, http1.closes()) {
            (Ending::Clean, None) => {
                client.set_congested(cx, false);
                client.set_bulk(cx, false);
                client.expect_input(cx, Some(idle));
                self.worker.ready.push(conn);
            }
            // The rest of the request, or the next one, has to be let in: a reset would take the answer
            // away again (RFC 9112 §9.6). Only a client that announced the end itself sends nothing more.
            (Ending::Clean, Some(_)) if request_complete && http1.announced_last() && client.pending.is_empty() => {
                self.close_client(cx, conn);
            }
            (Ending::Clean, Some(_)) => {
                self.worker.forget_client(conn);
                cx.close(conn);
            }
            (Ending::Broken, _) => {
                self.worker.forget_client(conn);
                cx.abort(conn);
            }
        }
    }

    /// Closes a connection whose last request was heard to its end.
    pub(super) fn close_client(&mut self, cx: &mut Cx, conn: ConnId) {
        if self.worker.forget_client(conn).is_some() {
            cx.hang_up(conn);
        }
    }

    fn count(&self, core: &Core, outcome: Result<(), Failure>) {
        let counters = self.worker.counters();
        if let Some(counter) = core.record.backend.and_then(|backend| counters.backends.get(backend.index())) {
            counter.add(1);
        }
        if let Err(failure) = outcome
            && failure.is_error()
        {
            counters.count_reason(failure);
        }
        if core.is_our_own() {
            return;
        }
        counters.sent.add(core.record.sent);
        counters.received.add(core.record.received);
        counters.count_status(core.record.status);
        if core.ending == Ending::Broken {
            counters.aborted.add(1)
        } else {
            counters.responses.add(1)
        }
        if core.record.is_tunnel {
            counters.tunnels.add(1);
        }
    }

    /// Looks at a client's request that is over.
    fn watch(&self, core: &Core, outcome: Result<(), Failure>, cx: &Cx) {
        let Worker { shared, number, .. } = &self.worker;
        if let Some(measures) = &shared.measures {
            let upstream = core.record.backend.map(|_| core.way.group.index());
            let took = cx.now().saturating_duration_since(core.record.started.instant);
            measures.count(*number, core.way.site(), upstream, took);
        }
        if shared.config.access_log {
            self.log(core, outcome, cx);
        }
    }

    fn log(&self, core: &Core, outcome: Result<(), Failure>, cx: &Cx) {
        let backend = core.record.backend.map_or("-", |id| core.name_of(id, &self.worker.shared));
        let head = &core.request.head;
        let version = if core.record.stream.is_some() { "HTTP/2.0" } else { head.version.as_str() };
        Line {
            record: &core.record,
            asked: RequestLine::Head(head, version),
            backend,
            outcome,
            close: close(core),
            now: cx.clock(),
            way: self.worker.shared.chosen(core.way),
            marks: &self.worker.shared.config.forwarding.marks,
        }
        .write(&self.worker.shared.log);
    }

    /// The client sends nothing more. Its requests are still answered.
    pub(super) fn client_ended(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(client) = self.worker.table.downstream(conn) else { return };
        client.ended = true;
        if client.may_speak_http2() && !client.pending.is_empty() {
            // No more bytes decide: they are the beginning of a request.
            return self.hear_first(cx, conn, &[]);
        }
        if let Some(key) = client.exchange {
            self.on(cx, key, Event::ClientClosed);
        }
        self.end_if_over(cx, conn);
    }

    /// After the client's end: with nothing left to read, an idle connection closes and an unfinished request fails.
    fn end_if_over(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(client) = self.worker.table.downstream(conn) else { return };
        if !client.ended || !client.pending.is_empty() {
            return;
        }
        match client.exchange {
            None => self.close_client(cx, conn),
            Some(key) => self.on(cx, key, Event::ClientEnded),
        }
    }

    pub(super) fn client_failed(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(client) = self.worker.forget_client(conn) else { return };
        if let Some(key) = client.exchange {
            self.on(cx, key, Event::ClientLost(Failure::ClientGone));
        }
    }

    /// `unsent` bytes wait for the client: the backend waits with it.
    pub(super) fn client_took(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        let Worker { shared, table, .. } = &mut self.worker;
        let Some(client) = table.downstream(conn) else { return };
        client.unsent(cx, unsent, &shared.config.deadlines);
        let key = client.exchange;
        let running = key.map(|key| &self.exchanges[key as usize]);
        let link = running.filter(|exchange| !exchange.spares_backend()).and_then(Exchange::link);
        if let Some(upstream) = link.and_then(|link| self.worker.table.upstream(link.conn)) {
            if unsent > HIGH_WATER {
                upstream.set_congested(cx, true);
            } else if unsent <= LOW_WATER {
                upstream.set_congested(cx, false);
            }
        }
        if unsent <= LOW_WATER {
            self.worker.ready.push(conn);
            if let Some(key) = key {
                self.on(cx, key, Event::Drained);
            }
        }
        self.note_idle(cx, conn);
    }
}

/// The word of the log for the client's connection after an exchange.
fn close(core: &Core) -> &'static str {
    match core.ending {
        Ending::Clean => core.client.closes().unwrap_or("-"),
        Ending::Broken => "aborted",
    }
}
