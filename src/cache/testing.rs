//! Helpers for the tests of this module: messages from lines, and a fixed time.

use super::{Audience, Body, Freshness, ResponseDirectives, Rules, Selecting, Stored, date::date_of, storable};
use crate::{
    http::{Fields, Method, RequestHead, ResponseHead, Status},
    time::{Instant, Now},
};
use bytes::Bytes;
use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

pub(super) type Lines<'a> = &'a [(&'a str, &'a str)];

/// Sun, 06 Nov 1994 08:49:37 GMT.
#[allow(clippy::disallowed_methods, reason = "some instant to count from; which one does not matter")]
pub(super) fn now() -> Now {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Now { instant: *START, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777) }
}

pub(super) fn later(seconds: u64) -> Now {
    now().after(Duration::from_secs(seconds))
}

/// A `GET` unless said otherwise.
pub(super) fn request(lines: Lines<'_>) -> RequestHead {
    let mut head = RequestHead::new(Method::Get, "/").unwrap();
    head.fields = lines.iter().copied().collect();
    head
}

pub(super) fn head(lines: Lines<'_>) -> RequestHead {
    let mut head = request(lines);
    head.method = Method::Head;
    head
}

pub(super) fn response(status: u16, lines: Lines<'_>) -> ResponseHead {
    let mut head = ResponseHead::new(Status::new(status).unwrap());
    head.fields = lines.iter().copied().collect();
    head
}

/// In pieces of three bytes, so that every range crosses some.
pub(super) fn pieces(content: &str) -> Vec<Bytes> {
    content.as_bytes().chunks(3).map(Bytes::copy_from_slice).collect()
}

/// The stored form of a response that arrives at `arrived`.
pub(super) fn stored_as(request: Lines<'_>, response: &ResponseHead, body: Body, arrived: Now) -> Stored {
    let directives = ResponseDirectives::of(&response.fields);
    let request: Fields = request.iter().copied().collect();
    let head = storable(response, &directives, arrived);
    Stored {
        selecting: Selecting::of(&response.fields, &request),
        freshness: Freshness::of(
            response,
            &directives,
            Audience::of(&request, &response.fields, &directives),
            arrived,
            arrived,
            &Rules::default(),
        ),
        date: date_of(&head.fields, "date", arrived.wall).unwrap_or(arrived.wall),
        head,
        body,
        tags: Box::default(),
    }
}

/// A 200 with these fields and all of its content.
pub(super) fn stored(lines: Lines<'_>, content: &str) -> Stored {
    stored_as(&[], &response(200, lines), Body::whole(pieces(content)), now())
}

/// A part of a 200.
pub(super) fn partial(lines: Lines<'_>, start: u64, content: &str, complete: Option<u64>) -> Stored {
    stored_as(&[], &response(200, lines), Body::part(pieces(content), start, complete).unwrap(), now())
}
