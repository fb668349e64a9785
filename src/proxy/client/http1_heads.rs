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
    proxy::{answer::Answer, headers, parts::Parts},
};
use bytes::{BufMut as _, BytesMut};

impl Http1 {
    /// Writes a head with `write`, and sends it.
    fn say(&mut self, parts: &mut Parts, cx: &mut Cx, write: impl FnOnce(&mut Self, &mut BytesMut, &mut Parts, &Cx)) {
        let mut out = std::mem::take(&mut parts.scratch);
        write(self, &mut out, parts, cx);
        cx.send(self.conn, out.split().freeze());
        parts.scratch = out;
    }

    pub(super) fn interim(&mut self, head: &ResponseHead, parts: &mut Parts, cx: &mut Cx) {
        if self.version == Version::Http11 {
            self.say(parts, cx, |_, out, _, _| headers::write_interim(out, head));
        }
    }

    pub(super) fn switch(&mut self, head: &ResponseHead, parts: &mut Parts, cx: &mut Cx) {
        self.becomes_tunnel();
        self.say(parts, cx, |_, out, _, _| headers::write_interim(out, head));
        // The bytes that the client sent after its request head were kept back until now.
        parts.ready.push(self.conn);
    }

    pub(super) fn head(
        &mut self,
        head: &ResponseHead,
        body: BodyLength,
        cache_status: Option<CacheStatus<'_>>,
        parts: &mut Parts,
        cx: &mut Cx,
    ) {
        let framing = self.begin(body, parts);
        self.body = BodyWriter::of(framing);
        self.say(parts, cx, |client, out, parts, cx| {
            let outbound = headers::Outbound {
                head,
                framing,
                client: client.version,
                persist: client.closes().is_none(),
                date: parts.date.text(cx.clock().wall),
                cache_status,
            };
            headers::write_response(out, &outbound, &parts.shared.config.forwarding);
        });
    }

    pub(super) fn stored(
        &mut self,
        entry: &Entry,
        body: Announced,
        cache_status: Option<CacheStatus<'_>>,
        parts: &mut Parts,
        cx: &mut Cx,
    ) {
        let framing = self.begin(body.length, parts);
        self.body = if body.follows { BodyWriter::of(framing) } else { BodyWriter::Empty };
        self.say(parts, cx, |client, out, parts, cx| {
            out.put_slice(&entry.wire);
            if framing != BodyLength::Empty {
                framing::write_field(framing, out);
            }
            client.end_stored(out, entry, cache_status, parts, cx);
        });
    }

    pub(super) fn selected(
        &mut self,
        entry: &Entry,
        answer: &Selected,
        cache_status: Option<CacheStatus<'_>>,
        parts: &mut Parts,
        cx: &mut Cx,
    ) {
        let length = answer.length(&entry.stored);
        self.begin(BodyLength::Exact(length), parts);
        self.body = BodyWriter::Exact(length);
        self.say(parts, cx, |client, out, parts, cx| {
            let mut head = Vec::with_capacity(entry.wire.len() + 256);
            answer.write_head(&entry.stored, &mut head);
            out.put_slice(&head);
            headers::write_via(out, &entry.stored.head, &parts.shared.config.forwarding);
            client.end_stored(out, entry, cache_status, parts, cx);
        });
    }

    pub(super) fn own(&mut self, answer: &Answer, parts: &mut Parts, cx: &mut Cx) {
        self.begin(BodyLength::Exact(answer.content().len() as u64), parts);
        self.say(parts, cx, |client, out, parts, cx| {
            write_own(out, answer, client.version, client.closes().is_none(), parts.date.text(cx.clock().wall));
        });
    }

    /// A final head is to be written: how its content is framed, and what follows from that for the connection.
    fn begin(&mut self, body: BodyLength, parts: &Parts) -> BodyLength {
        // A head without a word about the end would promise another turn.
        if parts.draining {
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
        out: &mut BytesMut,
        entry: &Entry,
        cache_status: Option<CacheStatus<'_>>,
        parts: &Parts,
        cx: &Cx,
    ) {
        out.put_slice(b"Age: ");
        framing::write_decimal(u64::from(entry.stored.freshness.age_seconds(cx.now())), out);
        out.put_slice(b"\r\n");
        headers::write_cache_status(out, cache_status, &parts.shared.config.forwarding);
        out.put_slice(connection(self.closes().is_none(), self.version));
        out.put_slice(b"\r\n");
    }
}

/// Writes an answer of the proxy itself, for a client of that version whose connection persists or does not.
pub(in crate::proxy) fn write_own(out: &mut BytesMut, answer: &Answer, version: Version, persists: bool, date: &str) {
    http::write_status_line(Version::Http11, answer.status, answer.status.reason().as_bytes(), out);
    for text in ["Date: ", date, "\r\nContent-Type: ", answer.content_type, "\r\nContent-Length: "] {
        out.put_slice(text.as_bytes());
    }
    framing::write_decimal(answer.length() as u64, out);
    out.put_slice(b"\r\n");
    for (name, value) in answer.fields.iter() {
        headers::field(out, name, value);
    }
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
