//! From a stored response to what goes over the wire (RFC 9111 §4, RFC 9110 §14, §15).
//!
//! ```text
//! is the client's own copy good? ── yes ──▶ 304, no content            conditional
//!              │ no
//!     does it want a part? ──────── yes ──▶ 206, 416                   range
//!              │ no
//!       is it a HEAD? ───────────── yes ──▶ the head of 200
//!              │ no
//!             200, or whatever was stored
//! ```
//!
//! Deciding allocates nothing unless several parts were asked for, and content is never copied: [`Answer::body`] gives
//! references to what is stored.

use super::{
    Representation, Stored,
    conditional::not_modified,
    partial::is_digest_of_content,
    range::{Ranges, Selected, if_range_holds},
};
use crate::http::{self, BodyLength, Fields, Method, RequestHead, Status, Version, framing};
use bytes::{Bytes, BytesMut};
use std::{io::Write, ops::Range, time::SystemTime};

/// How a stored response answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// As it was stored.
    Whole,
    /// Its head, to a `HEAD`.
    Head,
    /// 304: the client has it.
    NotModified,
    /// 206 with these bytes.
    Part {
        /// Which.
        range: Range<u64>,
        /// The client named with `If-Range` what it has, and knows the rest of the head.
        brief: bool,
    },
    /// 206 with several parts.
    Parts(Box<Multipart>),
    /// 416: there are no such bytes.
    Unsatisfiable,
}

/// The stored part is not the one that the request needs: the backend has to be asked (RFC 9111 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incomplete;

/// Decides how `stored` answers `request`. Whether it may is another question, answered before: key, `Vary`, freshness.
///
/// `boundary` separates the parts; no author of content may be able to guess it.
pub fn answer<'a>(
    request: &RequestHead,
    stored: impl Into<Representation<'a>>,
    now: SystemTime,
    boundary: impl FnOnce() -> u128,
) -> Result<Answer, Incomplete> {
    let stored = stored.into();
    let part = part(request, stored, now, boundary);
    // A part answers nothing but requests for what is within it, not even that it has not changed (RFC 9111 §3.3).
    if !(stored.extent.is_whole() || matches!(part, Some(Ok(Answer::Part { .. } | Answer::Parts(_))))) {
        return Err(Incomplete);
    }
    if not_modified(request, stored, now) {
        return Ok(Answer::NotModified);
    }
    match (part, &request.method) {
        (Some(part), _) => part,
        (None, Method::Head) => Ok(Answer::Head),
        (None, _) => Ok(Answer::Whole),
    }
}

/// `None`: the request gets the whole.
fn part(
    request: &RequestHead,
    stored: Representation<'_>,
    now: SystemTime,
    boundary: impl FnOnce() -> u128,
) -> Option<Result<Answer, Incomplete>> {
    // Only what would be a 200 has parts (RFC 9110 §14.2), and nothing has none.
    if stored.head.status != Status::OK || stored.extent.is_empty() {
        return None;
    }
    let ranges = Ranges::of(request)?;
    if !if_range_holds(request, stored, now) {
        return None;
    }
    let brief = request.fields.contains("if-range");
    Some(match ranges.select(stored.extent) {
        Selected::One(range) => Ok(Answer::Part { range, brief }),
        Selected::Many(ranges) => Ok(Answer::Parts(Box::new(Multipart::of(ranges, stored, brief, boundary())))),
        Selected::Nothing => Ok(Answer::Unsatisfiable),
        Selected::Missing => Err(Incomplete),
    })
}

