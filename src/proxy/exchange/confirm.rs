//! The backend was asked whether what is stored is still good, or fails to say so.

use super::{Caching, State, Step, cache::Cache, keep::entry, relay::Receiving};
use crate::{
    cache::{
        Did, Lead, Reuse, Situation, Stored,
        collapse::Over,
        purge::tags_of,
        reuse,
        store::Entry,
        validate::{
            Confirmed, Freshened, HeadSays, Old, conditional, confirmed, confirmed_beside, freshened, head_says,
        },
    },
    http::ResponseHead,
};
use std::sync::Arc;

impl Step<'_> {
    /// A 304 to our own question: what is stored is as good as new, and answers.
    pub(super) fn not_modified(&mut self, cache: &Cache, caching: &mut Caching, head: &ResponseHead) -> Receiving {
        let now = self.cx.clock();
        let nominated = std::mem::take(&mut caching.question.nominated);
        let stored: Vec<&Stored> = nominated.iter().map(|entry| &entry.stored).collect();
        let answer = match confirmed(head, &self.core.request.head, &stored, now.wall) {
            Confirmed::These(places) => {
                let mut fresh = places.iter().map(|at| self.freshen(cache, caching, &nominated[*at], head, false));
                let first = fresh.next();
                fresh.for_each(drop);
                first
            }
            Confirmed::Another(at) => Some(self.freshen(cache, caching, &nominated[at], head, true)),
            Confirmed::Nothing => None,
        };
        let Some((answer, kept)) = answer else {
            // About something that we do not have: once more, and without conditions.
            caching.question.head = Some(conditional::<Stored>(&self.core.request.head, &[]));
            caching.question.stored = None;
            return Receiving::Again;
        };
        self.worker.counters().cache.validated.add(1);
        if let Some(mut lead) = caching.storing.lead.take() {
            let for_all = kept && answer.stored.freshness.left(now.instant).is_ok();
            lead.release(if for_all { Over::Stored } else { Over::Private });
        }
        Receiving::Unchanged(answer)
    }

    /// A 304 to conditions that the client has set itself, and that goes on to it: what is stored and has one of its
    /// validators is as good as new, too (§4.3.4).
    pub(super) fn confirm_beside(&mut self, cache: &Cache, caching: &Caching, head: &ResponseHead) {
        let Some(place) = caching.storing.lead.as_ref().map(Lead::place) else { return };
        let entries = cache.store.peek(place);
        let stored: Vec<&Stored> = entries.iter().map(|entry| &entry.stored).collect();
        let confirmed = confirmed_beside(head, &self.core.request.head, &stored, self.cx.clock().wall);
        for at in &confirmed {
            self.freshen(cache, caching, &entries[*at], head, false);
        }
        if !confirmed.is_empty() {
            self.worker.counters().cache.validated.add(1);
        }
    }

    /// The entry with what a newer response says of it, put where the old one was, if that may be; and whether it was.
    fn freshen(
        &mut self,
        cache: &Cache,
        caching: &Caching,
        entry_of: &Arc<Entry>,
        head: &ResponseHead,
        another: bool,
    ) -> (Arc<Entry>, bool) {
        let now = self.cx.clock();
        let sent = caching.question.sent.unwrap_or(now);
        let Freshened { mut stored, old } =
            freshened(&entry_of.stored, head, &self.core.request.head, sent, now, &cache.config.rules);
        stored.tags = tags_of(&stored.head.fields);
        let mut new = entry(entry_of.key.clone(), entry_of.hash, stored);
        new.wire = self.wire(&new.stored.head);
        let placed = match (old, &caching.storing.lead) {
            (Old::Replaced, Some(lead)) if another => {
                lead.put(new, now.instant, |new, other| other.stored.selecting == new.stored.selecting)
            }
            (Old::Replaced, _) if !another => cache.store.replace(entry_of, new),
            (Old::Goes(_), _) if !another => {
                cache.forget(entry_of);
                Err(Arc::new(new))
            }
            (Old::Replaced | Old::Goes(_) | Old::Stays(_), _) => Err(Arc::new(new)),
        };
        if let (Ok(new), Some(lead)) = (&placed, &caching.storing.lead) {
            cache.share(new, lead.since(), caching.variants(), now);
        }
        let kept = placed.is_ok();
        // Stored or not, it answers.
        (placed.unwrap_or_else(|new| new), kept)
    }

    /// A 200 to `HEAD`: each response stored for `GET` that could have answered is the same, and lives on, or it is not, and
    /// has to be validated before it is used again (RFC 9111 §4.3.5).
    pub(super) fn compare(&mut self, cache: &Cache, caching: &mut Caching, head: &ResponseHead) {
        caching.question.stored = None;
        let Some(place) = caching.storing.lead.as_ref().map(Lead::place) else { return };
        for stored in cache.store.peek(place) {
            if !stored.stored.selecting.matches(&self.core.request.head.fields) {
                continue;
            }
            match head_says(head, &stored.stored) {
                HeadSays::Same => drop(self.freshen(cache, caching, &stored, head, false)),
                HeadSays::Changed => {
                    let freshness = stored.stored.freshness.invalidated();
                    let mut stale =
                        entry(stored.key.clone(), stored.hash, Stored { freshness, ..stored.stored.clone() });
                    stale.wire = stored.wire.clone();
                    if cache.store.replace(&stored, stale).is_err() {
                        cache.store.remove_entry(&stored);
                    }
                    cache.second.iter().for_each(|second| second.remove(&stored.key));
                }
            }
        }
    }

    /// Whether what is stored may answer although a backend failed.
    pub(super) fn may_stand_in(&self, caching: &Caching) -> bool {
        !caching.background
            && caching.question.stored.as_ref().is_some_and(|entry| {
                let situation = reuse(&entry.stored.freshness, &caching.asked, self.cx.now(), Situation::Failed);
                matches!(situation, Reuse::Fresh | Reuse::Stale(_))
            })
    }

    /// A stored response answers in place of a backend that failed, if it may. Others who wait may do the same.
    pub(super) fn stand_in(&mut self) -> Option<State> {
        let mut caching = self.core.caching.take()?;
        let entry = if self.may_stand_in(&caching) { caching.question.stored.take() } else { None };
        if entry.is_some() {
            caching.storing.lead = None;
        }
        self.core.caching = Some(caching);
        entry.map(|entry| self.serve(&entry, Did::IfError))
    }
}
