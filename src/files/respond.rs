//! Responses as they go over the wire: the end of a head that all have in common, and responses that have no file.

use super::{Refusal, listing::Form, path::Place};
use crate::{
    buf::Output,
    http::{BodyLength, Fields, RequestHead, Status, Version, framing, http_date, write_connection, write_status_line},
    session::CloseReason,
    time::Instant,
};
use bytes::Bytes;
use std::time::SystemTime;

/// Bytes that most heads are shorter than.
pub(super) const USUAL: usize = 512;

/// Methods that the server knows (RFC 9110 §15.5.6).
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// A page with no script and nothing from elsewhere: a name that got past the escapes would still do nothing.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A request whose head was read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) head: RequestHead,
    pub(super) asked: Asked,
    /// When its head was there.
    pub(super) began: Instant,
    /// Its file was overwritten while it was compressed: it is sent as it is now, because it may be overwritten again.
    pub(super) again: bool,
}

/// The facts of a request that its response depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) version: Version,
    /// HEAD: the same without its content.
    pub(super) head_only: bool,
    /// Whether another request may follow.
    pub(super) reuse: Result<(), CloseReason>,
}

impl Asked {
    /// Of a request that could not be understood.
    pub(super) fn unknown(reason: CloseReason) -> Self {
        Self { version: Version::Http11, head_only: false, reuse: Err(reason) }
    }

    /// Ends a head: the fields that differ from response to response, and the empty line.
    pub(super) fn end_head(&self, wall: SystemTime, out: &mut Vec<u8>) {
        for part in [b"Date: ", &http_date(wall)[..], b"\r\n"] {
            out.extend_from_slice(part);
        }
        write_connection(self.version, self.reuse.is_ok(), out);
        out.extend_from_slice(b"\r\n");
    }
}

/// A response that has no file.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) status: Status,
    fields: Fields,
    content: Bytes,
}

impl Own {
    fn new(status: Status, content_type: &str, content: Bytes) -> Self {
        let mut fields = Fields::new();
        if !content_type.is_empty() {
            fields.push("Content-Type", content_type);
        }
        // Such an answer is of its moment: a file may be there the next time.
        fields.push("Cache-Control", "no-cache");
        fields.push("X-Content-Type-Options", "nosniff");
        Self { status, fields, content }
    }

    /// An error, or what is short of one, in a line of text.
    pub(super) fn text(status: Status, why: &str) -> Self {
        let text = format!("{} {}: {why}\n", status.code(), status.reason());
        Self::new(status, "text/plain; charset=utf-8", text.into())
    }

    /// The same, and when to ask again.
    pub(super) fn later(why: &str) -> Self {
        Self::text(Status::SERVICE_UNAVAILABLE, why).with("Retry-After", "1")
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Forbidden => Self::text(Status::FORBIDDEN, "the server may not read this"),
            Refusal::Busy => Self::later("too much is asked of the disk"),
            Refusal::Broken => Self::text(Status::INTERNAL_SERVER_ERROR, "the disk has failed"),
        }
    }

    pub(super) fn not_found() -> Self {
        Self::text(Status::NOT_FOUND, "there is no such file")
    }

    /// The answer to any other method.
    pub(super) fn method_not_allowed() -> Self {
        Self::text(Status::METHOD_NOT_ALLOWED, "files are read here, with GET or HEAD").with("Allow", ALLOW)
    }

    /// The answer to `OPTIONS` (RFC 9110 §9.3.7).
    pub(super) fn options() -> Self {
        Self::new(Status::OK, "", Bytes::new()).with("Allow", ALLOW)
    }

    pub(super) fn not_acceptable() -> Self {
        Self::text(Status::NOT_ACCEPTABLE, "no coding that Accept-Encoding allows is there")
            .with("Vary", "Accept-Encoding")
    }

    /// The same place as a directory, with the query that was asked. Only GET and HEAD come here, and every client follows this
    /// status.
    pub(super) fn moved(place: Place, query: Option<&str>) -> Self {
        let mut location = place.with_slash().to_url();
        if let Some(query) = query {
            location.push('?');
            location.push_str(query);
        }
        Self::text(Status::MOVED_PERMANENTLY, "a directory ends with a slash").with("Location", &location)
    }

    pub(super) fn listing(form: Form, content: Bytes) -> Self {
        let own = Self::new(Status::OK, form.content_type(), content).with("Vary", "Accept");
        if form == Form::Html { own.with("Content-Security-Policy", POLICY) } else { own }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push(name, value);
        self
    }

    /// Writes all of it; tells how long its content is.
    pub(super) fn write(self, asked: &Asked, wall: SystemTime, output: &mut Output) -> u64 {
        let length = self.content.len() as u64;
        let out = output.tail(USUAL);
        write_status_line(Version::Http11, self.status, self.status.reason().as_bytes(), out);
        self.fields.write_to(out);
        framing::write_field(if length == 0 { BodyLength::Empty } else { BodyLength::Exact(length) }, out);
        asked.end_head(wall, out);
        if asked.head_only {
            return 0;
        }
        output.push(self.content);
        length
    }
}
