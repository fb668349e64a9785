//! Whether one more retry would make an outage worse: retries may only be a share of the traffic.
//!
//! Two retries a request triple the load on servers just when they cannot bear it. So every request pays a part of a
//! token in, and a retry takes a whole one out. While few fail, all of those are retried; when all fail, the servers see
//! the traffic and that share more. (After Finagle's `RetryBudget`.)

use super::TokenBucket;
use crate::time::Instant;
use std::{num::NonZeroU32, time::Duration};

/// Half of what was saved is forgotten in this time: a quiet hour must not pay for a storm, a moment ago may.
const HALF_LIFE: Duration = Duration::from_secs(5);

/// The balance is worn down in steps of this length; finer ones would cost each request a power and change nothing.
const STEP: Duration = Duration::from_millis(100);

/// Caps the share of retries in the traffic.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    /// The part of a retry that each request pays in.
    ratio: f64,
    /// Retries saved up.
    balance: f64,
    /// When the balance was last worn down.
    worn_at: Instant,
    /// Retries that are free: a server asked twice a minute would never save up for one.
    reserve: Option<TokenBucket>,
}

impl RetryBudget {
    /// Allows `ratio` retries per request (0.2: one in five), and `per_second` retries a second whatever the traffic.
    #[must_use]
    pub fn new(ratio: f64, per_second: u32, now: Instant) -> Self {
        let reserve = NonZeroU32::new(per_second).map(|rate| TokenBucket::new(rate, rate, now));
        Self { ratio: ratio.max(0.0), balance: 0.0, worn_at: now, reserve }
    }

    /// A request is sent for the first time: pays in.
    pub fn request(&mut self, now: Instant) {
        self.wear(now);
        self.balance += self.ratio;
    }

    /// Whether a request may be sent again. `true` is a retry taken out: ask only when about to send.
    pub fn may_retry(&mut self, now: Instant) -> bool {
        self.wear(now);
        // Ten tenths are a little less than one.
        if self.balance >= 1.0 - 1e-9 {
            self.balance = (self.balance - 1.0).max(0.0);
            return true;
        }
        self.reserve.as_mut().is_some_and(|reserve| reserve.try_take(1, now).is_ok())
    }

    fn wear(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.worn_at);
        if passed >= STEP {
            self.balance *= (-passed.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2();
            self.worn_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::base, *};

    const MS: Duration = Duration::from_millis(1);

    fn retries(budget: &mut RetryBudget, now: Instant) -> u32 {
        (0..10_000).take_while(|_| budget.may_retry(now)).count() as u32
    }

    #[test]
    fn retries_are_a_share_of_the_requests() {
        for (ratio, requests, expected) in
            [(0.2, 4, 0), (0.2, 5, 1), (0.1, 10, 1), (0.1, 999, 99), (0.0, 999, 0), (-1.0, 9, 0)]
        {
            let now = base();
            let mut budget = RetryBudget::new(ratio, 0, now);
            (0..requests).for_each(|_| budget.request(now));
            assert_eq!(retries(&mut budget, now), expected, "{ratio} of {requests}");
        }
    }

    #[test]
    fn a_few_are_free_in_every_second() {
        let now = base();
        let mut budget = RetryBudget::new(0.0, 10, now);
        assert_eq!(retries(&mut budget, now), 10);
        assert_eq!(retries(&mut budget, now + 100 * MS), 1);
        assert_eq!(retries(&mut budget, now + 3_600_000 * MS), 10);
    }

    #[test]
    fn savings_are_forgotten() {
        for (wait, expected) in [(0, 200), (5_000, 100), (10_000, 50), (60_000, 0)] {
            let now = base();
            let mut budget = RetryBudget::new(0.2, 0, now);
            (0..1000).for_each(|_| budget.request(now));
            assert_eq!(retries(&mut budget, now + wait * MS), expected, "after {wait} ms");
        }
    }

    #[test]
    fn in_an_outage_the_load_grows_by_the_ratio_only() {
        let start = base();
        let mut budget = RetryBudget::new(0.2, 10, start);
        let (mut requests, mut retried) = (0, 0);
        for ms in 0..60_000 {
            let now = start + ms * MS;
            requests += 1;
            budget.request(now);
            // Every request fails, and so does its retry.
            retried += (0..2).take_while(|_| budget.may_retry(now)).count();
        }
        let most = requests / 5 + 60 * 10 + 10;
        assert!((most * 95 / 100..=most).contains(&retried), "{retried} retries, {most} allowed");
    }
}
