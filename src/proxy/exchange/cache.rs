//! A look into the cache for a request, and what follows: an answer, a question of our own, or the way past it.
//!
//! ```text
//!            fresh, or may be stale                  somebody fetches it already
//!   look_up ────────────────────────▶ serve.rs      ╭──── join.rs ──────────────▶ follow.rs
//!      │                                            │
//!      ├── stale: to be validated ──────────────────┤
//!      ├── nothing there ───────────────────────────┤ we fetch it
//!      ╰── not for the cache ─────▶ route.rs        ╰────────────────▶ route.rs … keep.rs
//! ```

use super::{Exchange, State, Step, caching::Caching, join::renew};
use crate::{
    cache::{
        CacheConfig, Did, Flights, Forward, Join, Lead, Place, RequestDirectives, Reuse, Situation, Stale, Store,
        Stored, Ticket, Validate, answer,
        key::Uri,
        may_look_up, reuse,
        store::Entry,
        validate::{conditional, has_tag, has_validator, synthesized},
        vary,
    },
    http::{Method, RequestHead, hop, target::Scheme},
    proxy::{
        explain::{CacheFact, Fact},
        readings,
        record::Record,
        routing::Way,
        scheme,
        second_level::SecondLevel,
    },
};
use std::sync::{Arc, atomic::AtomicU64};

/// The cache as the exchanges see it: shared by all workers, and by all configurations.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Cache {
    pub(in crate::proxy) store: Arc<Store>,
    /// Responses on their way to the store.
    pub(in crate::proxy) flights: Arc<Flights>,
    /// A second level that several proxies share. `None`: this one is alone.
    pub(in crate::proxy) second: Option<Arc<SecondLevel>>,
    pub(in crate::proxy) config: CacheConfig,
    /// Entries taken out because something unsafe changed what they show.
    pub(in crate::proxy) invalidated: Arc<AtomicU64>,
    /// Entries taken out because the operator said so.
    pub(in crate::proxy) purged: Arc<AtomicU64>,
}

/// A fetch without a client, to be begun.
#[derive(Debug)]
pub(in crate::proxy) struct Fetch {
    /// Of the configuration under which `way` was found.
    pub(in crate::proxy) version: u32,
    pub(in crate::proxy) head: RequestHead,
    pub(in crate::proxy) caching: Box<Caching>,
    pub(in crate::proxy) record: Record,
    pub(in crate::proxy) way: Way,
}

/// A backend has to be asked.
struct Ask {
    why: Forward,
    /// Why a stored response cannot be used as it is.
    reason: Option<Validate>,
    /// The stored response that cannot be used as it is.
    stored: Option<Arc<Entry>>,
    /// The stored responses that may turn out to be good still.
    nominated: Vec<Arc<Entry>>,
    join: Join,
    /// The hash of the request's URI.
    hash: u64,
}

/// The result of a look.
enum Verdict {
    /// Not for the cache.
    Forward(Forward),
    /// This answers it; it may be stale, and then a newer one may have to be asked for.
    Use(Arc<Entry>, Did, Option<Lead>),
    /// A backend has to be asked.
    Ask(Ask),
    /// It has to be, and the client does not want that.
    Refuse,
}

