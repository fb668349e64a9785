//! The meaning of a response for the cache: it is stored as it passes, it confirms what is stored, or it ends what is stored.
//!
//! A response that is stored passes by reference: it is copied once out of the read buffer, and those bytes are what the
//! client gets, what others who wait get, and what is stored.

use super::{Caching, Link, Step, cache::Cache, relay::Receiving};
use crate::{
    cache::{
        Audience, Body, Freshened, Freshness, NotStored, Place, ResponseDirectives, Rules, Stored,
        audience::names_client,
        collapse::Over,
        date::date_of,
        fill::Added,
        invalidated, is_server_failure,
        key::{Key, Uri},
        may_store,
        partial::{Part, are_one_representation, as_incomplete, combined},
        purge::tags_of,
        storable,
        store::Entry,
        validate::{has_tag, has_validator},
        vary::{self, Selecting},
    },
    http::{BodyLength, Fields, Method, RequestHead, ResponseHead, Status, target::Scheme},
    proxy::{
        config::Forwarding,
        explain::{CacheFact, Fact},
        headers,
        worker::Worker,
    },
    time::{Instant, Now},
};
use bytes::Bytes;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// How long a stale response without validators is kept beyond what it permits itself, for clients that take stale ones.
const GRACE: Duration = Duration::from_secs(600);

/// The cache's verdict on a response head.
pub(super) enum Kept {
    /// It goes on to the client, and says so to it: whether it is being stored.
    ToClient {
        /// It is.
        stored: bool,
    },
    /// Something else answers the client, and the response is awaited to its end first.
    Instead(Receiving),
    /// A stale response answers for a backend that is broken.
    StandIn(Arc<Entry>),
}

/// The part of a piece that the client gets when it arrives.
pub(super) enum Piece {
    /// The piece itself: nothing keeps it.
    Unkept,
    /// The copy that is kept.
    Kept(Bytes),
    /// As much as it can take of all that has come.
    AsReader,
}