impl Answer {
    /// The status of the answer.
    #[must_use]
    pub fn status<'a>(&self, stored: impl Into<Representation<'a>>) -> Status {
        match self {
            Self::Whole | Self::Head => stored.into().head.status,
            Self::NotModified => Status::NOT_MODIFIED,
            Self::Part { .. } | Self::Parts(_) => Status::PARTIAL_CONTENT,
            Self::Unsatisfiable => Status::RANGE_NOT_SATISFIABLE,
        }
    }

    /// How many bytes of content follow the head.
    #[must_use]
    pub fn length<'a>(&self, stored: impl Into<Representation<'a>>) -> u64 {
        match self {
            Self::Whole => stored.into().extent.len(),
            Self::Head | Self::NotModified | Self::Unsatisfiable => 0,
            Self::Part { range, .. } => range.end - range.start,
            Self::Parts(parts) => parts.length,
        }
    }

    /// Appends the status line and all fields that follow from what is stored, with those that say how long the content
    /// is. The caller adds the fields that differ from hit to hit, and the end of the head: `Age` (RFC 9111 §4 wants it
    /// wherever a stored response is used), `Via`, `Connection`, `Cache-Status`.
    pub fn write_head<'a>(&self, stored: impl Into<Representation<'a>>, out: &mut Vec<u8>) {
        let stored = stored.into();
        let status = self.status(stored);
        match self {
            Self::Whole | Self::Head => http::write_status_line(Version::Http11, status, stored.head.reason(), out),
            _ => http::write_status_line(Version::Http11, status, status.reason().as_bytes(), out),
        }
        let fields = &stored.head.fields;
        // These fields mean nothing in a whole response, but something here.
        let says_which = |name: &str| name.eq_ignore_ascii_case("content-range");
        let of_the_whole = |name: &str| says_which(name) || is_digest_of_content(name);
        match self {
            Self::Whole | Self::Head => {
                fields.write_to(out);
                write_length(stored, out);
            }
            Self::NotModified => {
                write_fields(fields, out, |name| !says_which(name) && !is_known_to_the_client(name, fields))
            }
            Self::Part { range, brief } => {
                write_fields(fields, out, |name| {
                    !(of_the_whole(name) || *brief && is_known_to_the_client(name, fields))
                });
                write_content_range(range, stored.extent.complete(), out);
                framing::write_field(exactly(range.end - range.start), out);
            }
            Self::Parts(parts) => {
                let goes = |name: &str| of_the_whole(name) || name.eq_ignore_ascii_case("content-type");
                write_fields(fields, out, |name| !(goes(name) || parts.brief && is_known_to_the_client(name, fields)));
                // Writing to a vector does not fail.
                let _ = write!(out, "Content-Type: multipart/byteranges; boundary={}\r\n", parts.boundary);
                framing::write_field(exactly(parts.length), out);
            }
            Self::Unsatisfiable => {
                // The age that follows is that of what was found too short; and a 4xx has a date (RFC 9110 §6.6.1).
                write_fields(fields, out, |name| name.eq_ignore_ascii_case("date"));
                let _ = write!(out, "Content-Range: bytes */{}\r\n", stored.extent.complete().unwrap_or_default());
                framing::write_field(BodyLength::Empty, out);
            }
        }
    }

    /// The content, in order: [`Self::length`] bytes. References to the stored body, except for what separates parts.
    pub fn body<'a>(&'a self, stored: &'a Stored) -> impl Iterator<Item = Bytes> + 'a {
        let (whole, range, parts) = match self {
            Self::Whole => (stored.body.pieces(), None, None),
            Self::Head | Self::NotModified | Self::Unsatisfiable => (&[][..], None, None),
            Self::Part { range, .. } => (&[][..], Some(range.clone()), None),
            Self::Parts(parts) => (&[][..], None, Some(parts)),
        };
        let slice = range.map(|range| stored.body.slice(range));
        whole
            .iter()
            .cloned()
            .chain(slice.into_iter().flatten())
            .chain(parts.into_iter().flat_map(|parts| parts.body(stored)))
    }
}

fn exactly(length: u64) -> BodyLength {
    if length == 0 { BodyLength::Empty } else { BodyLength::Exact(length) }
}

