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
    Stored,
    conditional::not_modified,
    range::{Ranges, Selected, if_range_holds},
};
use crate::http::{self, BodyLength, Fields, Method, RequestHead, Status, Version, framing, write_line};
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

/// What is stored is a part, and not the one that the request needs: the backend has to be asked (RFC 9111 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incomplete;

/// Decides how `stored` answers `request`. Whether it may is another question, answered before: key, `Vary`, freshness.
///
/// `boundary` is what separates parts; nobody who writes content may be able to guess it.
pub fn answer(
    request: &RequestHead,
    stored: &Stored,
    now: SystemTime,
    boundary: impl FnOnce() -> u128,
) -> Result<Answer, Incomplete> {
    let part = part(request, stored, now, boundary);
    // A part answers nothing but requests for what is within it, not even that it has not changed (RFC 9111 §3.3).
    if !(stored.body.is_whole() || matches!(part, Some(Ok(Answer::Part { .. } | Answer::Parts(_))))) {
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
    stored: &Stored,
    now: SystemTime,
    boundary: impl FnOnce() -> u128,
) -> Option<Result<Answer, Incomplete>> {
    // Only what would be a 200 has parts (RFC 9110 §14.2), and nothing has none.
    if stored.head.status != Status::OK || stored.body.is_empty() {
        return None;
    }
    let ranges = Ranges::of(request)?;
    if !if_range_holds(request, stored, now) {
        return None;
    }
    Some(match ranges.select(&stored.body) {
        Selected::One(range) => Ok(Answer::Part { range, brief: request.fields.contains("if-range") }),
        Selected::Many(ranges) => Ok(Answer::Parts(Box::new(Multipart::of(ranges, stored, boundary())))),
        Selected::Nothing => Ok(Answer::Unsatisfiable),
        Selected::Missing => Err(Incomplete),
    })
}

impl Answer {
    /// The status of the answer.
    #[must_use]
    pub fn status(&self, stored: &Stored) -> Status {
        match self {
            Self::Whole | Self::Head => stored.head.status,
            Self::NotModified => Status::NOT_MODIFIED,
            Self::Part { .. } | Self::Parts(_) => Status::PARTIAL_CONTENT,
            Self::Unsatisfiable => Status::RANGE_NOT_SATISFIABLE,
        }
    }

    /// How many bytes of content follow the head.
    #[must_use]
    pub fn length(&self, stored: &Stored) -> u64 {
        match self {
            Self::Whole => stored.body.len(),
            Self::Head | Self::NotModified | Self::Unsatisfiable => 0,
            Self::Part { range, .. } => range.end - range.start,
            Self::Parts(parts) => parts.length,
        }
    }

    /// Appends the status line and all fields that follow from what is stored, with those that say how long the content
    /// is. What differs from hit to hit is left to the caller, and so is the end of the head: `Age` (RFC 9111 §4 wants it
    /// in every answer but a 416), `Via`, `Connection`, `Cache-Status`.
    pub fn write_head(&self, stored: &Stored, out: &mut Vec<u8>) {
        let status = self.status(stored);
        match self {
            Self::Whole | Self::Head => http::write_status_line(Version::Http11, status, stored.head.reason(), out),
            _ => http::write_status_line(Version::Http11, status, status.reason().as_bytes(), out),
        }
        let fields = &stored.head.fields;
        // What a whole response carried without meaning would mean something here.
        let says_which = |name: &str| name.eq_ignore_ascii_case("content-range");
        match self {
            Self::Whole | Self::Head => {
                fields.write_to(out);
                write_length(stored, out);
            }
            Self::NotModified => {
                write_fields(fields, out, |name| !says_which(name) && !is_known_to_the_client(name, fields))
            }
            Self::Part { range, brief } => {
                write_fields(fields, out, |name| !(says_which(name) || *brief && is_known_to_the_client(name, fields)));
                write_content_range(range, stored.body.complete(), out);
                framing::write_field(exactly(range.end - range.start), out);
            }
            Self::Parts(parts) => {
                write_fields(fields, out, |name| !says_which(name) && !name.eq_ignore_ascii_case("content-type"));
                // Writing to a vector does not fail.
                let _ = write!(out, "Content-Type: multipart/byteranges; boundary={}\r\n", parts.boundary);
                framing::write_field(exactly(parts.length), out);
            }
            Self::Unsatisfiable => {
                let _ = write!(out, "Content-Range: bytes */{}\r\n", stored.body.complete().unwrap_or_default());
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
fn write_length(stored: &Stored, out: &mut Vec<u8>) {
    if !stored.head.status.is_bodiless() {
        framing::write_field(exactly(stored.body.len()), out);
    }
}

fn write_fields(fields: &Fields, out: &mut Vec<u8>, keep: impl Fn(&str) -> bool) {
    for (name, value) in fields.iter().filter(|(name, _)| keep(name)) {
        write_line(out, name.as_bytes(), value);
    }
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

/// What describes the representation, and goes without saying to a client that has it: a 304 and the answer to an
/// `If-Range` should not repeat it (RFC 9110 §15.4.5, §15.3.7). What must be there stays: `Cache-Control`,
/// `Content-Location`, `Date`, `ETag`, `Expires`, `Vary`; and `Last-Modified`, where it is all there is to tell versions
/// apart by.
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
    /// Each with what precedes it: a separator and the head of the part.
    parts: Vec<(Bytes, Range<u64>)>,
    end: Bytes,
    length: u64,
}

impl Multipart {
    fn of(ranges: Vec<Range<u64>>, stored: &Stored, boundary: u128) -> Self {
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
            let content_range = format!("Content-Range: {}\r\n\r\n", ContentRange(&range, stored.body.complete()));
            text.extend_from_slice(content_range.as_bytes());
            let head = text.split().freeze();
            length += head.len() as u64 + range.end - range.start;
            parts.push((head, range));
        }
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        length += end.len() as u64;
        Self { boundary, parts, end, length }
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
mod tests {
    use super::{
        super::testing::{Lines, head, now, partial, request, response, stored, stored_as},
        *,
    };
    use crate::cache::Body;

    const DATE: (&str, &str) = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");

    fn answered(request: &RequestHead, stored: &Stored) -> Result<Answer, Incomplete> {
        answer(request, stored, now().wall, || 0xb0)
    }

    /// Head and content as they go over the wire.
    fn wire(request: &RequestHead, stored: &Stored) -> (String, String) {
        let answer = answered(request, stored).unwrap();
        let mut head = Vec::new();
        answer.write_head(stored, &mut head);
        let body: Vec<Bytes> = answer.body(stored).collect();
        assert_eq!(body.concat().len() as u64, answer.length(stored));
        (String::from_utf8(head).unwrap(), String::from_utf8(body.concat()).unwrap())
    }

    #[test]
    fn the_whole_and_its_head() {
        let stored = stored(&[("Content-Type", "a/b"), ("ETag", "\"a\""), DATE, ("Age", "7")], "abcdefgh");
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nETag: \"a\"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                        Content-Length: 8\r\n";
        assert_eq!(wire(&request(&[]), &stored), (expected.to_owned(), "abcdefgh".to_owned()));
        // RFC 9110 §9.3.2: the same fields, no content.
        assert_eq!(wire(&head(&[]), &stored), (expected.to_owned(), String::new()));
        assert_eq!(wire(&head(&[("Range", "bytes=0-1")]), &stored), (expected.to_owned(), String::new()));
    }

    #[test]
    fn whatever_was_stored_is_sent_as_it_was() {
        for (status, line, length) in [
            (200, "HTTP/1.1 200 OK\r\n", "Content-Length: 0\r\n"),
            (404, "HTTP/1.1 404 Not Found\r\n", "Content-Length: 0\r\n"),
            (299, "HTTP/1.1 299 \r\n", "Content-Length: 0\r\n"),
            (204, "HTTP/1.1 204 No Content\r\n", ""),
        ] {
            let stored = stored_as(&[], &response(status, &[DATE]), Body::whole(Vec::new()), now());
            // No part of what is no 200, nor a condition on it; and no part of nothing.
            let request = request(&[("Range", "bytes=0-0"), ("If-Modified-Since", "Sun, 06 Nov 1994 08:00:00 GMT")]);
            let (head, body) = wire(&request, &stored);
            assert_eq!(head, format!("{line}Date: {}\r\n{length}", DATE.1));
            assert_eq!(body, "");
        }
        let stored = stored_as(&[], &response(404, &[DATE]), Body::whole(vec![Bytes::from_static(b"none")]), now());
        assert_eq!(wire(&request(&[("Range", "bytes=0-0")]), &stored).1, "none");
    }

    #[test]
    fn what_a_304_says() {
        let all = [
            ("Cache-Control", "max-age=9"),
            ("Content-Location", "/b"),
            DATE,
            ("ETag", "\"a\""),
            ("Expires", "x"),
            ("Vary", "Foo"),
            ("Server", "s"),
            ("Set-Cookie", "a=b"),
        ];
        let described = [
            ("Content-Type", "a/b"),
            ("Content-Encoding", "gzip"),
            ("Content-Language", "de"),
            ("Last-Modified", "Sun, 06 Nov 1994 08:00:00 GMT"),
        ];
        // RFC 9110 §15.4.5: these must be there, and nothing that describes the representation should.
        let lines: Vec<_> = described.into_iter().chain(all).collect();
        let (head, body) = wire(&request(&[("If-None-Match", "\"a\"")]), &stored(&lines, "abc"));
        let expected: String = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        assert_eq!(head, format!("HTTP/1.1 304 Not Modified\r\n{expected}"));
        assert_eq!(body, "");
        // Without a tag, Last-Modified is what the client has to go by.
        let (head, _) = wire(&request(&[("If-Modified-Since", DATE.1)]), &stored(&[described[3], DATE], "abc"));
        assert!(head.contains("Last-Modified"), "{head}");
    }

    #[test]
    fn a_condition_precedes_a_range() {
        // RFC 9110 §13.2.2.
        let stored = stored(&[("ETag", "\"a\"")], "abc");
        let both = request(&[("Range", "bytes=9-"), ("If-None-Match", "\"a\""), ("If-Range", "\"b\"")]);
        assert_eq!(answered(&both, &stored), Ok(Answer::NotModified));
        let head = head(&[("If-None-Match", "\"a\"")]);
        assert_eq!(answered(&head, &stored), Ok(Answer::NotModified));
    }

    #[test]
    fn one_part() {
        let fields = [("Content-Type", "a/b"), ("ETag", "\"a\""), DATE];
        let stored = stored(&fields, "abcdefgh");
        let (head, body) = wire(&request(&[("Range", "bytes=2-3")]), &stored);
        // RFC 9110 §15.3.7.1: all that a 200 would have, and which part.
        let expected = "HTTP/1.1 206 Partial Content\r\nContent-Type: a/b\r\nETag: \"a\"\r\n\
                        Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Range: bytes 2-3/8\r\nContent-Length: 2\r\n";
        assert_eq!((head.as_str(), body.as_str()), (expected, "cd"));
        // §15.3.7: who names what it has should not be told again what that is.
        let (head, body) = wire(&request(&[("Range", "bytes=-1"), ("If-Range", "\"a\"")]), &stored);
        let expected = "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                        Content-Range: bytes 7-7/8\r\nContent-Length: 1\r\n";
        assert_eq!((head.as_str(), body.as_str()), (expected, "h"));
        // §13.1.5: another version gets the whole.
        let (head, body) = wire(&request(&[("Range", "bytes=-1"), ("If-Range", "\"b\"")]), &stored);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && body == "abcdefgh", "{head}");
    }

    #[test]
    fn no_part_of_what_is_not_there() {
        // RFC 9110 §15.5.17, §14.4.
        let (head, body) = wire(&request(&[("Range", "bytes=8-")]), &stored(&[DATE], "abcdefgh"));
        let expected = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */8\r\nContent-Length: 0\r\n";
        assert_eq!((head.as_str(), body.as_str()), (expected, ""));
    }

    #[test]
    fn several_parts() {
        let content: String = ('a'..='z').cycle().take(300).collect();
        let stored = stored(&[("Content-Type", "a/b; c=d"), DATE], &content);
        let (head, body) = wire(&request(&[("Range", "bytes=200-202, 0-1")]), &stored);
        let boundary = "000000000000000000000000000000b0";
        // RFC 9110 §15.3.7.2: which part in each part, and not in the head.
        let parts = format!(
            "--{boundary}\r\nContent-Type: a/b; c=d\r\nContent-Range: bytes 200-202/300\r\n\r\nstu\r\n\
             --{boundary}\r\nContent-Type: a/b; c=d\r\nContent-Range: bytes 0-1/300\r\n\r\nab\r\n--{boundary}--\r\n"
        );
        let expected = format!(
            "HTTP/1.1 206 Partial Content\r\nDate: {}\r\nContent-Type: multipart/byteranges; boundary={boundary}\r\n\
             Content-Length: {}\r\n",
            DATE.1,
            parts.len()
        );
        assert_eq!((head, body), (expected, parts));
        // What has no type has none in its parts either.
        let stored = super::super::testing::stored(&[DATE], &content);
        let (_, body) = wire(&request(&[("Range", "bytes=0-0, -1")]), &stored);
        assert!(body.starts_with(&format!("--{boundary}\r\nContent-Range: bytes 0-0/300\r\n\r\na\r\n--")), "{body}");
    }

    #[test]
    fn content_is_not_copied() {
        let content: String = ('a'..='z').cycle().take(300).collect();
        let stored = stored(&[], &content);
        for lines in [&[][..], &[("Range", "bytes=2-200")], &[("Range", "bytes=200-202, 0-1")]] {
            let request = request(lines);
            let answer = answered(&request, &stored).unwrap();
            let referenced = answer.body(&stored).filter(|bytes| {
                stored.body.pieces().iter().any(|piece| piece.as_ptr_range().contains(&bytes.as_ptr()))
            });
            let length: usize = referenced.map(|bytes| bytes.len()).sum();
            let expected = match answer {
                Answer::Whole => 300,
                Answer::Part { .. } => 199,
                _ => 5,
            };
            assert_eq!(length, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_stored_part_answers_what_is_within_it_and_nothing_else() {
        // RFC 9111 §3.3: bytes 2 to 5 of 8.
        const TAGGED: Lines<'static> = &[("ETag", "\"a\""), DATE];
        let stored = partial(TAGGED, 2, "cdef", Some(8));
        for (lines, expected) in [
            (&[][..], Err(Incomplete)),
            (&[("Range", "bytes=2-5")], Ok("206 cdef")),
            (&[("Range", "bytes=3-3")], Ok("206 d")),
            (&[("Range", "bytes=1-5")], Err(Incomplete)),
            (&[("Range", "bytes=2-")], Err(Incomplete)),
            (&[("Range", "bytes=8-")], Err(Incomplete)),
            (&[("Range", "lines=2-5")], Err(Incomplete)),
            (&[("Range", "bytes=2-5"), ("If-Range", "\"a\"")], Ok("206 cdef")),
            (&[("Range", "bytes=2-5"), ("If-Range", "\"b\"")], Err(Incomplete)),
            (&[("Range", "bytes=2-5"), ("If-None-Match", "\"a\"")], Ok("304 ")),
            (&[("If-None-Match", "\"a\"")], Err(Incomplete)),
        ] {
            let request = request(lines);
            let found = answered(&request, &stored).map(|answer| {
                let content: Vec<Bytes> = answer.body(&stored).collect();
                format!("{} {}", answer.status(&stored), String::from_utf8(content.concat()).unwrap())
            });
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{lines:?}");
        }
        assert_eq!(answered(&head(&[]), &stored), Err(Incomplete));
        // Where nobody knows how many there are, nothing says so either.
        let (head, body) = wire(&request(&[("Range", "bytes=2-3")]), &partial(TAGGED, 2, "cdef", None));
        assert!(head.contains("Content-Range: bytes 2-3/*\r\n") && body == "cd", "{head}");
    }
}