impl Step<'_> {
    /// A response head is here: what does the cache make of it?
    pub(super) fn keep(&mut self, head: &ResponseHead, body: BodyLength) -> Kept {
        let shared = self.worker.shared.clone();
        let (Some(cache), Some(mut caching)) = (&shared.cache, self.core.caching.take()) else {
            return Kept::ToClient { stored: false };
        };
        caching.status = Some(head.status.code());
        self.invalidate(cache, head);
        let kept = self.make_of(cache, &mut caching, head, body);
        self.core.caching = Some(caching);
        kept
    }

    fn make_of(&mut self, cache: &Cache, caching: &mut Caching, head: &ResponseHead, body: BodyLength) -> Kept {
        if head.status == Status::NOT_MODIFIED
            && caching.question.head.is_some()
            && !caching.question.nominated.is_empty()
        {
            return Kept::Instead(self.not_modified(cache, caching, head));
        }
        if head.status == Status::NOT_MODIFIED && caching.question.head.is_none() {
            self.confirm_beside(cache, caching, head);
        }
        if is_server_failure(head.status)
            && self.may_stand_in(caching)
            && let Some(entry) = caching.question.stored.take()
        {
            caching.storing.lead = None;
            return Kept::StandIn(entry);
        }
        if self.core.request.head.method == Method::Head && head.status == Status::OK {
            self.compare(cache, caching, head);
        }
        let stored = self.store(cache, caching, head, body);
        // A response to `no-store`, or to a client that says who it is, says nothing about what others would get: the stored
        // one stays.
        let for_all = !caching.asked.no_store && !names_client(&self.core.request.head.fields);
        if !stored && self.core.request.head.method == Method::Get && for_all {
            supersede(cache, caching, head.status);
        }
        Kept::ToClient { stored }
    }

    /// Begins to store the response, if that may be.
    fn store(&mut self, cache: &Cache, caching: &mut Caching, head: &ResponseHead, body: BodyLength) -> bool {
        let now = self.cx.clock();
        let Some(lead) = &caching.storing.lead else { return false };
        let place = lead.place();
        let news = News { request: &self.core.request.head, head, sent: caching.question.sent.unwrap_or(now), now };
        let opening = opening(&news, caching, body, &cache.config.rules);
        let length = opening.as_ref().ok().and_then(|opening| opening.length);
        let fits = length.is_none_or(|length| length <= cache.store.limits().object as u64);
        if opening.as_ref().map_or_else(|reason| is_the_responses_fault(*reason), |_| !fits) {
            // The next one is not worth waiting for either.
            cache.store.note_uncacheable(place, now.instant);
        }
        let refused = opening.as_ref().err().copied();
        let opening = opening.ok().filter(|_| fits);
        let opening = opening.filter(|opening| opening.part.is_none() || self.is_described(cache, place, head));
        let opening = opening.filter(|opening| !self.belongs_to_others(cache, place, &opening.stored));
        let opened = opening.is_some();
        let verdict = if opened { Ok(()) } else { Err(refused) };
        self.core.explain(|| Fact::Cache(CacheFact::Stored(verdict)), now.instant);
        let entry = opening.map(|opening| (entry(lead.key().clone(), place.hash, opening.stored), opening.part));
        if let (Some((mut entry, part)), Some(lead)) = (entry, &mut caching.storing.lead) {
            entry.wire = self.wire(&entry.stored.head);
            caching.storing.part = part;
            lead.open(entry, length);
        } else if let Some(mut lead) = caching.storing.lead.take() {
            lead.release(Over::Private);
        }
        opened
    }

    /// Whether strangers may get what is stored, and the new response is one that only a client got which says who it is: that
    /// one tells nothing about theirs, and does not take its place.
    fn belongs_to_others(&self, cache: &Cache, place: Place<'_>, new: &Stored) -> bool {
        let for_strangers = |stored: &Stored| stored.freshness.audience().includes(false);
        !for_strangers(new)
            && older(cache, place, &self.core.request.head, self.cx.now())
                .is_some_and(|older| for_strangers(&older.stored))
    }

    /// Whether a part that has arrived is described, by itself or by what is stored of the same representation.
    fn is_described(&self, cache: &Cache, place: Place<'_>, head: &ResponseHead) -> bool {
        let now = self.cx.clock();
        let same = |older: Arc<Entry>| are_one_representation(&older.stored.head.fields, &head.fields, now.wall);
        !is_bare(&self.core.request.head) || older(cache, place, &self.core.request.head, now.instant).is_some_and(same)
    }

    /// The head as most clients get it, up to what differs from hit to hit.
    pub(super) fn wire(&mut self, head: &ResponseHead) -> Bytes {
        let Worker { writing, shared, .. } = &mut *self.worker;
        writing.kept_head(|out| headers::write_stored(out, head, &shared.config.forwarding))
    }

    /// A piece of the body of a response, and the part of it that our client gets now.
    pub(super) fn keep_piece(&mut self, link: Link, data: &[u8]) -> Piece {
        let (ticket, now) = (self.ticket(), self.cx.now());
        let Some(caching) = &mut self.core.caching else { return Piece::Unkept };
        let Some(lead) = caching.storing.lead.as_mut().filter(|lead| lead.fill().is_some()) else {
            return Piece::Unkept;
        };
        let is_reader = caching.storing.own.is_some();
        let (added, piece) = lead.append(data, ticket, now);
        match added {
            Added::Kept | Added::NotStored => {}
            Added::Wait => self.wait_for_readers(link),
            Added::TooLarge => {
                let status = lead.fill().map(|fill| fill.opening().stored.head.status);
                if let (Some(cache), Some(status)) = (&self.worker.shared.cache, status) {
                    cache.store.note_uncacheable(lead.place(), now);
                    supersede(cache, caching, status);
                }
                self.read_beside_others();
            }
            Added::Unread => caching.storing.lead = None,
        }
        if is_reader { Piece::AsReader } else { Piece::Kept(piece) }
    }

    /// The response is complete, and so is what is stored.
    pub(super) fn keep_complete(&mut self, trailers: &Fields) {
        let Some(caching) = &mut self.core.caching else { return };
        let Some(lead) = caching.storing.lead.take_if(|lead| lead.fill().is_some()) else { return };
        let now = self.cx.clock();
        let shared = self.worker.shared.clone();
        let Some(cache) = &shared.cache else { return };
        let since = lead.since();
        let (part, request, sent) =
            (caching.storing.part, &self.core.request.head, caching.question.sent.unwrap_or(now));
        let finish = |opening: &Entry, pieces| {
            let (body, wire) = match part {
                None => (Body::whole(pieces), opening.wire.clone()),
                Some(part) => (part.body(pieces).ok()?, Bytes::new()),
            };
            let stored = Stored { body, ..opening.stored.clone() };
            let mut entry = entry(opening.key.clone(), opening.hash, stored);
            entry.wire = wire;
            if part.is_some() {
                let news = News { request, head: &opening.stored.head, sent, now };
                entry = with_what_is_there(cache, entry, &news, &shared.config.forwarding)?;
            }
            Some(entry)
        };
        let stored =
            lead.complete(now.instant, trailers, finish, |new, old| new.stored.selecting == old.stored.selecting);
        if let Some(new) = &stored {
            cache.share(new, since, caching.variants(), now);
        }
        // The response that was asked about is not the answer any more (§4.3.3). Selected otherwise, it was not replaced, and
        // would be chosen and asked about again before the new one.
        if let (Some(new), Some(old)) = (stored, caching.question.stored.take())
            && new.stored.selecting != old.stored.selecting
        {
            cache.store.remove_entry(&old);
        }
    }

    /// An unsafe request was answered: what is stored for what it changed is no longer true (RFC 9111 §4.4).
    fn invalidate(&mut self, cache: &Cache, head: &ResponseHead) {
        if self.core.request.head.method.is_safe() {
            return;
        }
        // A gateway may say something that no key can: then the request is about what its own words name.
        if let Some(uri) = self.uri().or_else(|| Uri::of(&self.core.request.head, Scheme::Http)) {
            let keys = invalidated(&self.core.request.head.method, uri, head);
            let gone: usize = keys.iter().map(|key| cache.flights.remove(cache.store.place(key.uri()))).sum();
            // Behind the first level, which lets nothing in that is on its way.
            cache.second.iter().for_each(|second| keys.iter().for_each(|key| second.invalidate(key)));
            cache.invalidated.fetch_add(gone as u64, Relaxed);
        }
    }
}

