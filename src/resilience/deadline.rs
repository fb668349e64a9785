//! How much time a try has, of the time that all tries have.
//!
//! Three tries of 10 s each are 30 s for the client, which went away long before. So the total is given, and each try
//! gets its share of the time that is left.

use super::later;
use crate::time::Instant;
use std::time::Duration;

/// One time limit over all tries of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineBudget {
    ends: Instant,
}

impl DeadlineBudget {
    /// `total` from `now` on.
    #[must_use]
    pub fn new(total: Duration, now: Instant) -> Self {
        Self { ends: later(now, total) }
    }

    /// When it is spent.
    #[must_use]
    pub fn ends(&self) -> Instant {
        self.ends
    }

    /// The time that is left; zero after the deadline.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Duration {
        self.ends.saturating_duration_since(now)
    }

    /// The limit of a try that `tries_left - 1` others may follow: an equal share of what is left, so that a first try which
    /// hangs leaves time for a second. The last one gets everything. Zero: spent, do not begin.
    ///
    /// `tries_left` counts the try itself; 0 counts as 1.
    #[must_use]
    pub fn for_try(&self, now: Instant, tries_left: u32) -> Duration {
        self.remaining(now) / tries_left.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::base, *};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn tries_share_what_is_left() {
        let start = base();
        let budget = DeadlineBudget::new(12 * SECOND, start);
        for (at, tries_left, share) in
            [(0, 3, 4), (0, 1, 12), (0, 0, 12), (2, 2, 5), (11, 1, 1), (12, 3, 0), (13, 1, 0)]
        {
            assert_eq!(budget.for_try(start + at * SECOND, tries_left), share * SECOND, "{tries_left} tries at {at} s");
        }
        assert_eq!((budget.ends(), budget.remaining(start + 5 * SECOND)), (start + 12 * SECOND, 7 * SECOND));
    }

    #[test]
    fn tries_that_take_their_whole_share_end_in_time() {
        let start = base();
        for tries in 1..10 {
            let budget = DeadlineBudget::new(SECOND, start);
            let end = (1..=tries).rev().fold(start, |now, left| now + budget.for_try(now, left));
            assert_eq!(end, start + SECOND);
        }
    }

    #[test]
    fn forever_is_no_overflow() {
        let now = base();
        assert!(DeadlineBudget::new(Duration::MAX, now).remaining(now) > 1_000_000 * SECOND);
    }
}
