//! What a response means for the cache: it is stored as it passes, it confirms what is stored, or it ends what is stored.
//!
//! A response that is stored passes by reference: it is copied once out of the read buffer, and those bytes are what the
//! client gets, what others who wait get, and what is stored.

use super::{Caching, Close, Failure, Link, Receiving, State, Turn, cache::Cache};
use crate::{
    app::ConnId,
    cache::{
        CacheConfig, Freshness, NotStored, ResponseDirectives, Reuse, Situation,
        collapse::{Lead, Over},
        entry::{Body, Stored, storable},
        fill::Added,
        invalidated, is_server_failure,
        key::Uri,
        may_store,
        purge::tags_of,
        reuse,
        store::Entry,
        vary::Selecting,
    },
    health::Outcome,
    http::{BodyLength, BodyWriter, RequestHead, ResponseHead, Status, target::Scheme},
    proxy::headers,
    time::Now,
};
use bytes::Bytes;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// How long a stale response without validators is kept beyond what it permits itself, for clients that take stale ones.
const GRACE: Duration = Duration::from_secs(600);

/// A response whose client has left is fetched to its end if so much of it, at most, is still to come.
const NEARLY_DONE: u64 = 256 * 1024;

/// What a response head came to.
pub(super) enum Kept {
    /// It goes on to the client, and says so to it: whether it is being stored.
    Pass { stored: bool },
    /// It is not for the client.
    Instead(State),
}