/// A response, and what it answers.
struct News<'a> {
    request: &'a RequestHead,
    head: &'a ResponseHead,
    sent: Now,
    now: Now,
}

/// A response as it is to be stored, still without its body.
struct Opening {
    stored: Stored,
    /// How long the body will be, if that was announced.
    length: Option<u64>,
    part: Option<Part>,
}

fn opening(news: &News<'_>, caching: &Caching, body: BodyLength, rules: &Rules) -> Result<Opening, NotStored> {
    let News { request, head, sent, now } = *news;
    let said = ResponseDirectives::of(&head.fields);
    may_store(request, &caching.asked, head, &said)?;
    let length = match body {
        BodyLength::Empty => Some(0),
        BodyLength::Exact(length) => Some(length),
        BodyLength::Chunked => None,
        // Its end cannot be told from the backend's.
        BodyLength::UntilClose => return Err(NotStored::NothingAllows),
    };
    let part = match head.status {
        Status::PARTIAL_CONTENT => Some(Part::of(request, head).map_err(|_| NotStored::NothingAllows)?),
        _ => None,
    };
    let audience = Audience::of(&request.fields, &head.fields, &said);
    let freshness = Freshness::of(head, &said, audience, sent, now, rules);
    let stays_fresh = freshness.useful_until().is_some_and(|until| until > now.instant);
    let is_for_one = audience == Audience::Nobody && names_client(&request.fields);
    let is_worth_it = |head: &ResponseHead| match is_for_one {
        // Others are asked about it, and for theirs a server may say "not modified since" as well: only a tag tells which is meant.
        true if !has_tag(head) => Err(NotStored::ForOne),
        // Stale from the start, and nothing to ask by whether it is still good.
        false if !stays_fresh && !has_validator(head) => Err(NotStored::NothingAllows),
        true | false => Ok(()),
    };
    // Most responses that are not worth it are known by their heads alone.
    is_worth_it(head)?;
    let whole = part.map(|_| as_incomplete(head));
    let stored = Stored {
        head: storable(whole.as_ref().unwrap_or(head), &said, now),
        selecting: Selecting::of(&head.fields, &request.fields),
        freshness,
        date: date_of(&head.fields, "date", now.wall).unwrap_or(now.wall),
        body: Body::whole(Vec::new()),
        tags: tags_of(&head.fields),
    };
    // A directive may have kept a tag or a date back.
    is_worth_it(&stored.head)?;
    Ok(Opening { stored, length, part })
}

