//! An answer of the admin listener, and how it is written.

use crate::http::Status;
use serde_json::Value;

/// An answer to a visitor.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    /// Its `Content-Type`.
    pub(super) kind: &'static str,
    /// More header fields, each with its line end.
    pub(super) extra: &'static str,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn new(status: Status, kind: &'static str, body: String) -> Self {
        Self { status, kind, extra: "", body }
    }

    /// A line or more for people.
    pub(super) fn text(status: Status, body: impl Into<String>) -> Self {
        Self::new(status, "text/plain", body.into())
    }

    /// A value for programs and people.
    pub(super) fn json(status: Status, value: &Value) -> Self {
        // A value that was made here has no keys that are no strings, and nothing else can fail.
        Self::new(status, "application/json", serde_json::to_string_pretty(value).unwrap_or_default() + "\n")
    }

    /// 405. `allow`: the field that says which methods there are, with its line end.
    pub(super) fn only(allow: &'static str, body: &str) -> Self {
        Self { extra: allow, ..Self::text(Status::METHOD_NOT_ALLOWED, body) }
    }

    /// As bytes. `brief`: without the body, for `HEAD`.
    pub(super) fn written(&self, persist: bool, brief: bool) -> Vec<u8> {
        let Self { status, kind, extra, body } = self;
        let connection = if persist { "" } else { "Connection: close\r\n" };
        format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n{extra}{connection}\r\n{}",
            status.code(),
            status.reason(),
            body.len(),
            if brief { "" } else { body }
        )
        .into_bytes()
    }
}
