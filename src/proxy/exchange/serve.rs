//! Answers from the cache: the head as this client gets it, and the stored body by reference.

use super::{Event, Failure, State, Step};
use crate::{
    cache::{Answer, CacheStatus, Did, Forward, Incomplete, Key, Stored, answer, status::Origin, store::Entry},
    http::{BodyLength, Fields},
    proxy::{
        client::Announced,
        explain::{CacheFact, Fact},
    },
};
use bytes::Bytes;
use rand::RngExt as _;
use std::{sync::Arc, vec};

/// As much of a stored body is given to the driver at once. It tells when a call of at least that size has left, and so the next part can
/// wait for it. Over TLS no more is sealed in one visit, and a connection that is closed behind its last part leaves nothing to be
/// sealed then.
pub(super) const STEP: usize = 512 * 1024;

impl Step<'_> {
    /// Answers with what is stored, which `did` happen to the request.
    pub(super) fn serve(&mut self, entry: &Arc<Entry>, did: Did) -> State {
        let now = self.cx.clock();
        let boundary = || self.worker.rng.random();
        match answer(&self.core.request.head, &entry.stored, now.wall, boundary) {
            Ok(Answer::Whole) => self.serve_whole(entry, did, true),
            Ok(Answer::Head) => self.serve_whole(entry, did, false),
            Ok(answer) => self.serve_answer(entry, did, &answer),
            // Not chosen if it is not whole.
            Err(Incomplete) => self.go_alone(),
        }
    }

    /// Says in the counters and in the log what was done with a stored response.
    pub(super) fn note(&mut self, did: Did, entry: &Entry) {
        let is_stale = entry.stored.freshness.left(self.cx.now()).is_err();
        self.core.record.cache = Some(did);
        self.explain(|_| Fact::Cache(CacheFact::Used(did)));
        self.worker.counters().cache.count(did, is_stale);
    }

    /// Says in the counters and in the log that a backend is to be asked: once, whatever comes of it.
    pub(super) fn note_forward(&mut self, why: Forward) {
        let did = Did::Forwarded(why);
        self.core.record.cache = Some(did);
        self.explain(|_| Fact::Cache(CacheFact::Forward(why)));
        self.worker.counters().cache.count(did, false);
    }

    /// The usual case: the whole response, or its head.
    fn serve_whole(&mut self, entry: &Arc<Entry>, did: Did, with_body: bool) -> State {
        self.note(did, entry);
        let body = &entry.stored.body;
        let length =
            if entry.stored.head.status.is_bodiless() { BodyLength::Empty } else { BodyLength::Exact(body.len()) };
        self.send_stored_head(entry, Announced { length, follows: with_body });
        if !with_body {
            return self.serve_out();
        }
        if body.len() > STEP as u64 {
            return self.serve_on(body.pieces().to_vec().into_iter());
        }
        for piece in body.pieces() {
            if let Err(error) = self.reply().data_owned(piece.clone()) {
                return self.give_up(None, Failure::Response(error));
            }
        }
        self.serve_out()
    }

    /// An answer for some clients only: that their own copy is good, or parts of the body.
    pub(super) fn serve_answer(&mut self, entry: &Arc<Entry>, did: Did, answer: &Answer) -> State {
        self.note(did, entry);
        let key = self.status_key();
        let status = self.cache_status(Some(entry), false, key.as_ref());
        match self.edited_entry(entry) {
            None => self.reply().selected(entry, answer, status),
            Some(edited) => self.reply().selected(&edited, answer, status),
        }
        self.serve_on(answer.body(&entry.stored).collect::<Vec<_>>().into_iter())
    }

    /// The next part of a body that is too long to be sent at once.
    pub(super) fn serve_on(&mut self, mut rest: vec::IntoIter<Bytes>) -> State {
        let mut given = 0;
        while given < STEP
            && let Some(piece) = rest.next()
        {
            given += piece.len();
            if let Err(error) = self.reply().data_owned(piece) {
                return self.give_up(None, Failure::Response(error));
            }
        }
        if rest.len() == 0 {
            return self.serve_out();
        }
        // Answered at once, the exchange would need no deadline.
        self.core.arm(self.cx);
        State::Serve(rest)
    }

    /// All of it was given.
    fn serve_out(&mut self) -> State {
        match self.reply().end(&Fields::new()) {
            Ok(()) => State::Done(Ok(())),
            Err(error) => self.give_up(None, Failure::Response(error)),
        }
    }

    /// The head of a stored response.
    pub(super) fn send_stored_head(&mut self, entry: &Entry, body: Announced) {
        let key = self.status_key();
        let status = self.cache_status(Some(entry), false, key.as_ref());
        match self.edited_entry(entry) {
            None => self.reply().stored(entry, body, status),
            Some(edited) => self.reply().stored(&edited, body, status),
        }
    }

    /// The stored response with the head as the client gets it, if its route changes that.
    fn edited_entry(&mut self, entry: &Entry) -> Option<Entry> {
        let head = self.edited(&entry.stored.head)?;
        let wire = self.wire(&head);
        let mut edited = Entry::new(entry.key.clone(), entry.hash, Stored { head, ..entry.stored.clone() });
        edited.wire = wire;
        Some(edited)
    }

    /// `Cache-Status` (RFC 9211): `entry` is what the client gets, if it comes from the cache. `None`: it is not told.
    pub(super) fn cache_status<'k>(
        &self,
        entry: Option<&Entry>,
        stored: bool,
        key: Option<&'k Key>,
    ) -> Option<CacheStatus<'k>> {
        self.worker.shared.cache.as_ref().filter(|cache| cache.config.status)?;
        let origin = match (&self.core.caching, self.core.record.cache) {
            (None, _) | (_, Some(Did::Hit | Did::HitStale)) => Origin::Hit,
            (_, Some(Did::SecondLevel)) => Origin::SecondLevel,
            // No backend could be asked, so that what is stored stands in for the answer: nothing came from there (§2.1).
            (Some(caching), Some(Did::IfError)) if caching.status.is_none() => Origin::Hit,
            (Some(caching), _) => Origin::Forwarded {
                why: caching.why,
                status: caching.status,
                stored,
                collapsed: caching.waiting.was_enough,
            },
        };
        let ttl = entry.map(|entry| entry.stored.freshness.ttl_seconds(self.cx.now()));
        Some(CacheStatus { origin, ttl, key: key.map(Key::as_str) })
    }

    /// The key that `Cache-Status` tells, if it does.
    pub(super) fn status_key(&self) -> Option<Key> {
        self.worker.shared.cache.as_ref().filter(|cache| cache.config.status && cache.config.status_key)?;
        self.uri().map(|uri| uri.to_key())
    }

    /// The next state of a stored response that is being sent.
    pub(super) fn serving(&mut self, rest: vec::IntoIter<Bytes>, event: Event<'_>) -> State {
        match event {
            Event::Drained => self.serve_on(rest),
            Event::ClientLost(failure) | Event::RequestBad(failure) => self.give_up(None, failure),
            Event::Expired => self.give_up(None, Failure::ExchangeTimeout),
            _ => State::Serve(rest),
        }
    }
}