impl Turn<'_> {
    /// A response head is here: what does the cache make of it?
    pub(super) fn keep(&mut self, link: Link, sending: BodyWriter, head: &ResponseHead, body: BodyLength) -> Kept {
        let shared = self.parts.shared.clone();
        let (Some(cache), Some(mut caching)) = (&shared.cache, self.core.caching.take()) else {
            return Kept::Pass { stored: false };
        };
        caching.status = Some(head.status.code());
        self.count_forward(caching.why);
        self.invalidate(cache, head);
        if head.status == Status::NOT_MODIFIED
            && caching.question.is_some()
            && let Some(old) = caching.stored.take()
        {
            let state = self.unchanged(cache, &mut caching, &old, link, sending, head);
            self.core.caching = Some(caching);
            return Kept::Instead(state);
        }
        if is_server_failure(head.status) && self.may_stand_in(&caching) {
            caching.lead = None;
            self.core.caching = Some(caching);
            if let Some(state) = self.stand_in() {
                self.parts.close_link(link, Outcome::Success, self.cx);
                return Kept::Instead(state);
            }
            return Kept::Pass { stored: false };
        }
        let stored = self.store(cache, &mut caching, head, body);
        self.core.caching = Some(caching);
        Kept::Pass { stored }
    }

    /// Begins to store the response, if that may be.
    fn store(&mut self, cache: &Cache, caching: &mut Caching, head: &ResponseHead, body: BodyLength) -> bool {
        let now = self.cx.clock();
        let Some(lead) = &mut caching.lead else { return false };
        match opening(
            lead,
            &self.core.head,
            caching.sent.unwrap_or(now),
            &caching.asked,
            head,
            body,
            now,
            &cache.config,
        ) {
            Ok((mut entry, length)) if length.is_none_or(|length| length <= cache.store.limits().object as u64) => {
                entry.wire = self.wire(&entry.stored.head);
                lead.open(entry, length);
                true
            }
            // Nobody need wait for the next one either.
            refused => {
                if refused.map_or_else(is_the_responses_fault, |_| true) {
                    cache.store.pass(lead.place(), now.instant);
                }
                lead.release(Over::Private);
                caching.lead = None;
                false
            }
        }
    }

    /// The head as most clients get it, up to what differs from hit to hit.
    fn wire(&mut self, head: &ResponseHead) -> Bytes {
        let mut out = std::mem::take(&mut self.parts.scratch);
        headers::write_stored(&mut out, head, &self.parts.shared.config.forwarding);
        // A copy of just its size: the scratch is shared with what has long been sent.
        let wire = Bytes::copy_from_slice(&out);
        out.clear();
        self.parts.scratch = out;
        wire
    }

    /// A piece of the body of a response that is stored. `None`: it is not, or no longer.
    pub(super) fn keep_piece(&mut self, link: Link, data: &[u8]) -> Option<Bytes> {
        let ticket = self.ticket();
        let caching = self.core.caching.as_mut()?;
        let lead = caching.lead.as_mut().filter(|lead| lead.fill().is_some())?;
        let piece = Bytes::copy_from_slice(data);
        match lead.append(piece.clone(), ticket) {
            Added::Kept | Added::Passed => {}
            Added::Wait => {
                if let Some(upstream) = self.parts.table.upstream(link.conn) {
                    upstream.set_congested(self.cx, true);
                }
            }
            Added::TooLarge => {
                let place = lead.place();
                if let Some(cache) = &self.parts.shared.cache {
                    cache.store.pass(place, self.cx.now());
                }
            }
            Added::Unread => caching.lead = None,
        }
        Some(piece)
    }

    /// The response is complete, and so is what is stored.
    pub(super) fn keep_complete(&mut self) {
        let now = self.cx.now();
        let Some(caching) = &mut self.core.caching else { return };
        let Some(lead) = caching.lead.take_if(|lead| lead.fill().is_some()) else { return };
        lead.complete(
            now,
            |opening, body| Entry {
                key: opening.key.clone(),
                hash: opening.hash,
                stored: Stored { body: Body::whole(body), ..opening.stored.clone() },
                wire: opening.wire.clone(),
                useless_at: opening.useless_at,
            },
            |new, old| new.stored.selecting == old.stored.selecting,
        );
    }

    /// A 304 to our own question: what is stored is as good as new.
    fn unchanged(
        &mut self,
        cache: &Cache,
        caching: &mut Caching,
        old: &Arc<Entry>,
        link: Link,
        sending: BodyWriter,
        head: &ResponseHead,
    ) -> State {
        let now = self.cx.clock();
        self.parts.counters().cache.validated.add(1);
        let mut new = freshened(old, head, caching.sent.unwrap_or(now), now, &cache.config);
        new.wire = self.wire(&new.stored.head);
        let entry = Arc::new(new);
        let replaced = !caching.asked.no_store && cache.store.replace(old, entry.clone());
        if let Some(mut lead) = caching.lead.take() {
            let fresh = replaced && entry.stored.freshness.left(now.instant).is_ok();
            lead.release(if fresh { Over::Stored } else { Over::Private });
        }
        State::Relay { link, sending, receiving: Receiving::Unchanged(entry), reusable: true }
    }

    fn may_stand_in(&self, caching: &Caching) -> bool {
        caching.stored.as_ref().is_some_and(|entry| {
            let stale = reuse(&entry.stored.freshness, &caching.asked, self.cx.now(), Situation::Failed);
            matches!(stale, Reuse::Fresh | Reuse::Stale(_))
        })
    }

    /// What is stored answers in place of a backend that failed, if it may. Others who wait may do the same.
    pub(super) fn stand_in(&mut self) -> Option<State> {
        let mut caching = self.core.caching.take()?;
        if !self.may_stand_in(&caching) || caching.background {
            self.core.caching = Some(caching);
            return None;
        }
        caching.lead = None;
        let entry = caching.stored.take();
        self.core.caching = Some(caching);
        entry.map(|entry| self.serve(&entry))
    }

    /// An unsafe request was answered: what is stored for what it changed is no longer true (RFC 9111 §4.4).
    fn invalidate(&mut self, cache: &Cache, head: &ResponseHead) {
        if self.core.head.method.is_safe() {
            return;
        }
        if let Some(uri) = Uri::of(&self.core.head, Scheme::Http) {
            let keys = invalidated(&self.core.head.method, uri, head);
            let gone: usize = keys.iter().map(|key| cache.store.remove(cache.store.place(key.uri()))).sum();
            cache.invalidated.fetch_add(gone as u64, Relaxed);
        }
    }

    /// The client is gone. Whether its request goes on all the same: others wait for the answer, or little of it is missing.
    pub(super) fn goes_on_without_client(&self, receiving: &Receiving) -> bool {
        let Some(lead) = self.core.caching.as_ref().and_then(|caching| caching.lead.as_ref()) else { return false };
        if lead.followers() > 0 {
            return true;
        }
        let Some(fill) = lead.fill() else { return false };
        match receiving {
            // What nobody may use without asking again is not worth it.
            _ if fill.opening().stored.freshness.left(self.cx.now()).is_err() => false,
            Receiving::Body(_) => fill.length().is_some_and(|length| length - fill.kept().min(length) <= NEARLY_DONE),
            Receiving::Head | Receiving::Complete | Receiving::Unchanged(_) => false,
        }
    }

    /// Whether anybody is there for whom it goes on.
    pub(super) fn is_wanted(&self, receiving: &Receiving) -> bool {
        self.core.client != ConnId::NOBODY || self.core.is_our_own() || self.goes_on_without_client(receiving)
    }

    /// Lets the client go, and goes on.
    pub(super) fn detach(&mut self, link: Link, failure: Failure) {
        let client = std::mem::replace(&mut self.core.client, ConnId::NOBODY);
        if self.parts.forget_client(client).is_some() {
            self.cx.abort(client);
        }
        if self.core.record.status == 0 {
            self.core.record.status = failure.status().code();
        }
        self.core.close = Close::Abort;
        let ticket = self.ticket();
        if let Some(lead) = self.core.caching.as_ref().and_then(|caching| caching.lead.as_ref()) {
            lead.orphan(ticket);
        }
        if let Some(upstream) = self.parts.table.upstream(link.conn) {
            upstream.set_congested(self.cx, false);
        }
    }
}

