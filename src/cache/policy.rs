//! May this response be stored? RFC 9111 §3, its conditions in its order; every no has its reason.

use super::{
    audience::{hands_out, says_for_whom, serves_authorized},
    directives::{RequestDirectives, ResponseDirectives},
};
use crate::http::{Method, RequestHead, ResponseHead, Status};
use std::time::Duration;

/// The decisions of the operator; all others are made by the messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// How long a response is fresh that says nothing about it and has no `Last-Modified` either. `None`: not at all.
    pub default_ttl: Option<Duration>,
    /// Which part of its time since `Last-Modified` a response is taken to be fresh (RFC 9111 §4.2.2 names 10 %).
    pub heuristic_fraction: f64,
    /// No guess is longer.
    pub heuristic_cap: Duration,
    /// How stale a response may be served if the backends fail, when neither response nor request says so. `None`: not
    /// at all.
    pub stale_if_error: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            default_ttl: None,
            heuristic_fraction: 0.1,
            heuristic_cap: Duration::from_secs(24 * 60 * 60),
            stale_if_error: None,
        }
    }
}

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotStored {
    /// Only responses to `GET` are: §3, "the request method is understood by the cache".
    Method,
    /// The request had content. The key does not say what it asked for.
    RequestContent,
    /// The request says `no-store` (§5.2.1.5).
    RequestNoStore,
    /// Not a final response (1xx).
    Interim,
    /// A 304 is about another response, which it may freshen.
    NotModified,
    /// The status is about one request or its connection: see [`is_about_one_request`].
    OneRequest,
    /// `must-understand`, and nothing is known about caching this status (§5.2.2.3).
    NotUnderstood,
    /// The response says `no-store`.
    NoStore,
    /// The response says `private`.
    Private,
    /// The request had `Authorization`, and the response does not say that it is for all the same (§3.5).
    Authorization,
    /// It says neither how long it is fresh nor that it may be stored, and its status does not imply it.
    NothingAllows,
    /// It has `Set-Cookie` or the like, and does not say that others may get it (§7.3).
    SetCookie,
    /// The request says who asks, the response does not say that others may get it, and has nothing to be validated by.
    ForOne,
    /// `Vary: *`: no request is known to match it (§4.1).
    VaryEverything,
}

impl NotStored {
    /// For counters and logs: one token a reason.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::RequestContent => "request-content",
            Self::RequestNoStore => "request-no-store",
            Self::Interim => "interim",
            Self::NotModified => "not-modified",
            Self::OneRequest => "one-request",
            Self::NotUnderstood => "not-understood",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::NothingAllows => "nothing-allows",
            Self::SetCookie => "set-cookie",
            Self::ForOne => "for-one",
            Self::VaryEverything => "vary-everything",
        }
    }
}

/// Whether a stored response may answer such a request at all, and its response be stored; if not it is forwarded, and
/// the cache stays as it is (apart from what an unsafe method invalidates).
pub fn may_look_up(request: &RequestHead) -> Result<(), NotStored> {
    if !matches!(request.method, Method::Get | Method::Head) {
        return Err(NotStored::Method);
    }
    let length = request.fields.get("content-length");
    if length.is_some_and(|length| length.iter().any(|digit| *digit != b'0'))
        || request.fields.contains("transfer-encoding")
    {
        return Err(NotStored::RequestContent);
    }
    Ok(())
}

/// RFC 9111 §3. A 206 may be stored as far as this goes; whether its part makes sense is another question.
pub fn may_store(
    request: &RequestHead,
    asked: &RequestDirectives,
    response: &ResponseHead,
    said: &ResponseDirectives,
) -> Result<(), NotStored> {
    may_look_up(request)?;
    if request.method != Method::Get {
        return Err(NotStored::Method);
    }
    if asked.no_store {
        return Err(NotStored::RequestNoStore);
    }
    let status = response.status;
    if status.is_interim() {
        return Err(NotStored::Interim);
    }
    if status == Status::NOT_MODIFIED {
        return Err(NotStored::NotModified);
    }
    if is_about_one_request(status) {
        return Err(NotStored::OneRequest);
    }
    // `must-understand` takes the place of `no-store` for those that do (§5.2.2.3).
    match (said.must_understand, understands(status)) {
        (true, false) => return Err(NotStored::NotUnderstood),
        (false, _) if said.no_store => return Err(NotStored::NoStore),
        _ => {}
    }
    if said.private.is_whole() {
        return Err(NotStored::Private);
    }
    if request.fields.contains("authorization") && !serves_authorized(said) {
        return Err(NotStored::Authorization);
    }
    // The last condition of §3. A status that implies it is a guess, and a guess does not give away a session.
    if !says_for_whom(&response.fields, said) {
        if !is_heuristically_cacheable(status) {
            return Err(NotStored::NothingAllows);
        }
        if hands_out(&response.fields) {
            return Err(NotStored::SetCookie);
        }
    }
    if response.fields.has_token("vary", "*") {
        return Err(NotStored::VaryEverything);
    }
    Ok(())
}

/// Statuses whose responses may be stored without being told so (RFC 9110 §15.1).
#[must_use]
pub fn is_heuristically_cacheable(status: Status) -> bool {
    matches!(status.code(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Statuses that say what was wrong with one request or its connection, in something that the key does not have. The
/// next client has not sent that range, that condition, or too many requests, even where such a response allows
/// storing. A stored one would let one client close a page to all others.
///
/// | status | it was about |
/// |---|---|
/// | 407, 408, 426 | the credentials for a proxy, the time that a request took, the protocol of the connection |
/// | 412, 416, 417 | `If-Match` and its kin, `Range`, `Expect` |
/// | 425 | early data (RFC 8470 §5.2) |
/// | 428, 429, 431, 511 | "MUST NOT be stored by a cache" (RFC 6585 §3 to §6) |
#[must_use]
pub fn is_about_one_request(status: Status) -> bool {
    matches!(status.code(), 407 | 408 | 412 | 416 | 417 | 425 | 426 | 428 | 429 | 431 | 511)
}

/// Whether this cache knows the status and does what its definition wants of caches: the final ones of RFC 9110 §15, of
/// which only 206 and 304 want something of their own.
#[must_use]
pub fn understands(status: Status) -> bool {
    matches!(status.code(), 200..=206 | 300..=305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}
