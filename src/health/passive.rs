//! What the outcomes of real requests do: they open and close the breaker.
//!
//! A probe asks whether the backend answers a probe. Requests ask whether it does its work, and they notice first.

use super::{DownReason, FailureKind, UpReason};
use crate::resilience::{Admit, Breaker, BreakerConfig, BreakerState};
use std::time::Instant;

/// What requests say about one backend.
#[derive(Debug)]
pub(super) struct Passive {
    /// `None`: switched off. Failures are still counted, for `/stats`.
    breaker: Option<Breaker>,
    /// Trials that close the breaker.
    successes: u32,
    /// Failures since the last success, and the last of them.
    failures: u32,
    last: Option<FailureKind>,
}

impl Passive {
    pub(super) fn new(config: &BreakerConfig) -> Self {
        let breaker = (config.failures > 0).then(|| Breaker::new(*config));
        Self { breaker, successes: config.successes.max(1), failures: 0, last: None }
    }

    pub(super) fn admit(&mut self, now: Instant) -> bool {
        self.breaker.as_mut().is_none_or(|breaker| !matches!(breaker.admit(now), Admit::No { .. }))
    }

    pub(super) fn succeeded(&mut self, now: Instant) -> Option<UpReason> {
        // Sent before the breaker opened. The failures that opened it are still the reason why it is.
        if self.stage(now) == BreakerState::Open {
            return None;
        }
        (self.failures, self.last) = (0, None);
        self.breaker.as_mut()?.success(now)?;
        Some(UpReason::Trials { successes: self.successes })
    }

    pub(super) fn failed(&mut self, kind: FailureKind, now: Instant) -> Option<DownReason> {
        if self.stage(now) == BreakerState::Open {
            return None;
        }
        (self.failures, self.last) = (self.failures.saturating_add(1), Some(kind));
        self.breaker.as_mut()?.failure(now)?;
        Some(DownReason::Breaker { failures: self.failures, last: kind })
    }

    /// A request that was admitted told nothing.
    pub(super) fn give_back(&mut self) {
        if let Some(breaker) = &mut self.breaker {
            breaker.cancel_trial();
        }
    }

    pub(super) fn stage(&self, now: Instant) -> BreakerState {
        self.breaker.as_ref().map_or(BreakerState::Closed, |breaker| breaker.state(now))
    }

    /// What `admit` would say, with its reason.
    pub(super) fn down(&self, now: Instant) -> Option<DownReason> {
        self.retry_at(now)?;
        match (self.stage(now), self.last) {
            (BreakerState::Open, Some(last)) => Some(DownReason::Breaker { failures: self.failures, last }),
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
        self.failures == 0 && self.stage(now) == BreakerState::Closed
    }

    /// Failures since the last success, and the last of them.
    pub(super) fn failures(&self) -> (u32, Option<FailureKind>) {
        (self.failures, self.last)
    }
}
