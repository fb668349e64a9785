//! May a stored response be used for this request, now? RFC 9111 §4, with what RFC 5861 and RFC 8246 add.

use super::{
    directives::{MaxStale, RequestDirectives, Seconds},
    freshness::Freshness,
};
use crate::{http::Status, time::Instant};
use std::time::Duration;

/// The events before the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Situation {
    /// Nothing: the backend has not been asked.
    Normal,
    /// The backend was asked, and cannot be reached or answered with a failure of its own: [`is_server_failure`].
    Failed,
}

/// The use to make of a stored response that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reuse {
    /// Use it.
    Fresh,
    /// Use it, though it is stale.
    Stale(Stale),
    /// Ask the backend first. After [`Situation::Failed`]: do not use it, the client learns of the failure.
    Validate(Validate),
}

/// The permission for a stale response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stale {
    /// The client, with `max-stale`.
    ClientAccepts,
    /// The response, with `stale-while-revalidate`: a revalidation has to be started.
    WhileRevalidating,
    /// `stale-if-error` of the response, of the request, or of the operator.
    IfError,
}

/// Why the backend has to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validate {
    /// The request says `no-cache`.
    RequestNoCache,
    /// The response says `no-cache`.
    ResponseNoCache,
    /// It is older than the request's `max-age`.
    RequestMaxAge,
    /// It is not fresh for as long as the request's `min-fresh` wants.
    RequestMinFresh,
    /// Nothing says that this client may get it: see [`Audience`](super::Audience).
    Unsaid,
    /// It is stale.
    Expired,
}

/// The decision. `only-if-cached` is left to the caller: it turns [`Reuse::Validate`] into a 504 (§5.2.1.7).
#[must_use]
pub fn reuse(stored: &Freshness, request: &RequestDirectives, now: Instant, situation: Situation) -> Reuse {
    let reason = match unasked(stored, request, now) {
        Reuse::Validate(reason) => reason,
        usable => return usable,
    };
    if situation == Situation::Failed && survives_error(stored, request, now) {
        return Reuse::Stale(Stale::IfError);
    }
    Reuse::Validate(reason)
}

/// Without knowing how the backend is.
fn unasked(stored: &Freshness, request: &RequestDirectives, now: Instant) -> Reuse {
    if request.no_cache {
        return Reuse::Validate(Validate::RequestNoCache);
    }
    if stored.no_cache() {
        return Reuse::Validate(Validate::ResponseNoCache);
    }
    if !stored.audience().includes(request.names_client) {
        return Reuse::Validate(Validate::Unsaid);
    }
    let stale_for = match stored.left(now) {
        Ok(left) => match impatience(stored, request, now, left) {
            None => return Reuse::Fresh,
            // Too old for the client, unless it takes stale ones too.
            Some(Validate::RequestMaxAge) if request.max_stale.is_some() => {
                stored.age(now).saturating_sub(request.max_age.unwrap_or_default().duration())
            }
            Some(reason) => return Reuse::Validate(reason),
        },
        Err(stale_for) => {
            let over = request.max_age.map(|limit| stored.age(now).saturating_sub(limit.duration()));
            over.map_or(stale_for, |over| over.max(stale_for))
        }
    };
    permitted(stored, request, stale_for).map_or(Reuse::Validate(Validate::Expired), Reuse::Stale)
}

/// The reason for which a client wants no fresh response without validation, if there is one.
fn impatience(stored: &Freshness, request: &RequestDirectives, now: Instant, left: Duration) -> Option<Validate> {
    // RFC 8246 §2: a fresh response that does not change needs no validation, a reload is no signal that it does.
    let too_old = |limit: Seconds| limit == Seconds::ZERO || stored.age(now) > limit.duration();
    if request.max_age.is_some_and(too_old) && !stored.immutable() {
        return Some(Validate::RequestMaxAge);
    }
    request.min_fresh.is_some_and(|wanted| left < wanted.duration()).then_some(Validate::RequestMinFresh)
}

/// The permission to use a response that has been stale for `stale_for`, if there is one.
fn permitted(stored: &Freshness, request: &RequestDirectives, stale_for: Duration) -> Option<Stale> {
    if stored.forbids_stale() || request.min_fresh.is_some() {
        return None;
    }
    match request.max_stale {
        Some(MaxStale::Any) => return Some(Stale::ClientAccepts),
        Some(MaxStale::Within(limit)) if stale_for <= limit.duration() => return Some(Stale::ClientAccepts),
        Some(MaxStale::Within(_)) => return None,
        None => {}
    }
    // §5.2.1.1: a client that says max-age without max-stale does not want a stale response.
    let wanted = request.max_age.is_none() && covers(stored.stale_while_revalidate(), stale_for);
    wanted.then_some(Stale::WhileRevalidating)
}

/// Whether the response may stand in for the backend's failure. That the client wanted a younger one does not matter then
/// (RFC 5861 §4: "regardless of other freshness information"), that it wanted it validated does.
fn survives_error(stored: &Freshness, request: &RequestDirectives, now: Instant) -> bool {
    let stale_for = stored.left(now).err();
    if stored.no_cache() || request.no_cache || stale_for.is_some() && stored.forbids_stale() {
        return false;
    }
    if !stored.audience().includes(request.names_client) {
        return false;
    }
    let allowed = stored.stale_if_error().max(request.stale_if_error.unwrap_or_default().duration());
    covers(allowed, stale_for.unwrap_or_default())
}

/// Whether a span that was granted holds still; one of zero was not granted.
fn covers(granted: Duration, stale_for: Duration) -> bool {
    granted > Duration::ZERO && stale_for <= granted
}

/// Whether a response says that the backend is broken rather than what it thinks of the request (RFC 5861 §4).
#[must_use]
pub fn is_server_failure(status: Status) -> bool {
    matches!(status.code(), 500 | 502 | 503 | 504)
}
