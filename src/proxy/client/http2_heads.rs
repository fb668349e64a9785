//! The head of an answer for a stream: the fields of the response, compressed where they are sent from. Nothing in it is about the
//! connection (RFC 9113 §8.2.2).

use super::{Announced, http2::Http2};
use crate::{
    app::{ConnId, Cx},
    cache::{Answer as Selected, CacheStatus, store::Entry},
    http::{BodyLength, Fields, ResponseHead, Status, framing},
    http2::HeadWriter,
    proxy::{
        answer::Answer,
        config::Forwarding,
        headers::{self, FieldSink},
        streams::{self, Streams},
        worker::Worker,
    },
};

impl FieldSink for HeadWriter<'_> {
    fn field(&mut self, name: impl AsRef<[u8]>, value: &[&[u8]]) {
        self.field_of(name.as_ref(), value);
    }

    fn lines(&mut self, fields: &Fields, mut goes: impl FnMut(&[u8], &[u8]) -> bool) {
        for (name, value) in fields.lines().filter(|(name, value)| goes(name, value)) {
            HeadWriter::field(self, name, value);
        }
    }
}

impl Http2 {
    pub(super) fn interim(&self, head: &ResponseHead, worker: &mut Worker) {
        let Some(streams) = worker.speak(self.conn) else { return };
        let Some(mut out) = streams.core.respond(self.stream, head.status) else { return };
        headers::interim_fields(&mut out, head);
        out.finish(false);
    }

    /// In HTTP/2, a tunnel begins with a success, and not with a switch (RFC 8441 §5).
    pub(super) const SWITCHED: Status = Status::OK;

    /// The backend speaks the protocol of a tunnel.
    pub(super) fn switch(&mut self, head: &ResponseHead, worker: &mut Worker, cx: &Cx) {
        let Worker { table, unwritten, writing, shared, .. } = worker;
        let Some(streams) = streams::speak(table, unwritten, self.conn) else { return };
        let Some(mut out) = streams.core.respond(self.stream, Self::SWITCHED) else { return };
        let date = writing.date(cx.clock().wall);
        headers::tunnel_fields(&mut out, head, date, &shared.config.forwarding);
        out.finish(false);
        self.owes(BodyLength::UntilClose);
        // The bytes that the client sent behind its request were kept back until now.
        self.begin_body(false, worker);
    }

    pub(super) fn head(
        &mut self,
        head: &ResponseHead,
        body: BodyLength,
        cache_status: Option<CacheStatus<'_>>,
        worker: &mut Worker,
        cx: &Cx,
    ) {
        self.owes(body);
        let Worker { table, unwritten, writing, shared, .. } = worker;
        let Some(streams) = streams::speak(table, unwritten, self.conn) else { return };
        let hsts = hsts(streams, shared.config.hsts.as_deref(), &head.fields);
        let Some(mut out) = streams.core.respond(self.stream, head.status) else { return };
        let forwarding = &shared.config.forwarding;
        headers::response_fields(&mut out, head, writing.date(cx.clock().wall), cache_status, forwarding);
        match body {
            BodyLength::Exact(length) => write_length(&mut out, length),
            // HEAD and 304 announce the length of content that they do not have (RFC 9110 §8.6).
            BodyLength::Empty if head.status.may_declare_length() => {
                framing::announced(&head.fields).into_iter().for_each(|length| write_length(&mut out, length));
            }
            BodyLength::Empty | BodyLength::Chunked | BodyLength::UntilClose => {}
        }
        write_hsts(&mut out, hsts);
        out.finish(false);
    }

    pub(super) fn stored(
        &mut self,
        entry: &Entry,
        body: Announced,
        cache_status: Option<CacheStatus<'_>>,
        worker: &mut Worker,
        cx: &Cx,
    ) {
        self.owes(if body.follows { body.length } else { BodyLength::Empty });
        let Worker { table, unwritten, shared, .. } = worker;
        let Some(streams) = streams::speak(table, unwritten, self.conn) else { return };
        let head = &entry.stored.head;
        let hsts = hsts(streams, shared.config.hsts.as_deref(), &head.fields);
        let Some(mut out) = streams.core.respond(self.stream, head.status) else { return };
        FieldSink::lines(&mut out, &head.fields, |_, _| true);
        if let BodyLength::Exact(length) = body.length {
            write_length(&mut out, length);
        }
        end_stored(&mut out, entry, hsts, cache_status, &shared.config.forwarding, cx);
        out.finish(false);
    }

