//! The exchange that fetches a response which is not stored: this one, another one for it, or each for itself.
//!
//! ```text
//!   several want the same ──▶ its variant is not fetched yet ──▶ lead     (keep.rs)
//!                        ╰──▶ somebody fetches it already ─────▶ follow   (follow.rs)
//!   the answer may be for this client alone ───────────────────▶ alone
//! ```

use super::{State, Step, cache::Cache};
use crate::{
    cache::{Audience, Found, Join, Lead, Place, Selecting, store::Entry},
    http::{Method, RequestHead},
    proxy::refusals::rounds,
};
use std::sync::Arc;

/// How often a request looks for the fetch of its variant, when the response that it waited for names other fields in `Vary`
/// than were known. A backend whose `Vary` changes with each response must not keep it from asking.
const VARIANTS_TRIED: u8 = 3;

impl Step<'_> {
    /// Takes part in fetching, if this may be `shared` with others. `None`: look again.
    pub(super) fn join(
        &self,
        cache: &Cache,
        place: Place<'_>,
        found: &Found,
        chosen: Option<&Entry>,
        shared: bool,
    ) -> Option<Join> {
        let head = &self.core.request.head;
        if !shared || head.method != Method::Get || found.uncacheable || self.may_circle() {
            return Some(Join::Alone);
        }
        let varies = self.core.caching.as_ref().and_then(|caching| caching.waiting.varies.as_deref());
        let variant = match variant(varies.or(chosen), found, head) {
            // The answer to this request answers no other.
            Some(Selecting::Nothing) => return Some(Join::Alone),
            variant => variant,
        };
        if !is_known_to_be_shared(head, found) {
            return Some(self.join_known(cache, place, variant.as_ref()));
        }
        again(cache.flights.join(place, found, variant))
    }

    /// As [`Step::join`] for a client with credentials, where no stored response says that others get the same: it
    /// waits for no answer that may be for another client alone. A response that has begun to arrive says which clients
    /// it is for.
    fn join_known(&self, cache: &Cache, place: Place<'_>, variant: Option<&Selecting>) -> Join {
        let flight = cache.flights.flight(place, variant);
        let may_have = |opening: &Entry| {
            let stored = &opening.stored;
            stored.freshness.audience().includes(true) && stored.selecting.matches(&self.core.request.head.fields)
        };
        match flight.filter(|flight| flight.opening().is_some_and(|opening| may_have(&opening))) {
            Some(flight) => Join::Follow(flight),
            None => Join::Alone,
        }
    }

    /// A request that has been here twice may be in a loop, and would wait for itself. Once is usual: two caches, one behind
    /// the other.
    fn may_circle(&self) -> bool {
        rounds(&self.core.request.head, self.worker.shared.config.forwarding.pseudonym) > 1
    }

    /// The response that was waited for is another variant, and `opening` says what variants differ in: look for the fetch of
    /// ours, or lead it.
    pub(super) fn another_variant(&mut self, opening: &Arc<Entry>) -> State {
        match &mut self.core.caching {
            Some(caching) if caching.waiting.variants_tried < VARIANTS_TRIED => {
                caching.waiting.variants_tried += 1;
                caching.waiting.varies = Some(opening.clone());
            }
            _ => return self.go_alone(),
        }
        self.wait_until(None);
        self.look_up()
    }
}

/// Takes part in fetching a newer response in the place of `stale`. `None`: look again.
pub(super) fn renew(
    cache: &Cache,
    place: Place<'_>,
    found: &Found,
    head: &RequestHead,
    stale: &Entry,
) -> Option<Option<Lead>> {
    if found.uncacheable {
        return Some(None);
    }
    match again(cache.flights.join(place, found, variant(Some(stale), found, head)))? {
        Join::Lead(lead) => Some(Some(lead)),
        Join::Follow(_) | Join::Again | Join::Alone => Some(None),
    }
}

fn again(join: Join) -> Option<Join> {
    match join {
        Join::Again => None,
        join => Some(join),
    }
}

/// Which variant the request would get: by the `Vary` of a response that is `known` to be of the kind, else by that of what was
/// stored last. `None`: nothing is known of variants.
fn variant(known: Option<&Entry>, found: &Found, head: &RequestHead) -> Option<Selecting> {
    let last =
        || found.entries.as_slice().iter().map(|entry| &**entry).find(|entry| entry.stored.selecting.is_by_fields());
    let known = known.or_else(last)?;
    match known.stored.selecting.for_request(&head.fields) {
        Selecting::Everything => None,
        variant => Some(variant),
    }
}

/// Whether the answer to this request is known to be for all clients: the request has no credentials, or a stored
/// response says that others get the same. A request with `Authorization` needs more than one with a cookie: its answer
/// can be shared only if the response says so of such (RFC 9111 §3.5).
fn is_known_to_be_shared(head: &RequestHead, found: &Found) -> bool {
    let needed = match () {
        () if head.fields.contains("authorization") => Audience::EvenAuthorized,
        () if head.fields.contains("cookie") => Audience::Everybody,
        () => return true,
    };
    found.entries.as_slice().iter().any(|entry| entry.stored.freshness.audience() >= needed)
}
