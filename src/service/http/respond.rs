//! The head of a response, as it goes over the wire.

use super::{
    Name,
    plan::{Answer, Content, Field},
};
use crate::{
    buf::Output,
    http::{BodyLength, Status, Version, framing, http_date, write_connection, write_status_line},
    session::CloseReason,
};
use std::time::SystemTime;

/// Bytes that most heads are shorter than.
const USUAL: usize = 256;

/// The facts of the request's head that the response depends on besides the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// HTTP/1.0 knows neither chunks nor, unless it says so, a second request.
    pub(super) version: Version,
    /// `HEAD`: the same response without its content.
    pub(super) head_only: bool,
    /// Whether another request may follow on this connection.
    pub(super) reuse: Result<(), CloseReason>,
}

/// The head of a response, without the server's name and the date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: Status,
    /// One more field.
    pub(super) field: Option<Field>,
    /// Where the content ends; `None` for a status that has none.
    pub(super) length: Option<BodyLength>,
}

/// How a peer learns where content ends whose length is not known yet.
pub(super) fn unknown_length(version: Version) -> BodyLength {
    match version {
        Version::Http11 => BodyLength::Chunked,
        Version::Http10 => BodyLength::UntilClose,
    }
}

impl Answer {
    pub(super) fn head(&self, version: Version) -> Head {
        let length = match &self.content {
            Content::Text(text) => BodyLength::Exact(text.len() as u64),
            Content::Declared(length) => BodyLength::Exact(*length),
            Content::Chunked(_) => unknown_length(version),
        };
        Head { status: self.status, field: self.field, length: (!self.status.is_bodiless()).then_some(length) }
    }
}

impl Head {
    pub(super) fn write(self, asked: Asked, name: &Name, wall: SystemTime, output: &mut Output) {
        let out = output.tail(USUAL);
        // The version does not depend on the request's: a server names the one that it speaks (RFC 9110 §6.2).
        write_status_line(Version::Http11, self.status, self.status.reason().as_bytes(), out);
        for part in [b"Date: ", &http_date(wall)[..], b"\r\nX-Backend: ", name.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
        if let Some(length) = self.length {
            out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n");
            framing::write_field(length, out);
        }
        match self.field {
            Some(Field::Allow(methods)) => {
                out.extend_from_slice(format!("Allow: {}\r\n", methods.join(", ")).as_bytes())
            }
            Some(Field::RetryAfter) => out.extend_from_slice(b"Retry-After: 1\r\n"),
            Some(Field::MaxAge(seconds)) => {
                out.extend_from_slice(b"Cache-Control: max-age=");
                framing::write_decimal(seconds.into(), out);
                out.extend_from_slice(b"\r\n");
            }
            None => {}
        }
        write_connection(asked.version, asked.reuse.is_ok(), out);
        out.extend_from_slice(b"\r\n");
    }
}
