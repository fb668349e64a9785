//! The responses that other proxies have stored: asked for when the first level has nothing to use, before a backend is.
//!
//! The exchange that leads a fetch asks, and those that follow it wait for that one look-up. A response that is found goes into the first level,
//! which is looked into once more: so it is judged as everything there is.

use super::{Event, Failure, State, Step, cache::Cache, caching::Asked, keep::entry};
use crate::{
    cache::{Mark, Stored, collapse::Over, encoding::Variants, store::Entry},
    proxy::{
        explain::{CacheFact, Fact, Second},
        second_level::{Answer, Lookup as Question},
    },
};
use std::sync::Arc;

/// An exchange that waits for the second level.
#[derive(Debug)]
pub(in crate::proxy) struct Lookup {
    question: Arc<Question>,
}

impl Lookup {
    /// The next state after an event.
    pub(super) fn on(self, event: Event<'_>, step: &mut Step<'_>) -> State {
        match event {
            Event::News => step.looked_up(self),
            Event::WaitOver => {
                if let Some(second) = step.worker.shared.cache.as_ref().and_then(|cache| cache.second.as_ref()) {
                    second.is_late();
                }
                step.go_on_without(Second::Late)
            }
            Event::Expired => step.give_up(None, Failure::ExchangeTimeout),
            Event::ClientLost(failure) | Event::RequestBad(failure) => step.give_up(None, failure),
            _ => State::Lookup(self),
        }
    }
}

impl Step<'_> {
    /// Asks the second level, if there is one that may know more. `None`: there is not.
    pub(super) fn ask_second(&mut self, cache: &Cache) -> Option<State> {
        let second = cache.second.as_ref()?;
        let caching = self.core.caching.as_mut()?;
        // Once.
        if caching.second.is_some() || caching.asked.no_cache {
            return None;
        }
        caching.second = Some(Box::default());
        let lookup = second.ask(self.uri()?, None, self.ticket());
        let Some(question) = lookup else {
            self.explain(|_| Fact::Cache(CacheFact::Second(Second::Unavailable)));
            return None;
        };
        self.wait_until(Some(self.cx.now() + second.patience()));
        self.ask_if_closed();
        Some(State::Lookup(Lookup { question }))
    }

    /// There is news: perhaps the answer.
    fn looked_up(&mut self, lookup: Lookup) -> State {
        let Some(answer) = lookup.question.take() else { return State::Lookup(lookup) };
        match answer {
            Answer::Found(stored) => self.found(*stored),
            Answer::Variants(variants) => self.ask_for_variant(variants),
            Answer::Nothing => self.go_on_without(Second::Nothing),
            Answer::Unreadable => self.go_on_without(Second::Unreadable),
            Answer::Lost => self.go_on_without(Second::Unavailable),
        }
    }

    /// The responses of the URI differ by these fields: asks for the one of this request.
    fn ask_for_variant(&mut self, variants: Variants) -> State {
        let shared = self.worker.shared.clone();
        let second = shared.cache.as_ref().and_then(|cache| cache.second.as_ref());
        let is_first = self.core.caching.as_ref().is_some_and(|caching| caching.variants().is_none());
        let question = second.filter(|_| is_first).and_then(|second| {
            let fields = &self.core.request.head.fields;
            second.ask(self.uri()?, Some((&variants, fields)), self.ticket())
        });
        self.asked_second(|asked| asked.variants = Some(variants));
        match question {
            Some(question) => State::Lookup(Lookup { question }),
            None => self.go_on_without(Second::Nothing),
        }
    }

    /// The second level has a response: it is put into the first.
    fn found(&mut self, stored: Stored) -> State {
        let now = self.cx.now();
        let wire = self.wire(&stored.head);
        let fresher = |caching: &super::Caching| {
            let before = caching.question.stored.as_ref().filter(|before| before.stored.selecting == stored.selecting);
            before.is_none_or(|before| stored.freshness.left(now).is_ok() && before.stored.freshness.left(now).is_err())
        };
        let is_news = self.core.caching.as_deref().is_some_and(fresher);
        let lead = self.core.caching.as_mut().and_then(|caching| caching.storing.lead.take_if(|_| is_news));
        let Some(mut lead) = lead else { return self.go_on_without(Second::NoNews) };
        let mut new = entry(lead.key().clone(), lead.place().hash, stored);
        new.wire = wire;
        // Purged meanwhile, or too large for the first level: as if it had not been there.
        if lead.put(new, now, |new, old| new.stored.selecting == old.stored.selecting).is_err() {
            if let Some(caching) = &mut self.core.caching {
                caching.storing.lead = Some(lead);
            }
            return self.go_on_without(Second::NoNews);
        }
        self.asked_second(|asked| asked.found = true);
        if let Some(caching) = &mut self.core.caching {
            caching.waiting.was_enough = None;
        }
        self.explain(|_| Fact::Cache(CacheFact::Second(Second::Found)));
        self.wait_until(None);
        lead.release(Over::Stored);
        drop(lead);
        self.look_up()
    }

    fn asked_second(&mut self, change: impl FnOnce(&mut Asked)) {
        if let Some(asked) = self.core.caching.as_mut().and_then(|caching| caching.second.as_mut()) {
            change(asked);
        }
    }

    /// The second level does not answer the request: a backend is asked, unless the client does not want that.
    fn go_on_without(&mut self, why: Second) -> State {
        self.explain(|_| Fact::Cache(CacheFact::Second(why)));
        self.wait_until(None);
        match &self.core.caching {
            Some(caching) if caching.asked.only_if_cached => self.refuse(),
            _ => self.go(),
        }
    }
}

impl Cache {
    /// Puts what was stored just now into the second level, too. `since`: when its fetch began.
    pub(super) fn share(&self, entry: &Entry, since: Mark, variants: Option<&Variants>, now: crate::time::Now) {
        if let Some(second) = &self.second {
            second.put(entry, since, variants, now);
        }
    }

    /// Takes out an entry that is not true any more.
    pub(super) fn forget(&self, entry: &Arc<Entry>) {
        self.store.remove_entry(entry);
        if let Some(second) = &self.second {
            second.remove(&entry.key);
        }
    }
}
