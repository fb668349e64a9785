//! Answers from the cache: a head written for this client, and the stored body by reference.

use super::{Close, Event, Failure, State, Turn};
use crate::{
    cache::{Answer, CacheStatus, Did, Forward, Incomplete, Key, answer, status::Origin, store::Entry},
    http::{BodyLength, Version, framing::write_decimal},
    proxy::headers,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use rand::RngExt as _;
use std::{sync::Arc, vec};

/// So much is given to the driver at once. It tells when a call of at least that size has left, and so the next part can
/// wait for it.
pub(super) const STEP: usize = 1024 * 1024;

impl Turn<'_> {
    /// Answers with what is stored, which `did` happen to the request.
    pub(super) fn serve(&mut self, entry: &Arc<Entry>, did: Did) -> State {
        let now = self.cx.clock();
        let boundary = || self.parts.rng.random();
        match answer(&self.core.head, &entry.stored, now.wall, boundary) {
            Ok(Answer::Whole) => self.serve_whole(entry, did, true),
            Ok(Answer::Head) => self.serve_whole(entry, did, false),
            Ok(answer) => self.serve_answer(entry, did, &answer),
            // Not chosen if it is not whole.
            Err(Incomplete) => self.go_alone(),
        }
    }

    /// Says in the counters and in the log what was done with a stored response.
    pub(super) fn note(&mut self, did: Did, entry: &Entry) {
        let is_stale = entry.stored.freshness.left(self.cx.now()).is_err();
        self.core.record.cache = Some(did);
        self.parts.counters().cache.count(did, is_stale);
    }

    /// Says in the counters and in the log that a backend is to be asked: once, whatever comes of it.
    pub(super) fn note_forward(&mut self, why: Forward) {
        let did = Did::Forwarded(why);
        self.core.record.cache = Some(did);
        self.parts.counters().cache.count(did, false);
    }

    /// The usual case: the whole response, or its head.
    fn serve_whole(&mut self, entry: &Arc<Entry>, did: Did, with_body: bool) -> State {
        self.note(did, entry);
        let body = &entry.stored.body;
        let framing =
            if entry.stored.head.status.is_bodiless() { BodyLength::Empty } else { BodyLength::Exact(body.len()) };
        self.send_stored_head(entry, framing);
        if !with_body {
            return State::Done(Ok(()));
        }
        self.core.record.sent += body.len();
        if body.len() <= STEP as u64 {
            body.pieces().iter().for_each(|piece| self.send_client(piece.clone()));
            return State::Done(Ok(()));
        }
        self.serve_on(body.pieces().to_vec().into_iter())
    }

    /// What only some clients get: that their own copy is good, or parts of the body.
    pub(super) fn serve_answer(&mut self, entry: &Arc<Entry>, did: Did, answer: &Answer) -> State {
        self.note(did, entry);
        if self.parts.draining {
            self.close_after("draining");
        }
        self.core.record.status = answer.status(&entry.stored).code();
        self.core.record.sent += answer.length(&entry.stored);
        let mut head = Vec::with_capacity(entry.wire.len() + 256);
        answer.write_head(&entry.stored, &mut head);
        let mut out = std::mem::take(&mut self.parts.scratch);
        out.put_slice(&head);
        headers::write_via(&mut out, &entry.stored.head, &self.parts.shared.config.forwarding);
        self.end_stored_head(&mut out, entry);
        let head = out.split().freeze();
        self.parts.scratch = out;
        self.send_client(head);
        self.serve_on(answer.body(&entry.stored).collect::<Vec<_>>().into_iter())
    }

    /// The next part of a body that is too long to be sent at once.
    pub(super) fn serve_on(&mut self, mut rest: vec::IntoIter<Bytes>) -> State {
        let mut given = 0;
        while given < STEP
            && let Some(piece) = rest.next()
        {
            given += piece.len();
            self.send_client(piece);
        }
        if rest.len() == 0 { State::Done(Ok(())) } else { State::Serve(rest) }
    }

    /// Writes the head of a stored response.
    pub(super) fn send_stored_head(&mut self, entry: &Entry, framing: BodyLength) {
        if self.parts.draining {
            self.close_after("draining");
        }
        if framing == BodyLength::UntilClose {
            self.close_after("response ends with the connection");
        }
        self.core.record.status = entry.stored.head.status.code();
        let mut out = std::mem::take(&mut self.parts.scratch);
        out.put_slice(&entry.wire);
        match framing {
            BodyLength::Empty => {}
            BodyLength::Exact(length) => number(&mut out, b"Content-Length: ", length),
            BodyLength::Chunked => out.put_slice(b"Transfer-Encoding: chunked\r\n"),
            BodyLength::UntilClose => {}
        }
        self.end_stored_head(&mut out, entry);
        let head = out.split().freeze();
        self.parts.scratch = out;
        self.send_client(head);
    }

    /// What differs from hit to hit.
    fn end_stored_head(&self, out: &mut BytesMut, entry: &Entry) {
        number(out, b"Age: ", u64::from(entry.stored.freshness.age_seconds(self.cx.now())));
        self.put_status(out, Some(entry), false);
        match (self.core.close == Close::No, self.core.head.version) {
            (false, _) => out.put_slice(b"Connection: close\r\n"),
            (true, Version::Http10) => out.put_slice(b"Connection: keep-alive\r\n"),
            (true, Version::Http11) => {}
        }
        out.put_slice(b"\r\n");
    }

    /// `Cache-Status` (RFC 9211): `entry` is what the client gets, if it comes from the cache.
    pub(super) fn put_status(&self, out: &mut BytesMut, entry: Option<&Entry>, stored: bool) {
        let Some(cache) = self.parts.shared.cache.as_ref().filter(|cache| cache.config.status) else { return };
        let origin = match (&self.core.caching, self.core.record.cache) {
            (None, _) | (_, Some(Did::Hit | Did::HitStale)) => Origin::Hit,
            // Nobody could be asked, so that what is stored stands in for the answer: nothing came from there (§2.1).
            (Some(caching), Some(Did::IfError)) if caching.status.is_none() => Origin::Hit,
            (Some(caching), _) => {
                Origin::Forwarded { why: caching.why, status: caching.status, stored, collapsed: caching.collapsed }
            }
        };
        let ttl = entry.map(|entry| entry.stored.freshness.ttl_seconds(self.cx.now()));
        let key = cache.config.status_key.then(|| self.uri()).flatten();
        let key = key.map(|uri| uri.to_key());
        out.put_slice(b"Cache-Status: ");
        CacheStatus { origin, ttl, key: key.as_ref().map(Key::as_str) }
            .write_to(self.parts.shared.config.forwarding.pseudonym, out);
        out.put_slice(b"\r\n");
    }

    /// Sends to the client, if there is one.
    pub(super) fn send_client(&mut self, bytes: impl Into<Bytes>) {
        if self.core.client != crate::app::ConnId::NOBODY {
            self.cx.send(self.core.client, bytes);
        }
    }

    /// What a stored response that is being sent does with an event.
    pub(super) fn serving(&mut self, rest: vec::IntoIter<Bytes>, event: Event<'_>) -> State {
        match event {
            Event::Drained => self.serve_on(rest),
            Event::ClientLost(failure) | Event::RequestBad(failure) => self.give_up(None, failure),
            Event::Expired if self.exchange_is_late() => self.give_up(None, Failure::ExchangeTimeout),
            _ => State::Serve(rest),
        }
    }
}

fn number(out: &mut BytesMut, name: &[u8], value: u64) {
    out.put_slice(name);
    write_decimal(value, out);
    out.put_slice(b"\r\n");
}