/// What a response that may be stored is stored as, still without its body, and how long that will be.
#[allow(clippy::too_many_arguments)]
fn opening(
    lead: &Lead,
    request: &RequestHead,
    sent: Now,
    asked: &crate::cache::RequestDirectives,
    head: &ResponseHead,
    body: BodyLength,
    now: Now,
    config: &CacheConfig,
) -> Result<(Entry, Option<u64>), NotStored> {
    let said = ResponseDirectives::of(&head.fields);
    may_store(request, asked, head, &said)?;
    let length = match body {
        BodyLength::Empty => Some(0),
        BodyLength::Exact(length) => Some(length),
        BodyLength::Chunked => None,
        // Its end cannot be told from the backend's.
        BodyLength::UntilClose => return Err(NotStored::NothingAllows),
    };
    if head.status == Status::PARTIAL_CONTENT {
        return Err(NotStored::NothingAllows);
    }
    let stored = Stored {
        head: storable(head, &said, now),
        selecting: Selecting::of(&head.fields, &request.fields),
        freshness: Freshness::of(head, &said, sent, now, &config.rules),
        date: now.wall,
        body: Body::whole(Vec::new()),
        tags: tags_of(&head.fields),
    };
    let entry = entry(lead.key().clone(), lead.place().hash, stored);
    // Stale from the start, and nothing to ask by whether it is still good.
    let useful = entry.useless_at.is_none_or(|at| at > now.instant + GRACE);
    if useful { Ok((entry, length)) } else { Err(NotStored::NothingAllows) }
}

/// Whether the next request for the same would fare no better.
fn is_the_responses_fault(reason: NotStored) -> bool {
    !matches!(
        reason,
        NotStored::Method | NotStored::RequestContent | NotStored::RequestNoStore | NotStored::Authorization
    )
}

fn entry(key: crate::cache::key::Key, hash: u64, stored: Stored) -> Entry {
    let validators = stored.head.fields.contains("etag") || stored.head.fields.contains("last-modified");
    let useful_until = stored.freshness.useful_until().unwrap_or(stored.freshness.arrived());
    let useless_at = (!validators).then(|| useful_until + GRACE);
    Entry { key, hash, stored, wire: Bytes::new(), useless_at }
}

/// What is stored, with what a 304 says of it (RFC 9111 §3.2).
fn freshened(old: &Entry, head: &ResponseHead, sent: Now, now: Now, config: &CacheConfig) -> Entry {
    let mut stored = old.stored.clone();
    for (name, _) in head.fields.iter() {
        if !name.eq_ignore_ascii_case("content-length") {
            stored.head.fields.remove(name);
        }
    }
    for (name, value) in head.fields.iter() {
        if !name.eq_ignore_ascii_case("content-length") {
            stored.head.fields.push(name, value);
        }
    }
    let said = ResponseDirectives::of(&stored.head.fields);
    stored.freshness = Freshness::of(&stored.head, &said, sent, now, &config.rules);
    stored.head = storable(&stored.head, &said, now);
    stored.date = now.wall;
    stored.tags = tags_of(&stored.head.fields);
    entry(old.key.clone(), old.hash, stored)
}
