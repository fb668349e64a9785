//! How much of its share a backend gets while it warms up.

use crate::time::Instant;
use std::time::Duration;

/// The share that a backend starts with, in percent. Not 1: it has to see enough requests to warm up by, and enough to
/// show that it still fails.
pub(super) const FLOOR: u32 = 10;

/// The share of a backend that came back at some instant: a straight line from [`FLOOR`] to 100 percent.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlowStart {
    began: Instant,
    over: Duration,
}

impl SlowStart {
    /// `None` if there is nothing to wait for.
    pub(super) fn new(began: Instant, over: Duration) -> Option<Self> {
        (!over.is_zero()).then_some(Self { began, over })
    }

    /// From [`FLOOR`] to 100, where it stays.
    pub(super) fn percent(&self, now: Instant) -> u32 {
        // Another worker may have begun this by its clock, a little ahead of ours: not a negative time, but none.
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed >= self.over {
            return 100;
        }
        let grown = elapsed.as_nanos() * u128::from(100 - FLOOR) / self.over.as_nanos();
        FLOOR + u32::try_from(grown).expect("less than 90, as less than all of the time has passed")
    }

    /// When [`percent`](Self::percent) is next different. `None` once it is 100.
    pub(super) fn next_step(&self, now: Instant) -> Option<Instant> {
        let percent = self.percent(now);
        if percent == 100 {
            return None;
        }
        let steps = u128::from(percent + 1 - FLOOR);
        let nanos = (self.over.as_nanos() * steps).div_ceil(u128::from(100 - FLOOR));
        Some(self.began + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::tests::start;

    #[test]
    fn the_share_grows_in_a_straight_line() {
        let slow = SlowStart::new(start(), Duration::from_secs(9)).unwrap();
        // (milliseconds, percent): at every limit and beside it.
        const CASES: &[(u64, u32)] = &[
            (0, 10),
            (99, 10),
            (100, 11),
            (101, 11),
            (4500, 55),
            (8899, 98),
            (8900, 99),
            (8999, 99),
            (9000, 100),
            (9001, 100),
        ];
        for (millis, percent) in CASES {
            assert_eq!(slow.percent(start() + Duration::from_millis(*millis)), *percent, "after {millis} ms");
        }
        assert!(SlowStart::new(start(), Duration::ZERO).is_none());
    }

    #[test]
    fn a_clock_that_is_behind_sees_the_beginning() {
        let slow = SlowStart::new(start() + Duration::from_secs(1), Duration::from_secs(1)).unwrap();
        assert_eq!(slow.percent(start()), FLOOR);
    }

    #[test]
    fn the_next_step_is_when_the_share_changes_and_not_before() {
        let nano = Duration::from_nanos(1);
        for over in [Duration::from_secs(10), Duration::from_nanos(7), Duration::from_millis(333)] {
            let slow = SlowStart::new(start(), over).unwrap();
            let mut now = start();
            while let Some(next) = slow.next_step(now) {
                assert_eq!(slow.percent(next - nano), slow.percent(now), "{over:?}");
                assert!(slow.percent(next) > slow.percent(now), "{over:?}");
                now = next;
            }
            assert_eq!(now, start() + over);
        }
    }
}
