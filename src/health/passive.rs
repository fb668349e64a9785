//! Opens and closes the breaker by the outcomes of real requests.
//!
//! A probe asks whether the backend answers a probe. Requests ask whether it does its work, and they notice first. But not
//! all that they say is about the backend:
//!
//! | evidence | who can cause it | how it counts |
//! |---|---|---|
//! | no connection: refused, unreachable, not in time | the backend, and the way to it | each time |
//! | closed without an answer, no answer in time, no HTTP | the backend, or the one request that it cannot bear | once for each request: client, method and path |
//!
//! So a client that asks again and again for the one page at which a server breaks off is one piece of evidence. It takes
//! several clients or several pages to open the breaker.

use super::{Asked, DownReason, FailureKind, UpReason};
use crate::{
    resilience::{Admit, Breaker, BreakerConfig, BreakerState},
    time::Instant,
};

/// The number of the last failed requests that are remembered, to tell them from new ones. A breaker that opens after
/// more failures than this may count one of them twice.
const REMEMBERED: usize = 16;

/// The state of one backend by its requests.
#[derive(Debug)]
pub(super) struct Passive {
    /// `None`: switched off. Failures are still counted, for `/stats`.
    breaker: Option<Breaker>,
    /// Trials that close the breaker.
    successes: u32,
    run: Run,
}

/// Failures since the last success.
#[derive(Debug, Default)]
struct Run {
    failures: u32,
    /// Of these, as many as count.
    count: u32,
    /// The last of them, and when that was.
    last: Option<(FailureKind, Instant)>,
    /// Whether one of them was more than a connection that could not be opened.
    answered_badly: bool,
    /// Requests that counted. Kept until the breaker closes: the one that opened it must not fail its trials, too.
    seen: [Option<Asked>; REMEMBERED],
    next: usize,
}

impl Run {
    /// Enters a failure. `false`: it says nothing new.
    fn add(&mut self, kind: FailureKind, asked: Asked, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.repeats(kind, asked) {
            return false;
        }
        if kind.may_be_the_requests() {
            self.seen[self.next] = Some(asked);
            self.next = (self.next + 1) % REMEMBERED;
            self.answered_badly = true;
        }
        self.count = self.count.saturating_add(1);
        self.last = Some((kind, now));
        true
    }

    /// Whether it is one more failure of a request that counted already.
    fn repeats(&self, kind: FailureKind, asked: Asked) -> bool {
        kind.may_be_the_requests() && self.seen.contains(&Some(asked))
    }

    /// A success ends it; what a half-open breaker has seen stays.
    fn end(&mut self) {
        (self.failures, self.count, self.last) = (0, 0, None);
    }
}

impl Passive {
    pub(super) fn new(config: &BreakerConfig) -> Self {
        let breaker = (config.failures > 0).then(|| Breaker::new(*config));
        Self { breaker, successes: config.successes.max(1), run: Run::default() }
    }

    pub(super) fn admit(&mut self, now: Instant) -> bool {
        self.breaker.as_mut().is_none_or(|breaker| !matches!(breaker.admit(now), Admit::No { .. }))
    }

    /// Admits a request that no other backend could take.
    pub(super) fn admit_anyway(&mut self, now: Instant) {
        if let Some(breaker) = &mut self.breaker {
            breaker.admit_anyway(now);
        }
    }

    pub(super) fn succeeded(&mut self, now: Instant) -> Option<UpReason> {
        // Sent before the breaker opened: the failures that opened it are still the reason why it is.
        if self.stage(now) != BreakerState::Open {
            self.run.end();
        }
        let closed = self.breaker.as_mut().and_then(|breaker| breaker.success(now));
        if self.stage(now) == BreakerState::Closed {
            self.run = Run::default();
        }
        closed.map(|_| UpReason::Trials { successes: self.successes })
    }

    pub(super) fn failed(&mut self, kind: FailureKind, asked: Asked, now: Instant) -> Option<DownReason> {
        let new = match self.stage(now) {
            // Sent before it opened, or while too few others were left: it is open already.
            BreakerState::Open => !self.run.repeats(kind, asked),
            BreakerState::Closed | BreakerState::HalfOpen => self.run.add(kind, asked, now),
        };
        if !new {
            self.give_back();
            return None;
        }
        self.breaker.as_mut()?.failure(now)?;
        Some(DownReason::Breaker { failures: self.run.count, last: kind })
    }

    /// A request that was admitted told nothing.
    pub(super) fn give_back(&mut self) {
        if let Some(breaker) = &mut self.breaker {
            breaker.cancel_trial();
        }
    }

    /// A probe that began at `began` succeeded. It closes the breaker if it came after the failures, and tested as much as
    /// they did: a connection that opens refutes connections that did not, an answer (`answered`) refutes everything.
    pub(super) fn refuted(&mut self, answered: bool, began: Instant) -> Option<UpReason> {
        let newer = self.run.last.is_none_or(|(_, at)| at <= began);
        if !newer || self.run.answered_badly && !answered || !self.breaker.as_mut()?.close() {
            return None;
        }
        self.run = Run::default();
        Some(UpReason::Refuted)
    }

    pub(super) fn stage(&self, now: Instant) -> BreakerState {
        self.breaker.as_ref().map_or(BreakerState::Closed, |breaker| breaker.state(now))
    }

    /// The reason for which `admit` would refuse, if it would.
    pub(super) fn down(&self, now: Instant) -> Option<DownReason> {
        self.retry_at(now)?;
        match (self.stage(now), self.run.last) {
            (BreakerState::Open, Some((last, _))) => Some(DownReason::Breaker { failures: self.run.count, last }),
            _ => Some(DownReason::OnTrial),
        }
    }

    /// When `admit` will say yes, if nothing happens meanwhile. `None`: it would now.
    pub(super) fn retry_at(&self, now: Instant) -> Option<Instant> {
        // A copy may be asked without taking one of its trials.
        match self.breaker.clone()?.admit(now) {
            Admit::Yes | Admit::Trial => None,
            Admit::No { retry_at } => Some(retry_at),
        }
    }

    /// Whether another success would change nothing.
    pub(super) fn is_clean(&self, now: Instant) -> bool {
        self.run.failures == 0 && self.stage(now) == BreakerState::Closed
    }

    /// Failures since the last success, how many of them count, and the last one that does.
    pub(super) fn failures(&self) -> (u32, u32, Option<FailureKind>) {
        (self.run.failures, self.run.count, self.run.last.map(|(kind, _)| kind))
    }
}
