//! May this request be sent again?
//!
//! Yes, if no byte of it reached a backend; or if its method is idempotent (RFC 9110 §9.2.2) and nothing of its body was
//! consumed, so that all of it can be sent a second time. In both cases only before any byte of a response, at most
//! `--retries` times, and within the retry budget: when every request fails, retries must not triple the load.
//!
//! The common case is a pooled connection that the backend closed while our request was on its way (RFC 9112 §9.3.1).
//! That is no fault of the backend: it counts neither as a retry nor against the budget, costs no pause, and the
//! backend is not taken to have failed.

use super::{Failure, Link, State, Step};
use crate::{
    health::Outcome,
    proxy::{explain::Fact, failure::Transience},
};

/// Why a request is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// The backend may have acted on it, and acting twice is not the same as acting once.
    NotIdempotent,
    /// Part of the body is gone.
    BodyConsumed,
    /// The backend is slow, not dead: asking a second one doubles the load of what is slow.
    TooSlow,
    /// It broke off, or answered nonsense, after it had acted.
    NotTransient,
    /// Often enough.
    Exhausted,
    /// Too many requests are being sent again already.
    Budget,
}

impl Refusal {
    fn as_str(self) -> &'static str {
        match self {
            Self::NotIdempotent => "method not idempotent",
            Self::BodyConsumed => "body consumed",
            Self::TooSlow => "backend slow, not dead",
            Self::NotTransient => "not transient",
            Self::Exhausted => "tried often enough",
            Self::Budget => "retry budget spent",
        }
    }
}

impl Step<'_> {
    /// The backend failed before its response began. `sent`: bytes of the request were on the wire.
    pub(super) fn lost(&mut self, link: Link, failure: Failure, sent: bool) -> State {
        let stale = link.reused && failure == Failure::UpstreamClosed;
        // One request that it cannot bear, sent three times, is one sign that a backend fails, not three.
        let known = self.core.attempts.tried.contains(&link.backend);
        let outcome = if stale || known { Outcome::Neutral } else { self.outcome_of(failure) };
        self.drop_link(link, outcome);
        match self.may_retry(failure, sent, stale) {
            Ok(()) => {
                self.core.record.retries.push(failure);
                self.explain(|_| Fact::Retry { failure, refused: None });
                self.worker.counters().retries.add(1);
                self.again(link, stale)
            }
            Err(refusal) => {
                self.explain(|_| Fact::Retry { failure, refused: Some(refusal.as_str()) });
                if self.retries() > 0 {
                    self.core.record.not_retried = Some(refusal.as_str());
                }
                self.give_up(None, failure)
            }
        }
    }

    /// How often a request of its group may be sent again, at most.
    fn retries(&self) -> u32 {
        self.worker.shared.groups.get(self.core.way.group).retries
    }

    fn may_retry(&mut self, failure: Failure, sent: bool, stale: bool) -> Result<(), Refusal> {
        match failure.transience() {
            Transience::Transient => {}
            Transience::Slow => return Err(Refusal::TooSlow),
            Transience::Lasting => return Err(Refusal::NotTransient),
        }
        if sent && !self.core.request.head.method.is_idempotent() {
            return Err(Refusal::NotIdempotent);
        }
        if self.core.request.is_consumed() {
            return Err(Refusal::BodyConsumed);
        }
        if stale {
            // Bounded by itself: the next try is on a new connection.
            return Ok(());
        }
        if self.core.attempts.tried.len() >= self.retries() as usize {
            return Err(Refusal::Exhausted);
        }
        if !self.worker.chooser(self.core.way.group).retry_budget.may_retry(self.cx.now()) {
            return Err(Refusal::Budget);
        }
        Ok(())
    }

    /// Another try: at once if a pooled connection turned out dead, else after a pause.
    fn again(&mut self, link: Link, stale: bool) -> State {
        // Until a backend takes its body, the client is not late.
        self.forget_congestion();
        self.expect_no_body();
        if stale {
            // The pool may hold more dead ones; a new connection settles it.
            self.core.attempts.fresh = true;
            return self.route_to(Some(link.backend), None);
        }
        self.core.attempts.tried.push(link.backend);
        let attempt = u32::try_from(self.core.attempts.tried.len()).unwrap_or(u32::MAX);
        let jitter = self.worker.random();
        let delay = self.worker.shared.groups.get(self.core.way.group).backoff.delay(attempt.saturating_sub(1), jitter);
        self.wait_until(Some(self.cx.now() + delay));
        self.ask_if_closed();
        State::Pause
    }
}