impl Step<'_> {
    /// The head is here: the cache first, if there is one.
    pub(super) fn look_up(&mut self) -> State {
        let Some(cache) = &self.worker.shared.cache else { return self.route(None) };
        let asked = RequestDirectives::of(&self.core.request.head.fields);
        // The answer cannot vary with a field that the backend does not see.
        hop::remove_listed(&mut self.core.request.head.fields);
        match self.judge(cache, &asked) {
            Verdict::Use(entry, did, lead) => {
                if let Some(lead) = lead {
                    self.revalidate_later(lead, entry.clone());
                }
                let did = self.core.caching.as_ref().map_or(did, |caching| caching.after_waiting(did));
                self.serve(&entry, did)
            }
            // A request that changes something is written through, whatever the client wishes (RFC 9111 §4).
            Verdict::Forward(_) if asked.only_if_cached && self.core.request.head.method.is_safe() => self.refuse(),
            Verdict::Refuse => self.only_stored(asked),
            Verdict::Forward(why) => {
                self.caching(asked, why);
                self.note_forward(why);
                self.route(None)
            }
            Verdict::Ask(ask) => self.ask(asked, ask),
        }
    }

    /// The client takes nothing but what is stored, and that will not do: perhaps it is in the second level.
    fn only_stored(&mut self, asked: RequestDirectives) -> State {
        let shared = self.worker.shared.clone();
        if let Some(cache) = shared.cache.as_ref().filter(|cache| cache.second.is_some()) {
            let lead = self.alone(cache, None);
            self.caching(asked, Forward::UriMiss).storing.lead = lead;
            if let Some(state) = self.ask_second(cache) {
                return state;
            }
        }
        self.refuse()
    }

    /// The client takes nothing but what is stored, and that will not do (RFC 9111 §5.2.1.7).
    pub(super) fn refuse(&mut self) -> State {
        self.explain(|_| Fact::Cache(CacheFact::OnlyIfCached));
        self.give_up(None, super::Failure::OnlyIfCached)
    }

    /// The exchange's dealings with the cache, begun with the first look.
    fn caching(&mut self, asked: RequestDirectives, why: Forward) -> &mut Caching {
        let caching = self.core.caching.get_or_insert_with(|| Caching::new(asked, why));
        caching.why = why;
        caching
    }

    fn ask(&mut self, asked: RequestDirectives, ask: Ask) -> State {
        let shared = self.worker.shared.clone();
        let Some(cache) = &shared.cache else { return self.route(None) };
        let Ask { why, reason, stored, nominated, join, hash } = ask;
        if let Some(reason) = reason {
            self.explain(|_| Fact::Cache(CacheFact::Validate(reason)));
        }
        let until = self.cx.now() + cache.config.wait;
        let caching = self.caching(asked, why);
        (caching.question.stored, caching.question.nominated) = (stored, nominated);
        let lead = match join {
            Join::Lead(lead) => Some(lead),
            Join::Follow(flight) => {
                let caching = self.caching(asked, why);
                // Until it has to ask itself.
                caching.waiting.was_enough = Some(true);
                let until = *caching.waiting.until.get_or_insert(until);
                if self.cx.now() < until {
                    self.wait_until(Some(until));
                    return self.follow(flight.follow(&cache.store));
                }
                self.alone(cache, Some(hash))
            }
            Join::Again | Join::Alone => self.alone(cache, Some(hash)),
        };
        self.caching(asked, why).storing.lead = lead;
        if cache.second.is_some()
            && may_know(why, reason)
            && let Some(state) = self.ask_second(cache)
        {
            return state;
        }
        self.go()
    }

    /// Goes to a backend without regard to others, and without others waiting for it.
    pub(super) fn go_alone(&mut self) -> State {
        let shared = self.worker.shared.clone();
        let Some(cache) = &shared.cache else { return self.route(None) };
        let lead = self.alone(cache, None);
        if let Some(caching) = &mut self.core.caching {
            caching.storing.lead = lead;
        }
        self.go()
    }

    /// Goes to a backend: with a question about what is stored, if something is.
    pub(super) fn go(&mut self) -> State {
        if let Some(caching) = &mut self.core.caching {
            caching.waiting.was_enough = caching.waiting.was_enough.map(|_| false);
            caching.question.head = question(&self.core.request.head, &caching.question.nominated);
            let why = caching.why;
            self.note_forward(why);
        }
        self.route(None)
    }

    /// The URI that the request is about, as the key says it. `None`: no key can.
    pub(super) fn uri(&self) -> Option<Uri<'_>> {
        let Record { peer, secure, .. } = &self.core.record;
        let forwarding = &self.worker.shared.config.forwarding;
        // The backend hears who asks, and may answer nobody else so.
        if forwarding.client_cert_header.is_some() && secure.as_ref().is_some_and(|secure| secure.client.is_some()) {
            return None;
        }
        let ours = if secure.is_some() { Scheme::Https } else { Scheme::Http };
        let scheme = scheme::scheme(&self.core.request.head, peer.ip(), ours, forwarding)?;
        Uri::of(&self.core.request.head, scheme)
    }

    /// `hash`: of the URI, if it is known.
    fn alone(&self, cache: &Cache, hash: Option<u64>) -> Option<Lead> {
        let uri = self.uri()?;
        let place = hash.map_or_else(|| cache.store.place(uri), |hash| Place { uri, hash });
        Some(Lead::alone(cache.flights.clone(), place))
    }

    fn judge(&self, cache: &Cache, asked: &RequestDirectives) -> Verdict {
        let head = &self.core.request.head;
        if may_look_up(head).is_err() {
            let method = matches!(head.method, Method::Get | Method::Head);
            return Verdict::Forward(if method { Forward::Bypass } else { Forward::Method });
        }
        let path = head.parsed_target().path();
        let is_odd =
            !self.core.request.is_complete() || self.core.request.upgrade || self.core.request.overrides_method;
        // A backend may read the path as one that is excluded: it is not stored then either.
        let exclude = &cache.config.exclude;
        let is_for_cache = |path: &[u8]| !exclude.iter().any(|pattern| pattern.matches(path));
        if is_odd || !exclude.is_empty() && !readings::all(path.as_bytes(), is_for_cache) {
            return Verdict::Forward(Forward::Bypass);
        }
        let Some(uri) = self.uri() else { return Verdict::Forward(Forward::Bypass) };
        let place = cache.store.place(uri);
        let hash = place.hash;
        // Every time around, another request has stored something.
        for _ in 0..3 {
            if let Some(verdict) = self.judge_place(cache, place, asked) {
                return verdict;
            }
        }
        let alone =
            Ask { why: Forward::UriMiss, reason: None, stored: None, nominated: Vec::new(), join: Join::Alone, hash };
        Verdict::Ask(alone)
    }

    /// `None`: something has changed meanwhile.
    fn judge_place(&self, cache: &Cache, place: Place<'_>, asked: &RequestDirectives) -> Option<Verdict> {
        let (head, now) = (&self.core.request.head, self.cx.now());
        let found = cache.store.look_up(place, now);
        let entries = found.entries.as_slice();
        let chosen = vary::choose(entries, &head.fields, |entry| (&entry.stored.selecting, entry.stored.date));
        if let Some(chosen) = chosen {
            chosen.touch();
        }
        let has_enough = |entry: &&Arc<Entry>| {
            entry.stored.body.is_whole() || answer(head, &entry.stored, self.cx.clock().wall, || 0).is_ok()
        };
        let Some(entry) = chosen.filter(has_enough) else {
            if asked.only_if_cached {
                return Some(Verdict::Refuse);
            }
            let shared = asks_for_all(head) && !asked.no_store;
            let (why, nominated) = match chosen {
                Some(_) => (Forward::Partial, Vec::new()),
                None if entries.is_empty() => (Forward::UriMiss, Vec::new()),
                // One of them may be what this request gets, too.
                None if asks_for_all(head) => (Forward::VaryMiss, nominated(entries, None)),
                None => (Forward::VaryMiss, Vec::new()),
            };
            let join = self.join(cache, place, &found, chosen.map(|entry| &**entry), shared)?;
            return Some(Verdict::Ask(Ask { why, reason: None, stored: None, nominated, join, hash: place.hash }));
        };
        let reason = match reuse(&entry.stored.freshness, asked, now, Situation::Normal) {
            Reuse::Fresh => return Some(Verdict::Use(entry.clone(), Did::Hit, None)),
            Reuse::Stale(Stale::ClientAccepts | Stale::IfError) => {
                return Some(Verdict::Use(entry.clone(), Did::HitStale, None));
            }
            Reuse::Stale(Stale::WhileRevalidating) => {
                // The client may ask for a part or for the head alone: we shall ask for all (RFC 5861 §3).
                let lead = renew(cache, place, &found, head, entry)?;
                return Some(Verdict::Use(entry.clone(), Did::HitStale, lead));
            }
            Reuse::Validate(_) if asked.only_if_cached => return Some(Verdict::Refuse),
            Reuse::Validate(reason) => reason,
        };
        let (why, shared) = self.validation(entry, reason, asked);
        let reason = Some(reason);
        let join = self.join(cache, place, &found, Some(entry), shared)?;
        let nominated = nominated(entries, Some(entry));
        Some(Verdict::Ask(Ask { why, reason, stored: Some(entry.clone()), nominated, join, hash: place.hash }))
    }

    /// Why a stored response is validated, as the standard puts it, and whether several requests can share the answer.
    fn validation(&self, entry: &Entry, reason: Validate, asked: &RequestDirectives) -> (Forward, bool) {
        let (head, freshness) = (&self.core.request.head, &entry.stored.freshness);
        // Of a stale one there is no need to say that the client wants it asked about (RFC 9211 §2.2).
        let why = if freshness.left(self.cx.now()).is_ok() { Forward::Request } else { Forward::Stale };
        let is_plain = !asked.no_store && !has_own_conditions(head) && !head.fields.contains("range");
        match reason {
            // If it is never fresh, each client has to ask for itself, and none waits for another's answer.
            Validate::Expired => (Forward::Stale, is_plain && !freshness.lifetime().is_zero()),
            Validate::Unsaid => (why, is_plain && !asked.names_client),
            Validate::ResponseNoCache => (Forward::Stale, false),
            // A request that demands validation must not join a fetch that began before it.
            Validate::RequestNoCache => (why, false),
            Validate::RequestMaxAge | Validate::RequestMinFresh => (Forward::Request, false),
        }
    }

    /// A stale response is on its way to the client: asks for a newer one.
    fn revalidate_later(&mut self, lead: Lead, entry: Arc<Entry>) {
        // This is a request of our own: what the client's says of itself, `no-store` above all, is not said of it.
        let mut caching = Caching::new(RequestDirectives::default(), Forward::Stale);
        caching.background = true;
        caching.storing.lead = Some(lead);
        let head = synthesized(&self.core.request.head, &entry.stored);
        caching.question.nominated = nominated(&[], Some(&entry));
        caching.question.head = question(&head, &caching.question.nominated);
        caching.question.stored = Some(entry);
        let Record { peer, local, client, secure, .. } = &self.core.record;
        let record = Record { local: *local, ..Record::new(*peer, *client, secure.clone(), self.cx.clock()) };
        self.worker.fetches.push(Fetch { version: self.core.version, head, caching, record, way: self.core.way });
    }

    /// Where this exchange is told of what it waits for.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket { worker: u32::try_from(self.worker.number).unwrap_or(u32::MAX), who: self.core.key }
    }
}

