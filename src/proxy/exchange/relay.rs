//! Both directions at once: the request towards the backend, the response towards the client.
//!
//! Either may finish first. A response that arrives before the request body ends is relayed at once; if the backend will
//! close after it, the rest of the request is no longer forwarded and the client's connection is closed after the
//! response (RFC 9112 §9.6), else the request goes on to its end and both connections persist.

use super::{Close, Event, Failure, Link, Receiving, State, Turn, keep::Piece};
use crate::{
    app::{ConnId, Cx},
    buf::Sink,
    cache::{Did, store::Entry},
    health::Outcome,
    http::{self, BodyLength, BodyWriter, Fields, ResponseHead, Status, Version},
    proxy::headers,
};
use bytes::Bytes;
use std::sync::Arc;

/// Interim responses per exchange. Real ones send one or two (100, 103); a stream of them is an attack on the client.
const INTERIMS_MAX: u8 = 16;

/// A connection as a place to put framed bytes.
pub(super) struct To<'a> {
    pub(super) cx: &'a mut Cx,
    pub(super) conn: ConnId,
}

impl Sink for To<'_> {
    fn owned(&mut self, bytes: Bytes) {
        if self.conn != ConnId::NOBODY {
            self.cx.send(self.conn, bytes);
        }
    }

    fn borrowed(&mut self, bytes: &[u8]) {
        if self.conn != ConnId::NOBODY {
            self.cx.forward(self.conn, bytes);
        }
    }
}

/// May the driver pass on what is left of this response body without showing it to us? `left`: what the backend's reader
/// still expects. Only if nobody here has to look: the body is not framed anew (nor, by the same rule, encrypted, kept or
/// counted chunk by chunk), and long enough to be worth it.
pub(super) fn may_pass_unseen(receiving: &Receiving, left: u64, least: u64) -> bool {
    matches!(receiving, Receiving::Body(BodyWriter::Exact(owed)) if *owed == left) && left >= least.max(1)
}

