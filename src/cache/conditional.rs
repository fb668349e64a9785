//! What a client already has: its `If-None-Match` and `If-Modified-Since` against a stored response (RFC 9111 §4.3.2,
//! RFC 9110 §13).
//!
//! First match wins (RFC 9110 §13.2.2):
//!
//! | the request has | a cache |
//! |---|---|
//! | `If-Match`, `If-Unmodified-Since` | takes no notice: they are for the origin (RFC 9111 §4.3.2) |
//! | `If-None-Match: *` | 304 |
//! | `If-None-Match` with a tag that is weakly ours | 304 |
//! | any other `If-None-Match`, also one that nobody can read | the response; `If-Modified-Since` is ignored |
//! | `If-Modified-Since`, not before `Last-Modified`, or `Date` where that is missing | 304 |
//! | anything else | the response |
//!
//! `If-Range` is about a part and is decided with it: [`super::range`].

use super::{
    Stored,
    date::{date_of, parse_date},
    validators::{EntityTag, tags},
};
use crate::http::{Method, RequestHead, Status};
use std::time::SystemTime;

/// Whether the client has the response already: 304 (Not Modified) is all that it needs. `now` decides the century of
/// dates with two digits.
#[must_use]
pub fn not_modified(request: &RequestHead, stored: &Stored, now: SystemTime) -> bool {
    // Without the condition it has to be a success (RFC 9110 §13.2.1), and one with a representation (RFC 9111 §4.3.2).
    let applicable = matches!(request.method, Method::Get | Method::Head)
        && matches!(stored.head.status, Status::OK | Status::PARTIAL_CONTENT);
    if !applicable {
        return false;
    }
    if request.fields.contains("if-none-match") {
        return has_tag(request, stored);
    }
    is_unmodified_since(request, stored, now)
}

/// RFC 9110 §13.1.2.
fn has_tag(request: &RequestHead, stored: &Stored) -> bool {
    let mut lines = request.fields.get_all("if-none-match");
    if lines.next() == Some(b"*") && lines.next().is_none() {
        return true;
    }
    let Some(ours) = EntityTag::of(&stored.head.fields) else { return false };
    tags(&request.fields, "if-none-match").any(|theirs| theirs.is_weakly(ours))
}

/// RFC 9110 §13.1.3. Two lines are more than one member, and so is no date: ignored.
fn is_unmodified_since(request: &RequestHead, stored: &Stored, now: SystemTime) -> bool {
    let mut lines = request.fields.get_all("if-modified-since");
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let Some(since) = parse_date(line, now) else { return false };
    // Without Last-Modified, when it was made or came is the latest that it can have changed (RFC 9111 §4.3.2).
    date_of(&stored.head.fields, "last-modified", now).unwrap_or(stored.date) <= since
}
