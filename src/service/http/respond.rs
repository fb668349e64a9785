//! The head of a response, as it goes over the wire.

use super::{
    Name,
    plan::{Answer, Content, Field},
};
use crate::{
    buf::Output,
    http::{BodyLength, Status, Version, http_date},
    service::say,
    session::CloseReason,
};
use std::time::SystemTime;

/// What the response depends on besides the plan, kept from the request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// HTTP/1.0 knows neither chunks nor, unless it says so, a second request.
    pub(super) version: Version,
    /// `HEAD`: the same response without its content.
    pub(super) head_only: bool,
    /// Whether another request may follow on this connection.
    pub(super) reuse: Result<(), CloseReason>,
}

/// What a response's head says, besides who answers when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: Status,
    /// One more field.
    pub(super) field: Option<Field>,
    /// Where the content ends; `None` for a status that has none.
    pub(super) length: Option<BodyLength>,
}

/// How a peer learns where content ends whose length nobody knows yet.
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
        // Whatever the request's version: a server names the one it speaks (RFC 9110 §6.2).
        say(output, format_args!("HTTP/1.1 {} {}\r\nDate: ", self.status.code(), self.status.reason()));
        output.extend(&http_date(wall));
        say(output, format_args!("\r\nX-Backend: {name}\r\n"));
        if self.length.is_some() {
            output.extend(b"Content-Type: text/plain; charset=utf-8\r\n");
        }
        match self.length {
            Some(BodyLength::Exact(length)) => say(output, format_args!("Content-Length: {length}\r\n")),
            Some(BodyLength::Chunked) => output.extend(b"Transfer-Encoding: chunked\r\n"),
            Some(BodyLength::Empty | BodyLength::UntilClose) | None => {}
        }
        match self.field {
            Some(Field::Allow(methods)) => say(output, format_args!("Allow: {methods}\r\n")),
            Some(Field::RetryAfter) => output.extend(b"Retry-After: 1\r\n"),
            None => {}
        }
        match asked.reuse {
            Err(_) => output.extend(b"Connection: close\r\n"),
            // A client of that version takes silence for a close.
            Ok(()) if asked.version == Version::Http10 => output.extend(b"Connection: keep-alive\r\n"),
            Ok(()) => {}
        }
        output.extend(b"\r\n");
    }
}