/// The response that is stored already for such a request.
fn older(cache: &Cache, place: Place<'_>, request: &RequestHead, now: Instant) -> Option<Arc<Entry>> {
    let found = cache.store.look_up(place, now);
    vary::choose(found.entries.as_slice(), &request.fields, |entry| (&entry.stored.selecting, entry.stored.date))
        .cloned()
}

/// Whether a part comes without what describes the representation, as it should where the client has named what it has
/// (RFC 9110 §15.3.7). Others have not: it is of use only together with what is stored.
fn is_bare(request: &RequestHead) -> bool {
    request.fields.contains("if-range")
}

/// A part, with the parts of the same representation that are stored already (RFC 9111 §3.4), as long as all of them are not
/// too large together. `None`: it cannot be stored without them, and there are none.
fn with_what_is_there(cache: &Cache, new: Entry, news: &News<'_>, forwarding: &Forwarding) -> Option<Entry> {
    let older = older(cache, new.place(), news.request, news.now.instant);
    let both = older.and_then(|older| {
        let rules = &cache.config.rules;
        combined(&older.stored, news.head, &new.stored.body, news.request, news.sent, news.now, rules)
    });
    let both = both.filter(|both| both.stored.body.len() <= cache.store.limits().object as u64);
    let stored = match both {
        Some(Freshened { mut stored, .. }) => {
            stored.tags = tags_of(&stored.head.fields);
            // Its age was told by a field that is not stored.
            stored.freshness = stored.freshness.aged_as(&new.stored.freshness);
            stored
        }
        None if is_bare(news.request) => return None,
        None => new.stored,
    };
    let mut wire = Vec::new();
    headers::write_stored(&mut wire, &stored.head, forwarding);
    let mut both = entry(new.key, new.hash, stored);
    both.wire = Bytes::copy_from_slice(&wire);
    Some(both)
}

/// A response has come in the place of what was asked about, and is not stored: the old one is no truer for that.
fn supersede(cache: &Cache, caching: &mut Caching, status: Status) {
    if let Some(old) = caching.question.stored.take_if(|_| speaks_of_the_resource(status)) {
        cache.forget(&old);
    }
}

/// Whether an answer with that status says something new about the resource. Others say what was wrong with one
/// request: a client that is refused must not be able to empty the cache with it.
fn speaks_of_the_resource(status: Status) -> bool {
    status != Status::NOT_MODIFIED && matches!(status.code(), 200..=399 | 404 | 410)
}

/// Whether the next request for the same would fare no better.
fn is_the_responses_fault(reason: NotStored) -> bool {
    !matches!(
        reason,
        NotStored::Method
            | NotStored::RequestContent
            | NotStored::RequestNoStore
            | NotStored::Authorization
            | NotStored::ForOne
            | NotStored::NotModified
            | NotStored::OneRequest
    )
}

/// An entry of which the head is still to be written.
pub(super) fn entry(key: Key, hash: u64, stored: Stored) -> Entry {
    let useful_until = stored.freshness.useful_until().unwrap_or(stored.freshness.arrived());
    let useless_at = (!has_validator(&stored.head)).then(|| useful_until + GRACE);
    let mut entry = Entry::new(key, hash, stored);
    entry.useless_at = useless_at;
    entry
}