    pub(super) fn selected(
        &mut self,
        entry: &Entry,
        answer: &Selected,
        cache_status: Option<CacheStatus<'_>>,
        worker: &mut Worker,
        cx: &Cx,
    ) {
        self.owes(BodyLength::Exact(answer.length(&entry.stored)));
        let Worker { table, unwritten, shared, .. } = worker;
        let Some(streams) = streams::speak(table, unwritten, self.conn) else { return };
        let hsts = hsts(streams, shared.config.hsts.as_deref(), &entry.stored.head.fields);
        let Some(mut out) = streams.core.respond(self.stream, answer.status(&entry.stored)) else { return };
        let mut text = Vec::new();
        answer.write_head(&entry.stored, &mut text);
        for (name, value) in lines_of(&text) {
            out.field(name, value);
        }
        end_stored(&mut out, entry, hsts, cache_status, &shared.config.forwarding, cx);
        out.finish(false);
    }

    pub(super) fn own(&mut self, answer: &Answer, worker: &mut Worker, cx: &Cx) {
        write_own_http2(answer, self.conn, self.stream, worker, cx);
    }
}

/// Writes an answer of the proxy itself, with its content and its end.
pub(in crate::proxy) fn write_own_http2(answer: &Answer, conn: ConnId, stream: u32, worker: &mut Worker, cx: &Cx) {
    let Worker { table, unwritten, writing, shared, .. } = worker;
    let Some(streams) = streams::speak(table, unwritten, conn) else { return };
    let hsts = hsts(streams, shared.config.hsts.as_deref(), &answer.fields);
    let Some(mut out) = streams.core.respond(stream, answer.status) else { return };
    out.field(b"date", writing.date(cx.clock().wall).as_bytes());
    out.field(b"content-type", answer.content_type.as_bytes());
    write_length(&mut out, answer.length() as u64);
    FieldSink::lines(&mut out, &answer.fields, |_, _| true);
    write_hsts(&mut out, hsts);
    out.finish(false);
    streams.core.send_copy(stream, answer.content());
    streams.core.finish(stream, Fields::new());
}

/// The fields that differ from hit to hit, and those that stand behind the stored ones.
fn end_stored(
    out: &mut HeadWriter<'_>,
    entry: &Entry,
    hsts: Option<&str>,
    cache_status: Option<CacheStatus<'_>>,
    forwarding: &Forwarding,
    cx: &Cx,
) {
    headers::via_field(out, &entry.stored.head, forwarding);
    write_hsts(out, hsts);
    let age = u64::from(entry.stored.freshness.age_seconds(cx.now()));
    write_decimal(out, b"age", age);
    headers::cache_status_field(out, cache_status, forwarding);
}

/// The rule that a client with TLS hears for its next connections, unless the backend has one of its own.
fn hsts<'h>(streams: &Streams, ours: Option<&'h str>, fields: &Fields) -> Option<&'h str> {
    ours.filter(|_| streams.secure.is_some() && !fields.contains(headers::HSTS))
}

fn write_hsts(out: &mut HeadWriter<'_>, hsts: Option<&str>) {
    if let Some(value) = hsts {
        out.field(headers::HSTS.as_bytes(), value.as_bytes());
    }
}

fn write_length(out: &mut HeadWriter<'_>, length: u64) {
    write_decimal(out, b"content-length", length);
}

fn write_decimal(out: &mut HeadWriter<'_>, name: &[u8], number: u64) {
    out.field(name, framing::decimal(number, &mut [0; 20]));
}

/// The field lines of a head that we have written as text ourselves.
fn lines_of(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = head.split(|byte| *byte == b'\n').skip(1).filter_map(|line| line.strip_suffix(b"\r"));
    lines.filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii_start()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_head_as_text() {
        let text = b"HTTP/1.1 206 Partial Content\r\nETag: \"a:b\"\r\nContent-Range: bytes 0-1/3\r\nX:\r\n";
        let lines: Vec<_> = lines_of(text).collect();
        assert_eq!(lines, [(&b"ETag"[..], &b"\"a:b\""[..]), (b"Content-Range", b"bytes 0-1/3"), (b"X", b"")]);
    }
}