/// The length of what is stored, where a message with that status may say so.
fn write_length(stored: Representation<'_>, out: &mut Vec<u8>) {
    if !stored.head.status.is_bodiless() {
        framing::write_field(exactly(stored.extent.len()), out);
    }
}

fn write_fields(fields: &Fields, out: &mut Vec<u8>, keep: impl Fn(&str) -> bool) {
    fields.write_some(out, |name, _| std::str::from_utf8(name).is_ok_and(&keep));
}

fn write_content_range(range: &Range<u64>, complete: Option<u64>, out: &mut Vec<u8>) {
    // Writing to a vector does not fail.
    let _ = write!(out, "Content-Range: {}\r\n", ContentRange(range, complete));
}

/// `bytes 0-4/10`, `bytes 0-4/*`.
struct ContentRange<'a>(&'a Range<u64>, Option<u64>);

impl std::fmt::Display for ContentRange<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bytes {}-{}/", self.0.start, self.0.end - 1)?;
        match self.1 {
            Some(complete) => write!(f, "{complete}"),
            None => f.write_str("*"),
        }
    }
}

/// Whether a field describes a representation that the client has: a 304 and the answer to an `If-Range` should not
/// repeat it (RFC 9110 §15.4.5, §15.3.7). Required fields stay: `Cache-Control`, `Content-Location`, `Date`, `ETag`,
/// `Expires`, `Vary`; and `Last-Modified`, where nothing else tells versions apart.
fn is_known_to_the_client(name: &str, fields: &Fields) -> bool {
    const DESCRIBING: &[&str] = &[
        "content-type",
        "content-encoding",
        "content-language",
        "content-md5",
        "content-digest",
        "repr-digest",
        "digest",
    ];
    DESCRIBING.iter().any(|describing| name.eq_ignore_ascii_case(describing))
        || name.eq_ignore_ascii_case("last-modified") && fields.contains("etag")
}

/// The content of a 206 with several parts (RFC 9110 §14.6), with its length known before the first byte is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    boundary: String,
    /// As for one part.
    brief: bool,
    /// Each with what precedes it: a separator and the head of the part.
    parts: Vec<(Bytes, Range<u64>)>,
    end: Bytes,
    length: u64,
}

impl Multipart {
    fn of(ranges: Vec<Range<u64>>, stored: Representation<'_>, brief: bool, boundary: u128) -> Self {
        let boundary = format!("{boundary:032x}");
        let content_type = stored.head.fields.get("content-type");
        let mut text = BytesMut::new();
        let mut length = 0;
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges {
            let start = if parts.is_empty() { "--" } else { "\r\n--" };
            text.extend_from_slice(start.as_bytes());
            text.extend_from_slice(boundary.as_bytes());
            text.extend_from_slice(b"\r\n");
            if let Some(content_type) = content_type {
                text.extend_from_slice(b"Content-Type: ");
                text.extend_from_slice(content_type);
                text.extend_from_slice(b"\r\n");
            }
            let content_range = format!("Content-Range: {}\r\n\r\n", ContentRange(&range, stored.extent.complete()));
            text.extend_from_slice(content_range.as_bytes());
            let head = text.split().freeze();
            length += head.len() as u64 + range.end - range.start;
            parts.push((head, range));
        }
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        length += end.len() as u64;
        Self { boundary, brief, parts, end, length }
    }

    /// The parts in order, each with the text before it.
    pub fn parts(&self) -> &[(Bytes, Range<u64>)] {
        &self.parts
    }

    /// The text behind the last part.
    #[must_use]
    pub fn end(&self) -> Bytes {
        self.end.clone()
    }

    fn body<'a>(&'a self, stored: &'a Stored) -> impl Iterator<Item = Bytes> + 'a {
        let parts = self
            .parts
            .iter()
            .flat_map(|(head, range)| std::iter::once(head.clone()).chain(stored.body.slice(range.clone())));
        parts.chain(std::iter::once(self.end.clone()))
    }
}

#[cfg(test)]
mod tests;