/// Whether another proxy may have stored something better. Where the client wants the backend asked, it has not.
fn may_know(why: Forward, reason: Option<Validate>) -> bool {
    match why {
        Forward::UriMiss | Forward::VaryMiss | Forward::Partial => true,
        Forward::Stale => reason == Some(Validate::Expired),
        Forward::Bypass | Forward::Method | Forward::Request => false,
    }
}

/// Whether the answer to this request can be for all clients: the whole representation, without conditions.
fn asks_for_all(head: &RequestHead) -> bool {
    !has_own_conditions(head)
        && !head.fields.contains("if-none-match")
        && !head.fields.contains("if-modified-since")
        && !head.fields.contains("range")
}

/// Conditions that only the origin server may judge (RFC 9111 §4.3.2).
fn has_own_conditions(head: &RequestHead) -> bool {
    head.fields.contains("if-match") || head.fields.contains("if-unmodified-since")
}

/// The request with our conditions. `None`: there is nothing to ask about, or the request has conditions of its own that
/// only the origin server may judge.
fn question(head: &RequestHead, nominated: &[Arc<Entry>]) -> Option<RequestHead> {
    if nominated.is_empty() || has_own_conditions(head) {
        return None;
    }
    let stored: Vec<&Stored> = nominated.iter().map(|entry| &entry.stored).collect();
    Some(conditional(head, &stored))
}

