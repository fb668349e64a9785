//! The head of an answer for an HTTP/1 client: the fields of the response, with those that are about this
//! connection alone: how the content is framed, and whether another request may follow (RFC 9112 §6, §9.3).

use super::{
    Announced,
    http1::{Closes, Http1},
};
use crate::{
    app::Cx,
    cache::{Answer as Selected, CacheStatus, store::Entry},
    http::{self, BodyLength, BodyWriter, ResponseHead, Version, framing},
    proxy::{answer::Answer, config::Forwarding, headers, worker::Worker},
};
use bytes::BufMut as _;

impl Http1 {
    pub(super) fn interim(&mut self, head: &ResponseHead, worker: &mut Worker, cx: &mut Cx) {
        if self.version == Version::Http11 {
            cx.send(self.conn, worker.writing.head(|out| headers::write_interim(out, head)));
        }
    }

    pub(super) fn switch(&mut self, head: &ResponseHead, worker: &mut Worker, cx: &mut Cx) {
        self.becomes_tunnel();
        cx.send(self.conn, worker.writing.head(|out| headers::write_interim(out, head)));
        // The bytes that the client sent after its request head were kept back until now.
        worker.ready.push(self.conn);
    }

    pub(super) fn head(
        &mut self,
        head: &ResponseHead,
        body: BodyLength,
        cache_status: Option<CacheStatus<'_>>,
        worker: &mut Worker,
        cx: &mut Cx,
    ) {
        let framing = self.begin(body, worker.draining);
        self.body = BodyWriter::of(framing);
        let (client, persist) = (self.version, self.closes().is_none());
        let hsts = worker.hsts_for(self.conn);
        let Worker { writing, shared, .. } = worker;
        let message = writing.dated_head(cx.clock().wall, |out, date| {
            let outbound =
                headers::Outbound { head, framing, client, persist, date, cache_status, hsts: hsts.as_deref() };
            headers::write_response(out, &outbound, &shared.config.forwarding);
        });
        cx.send(self.conn, message);
    }

    pub(super) fn stored(
        &mut self,
        entry: &Entry,
        body: Announced,
        cache_status: Option<CacheStatus<'_>>,
        worker: &mut Worker,
        cx: &mut Cx,
    ) {
        let framing = self.begin(body.length, worker.draining);
        self.body = if body.follows { BodyWriter::of(framing) } else { BodyWriter::Empty };
        let hsts = worker.hsts_for(self.conn);
        let Worker { writing, shared, .. } = worker;
        let message = writing.head(|out| {
            out.put_slice(&entry.wire);
            if framing != BodyLength::Empty {
                framing::write_field(framing, out);
            }
            if hsts.is_some() && !entry.stored.head.fields.contains(headers::HSTS) {
                headers::write_hsts(out, hsts.as_deref());
            }
            self.end_stored(out, entry, cache_status, &shared.config.forwarding, cx);
        });
        cx.send(self.conn, message);
    }

    pub(super) fn selected(
        &mut self,
        entry: &Entry,
        answer: &Selected,
        cache_status: Option<CacheStatus<'_>>,
        worker: &mut Worker,
        cx: &mut Cx,
    ) {
        let length = answer.length(&entry.stored);
        self.begin(BodyLength::Exact(length), worker.draining);
        self.body = BodyWriter::Exact(length);
        let hsts = worker.hsts_for(self.conn);
        let Worker { writing, shared, .. } = worker;
        let message = writing.head(|out| {
            answer.write_head(&entry.stored, out);
            headers::write_via(out, &entry.stored.head, &shared.config.forwarding);
            if hsts.is_some() && !entry.stored.head.fields.contains(headers::HSTS) {
                headers::write_hsts(out, hsts.as_deref());
            }
            self.end_stored(out, entry, cache_status, &shared.config.forwarding, cx);
        });
        cx.send(self.conn, message);
    }

    pub(super) fn own(&mut self, answer: &Answer, worker: &mut Worker, cx: &mut Cx) {
        self.begin(BodyLength::Exact(answer.content().len() as u64), worker.draining);
        let (version, persists) = (self.version, self.closes().is_none());
        let hsts = worker.hsts_for(self.conn);
        let message = worker.writing.dated_head(cx.clock().wall, |out, date| {
            write_own(out, answer, version, persists, date, hsts.as_deref());
        });
        cx.send(self.conn, message);
    }

    /// A final head is to be written: how its content is framed, and what follows from that for the connection.
    fn begin(&mut self, body: BodyLength, draining: bool) -> BodyLength {
        // A head without a word about the end would promise another turn.
        if draining {
            self.closes_for(Closes::Draining);
        }
        let framing = self.framing(body);
        if framing == BodyLength::UntilClose {
            self.closes_for(Closes::EndsWithConnection);
        }
        framing
    }

    /// The fields that differ from hit to hit.
    fn end_stored(
        &self,
        out: &mut Vec<u8>,
        entry: &Entry,
        cache_status: Option<CacheStatus<'_>>,
        forwarding: &Forwarding,
        cx: &Cx,
    ) {
        out.put_slice(b"Age: ");
        framing::write_decimal(u64::from(entry.stored.freshness.age_seconds(cx.now())), out);
        out.put_slice(b"\r\n");
        headers::write_cache_status(out, cache_status, forwarding);
        out.put_slice(connection(self.closes().is_none(), self.version));
        out.put_slice(b"\r\n");
    }
}

/// Writes an answer of the proxy itself, for a client of that version whose connection persists or does not.
pub(in crate::proxy) fn write_own(
    out: &mut Vec<u8>,
    answer: &Answer,
    version: Version,
    persists: bool,
    date: &str,
    hsts: Option<&str>,
) {
    http::write_status_line(Version::Http11, answer.status, answer.status.reason().as_bytes(), out);
    for text in ["Date: ", date, "\r\nContent-Type: ", &answer.content_type, "\r\nContent-Length: "] {
        out.put_slice(text.as_bytes());
    }
    framing::write_decimal(answer.length() as u64, out);
    out.put_slice(b"\r\n");
    for (name, value) in answer.fields.iter() {
        headers::field(out, name, value);
    }
    headers::write_hsts(out, hsts.filter(|_| !answer.fields.contains(headers::HSTS)));
    out.put_slice(connection(persists, version));
    out.put_slice(b"\r\n");
    out.put_slice(answer.content());
}

/// The line that says whether the connection persists, where that is not what the version says by itself (RFC 9112 §9.3).
fn connection(persists: bool, version: Version) -> &'static [u8] {
    match (persists, version) {
        (false, _) => b"Connection: close\r\n",
        (true, Version::Http10) => b"Connection: keep-alive\r\n",
        (true, Version::Http11) => b"",
    }
}