impl Turn<'_> {
    /// What a running exchange does with an event.
    pub(super) fn relay(
        &mut self,
        link: Link,
        mut sending: BodyWriter,
        mut receiving: Receiving,
        reusable: bool,
        event: Event<'_>,
    ) -> State {
        match event {
            // The client has its whole response: whatever is wrong with the rest of the request, it is not broken off.
            Event::ClientEnded | Event::RequestBad(_) | Event::UpstreamBad(_) | Event::UpstreamStalled
                if matches!(receiving, Receiving::Complete) =>
            {
                self.close_after("request not read to its end");
                return self.complete(link, false);
            }
            Event::RequestData(data) => {
                if !self.core.body_begun && matches!(receiving, Receiving::Head) {
                    // It did not wait for 100, or no longer: the answer is due when the request is complete.
                    self.expect_upstream(link, None);
                }
                if let Err(error) = self.send_body(link, &mut sending, data) {
                    return self.give_up(Some(link), Failure::Request(error));
                }
            }
            Event::RequestEnd(trailers) => return self.request_end(link, sending, receiving, reusable, &trailers),
            Event::Interim(head) => {
                if let Err(failure) = self.interim(link, &head) {
                    return self.give_up(Some(link), failure);
                }
            }
            Event::Head(head, body) => return self.response_head(link, sending, &head, body),
            Event::Switched(head) => return self.switched(link, &head),
            Event::ResponseData(data) => return self.response_data(link, sending, receiving, reusable, data),
            Event::ResponsePassed(length) => return self.response_passed(link, sending, receiving, reusable, length),
            Event::ResponseEnd(trailers) => return self.response_end(link, sending, receiving, reusable, &trailers),
            Event::UpstreamBad(error) => return self.upstream_failed(link, &receiving, Failure::Response(error)),
            Event::UpstreamEnded | Event::UpstreamFailed(_) => return self.upstream_gone(link, &receiving),
            Event::UpstreamLate => return self.response_late(link, &receiving),
            Event::UpstreamStalled => return self.give_up(Some(link), Failure::UpstreamStalled),
            // Half-close: a client may end its side after the request and still read the response.
            Event::ClientEnded if self.core.request_complete => {}
            Event::ClientEnded => return self.give_up(Some(link), Failure::ClientGone),
            Event::ClientLost(failure) if self.goes_on_without_client(&receiving) => self.detach(link, failure),
            Event::ClientLost(failure) | Event::RequestBad(failure) => return self.give_up(Some(link), failure),
            Event::Told | Event::Drained | Event::Expired => {
                if let Err(failure) = self.sharing(link, &mut receiving, &event) {
                    return self.give_up(Some(link), failure);
                }
            }
            Event::Route
            | Event::Fetch
            | Event::ClientClosed
            | Event::Room(_)
            | Event::Connected
            | Event::Redialed(_)
            | Event::Probed(_) => {}
        }
        State::Relay { link, sending, receiving, reusable }
    }

    fn send_body(&mut self, link: Link, sending: &mut BodyWriter, data: &[u8]) -> Result<(), http::Error> {
        self.core.body_begun = true;
        self.core.record.received += data.len() as u64;
        self.expect_body(data.len());
        sending.data(&mut To { cx: self.cx, conn: link.conn }, data)
    }

    /// It is the client's turn to send more of its request; so much of it has just come.
    fn expect_body(&mut self, came: usize) {
        let limit = self.parts.shared.config.deadlines.body;
        if let Some(client) = self.parts.table.downstream(self.core.client) {
            client.expect_body(self.cx, limit, came);
        }
    }

    fn request_end(
        &mut self,
        link: Link,
        mut sending: BodyWriter,
        receiving: Receiving,
        reusable: bool,
        trailers: &Fields,
    ) -> State {
        if let Err(error) = sending.end(&mut To { cx: self.cx, conn: link.conn }, trailers) {
            return self.give_up(Some(link), Failure::Request(error));
        }
        // The last chunk is gone, too.
        self.core.body_begun |= self.core.body == BodyLength::Chunked;
        self.core.request_complete = true;
        if let Some(client) = self.parts.table.downstream(self.core.client) {
            client.expect_input(self.cx, None);
            client.set_bulk(self.cx, false);
        }
        match receiving {
            Receiving::Complete => return self.complete(link, reusable),
            Receiving::Head => {
                let by = self.cx.now() + self.parts.shared.config.deadlines.first_byte;
                self.expect_upstream(link, Some(by));
            }
            Receiving::Body(_) | Receiving::Unchanged(_) | Receiving::Again => {}
        }
        State::Relay { link, sending, receiving, reusable }
    }

    /// Relays a 1xx, except to clients that do not know them (RFC 9110 §15.2).
    fn interim(&mut self, link: Link, head: &ResponseHead) -> Result<(), Failure> {
        self.core.interims += 1;
        if self.core.interims > INTERIMS_MAX {
            return Err(Failure::TooManyInterims);
        }
        if self.core.head.version == Version::Http11 {
            let mut out = std::mem::take(&mut self.parts.scratch);
            headers::write_interim(&mut out, head);
            self.send_client(out.split().freeze());
            self.parts.scratch = out;
        }
        self.core.continued |= head.status == Status::CONTINUE;
        if head.status == Status::CONTINUE && !self.core.request_complete {
            self.expect_upstream(link, None);
            self.expect_body(0);
        }
        Ok(())
    }

    fn response_head(&mut self, link: Link, sending: BodyWriter, head: &ResponseHead, body: BodyLength) -> State {
        let stored = match self.keep(link, sending, head, body) {
            Ok(stored) => stored,
            Err(state) => return state,
        };
        let unknown = self.may_have_no_content();
        let reusable = http::persistent_after(head, body).is_ok() && !unknown;
        if unknown {
            self.close_after("answered instead of 100");
        }
        if !reusable && !self.core.request_complete {
            self.close_after("backend answered early and closes");
        }
        if self.parts.draining {
            self.close_after("draining");
        }
        let framing = self.client_framing(body);
        if framing == BodyLength::UntilClose {
            self.close_after("response ends with the connection");
        }
        self.core.record.status = head.status.code();
        let mut out = std::mem::take(&mut self.parts.scratch);
        if self.core.caching.is_some() {
            self.put_status(&mut out, None, stored);
        }
        let extra = out.split();
        let date = self.parts.date.text(self.cx.clock().wall);
        headers::write_response(
            &mut out,
            &headers::Outbound {
                head,
                framing,
                client: self.core.head.version,
                persist: self.core.close == Close::No,
                date,
                extra: &extra,
            },
            &self.parts.shared.config.forwarding,
        );
        self.send_client(out.split().freeze());
        self.parts.scratch = out;
        let by = (body != BodyLength::Empty).then(|| self.cx.now() + self.parts.shared.config.deadlines.response);
        if let Some(upstream) = self.parts.table.upstream(link.conn) {
            upstream.expect(self.cx, by);
        }
        State::Relay { link, sending, receiving: Receiving::Body(BodyWriter::of(framing)), reusable }
    }

    /// Whether the client may send its content after this response, or may not: it waits for 100, and is not asked to
    /// (RFC 9110 §10.1.1). What it sends next cannot be told from its next request, and not everybody in front of us would
    /// read it as we do.
    fn may_have_no_content(&self) -> bool {
        let core = &*self.core;
        !core.request_complete && !core.body_begun && !core.continued && http::expects_continue(&core.head)
    }

    /// How the body reaches this client: an HTTP/1.0 client knows no chunks (RFC 9112 §6.1).
    pub(super) fn client_framing(&self, body: BodyLength) -> BodyLength {
        match (body, self.core.head.version) {
            (BodyLength::Chunked | BodyLength::UntilClose, Version::Http11) => BodyLength::Chunked,
            (BodyLength::Chunked | BodyLength::UntilClose, Version::Http10) => BodyLength::UntilClose,
            (BodyLength::Empty | BodyLength::Exact(_), _) => body,
        }
    }

    fn response_data(
        &mut self,
        link: Link,
        sending: BodyWriter,
        mut receiving: Receiving,
        reusable: bool,
        data: &[u8],
    ) -> State {
        if let Receiving::Body(body) = &mut receiving {
            let kept = self.keep_piece(link, data);
            let as_reader = matches!(kept, Piece::AsReader);
            let mut to = To { cx: self.cx, conn: self.core.client };
            let written = match kept {
                Piece::Kept(piece) => body.data_owned(&mut to, piece),
                Piece::Passing => body.data(&mut to, data),
                Piece::AsReader => Ok(()),
            };
            if let Err(error) = written {
                return self.give_up(Some(link), Failure::Response(error));
            }
            if self.core.client != ConnId::NOBODY && !as_reader {
                self.core.record.sent += data.len() as u64;
            }
            self.expect_more(link, body);
        }
        match self.share_on(link, &mut receiving) {
            Ok(()) => State::Relay { link, sending, receiving, reusable },
            Err(failure) => self.give_up(Some(link), failure),
        }
    }

    fn response_passed(
        &mut self,
        link: Link,
        sending: BodyWriter,
        mut receiving: Receiving,
        reusable: bool,
        length: u64,
    ) -> State {
        if let Receiving::Body(body) = &mut receiving {
            self.core.record.sent += length;
            if let Err(error) = body.skip(length) {
                return self.give_up(Some(link), Failure::Response(error));
            }
            self.expect_more(link, body);
        }
        State::Relay { link, sending, receiving, reusable }
    }

    /// A small body that came in one piece needs no deadline; one that trickles has a new one for each part.
    fn expect_more(&mut self, link: Link, body: &BodyWriter) {
        if *body != BodyWriter::Exact(0) {
            let by = self.cx.now() + self.parts.shared.config.deadlines.response;
            self.expect_upstream(link, Some(by));
        }
    }

    fn response_end(
        &mut self,
        link: Link,
        sending: BodyWriter,
        mut receiving: Receiving,
        reusable: bool,
        trailers: &Fields,
    ) -> State {
        match receiving {
            Receiving::Unchanged(entry) => return self.complete_unchanged(link, reusable, &entry),
            Receiving::Again => {
                let _ = self.complete(link, reusable);
                return self.route(None);
            }
            _ => {}
        }
        let is_reader = self.core.caching.as_ref().is_some_and(|caching| caching.own.is_some());
        if let Receiving::Body(body) = &mut receiving
            && !is_reader
            && let Err(error) = body.end(&mut To { cx: self.cx, conn: self.core.client }, trailers)
        {
            return self.give_up(Some(link), Failure::Response(error));
        }
        self.keep_complete(trailers);
        if is_reader && let Receiving::Body(body) = receiving {
            let done = self.complete(link, reusable);
            return self.read_rest(body).unwrap_or(done);
        }
        if self.core.request_complete || !reusable {
            return self.complete(link, reusable);
        }
        self.expect_upstream(link, None);
        self.expect_body(0);
        State::Relay { link, sending, receiving: Receiving::Complete, reusable }
    }

    /// The backend has confirmed what is stored: that is the answer.
    fn complete_unchanged(&mut self, link: Link, reusable: bool, entry: &Arc<Entry>) -> State {
        let done = self.complete(link, reusable);
        if self.core.client == ConnId::NOBODY {
            return done;
        }
        self.serve(entry, Did::Validated)
    }

    /// The backend failed: before its response, another one may be asked.
    fn upstream_failed(&mut self, link: Link, receiving: &Receiving, failure: Failure) -> State {
        match receiving {
            Receiving::Head => self.lost(link, failure, true),
            _ => self.give_up(Some(link), failure),
        }
    }

    /// The response does not begin in time, or does not go on.
    fn response_late(&mut self, link: Link, receiving: &Receiving) -> State {
        match receiving {
            Receiving::Head => self.lost(link, Failure::FirstByteTimeout, true),
            _ => self.give_up(Some(link), Failure::ResponseTimeout),
        }
    }

    /// The backend ended or reset its connection before the response did.
    fn upstream_gone(&mut self, link: Link, receiving: &Receiving) -> State {
        match receiving {
            Receiving::Head => self.lost(link, Failure::UpstreamClosed, true),
            Receiving::Body(_) | Receiving::Unchanged(_) | Receiving::Again => {
                self.give_up(Some(link), Failure::Truncated)
            }
            Receiving::Complete => {
                self.close_after("backend closed before the request ended");
                self.complete(link, false)
            }
        }
    }

    /// Both messages are through, or the rest of the request interests nobody.
    fn complete(&mut self, link: Link, reusable: bool) -> State {
        if reusable && self.core.request_complete {
            self.parts.give_back(link, self.cx);
        } else {
            self.parts.close_link(link, Outcome::Success, self.cx);
        }
        State::Done(Ok(()))
    }

    /// The backend switches protocols: from here on we relay bytes.
    fn switched(&mut self, link: Link, head: &ResponseHead) -> State {
        let proper = headers::accepts_an_offer(head, &self.core.head);
        if !(self.core.upgrade && self.core.request_complete && proper) {
            return self.give_up(Some(link), Failure::UnaskedUpgrade);
        }
        self.core.record.status = head.status.code();
        let mut out = std::mem::take(&mut self.parts.scratch);
        headers::write_interim(&mut out, head);
        self.cx.send(self.core.client, out.split().freeze());
        self.parts.scratch = out;
        // The exchange ends here, and its deadline with it: a tunnel has one of its own.
        self.core.until = None;
        self.arm(None);
        let idle_until = self.cx.now() + self.parts.shared.config.deadlines.tunnel;
        self.expect_upstream(link, Some(idle_until));
        // Whatever the client sent after its request head was kept back until now.
        self.parts.ready.push(self.core.client);
        State::Tunnel { link, client_ended: false, backend_ended: false }
    }
}