/// The stored responses that can be asked about: the one that was `chosen` first, then the others. Tags name several at once;
/// a date is that of one alone, so that a chosen one without a tag is asked about by itself, and others without one are not (RFC 9111 §4.3.1).
fn nominated(entries: &[Arc<Entry>], chosen: Option<&Arc<Entry>>) -> Vec<Arc<Entry>> {
    let chosen = chosen.filter(|chosen| has_validator(&chosen.stored.head));
    if let Some(chosen) = chosen.filter(|chosen| !has_tag(&chosen.stored.head)) {
        return vec![chosen.clone()];
    }
    let others = entries.iter().filter(|entry| chosen.is_none_or(|chosen| !Arc::ptr_eq(chosen, entry)));
    chosen.into_iter().chain(others.filter(|entry| has_tag(&entry.stored.head))).cloned().collect()
}

impl Exchange {
    /// Whether its backend goes on while its client does not read: what is being stored is in memory anyway, and what several
    /// read waits for the window that they share.
    pub(in crate::proxy) fn spares_backend(&self) -> bool {
        let Some(caching) = &self.core.caching else { return false };
        caching.storing.own.is_some() || caching.storing.fill().is_some_and(|fill| fill.is_storing())
    }

    /// Whether no client waits for it.
    pub(in crate::proxy) fn is_unattended(&self) -> bool {
        self.core.client.is_nobody()
    }
}
